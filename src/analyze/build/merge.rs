//! MERGE.
//!
//! It joins its source with its target and gives each row to the first WHEN clause that fits. Row-level
//! security keeps foreign target rows out of that join, so only ON can bind them: a condition of
//! WHEN MATCHED comes too late, since a foreign row that matched has already kept its source row
//! from being NOT MATCHED. Target rows without a source row (BY SOURCE) are those for which ON is
//! not true, so ON says nothing of them and the clause's own condition has to bind them.

use super::super::graph::{Arm, ContextId, ReferenceId, Written};
use super::join::Level;
use super::write::columns_set;
use super::{Builder, Clause, Scope};
use crate::policy::Write;
use crate::sql::model::{Expr, Merge, MergeAction, MergeClause, MergeRows, Name, Target};

impl Builder<'_> {
    pub(super) fn merge(&mut self, merge: &Merge, outer: &Scope<'_>) -> Arm {
        let Merge { target, source, on, clauses, returning } = merge;
        let context = self.graph.context(None, Vec::new());
        let own = self.graph.context(None, Vec::new());
        let reference = self.target(target, own);
        self.owe(reference, false);
        // The source does not see the target.
        let (mut trees, source_level) =
            self.from(std::slice::from_ref(source), Level::default(), Some(outer));
        let preserved = clauses.iter().any(|clause| clause.rows == MergeRows::NotMatchedByTarget);
        let mut level = source_level.clone();
        if let Some(source) = trees.pop() {
            let (tree, joined) = self.merge_join(source, &source_level, reference, on, preserved);
            level = joined;
            trees.push(tree);
        }
        self.place(&mut trees, context, None, Some(outer));
        // Where ON holds.
        let matched = self.graph.contexts.get(own).and_then(|own| own.parent).unwrap_or(context);
        let scope = level.scope(Some(outer));
        for MergeClause { rows, condition, action } in clauses {
            let condition = condition.as_ref();
            match rows {
                MergeRows::Matched => {
                    let inside = self.graph.context(Some(matched), Vec::new());
                    self.condition(condition, &scope, inside);
                    self.merge_action(action, target, reference, &scope, inside);
                }
                MergeRows::NotMatchedByTarget => {
                    let scope = source_level.scope(Some(outer));
                    let inside = self.graph.context(Some(context), Vec::new());
                    self.condition(condition, &scope, inside);
                    self.merge_action(action, target, reference, &scope, inside);
                }
                MergeRows::NotMatchedBySource => {
                    self.by_source(target, condition, action, outer);
                }
            }
        }
        let columns = self.items(returning, &scope, context);
        Arm::of(context, columns)
    }

    /// WHEN NOT MATCHED BY SOURCE: another use of the target, on rows of its own.
    fn by_source(
        &mut self,
        target: &Target,
        condition: Option<&Expr>,
        action: &MergeAction,
        outer: &Scope<'_>,
    ) {
        let context = self.graph.context(None, Vec::new());
        let reference = self.target(target, context);
        if !matches!(action, MergeAction::Nothing) {
            self.owe(reference, false);
        }
        let scope = Scope { references: vec![reference], ..Scope::inside(Some(outer)) };
        if let Some(condition) = condition {
            self.early(condition, &scope);
        }
        self.condition(condition, &scope, context);
        self.merge_action(action, target, reference, &scope, context);
    }

    fn condition(&mut self, condition: Option<&Expr>, scope: &Scope<'_>, context: ContextId) {
        if let Some(condition) = condition {
            let facts = self.predicate(condition, true, scope, context);
            self.graph.add_facts(context, facts);
        }
    }

    fn merge_action(
        &mut self,
        action: &MergeAction,
        target: &Target,
        reference: ReferenceId,
        scope: &Scope<'_>,
        context: ContextId,
    ) {
        match action {
            MergeAction::Nothing => {}
            MergeAction::Delete => {
                self.set_off(target, Write::Delete, None);
                self.hard_delete(target);
            }
            MergeAction::Update(assignments) => {
                self.set_off(target, Write::Update, Some(&columns_set(assignments)));
                self.assignments(assignments, target, reference, scope, context);
            }
            MergeAction::Insert { columns, values } => {
                self.set_off(target, Write::Insert, None);
                self.merge_insert(columns, values.as_deref(), target, reference, scope, context);
            }
        }
    }

    fn merge_insert(
        &mut self,
        columns: &[Name],
        values: Option<&[Expr]>,
        target: &Target,
        reference: ReferenceId,
        scope: &Scope<'_>,
        context: ContextId,
    ) {
        let tenant = self.tenant_column(reference);
        let position = self.tenant_position(target, columns, tenant.as_deref());
        let values = values.unwrap_or_default();
        for value in values {
            self.walk(value, scope, context, Clause::Value);
        }
        let default = self.tenant_default(target, tenant.as_deref());
        let value = match position {
            None => default,
            Some(position) => {
                values.get(position).and_then(|value| self.written_value(value, default, scope))
            }
        };
        if let Some(tenant) = &tenant {
            self.owe_written(target, tenant, &[Written { context, value }]);
        }
    }
}
