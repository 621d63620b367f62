//! Queries: WITH, set operations and blocks, and what comes out of each.

use super::super::graph::{
    Arm, ArmColumn, ContextId, Guarded, Obligation, Output, OutputId, ReferenceId,
    Source as GraphSource,
};
use super::super::verdict::Rule;
use super::{Builder, Clause, CteEntry, Scope};
use crate::policy::statistics_relation;
use crate::sql::model::{Body, Cte, Expr, Name, Query, SetOperator};

/// What stands behind a query's body.
#[derive(Clone, Copy, Debug)]
struct Tail<'q> {
    order_by: &'q [Expr],
    limited: bool,
}

impl Builder<'_> {
    /// Builds a query in a context; what comes out may be referred to by the output's number.
    pub(super) fn query(
        &mut self,
        query: &Query,
        context: ContextId,
        outer: Option<&Scope<'_>>,
    ) -> OutputId {
        let Query { with, recursive, body, order_by, limits, limited } = query;
        let mut scope = Scope::inside(outer);
        for cte in with {
            let output = self.cte(cte, *recursive, &scope);
            scope.ctes.push((cte.name.text.clone(), CteEntry::Output(output)));
        }
        for limit in limits {
            self.walk(limit, &scope, context, Clause::Value);
        }
        let tail = Tail { order_by, limited: *limited };
        let arms = self.body(body, tail, context, &scope);
        self.graph.output(Output { arms, pushable: true, ..Output::default() })
    }

    /// One WITH entry. Its rows are made once, so nothing of the place of use holds for them but
    /// what every use filters.
    fn cte(&mut self, cte: &Cte, recursive: bool, scope: &Scope<'_>) -> OutputId {
        let Cte { name, columns, materialized, query } = cte;
        let context = self.graph.context(None, Vec::new());
        let names: Vec<Box<str>> = columns.iter().map(|column| column.text.clone()).collect();
        let is_write = matches!(query.body, Body::Write(_));
        if recursive
            && query.with.is_empty()
            && let Body::SetOperation { operator: SetOperator::Union, left, right } = &query.body
        {
            return self.recursive(name, names, query, (left, right), context, scope);
        }
        let output = self.query(query, context, Some(scope));
        if let Some(output) = self.graph.outputs.get_mut(output) {
            output.names = names;
            if *materialized {
                output.arms.iter_mut().for_each(Arm::fence);
            }
            output.pushable = output.pushable && !recursive && !is_write;
        }
        output
    }

    fn recursive(
        &mut self,
        name: &Name,
        names: Vec<Box<str>>,
        query: &Query,
        (base, step): (&Body, &Body),
        context: ContextId,
        scope: &Scope<'_>,
    ) -> OutputId {
        let tail = Tail { order_by: &query.order_by, limited: query.limited };
        for limit in &query.limits {
            self.walk(limit, scope, context, Clause::Value);
        }
        // It is never merged into the query that uses it, so nothing outside runs on its rows.
        let fenced = |mut arm: Arm| {
            arm.fence();
            arm
        };
        let arms = self.body(base, tail, context, scope);
        let arms: Vec<Arm> = arms.into_iter().map(fenced).collect();
        let base_arms = Some(arms.len());
        let output = self.graph.output(Output { arms, names, base_arms, ..Output::default() });
        let inner = Scope {
            ctes: vec![(name.text.clone(), CteEntry::Recursion(output))],
            ..Scope::inside(Some(scope))
        };
        let arms = self.body(step, tail, context, &inner);
        if let Some(output) = self.graph.outputs.get_mut(output) {
            output.arms.extend(arms.into_iter().map(fenced));
        }
        output
    }

    fn body(
        &mut self,
        body: &Body,
        tail: Tail<'_>,
        context: ContextId,
        scope: &Scope<'_>,
    ) -> Vec<Arm> {
        let mut arms = match body {
            Body::Block(block) => vec![self.block(block, tail.order_by, context, scope)],
            Body::Nested(query) => {
                let output = self.query(query, context, Some(scope));
                self.graph
                    .outputs
                    .get_mut(output)
                    .map(|o| std::mem::take(&mut o.arms))
                    .unwrap_or_default()
            }
            Body::SetOperation { operator, left, right } => {
                let none = Tail { order_by: &[], limited: false };
                let mut arms = self.body(left, none, context, scope);
                let mut rights = self.body(right, none, context, scope);
                if matches!(operator, SetOperator::Intersect | SetOperator::Except) {
                    let out = arms.iter().filter(|arm| arm.comes_out).map(|arm| arm.context);
                    let out: Vec<ContextId> = out.collect();
                    for arm in &mut rights {
                        arm.comes_out = false;
                        arm.against.clone_from(&out);
                    }
                }
                arms.extend(rights);
                // A row out of several arms is no witness for the facts of one of them.
                for arm in &mut arms {
                    arm.witness = false;
                }
                arms
            }
            Body::Values(rows) => rows.iter().map(|row| self.values(row, context, scope)).collect(),
            Body::Write(write) => vec![self.write(write, scope)],
        };
        if !matches!(body, Body::Block(_)) {
            for key in tail.order_by {
                self.walk(key, scope, context, Clause::Value);
            }
        }
        for arm in &mut arms {
            arm.closed = arm.closed || tail.limited;
            if tail.limited {
                arm.fence();
            }
        }
        arms
    }

    fn values(&mut self, row: &[Expr], context: ContextId, scope: &Scope<'_>) -> Arm {
        let columns = row
            .iter()
            .enumerate()
            .map(|(index, value)| {
                self.walk(value, scope, context, Clause::Value);
                let name = format!("column{}", index.saturating_add(1));
                ArmColumn::One { name: Some(name.into()), term: self.term(value, scope) }
            })
            .collect();
        let (open, computed) = self.given(row, scope);
        Arm { open: open.into_iter().collect(), computed, ..Arm::of(context, columns) }
    }

    /// What a guarded table's reference is, by the policy.
    pub(super) fn guarded(&self, name: &str) -> Option<Guarded> {
        self.policy.tables.guard(name).map(|guard| Guarded {
            tenant: guard.tenant_column.into(),
            live: guard.soft_delete_column.map(Into::into),
            bound_by: guard.bound_by.to_vec(),
        })
    }

    /// Lays the obligations of a reference, before any predicate is looked at.
    pub(super) fn owe(&mut self, reference: ReferenceId, conflict: bool) {
        let Some(GraphSource::Guarded(guarded)) = self.source_of(reference) else {
            return;
        };
        let soft = guarded.live.is_some();
        self.graph.obligations.push(Obligation::Bound { reference, conflict });
        if soft {
            self.graph.obligations.push(Obligation::Live { reference, conflict });
        }
    }

    /// Catalogue relations that show values of all tenants.
    pub(super) fn statistics(&mut self, name: &Name) {
        if statistics_relation(&name.text) {
            self.violate(
                Rule::StatisticsLeak,
                Some(&name.text),
                name.span,
                "statistics and other sessions' statements hold values of every tenant".to_owned(),
                "read them on a connection of their own, not through the guard",
            );
        }
    }
}
