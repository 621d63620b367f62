//! Soft deletion: whether the rows of a reference that matter are not deleted.

use super::graph::{ColumnId, ContextId, Fact, ReferenceId, Source, Term};
use super::solve::{Solver, Truth};

impl<T: Truth> Solver<'_, T> {
    /// Whether the soft-delete column is NULL for every row that matters; `all_contexts` looks past
    /// outer joins too (then deleted rows are not seen, but rows may be lost).
    pub(super) fn is_live(&self, reference: ReferenceId, all_contexts: bool) -> bool {
        let Some(found) = self.graph.references.get(reference) else {
            return false;
        };
        let Source::Guarded(guarded) = &found.source else {
            return false;
        };
        let Some(live) = guarded.live.as_deref().filter(|_| found.aliases.is_empty()) else {
            return false;
        };
        self.index.columns(reference).iter().any(|column| {
            self.graph.columns.get(*column).is_some_and(|own| *own.name == *live)
                && self.is_null(found.context, *column, all_contexts)
        })
    }

    fn is_null(&self, context: ContextId, column: ColumnId, all_contexts: bool) -> bool {
        let mut masked: Vec<ReferenceId> = Vec::new();
        let mut next = Some(context);
        while let Some((id, found)) = next.and_then(|id| Some((id, self.graph.contexts.get(id)?))) {
            if !self.index.spend(found.facts.len()) {
                return false;
            }
            let visible = |fact: &&Fact| all_contexts || !self.mentions(fact, &masked);
            let here = || found.facts.iter().filter(visible);
            if here().any(|fact| says_null(fact, column)) {
                return true;
            }
            // A column that equals one that is NULL: no row is left at all (NATURAL JOIN of two
            // tables with soft delete).
            let equal = |fact: &Fact| match fact {
                Fact::Equal(Term::Column(one), Term::Column(other)) if *one == column => {
                    Some(*other)
                }
                Fact::Equal(Term::Column(one), Term::Column(other)) if *other == column => {
                    Some(*one)
                }
                Fact::Equal(..) | Fact::Null(_) | Fact::Member(..) | Fact::Any(_) => None,
            };
            let nothing =
                |fact: &Fact| equal(fact).is_some_and(|other| here().any(|f| says_null(f, other)));
            if here().any(nothing) {
                return true;
            }
            let is_masked =
                self.graph.columns.get(column).is_some_and(|own| masked.contains(&own.reference));
            if (all_contexts || !is_masked)
                && self.pushed(id, column, &|at, term| match term {
                    Term::Column(outer) => self.is_null(at, outer, all_contexts),
                    Term::Operand(_) => false,
                })
            {
                return true;
            }
            masked.extend(&found.masked);
            next = found.parent;
        }
        false
    }
}

fn says_null(fact: &Fact, column: ColumnId) -> bool {
    match fact {
        Fact::Null(own) => *own == column,
        Fact::Any(arms) => arms.iter().all(|arm| arm.iter().any(|fact| says_null(fact, column))),
        Fact::Equal(..) | Fact::Member(..) => false,
    }
}
