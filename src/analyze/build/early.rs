//! Order of evaluation: what stands beside the tenant predicate and may run before it.

use std::collections::BTreeSet;

use super::super::graph::ReferenceId;
use super::super::has::Has;
use super::super::verdict::{Advice, Rule};
use super::block::is_aggregate;
use super::{Builder, Scope};
use crate::policy::{EvaluationOrder, is_total_routine};
use crate::sql::Span;
use crate::sql::model::{Call, Expr, Name, TypeName};

/// What was found in an expression.
#[derive(Debug, Default)]
struct Hazard {
    /// Where the first part stands that may show a value in its error.
    span: Option<Span>,
    /// The references whose rows may be seen there.
    references: BTreeSet<ReferenceId>,
}

impl Hazard {
    fn add(&mut self, span: Option<Span>, references: BTreeSet<ReferenceId>) {
        if !references.is_empty() {
            self.span = self.span.or_else(|| Some(span.unwrap_or_default()));
            self.references.extend(references);
        }
    }
}

impl Builder<'_> {
    /// Looks through a predicate in WHERE or ON for what could show a value of a guarded row in
    /// an error, or have an effect by it.
    pub(super) fn early(&mut self, predicate: &Expr, scope: &Scope<'_>) {
        if self.looks_for_early() {
            let mut hazard = Hazard::default();
            self.fallible(predicate, scope, &mut hazard);
            self.tell_early(hazard);
        }
    }

    /// The same of HAVING: PostgreSQL moves what has no aggregate in it to WHERE.
    pub(super) fn early_groups(&mut self, having: &Expr, scope: &Scope<'_>) {
        match having {
            Expr::And(parts) => {
                for part in parts {
                    self.early_groups(part, scope);
                }
            }
            other if aggregates(other) => {}
            other => self.early(other, scope),
        }
    }

    /// The same of `x IN (query)` and USING, which compare columns that a query computes.
    pub(super) fn early_columns(&mut self, references: BTreeSet<ReferenceId>, span: Option<Span>) {
        let mut hazard = Hazard::default();
        hazard.add(span, references);
        self.tell_early(hazard);
    }

    /// Of the columns that a query gives, the references whose rows come out in them, also those
    /// of a query outside (LATERAL), and the references whose rows are seen where one is computed
    /// that may fail. An aggregate is computed when the rows have been filtered.
    pub(super) fn given<'e>(
        &mut self,
        exprs: impl IntoIterator<Item = &'e Expr>,
        scope: &Scope<'_>,
    ) -> (BTreeSet<ReferenceId>, Vec<ReferenceId>) {
        let (mut open, mut hazard) = (BTreeSet::new(), Hazard::default());
        if self.looks_for_early() {
            for expr in exprs {
                self.exposed(expr, scope, &mut open);
                if !matches!(expr, Expr::Column(_)) && !aggregates(expr) {
                    self.fallible(expr, scope, &mut hazard);
                }
            }
        }
        (open, hazard.references.into_iter().collect())
    }

    fn looks_for_early(&self) -> bool {
        self.policy.evaluation_order != EvaluationOrder::Ignore
    }

    fn tell_early(&mut self, hazard: Hazard) {
        let Some(span) = hazard.span else {
            return;
        };
        let detail = "an expression over guarded columns can run before the tenant predicate and \
                      show another tenant's value in an error";
        if self.policy.evaluation_order == EvaluationOrder::Refuse {
            self.graph.early.extend(hazard.references);
            self.violate(
                Rule::EarlyEvaluation,
                None,
                span,
                detail.to_owned(),
                "filter the bound rows first: FROM (SELECT … WHERE <tenant predicate> OFFSET 0) AS t",
            );
        } else {
            let span = self.shown(span);
            self.advice.push(Advice {
                rule: Rule::EarlyEvaluation,
                table: "".into(),
                span,
                detail: detail.into(),
            });
        }
    }

    /// Finds the parts that are not total and see a guarded column.
    fn fallible(&mut self, expr: &Expr, scope: &Scope<'_>, hazard: &mut Hazard) {
        let fails = match expr {
            Expr::Cast { expr: _, target } => !widens(target),
            Expr::Call(call) => !self.is_total(call),
            Expr::Field { base, name } => self
                .whole_row(base, scope)
                .is_none_or(|reference| self.graph.has(reference, &name.text) != Has::Sure),
            // An operator or form of which nothing is known may fail on anything.
            Expr::Opaque(_) => true,
            Expr::Column(parts) => {
                let computed = self.column_computes(parts, scope);
                hazard.add(first_span(expr), computed);
                return;
            }
            Expr::Constant(_)
            | Expr::Parameter(_)
            | Expr::Default
            | Expr::And(_)
            | Expr::Or(_)
            | Expr::Not(_)
            | Expr::Compare { .. }
            | Expr::IsNull { .. }
            | Expr::IsDistinct { .. }
            | Expr::IsTrue(_)
            | Expr::InList { .. }
            | Expr::InQuery { .. }
            | Expr::EqualsAny { .. }
            | Expr::Exists { .. }
            | Expr::Subquery(_)
            | Expr::Row(_)
            | Expr::Array(_)
            | Expr::Strict(_)
            | Expr::Quantified(_) => false,
        };
        if fails {
            let mut exposed = BTreeSet::new();
            self.exposed(expr, scope, &mut exposed);
            if !exposed.is_empty() {
                hazard.add(first_span(expr), exposed);
                return;
            }
        }
        let mut parts = Vec::new();
        // Subqueries have predicates of their own.
        expr.parts(&mut |part| parts.push(part), &mut |_| {});
        for part in parts {
            self.fallible(part, scope, hazard);
        }
    }

    /// The references whose rows are seen where a column is computed; of a name that is not
    /// certain, those of any column that it may be.
    fn column_computes(&mut self, parts: &[Name], scope: &Scope<'_>) -> BTreeSet<ReferenceId> {
        if let Some(column) = self.resolve(parts, scope) {
            return self.graph.computes(column);
        }
        let all = visible(scope);
        let arms = all.iter().flat_map(|reference| self.graph.arms_of(*reference));
        arms.flat_map(|arm| arm.computed.iter().copied()).collect()
    }

    fn is_total(&self, call: &Call) -> bool {
        let own = call.qualifier.iter().all(|schema| &*schema.text == "pg_catalog");
        own && is_total_routine(&call.name.text)
    }

    /// The references whose rows, filtered by nothing yet, the columns below may be of.
    fn exposed(&mut self, expr: &Expr, scope: &Scope<'_>, found: &mut BTreeSet<ReferenceId>) {
        if let Expr::Column(parts) = expr {
            let column = self.resolve(parts, scope);
            let own = column.and_then(|id| Some(self.graph.columns.get(id)?.reference));
            let all = own.map_or_else(|| visible(scope), |own| vec![own]);
            found.extend(all.into_iter().filter(|reference| self.graph.exposes(*reference)));
            return;
        }
        let (mut parts, mut has_query) = (Vec::new(), false);
        expr.parts(&mut |part| parts.push(part), &mut |_| has_query = true);
        if has_query {
            // It may give a column of any.
            found.extend(visible(scope).into_iter().filter(|it| self.graph.exposes(*it)));
        }
        for part in parts {
            self.exposed(part, scope, found);
        }
    }
}

/// Whether an expression surely holds one of PostgreSQL's aggregates.
fn aggregates(expr: &Expr) -> bool {
    let mut found =
        matches!(expr, Expr::Call(call) if call.over.is_none() && is_aggregate(&call.name.text));
    expr.parts(&mut |part| found = found || aggregates(part), &mut |_| {});
    found
}

/// Every reference whose columns may be named, at this level and outside it.
fn visible(scope: &Scope<'_>) -> Vec<ReferenceId> {
    let levels = std::iter::successors(Some(scope), |scope| scope.outer);
    levels.flat_map(|scope| scope.references.iter().copied()).collect()
}

/// A cast to a type that takes every text: it cannot fail.
fn widens(target: &TypeName) -> bool {
    matches!(target, TypeName::Plain("text" | "varchar"))
}

/// Where an expression's first name stands.
pub(super) fn first_span(expr: &Expr) -> Option<Span> {
    match expr {
        Expr::Column(parts) => parts.first().map(|Name { span, .. }| *span),
        Expr::Call(call) => Some(call.name.span),
        other => {
            let mut found = None;
            other.parts(&mut |part| found = found.or_else(|| first_span(part)), &mut |_| {});
            found
        }
    }
}
