//! Facts: what a predicate in filter position says of every row that passes it.

use super::super::graph::{
    ColumnId, ContextId, Fact, Operand, OutputId, Source as GraphSource, Term,
};
use super::early::first_span;
use super::{Builder, Clause, Scope, sole_value};
use crate::sql::model::{Comparison, Constant, Expr, Query};
use crate::tenant::TenantType;

impl Builder<'_> {
    /// The facts of a predicate that is true (`positive`), or false, for every row. Visits every
    /// part of it once, for its subqueries and routines.
    pub(super) fn predicate(
        &mut self,
        expr: &Expr,
        positive: bool,
        scope: &Scope<'_>,
        context: ContextId,
    ) -> Vec<Fact> {
        match (expr, positive) {
            (Expr::And(parts), true) | (Expr::Or(parts), false) => parts
                .iter()
                .flat_map(|part| self.predicate(part, positive, scope, context))
                .collect(),
            (Expr::Or(parts), true) | (Expr::And(parts), false) => {
                let arms: Vec<Vec<Fact>> = parts
                    .iter()
                    .map(|part| self.predicate(part, positive, scope, context))
                    .collect();
                if arms.iter().any(Vec::is_empty) { Vec::new() } else { vec![Fact::Any(arms)] }
            }
            (Expr::Not(inner), _) => self.predicate(inner, !positive, scope, context),
            (Expr::IsTrue(inner), true) => self.predicate(inner, true, scope, context),
            (Expr::Compare { operator: Comparison::Equal, left, right }, true) => {
                self.equal(left, right, scope, context)
            }
            (Expr::Compare { operator: Comparison::NotEqual, left, right }, false)
                if !matches!(**left, Expr::Row(_)) =>
            {
                self.equal(left, right, scope, context)
            }
            (Expr::IsNull { expr, negated: false }, true) => {
                self.walk(expr, scope, context, Clause::Filter);
                let parts = match &**expr {
                    Expr::Row(parts) => parts.as_slice(),
                    single => std::slice::from_ref(single),
                };
                parts.iter().filter_map(|part| self.bare(part, scope)).map(Fact::Null).collect()
            }
            (Expr::IsNull { expr, negated: true }, false) => {
                self.walk(expr, scope, context, Clause::Filter);
                self.bare(expr, scope).map(Fact::Null).into_iter().collect()
            }
            (Expr::IsDistinct { left, right, negated: true }, true)
            | (Expr::IsDistinct { left, right, negated: false }, false) => {
                self.not_distinct(left, right, scope, context)
            }
            (Expr::InList { expr, list, negated: false }, true)
            | (Expr::InList { expr, list, negated: true }, false) => {
                self.in_list(expr, list, scope, context)
            }
            (Expr::EqualsAny { expr, array }, true) => {
                self.walk(expr, scope, context, Clause::Filter);
                self.walk(array, scope, context, Clause::Filter);
                let column = self.bare(expr, scope);
                let operand = self.elements(array);
                column
                    .zip(operand)
                    .map(|(column, operand)| self.equals(column, operand))
                    .into_iter()
                    .collect()
            }
            (Expr::InQuery { expr, query, negated: false }, true) => {
                self.walk(expr, scope, context, Clause::Filter);
                self.member(expr, query, scope, context)
            }
            (Expr::Exists { query, negated: false }, true)
            | (Expr::Exists { query, negated: true }, false) => {
                let output = self.query(query, context, Some(scope));
                self.witness(output)
            }
            (other, _) => {
                self.walk(other, scope, context, Clause::Filter);
                Vec::new()
            }
        }
    }

    /// A bare column.
    fn bare(&mut self, expr: &Expr, scope: &Scope<'_>) -> Option<ColumnId> {
        match expr {
            Expr::Column(parts) => self.resolve(parts, scope),
            Expr::Field { .. } => match self.term(expr, scope) {
                Some(Term::Column(column)) => Some(column),
                Some(Term::Operand(_)) | None => None,
            },
            _ => None,
        }
    }

    fn equals(&mut self, column: ColumnId, operand: Operand) -> Fact {
        Fact::Equal(Term::Column(column), Term::Operand(self.graph.operand(operand)))
    }

    fn equal(
        &mut self,
        left: &Expr,
        right: &Expr,
        scope: &Scope<'_>,
        context: ContextId,
    ) -> Vec<Fact> {
        match (left, right) {
            (Expr::Row(lefts), Expr::Row(rights)) if lefts.len() == rights.len() => lefts
                .iter()
                .zip(rights)
                .flat_map(|(l, r)| self.equal(l, r, scope, context))
                .collect(),
            (other, Expr::Subquery(query)) | (Expr::Subquery(query), other)
                if sole_value(query).is_none() =>
            {
                self.walk(other, scope, context, Clause::Filter);
                self.member(other, query, scope, context)
            }
            (left, right) => {
                self.walk(left, scope, context, Clause::Filter);
                self.walk(right, scope, context, Clause::Filter);
                match (self.term(left, scope), self.term(right, scope)) {
                    (Some(l @ Term::Column(a)), Some(r @ Term::Column(b))) if a != b => {
                        let trusted = self.is_tenant_typed(a) && self.is_tenant_typed(b);
                        if trusted { vec![Fact::Equal(l, r)] } else { Vec::new() }
                    }
                    (Some(l @ Term::Column(_)), Some(r @ Term::Operand(_)))
                    | (Some(l @ Term::Operand(_)), Some(r @ Term::Column(_))) => {
                        vec![Fact::Equal(l, r)]
                    }
                    (_, _) => Vec::new(),
                }
            }
        }
    }

    /// Whether the column surely has the tenant's type, so that `=` is that type's own. Nothing
    /// but a uuid compares with a uuid; a column of an unknown table may be a float or `char(n)`.
    fn is_tenant_typed(&self, column: ColumnId) -> bool {
        let Some(column) = self.graph.columns.get(column) else {
            return false;
        };
        match self.source_of(column.reference) {
            Some(GraphSource::Guarded(_) | GraphSource::Unknown) => {
                self.policy.tenant_type == TenantType::Uuid
                    || column.name == self.policy.tables.tenant_column
            }
            Some(GraphSource::Output(_) | GraphSource::Recursion(_)) => true,
            None => false,
        }
    }

    fn not_distinct(
        &mut self,
        left: &Expr,
        right: &Expr,
        scope: &Scope<'_>,
        context: ContextId,
    ) -> Vec<Fact> {
        self.walk(left, scope, context, Clause::Filter);
        self.walk(right, scope, context, Clause::Filter);
        let (column, value) = match (self.bare(left, scope), self.bare(right, scope)) {
            (Some(column), None) => (column, right),
            (None, Some(column)) => (column, left),
            (_, _) => return Vec::new(),
        };
        match self.value(value) {
            Some(Operand::Null) => vec![Fact::Null(column)],
            Some(operand) => vec![self.equals(column, Operand::NotNull(Box::new(operand)))],
            None => Vec::new(),
        }
    }

    fn in_list(
        &mut self,
        expr: &Expr,
        list: &[Expr],
        scope: &Scope<'_>,
        context: ContextId,
    ) -> Vec<Fact> {
        if let [only] = list {
            return self.equal(expr, only, scope, context);
        }
        self.walk(expr, scope, context, Clause::Filter);
        for element in list {
            self.walk(element, scope, context, Clause::Filter);
        }
        let columns: Vec<&Expr> = match expr {
            Expr::Row(parts) => parts.iter().collect(),
            single => vec![single],
        };
        let width = columns.len();
        let mut facts = Vec::new();
        for (position, column) in columns.into_iter().enumerate() {
            let values: Option<Vec<Operand>> = list
                .iter()
                .map(|element| match element {
                    Expr::Row(parts) if parts.len() == width => self.value(parts.get(position)?),
                    single if width == 1 => self.value(single),
                    _ => None,
                })
                .collect();
            if let (Some(column), Some(values)) = (self.bare(column, scope), values) {
                facts.push(self.equals(column, Operand::All(values)));
            }
        }
        facts
    }

    /// `x IN (query)`, `x = (query)`, and the same of rows. The caller has visited `x`.
    fn member(
        &mut self,
        expr: &Expr,
        query: &Query,
        scope: &Scope<'_>,
        context: ContextId,
    ) -> Vec<Fact> {
        let output = self.query(query, context, Some(scope));
        // PostgreSQL makes a join of it, on what the query computes.
        let arms = self.graph.outputs.get(output).map_or(&[][..], |output| output.arms.as_slice());
        let computed = arms.iter().flat_map(|arm| arm.computed.iter().copied()).collect();
        self.early_columns(computed, first_span(expr));
        let parts = match expr {
            Expr::Row(parts) => parts.as_slice(),
            single => std::slice::from_ref(single),
        };
        parts
            .iter()
            .enumerate()
            .filter_map(|(position, part)| {
                Some(Fact::Member(self.bare(part, scope)?, output, position))
            })
            .collect()
    }

    /// EXISTS: some row has passed the query's own context, so its facts are true of that row and
    /// of the outer one together.
    fn witness(&self, output: OutputId) -> Vec<Fact> {
        match self.graph.outputs.get(output).map(|output| output.arms.as_slice()) {
            Some([arm]) if arm.witness => self
                .graph
                .contexts
                .get(arm.context)
                .map(|context| context.facts.clone())
                .unwrap_or_default(),
            Some(_) | None => Vec::new(),
        }
    }

    /// The facts of DO UPDATE's WHERE. An arm that fails where it is reached says nothing of a row
    /// for which the whole is true. Only here: row-level security fails on such a row too, where
    /// anywhere else a failure would tell that a hidden row is there.
    pub(super) fn conflict_predicate(
        &mut self,
        expr: &Expr,
        scope: &Scope<'_>,
        context: ContextId,
    ) -> Vec<Fact> {
        match expr {
            Expr::And(parts) => parts
                .iter()
                .flat_map(|part| self.conflict_predicate(part, scope, context))
                .collect(),
            Expr::Or(parts) if parts.iter().any(never_true) => {
                let mut left = Vec::new();
                for part in parts {
                    let facts = self.predicate(part, true, scope, context);
                    if !never_true(part) {
                        left.push(facts);
                    }
                }
                if let [_] = left.as_slice() { left.pop().unwrap_or_default() } else { Vec::new() }
            }
            other => self.predicate(other, true, scope, context),
        }
    }
}

/// `pg_catalog.current_setting('…') IS NULL`: with one argument the function gives a value or fails
/// (documentation, 9.28.1), so rewriting uses it to make a statement fail on a row.
fn never_true(expr: &Expr) -> bool {
    let Expr::IsNull { expr, negated: false } = expr else {
        return false;
    };
    let Expr::Call(call) = &**expr else {
        return false;
    };
    let own = matches!(call.qualifier.as_slice(), [schema] if &*schema.text == "pg_catalog");
    own && &*call.name.text == "current_setting"
        && matches!(call.arguments.as_slice(), [Expr::Constant(Constant::Text(_))])
        && call.over.is_none()
        && call.filter.is_none()
        && call.inside.is_empty()
}
