//! Aggregates that filter for themselves.

use super::super::graph::{ColumnId, ContextId, Fact, Term};
use super::block::is_aggregate;
use super::{Builder, Scope};
use crate::sql::model::{Expr, Item};

/// An aggregate's FILTER, and what else of it sees a row.
type Filtered<'q> = (&'q Expr, Vec<&'q Expr>);

impl Builder<'_> {
    /// `SELECT count(*) FILTER (WHERE …), max(x) FILTER (WHERE …) FROM t`: without GROUP BY there is
    /// one row, and if every column stands inside an aggregate with FILTER, only the rows that some
    /// FILTER lets through matter.
    pub(super) fn filtered_aggregates(
        &mut self,
        items: &[Item],
        scope: &Scope<'_>,
        context: ContextId,
    ) {
        let mut aggregates = Vec::new();
        let all = items.iter().all(|item| match item {
            Item::Expr { expr, label: _ } => self.is_filtered(expr, &mut aggregates),
            Item::Wildcard | Item::QualifiedWildcard(_) => false,
        });
        if !all || aggregates.is_empty() {
            return;
        }
        let mut arms: Vec<Vec<Fact>> = Vec::with_capacity(aggregates.len());
        for (filter, arguments) in aggregates {
            self.early(filter, scope);
            // They may be sorted before the FILTER is asked.
            for argument in arguments {
                self.early(argument, scope);
            }
            arms.push(self.predicate(filter, true, scope, context));
        }
        // An aggregate over columns of an outer query alone is that query's.
        if arms.iter().all(|arm| arm.iter().any(|fact| self.is_of(fact, scope))) {
            self.graph.add_facts(context, vec![Fact::Any(arms)]);
        }
    }

    /// Whether a fact speaks of a relation of this level.
    fn is_of(&self, fact: &Fact, scope: &Scope<'_>) -> bool {
        let column = |id: &ColumnId| {
            let column = self.graph.columns.get(*id);
            column.is_some_and(|column| scope.references.contains(&column.reference))
        };
        let term = |term: &Term| match term {
            Term::Column(id) => column(id),
            Term::Operand(_) => false,
        };
        match fact {
            Fact::Equal(left, right) => term(left) || term(right),
            Fact::Null(id) | Fact::Member(id, _, _) => column(id),
            Fact::Any(arms) => {
                arms.iter().all(|arm| arm.iter().any(|fact| self.is_of(fact, scope)))
            }
        }
    }

    /// Whether nothing of an expression sees a row but through aggregates with FILTER, which are
    /// collected.
    fn is_filtered<'q>(&self, expr: &'q Expr, aggregates: &mut Vec<Filtered<'q>>) -> bool {
        match expr {
            Expr::Column(_) => return false,
            Expr::Call(call) if call.over.is_some() => return false,
            Expr::Call(call) => {
                let own = call.qualifier.iter().all(|schema| &*schema.text == "pg_catalog");
                if own && is_aggregate(&call.name.text) {
                    let Some(filter) = call.filter.as_ref().filter(|filter| !has_query(filter))
                    else {
                        return false;
                    };
                    aggregates.push((filter, call.arguments.iter().chain(&call.inside).collect()));
                    return true;
                }
                if self.may_be_aggregate(call) {
                    return false;
                }
            }
            _ => {}
        }
        let (mut parts, mut queries) = (Vec::new(), false);
        expr.parts(&mut |part| parts.push(part), &mut |_| queries = true);
        !queries && parts.into_iter().all(|part| self.is_filtered(part, aggregates))
    }
}

fn has_query(expr: &Expr) -> bool {
    let (mut parts, mut found) = (Vec::new(), false);
    expr.parts(&mut |part| parts.push(part), &mut |_| found = true);
    found || parts.into_iter().any(has_query)
}
