//! Outer joins that a predicate makes inner ones, as PostgreSQL's planner does
//! (`reduce_outer_joins`).

use super::super::graph::ReferenceId;
use super::join::{Level, Node, Tree};
use super::{Builder, Scope};
use crate::sql::model::{Expr, JoinKind};

/// What is known to be true of every row at the top of some trees.
#[derive(Clone, Debug)]
pub(super) enum Conjunct<'q> {
    Predicate(&'q Expr, Level),
    Using(ReferenceId, ReferenceId),
}

impl Builder<'_> {
    /// Reduces outer joins until no conjunct, of those known and of the inner joins at the top,
    /// reduces another.
    pub(super) fn reduce_all<'q>(
        &mut self,
        trees: &mut [Tree<'q>],
        known: &[Conjunct<'q>],
        outer: Option<&Scope<'_>>,
    ) {
        loop {
            let mut conjuncts = known.to_vec();
            for tree in trees.iter() {
                gather(tree, &mut conjuncts);
            }
            let mut changed = false;
            for tree in trees.iter_mut() {
                changed |= self.reduce(tree, &conjuncts, outer);
            }
            if !changed {
                return;
            }
        }
    }

    /// Makes outer joins inner where a conjunct rejects the rows that they would add.
    fn reduce(
        &mut self,
        tree: &mut Tree<'_>,
        conjuncts: &[Conjunct<'_>],
        outer: Option<&Scope<'_>>,
    ) -> bool {
        let Tree::Join(node) = tree else {
            return false;
        };
        let mut changed = false;
        let rejects_left = self.any_rejects(conjuncts, &node.left_references, outer);
        let rejects_right = self.any_rejects(conjuncts, &node.right_references, outer);
        let reduced = match node.kind {
            JoinKind::Inner => JoinKind::Inner,
            JoinKind::Left if rejects_right => JoinKind::Inner,
            JoinKind::Left => JoinKind::Left,
            JoinKind::Right if rejects_left => JoinKind::Inner,
            JoinKind::Right => JoinKind::Right,
            JoinKind::Full => match (rejects_left, rejects_right) {
                (true, true) => JoinKind::Inner,
                // Rows without a left part are rejected, so every row has one: left is preserved.
                (true, false) => JoinKind::Left,
                (false, true) => JoinKind::Right,
                (false, false) => JoinKind::Full,
            },
        };
        if reduced != node.kind {
            node.kind = reduced;
            changed = true;
        }
        let Node { kind, left, right, .. } = &mut **node;
        if matches!(kind, JoinKind::Inner | JoinKind::Left) {
            changed |= self.reduce(left, conjuncts, outer);
        }
        if matches!(kind, JoinKind::Inner | JoinKind::Right) {
            changed |= self.reduce(right, conjuncts, outer);
        }
        changed
    }

    fn any_rejects(
        &mut self,
        conjuncts: &[Conjunct<'_>],
        references: &[ReferenceId],
        outer: Option<&Scope<'_>>,
    ) -> bool {
        conjuncts.iter().any(|conjunct| match conjunct {
            Conjunct::Predicate(expr, level) => self.rejects(expr, references, &level.scope(outer)),
            Conjunct::Using(left, right) => references.contains(left) || references.contains(right),
        })
    }
}

/// The conjuncts of inner joins that stand at the top, below other inner joins or on the preserved
/// side of outer ones.
fn gather<'q>(tree: &Tree<'q>, conjuncts: &mut Vec<Conjunct<'q>>) {
    let Tree::Join(node) = tree else {
        return;
    };
    if node.kind == JoinKind::Inner {
        if let Some(on) = node.on {
            conjuncts.push(Conjunct::Predicate(on, node.level.clone()));
        }
        for _ in &node.using {
            if let ([left], [right]) =
                (node.left_references.as_slice(), node.right_references.as_slice())
            {
                conjuncts.push(Conjunct::Using(*left, *right));
            }
        }
    }
    if matches!(node.kind, JoinKind::Inner | JoinKind::Left) {
        gather(&node.left, conjuncts);
    }
    if matches!(node.kind, JoinKind::Inner | JoinKind::Right) {
        gather(&node.right, conjuncts);
    }
}
