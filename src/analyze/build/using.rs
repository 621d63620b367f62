//! Columns that USING and NATURAL merge.

use super::super::graph::{ColumnId, Reference, Source as GraphSource};
use super::super::has::Has;
use super::Builder;
use super::join::Level;
use crate::sql::Span;
use crate::sql::model::JoinCondition;

impl Builder<'_> {
    /// The columns that USING names, or that NATURAL surely finds on both sides; what else NATURAL
    /// finds is not known.
    pub(super) fn merged_columns(
        &self,
        condition: &JoinCondition,
        left: &Level,
        right: &Level,
    ) -> Vec<Box<str>> {
        let tables = &self.policy.tables;
        match condition {
            JoinCondition::None | JoinCondition::On(_) => Vec::new(),
            JoinCondition::Using(columns) => {
                columns.iter().map(|column| column.text.clone()).collect()
            }
            JoinCondition::Natural => {
                [Some(&tables.tenant_column), tables.soft_delete_column.as_ref()]
                    .into_iter()
                    .flatten()
                    .filter(|column| {
                        self.surely_has(left, column) && self.surely_has(right, column)
                    })
                    .cloned()
                    .collect()
            }
        }
    }

    /// Whether a column is surely one of those that can be named at a level.
    fn surely_has(&self, level: &Level, column: &str) -> bool {
        level.merged.iter().any(|(own, _)| **own == *column)
            || level.references.iter().any(|id| self.graph.has(*id, column) == Has::Sure)
    }

    /// The column that FULL JOIN … USING makes of both sides': of neither, and of whichever has a row.
    pub(super) fn merged(&mut self, name: &str) -> ColumnId {
        let context = self.graph.context(None, Vec::new());
        let reference = self.graph.reference(Reference {
            alias: "".into(),
            aliased: true,
            table: "".into(),
            schema: None,
            span: Span::default(),
            source: GraphSource::Unknown,
            context,
            aliases: Vec::new(),
            columns: None,
        });
        self.graph.column(reference, name)
    }
}
