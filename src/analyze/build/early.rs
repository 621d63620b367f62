//! Order of evaluation: what stands beside the tenant predicate and may run before it.

use super::super::graph::{Has, Source as GraphSource};
use super::super::verdict::{Advice, Rule};
use super::{Builder, Scope};
use crate::policy::{EvaluationOrder, is_total_routine};
use crate::sql::Span;
use crate::sql::model::{Call, Expr, Name, TypeName};

impl Builder<'_> {
    /// Looks through a predicate in WHERE or ON for what could show a value of a guarded row in
    /// an error, or have an effect by it.
    pub(super) fn early(&mut self, predicate: &Expr, scope: &Scope<'_>) {
        if self.policy.evaluation_order == EvaluationOrder::Ignore {
            return;
        }
        let Some(span) = self.fallible(predicate, scope) else {
            return;
        };
        let detail = "an expression over guarded columns can run before the tenant predicate and \
                      show another tenant's value in an error";
        if self.policy.evaluation_order == EvaluationOrder::Refuse {
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

    /// Where the first part stands that is not total and sees a guarded column.
    fn fallible(&mut self, expr: &Expr, scope: &Scope<'_>) -> Option<Span> {
        let own = match expr {
            Expr::Cast { expr, target } => !widens(target) && self.is_exposed(expr, scope),
            Expr::Call(call) => !self.is_total(call) && self.is_exposed(expr, scope),
            Expr::Field { base, name } => {
                let column = self
                    .whole_row(base, scope)
                    .is_some_and(|reference| self.graph.has(reference, &name.text) == Has::Sure);
                !column && self.is_exposed(expr, scope)
            }
            // An operator or form of which nothing is known may fail on anything.
            Expr::Opaque(_) => self.is_exposed(expr, scope),
            _ => false,
        };
        if own {
            return Some(first_span(expr).unwrap_or_default());
        }
        let mut parts = Vec::new();
        // Subqueries have predicates of their own.
        expr.parts(&mut |part| parts.push(part), &mut |_| {});
        parts.into_iter().find_map(|part| self.fallible(part, scope))
    }

    fn is_total(&self, call: &Call) -> bool {
        let own = call.qualifier.iter().all(|schema| &*schema.text == "pg_catalog");
        own && is_total_routine(&call.name.text)
    }

    /// Whether a column below may be of a guarded row that nothing has filtered yet.
    fn is_exposed(&mut self, expr: &Expr, scope: &Scope<'_>) -> bool {
        if let Expr::Column(parts) = expr {
            let found = self.resolve(parts, scope);
            return match found.and_then(|id| Some(self.graph.columns.get(id)?.reference)) {
                Some(reference) => self.exposes(reference),
                None => scope.references.iter().any(|reference| self.exposes(*reference)),
            };
        }
        let mut parts = Vec::new();
        expr.parts(&mut |part| parts.push(part), &mut |_| {});
        parts.into_iter().any(|part| self.is_exposed(part, scope))
    }

    fn exposes(&self, reference: usize) -> bool {
        match self.source_of(reference) {
            Some(GraphSource::Guarded(_)) => true,
            Some(GraphSource::Output(output) | GraphSource::Recursion(output)) => {
                self.graph.outputs.get(*output).is_some_and(|output| output.exposed)
            }
            Some(GraphSource::Unknown) | None => false,
        }
    }
}

/// A cast to a type that takes every text: it cannot fail.
fn widens(target: &TypeName) -> bool {
    matches!(target, TypeName::Plain("text" | "varchar"))
}

fn first_span(expr: &Expr) -> Option<Span> {
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
