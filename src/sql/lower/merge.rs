use sqlparser::ast::{
    self, MergeAction as ParsedAction, MergeClauseKind, MergeInsertExpr, MergeInsertKind,
    MergeUpdateExpr, MergeUpdateKind, OutputClause, Values,
};

use super::{Lowered, Lowering};
use crate::sql::model::{Merge, MergeAction, MergeClause, MergeRows, Write};

impl Lowering<'_> {
    pub(super) fn merge(&mut self, merge: ast::Merge) -> Lowered<Write> {
        let ast::Merge {
            merge_token: _,
            optimizer_hints,
            into,
            table,
            source,
            on,
            clauses,
            output,
        } = merge;
        self.absent(optimizer_hints.is_empty() && into, "a MERGE that PostgreSQL does not have")?;
        let target = self.target_factor(table)?;
        let source = self.factor(source)?;
        let on = self.expr(*on)?;
        let clauses = clauses
            .into_iter()
            .map(|clause| self.merge_clause(clause))
            .collect::<Lowered<Vec<_>>>()?;
        self.absent(!clauses.is_empty(), "MERGE without WHEN")?;
        let returning = match output {
            None => Vec::new(),
            Some(OutputClause::Returning { returning_token: _, select_items }) => {
                self.items(select_items)?
            }
            Some(OutputClause::Output { .. }) => return self.refuse("OUTPUT"),
        };
        Ok(Write::Merge(Merge { target, source, on, clauses, returning }))
    }

    fn merge_clause(&mut self, clause: ast::MergeClause) -> Lowered<MergeClause> {
        let ast::MergeClause { when_token: _, clause_kind, predicate, action } = clause;
        let rows = match clause_kind {
            MergeClauseKind::Matched => MergeRows::Matched,
            MergeClauseKind::NotMatched | MergeClauseKind::NotMatchedByTarget => {
                MergeRows::NotMatchedByTarget
            }
            MergeClauseKind::NotMatchedBySource => MergeRows::NotMatchedBySource,
        };
        let condition = predicate.map(|predicate| self.expr(predicate)).transpose()?;
        let action = match action {
            ParsedAction::DoNothing { do_token: _, nothing_token: _ } => MergeAction::Nothing,
            ParsedAction::Delete { delete_token: _ } => MergeAction::Delete,
            ParsedAction::Update(update) => self.merge_update(update)?,
            ParsedAction::Insert(insert) => self.merge_insert(insert)?,
        };
        let fits = match action {
            MergeAction::Nothing => true,
            MergeAction::Insert { .. } => rows == MergeRows::NotMatchedByTarget,
            MergeAction::Update(_) | MergeAction::Delete => rows != MergeRows::NotMatchedByTarget,
        };
        self.absent(fits, "a WHEN clause with an action that does not belong to it")?;
        Ok(MergeClause { rows, condition, action })
    }

    fn merge_update(&mut self, update: MergeUpdateExpr) -> Lowered<MergeAction> {
        let MergeUpdateExpr { update_token: _, kind, update_predicate, delete_predicate } = update;
        self.absent(
            update_predicate.is_none() && delete_predicate.is_none(),
            "an UPDATE of MERGE that PostgreSQL does not have",
        )?;
        match kind {
            MergeUpdateKind::Set(assignments) => {
                self.assignments(assignments).map(MergeAction::Update)
            }
            MergeUpdateKind::Wildcard => self.refuse("UPDATE SET *"),
        }
    }

    fn merge_insert(&mut self, insert: MergeInsertExpr) -> Lowered<MergeAction> {
        let MergeInsertExpr { insert_token: _, columns, kind_token: _, kind, insert_predicate } =
            insert;
        self.absent(
            insert_predicate.is_none(),
            "an INSERT of MERGE that PostgreSQL does not have",
        )?;
        let columns = self.inserted(&columns)?;
        let MergeInsertKind::Values(Values { explicit_row: false, value_keyword: false, rows }) =
            kind
        else {
            return self.refuse("an INSERT of MERGE that PostgreSQL does not have");
        };
        let mut rows = rows.into_iter();
        let (Some(row), None) = (rows.next(), rows.next()) else {
            return self.refuse("an INSERT of MERGE with several rows");
        };
        let values = row
            .content
            .into_iter()
            .map(|value| self.value_or_default(value))
            .collect::<Lowered<_>>()?;
        Ok(MergeAction::Insert { columns, values: Some(values) })
    }
}
