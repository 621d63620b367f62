//! Which rows of a query matter: filters pushed in from where its output is used. And a bound on
//! the search for proofs.

use std::cell::Cell;
use std::collections::HashMap;

use super::graph::{ColumnId, ContextId, Graph, OutputId, ReferenceId, Term};
use super::solve::{Solver, Truth};

/// Steps that one solver may take; a step looks at one column or fact in one context. Statements of
/// applications take some thousands. What is not proved by then is not proved: a search that stops
/// early proves less, never more.
const STEPS: u64 = 500_000;

/// Where things are in a graph, and what the search has cost.
#[derive(Debug)]
pub(super) struct Index {
    columns: HashMap<ReferenceId, Vec<ColumnId>>,
    /// The outputs with an arm in a context, and the first such arm of each.
    arms: HashMap<ContextId, Vec<(OutputId, usize)>>,
    left: Cell<u64>,
}

impl Index {
    pub(super) fn of(graph: &Graph) -> Self {
        let mut columns: HashMap<ReferenceId, Vec<ColumnId>> = HashMap::new();
        for (id, column) in graph.columns.iter().enumerate() {
            columns.entry(column.reference).or_default().push(id);
        }
        let mut arms: HashMap<ContextId, Vec<(OutputId, usize)>> = HashMap::new();
        for (id, output) in graph.outputs.iter().enumerate() {
            for (at, arm) in output.arms.iter().enumerate() {
                let known = arms.entry(arm.context).or_default();
                if known.last().is_none_or(|(last, _)| *last != id) {
                    known.push((id, at));
                }
            }
        }
        Self { columns, arms, left: Cell::new(STEPS) }
    }

    /// The columns of a reference.
    pub(super) fn columns(&self, reference: ReferenceId) -> &[ColumnId] {
        self.columns.get(&reference).map_or(&[], Vec::as_slice)
    }

    /// Pays for steps; whether they may be taken.
    pub(super) fn spend(&self, steps: usize) -> bool {
        let steps = u64::try_from(steps).unwrap_or(u64::MAX).saturating_add(1);
        let left = self.left.get().checked_sub(steps);
        self.left.set(left.unwrap_or_default());
        left.is_some()
    }
}

impl<T: Truth> Solver<'_, T> {
    /// Whether `filtered` holds of the place that decides which rows of an arm matter, for a column
    /// of that arm: at every use of its output, or in the arms that INTERSECT or EXCEPT compares
    /// it with.
    pub(super) fn pushed(
        &self,
        context: ContextId,
        column: ColumnId,
        filtered: &dyn Fn(ContextId, Term) -> bool,
    ) -> bool {
        let term = Term::Column(column);
        let places = self.index.arms.get(&context).map_or(&[][..], Vec::as_slice);
        places.iter().any(|(id, index)| {
            let Some(output) = self.graph.outputs.get(*id) else {
                return false;
            };
            let Some(arm) = output.arms.get(*index) else {
                return false;
            };
            if arm.closed || !arm.keys.iter().all(|keys| keys.contains(&term)) {
                return false;
            }
            let uses = output.pushable && self.all_uses(&output.uses, *index, term, filtered);
            uses || self.all_against(*id, *index, term, filtered)
        })
    }

    fn all_uses(
        &self,
        uses: &[ReferenceId],
        arm: usize,
        term: Term,
        filtered: &dyn Fn(ContextId, Term) -> bool,
    ) -> bool {
        !uses.is_empty()
            && uses.iter().all(|reference| {
                let Some(at) = self.graph.references.get(*reference).map(|r| r.context) else {
                    return false;
                };
                self.index.columns(*reference).iter().any(|outer| {
                    self.graph.columns.get(*outer).is_some_and(|found| {
                        found.links.get(arm) == Some(&Some(term))
                            && filtered(at, Term::Column(*outer))
                    })
                })
            })
    }

    /// A row on the right of INTERSECT or EXCEPT matters only where a row on the left equals it in
    /// every column.
    fn all_against(
        &self,
        output: OutputId,
        arm: usize,
        term: Term,
        filtered: &dyn Fn(ContextId, Term) -> bool,
    ) -> bool {
        let Some(arms) = self.graph.outputs.get(output).map(|output| &output.arms) else {
            return false;
        };
        let Some(right) = arms.get(arm).filter(|right| !right.against.is_empty()) else {
            return false;
        };
        (0..right.columns.len())
            .filter(|position| self.graph.at(output, arm, *position) == Some(term))
            .any(|position| {
                right.against.iter().all(|context| {
                    let left = arms.iter().position(|arm| arm.context == *context);
                    left.and_then(|left| self.graph.at(output, left, position))
                        .is_some_and(|term| filtered(*context, term))
                })
            })
    }
}
