//! Whose rows come out of a query with no fence between, so that PostgreSQL may run on them what
//! stands outside.

use std::collections::{BTreeSet, HashSet};

use super::graph::{Arm, ColumnId, Graph, ReferenceId, Source, Term};
use crate::sql::Span;

impl Graph {
    /// Whether rows of guarded tables come out of a reference with no fence between.
    pub(super) fn exposes(&self, reference: ReferenceId) -> bool {
        self.is_guarded(reference) || self.arms_of(reference).iter().any(|arm| !arm.open.is_empty())
    }

    fn is_guarded(&self, reference: ReferenceId) -> bool {
        let source = self.references.get(reference).map(|reference| &reference.source);
        matches!(source, Some(Source::Guarded(_)))
    }

    /// The guarded references whose rows these expose.
    pub(super) fn exposed(&self, references: &BTreeSet<ReferenceId>) -> BTreeSet<ReferenceId> {
        let mut found = BTreeSet::new();
        let mut seen = HashSet::new();
        let mut next: Vec<ReferenceId> = references.iter().copied().collect();
        while let Some(reference) = next.pop() {
            if !seen.insert(reference) {
                continue;
            }
            if self.is_guarded(reference) {
                found.insert(reference);
            }
            next.extend(self.arms_of(reference).iter().flat_map(|arm| &arm.open));
        }
        found
    }

    /// The references whose rows are seen where a column is computed, if it can fail.
    pub(super) fn computes(&self, column: ColumnId) -> BTreeSet<ReferenceId> {
        let mut found = BTreeSet::new();
        let mut seen = HashSet::new();
        let mut next = vec![column];
        while let Some(id) = next.pop() {
            let Some(column) = self.columns.get(id).filter(|_| seen.insert(id)) else {
                continue;
            };
            for (at, arm) in self.arms_of(column.reference).iter().enumerate() {
                match column.links.get(at).copied().flatten() {
                    Some(Term::Column(inner)) => next.push(inner),
                    Some(Term::Operand(_)) => {}
                    None => found.extend(&arm.computed),
                }
            }
        }
        found
    }

    /// Where the reference of a column stands.
    pub(super) fn place_of(&self, column: ColumnId) -> Option<Span> {
        let reference = self.columns.get(column)?.reference;
        self.references.get(reference).map(|reference| reference.span)
    }

    /// The arms of the query that a reference refers to.
    pub(super) fn arms_of(&self, reference: ReferenceId) -> &[Arm] {
        match self.references.get(reference).map(|reference| &reference.source) {
            Some(Source::Output(output) | Source::Recursion(output)) => {
                self.outputs.get(*output).map_or(&[], |output| output.arms.as_slice())
            }
            Some(Source::Guarded(_) | Source::Unknown) | None => &[],
        }
    }
}
