//! Where the parts of an INSERT stand.

use super::layout::{Arm, Insert, InsertSource, Layout, Select};

use crate::sql::PieceKind;

impl Layout<'_> {
    pub(super) fn insert(&mut self, at: usize, end: usize) {
        let Some((name, mut last)) = self.relation_name(at.saturating_add(2)) else {
            return;
        };
        let mut after = last.saturating_add(1);
        let mut alias = None;
        if self.tokens.word(after) == "as" {
            alias = Some(after.saturating_add(1));
            last = after.saturating_add(1);
            after = after.saturating_add(2);
        }
        let mut open = None;
        let mut columns = Vec::new();
        if let Some(close) = self.tokens.close(after)
            && !self.tokens.is_query(after)
        {
            open = Some(after);
            columns = self.names(after.saturating_add(1), close);
            after = close.saturating_add(1);
        }
        if self.tokens.word(after) == "overriding" {
            after = after.saturating_add(3);
        }
        let returning = self.tokens.find_word(after, end, "returning").unwrap_or(end);
        let clash =
            self.tokens.find(after, returning, &|at| self.tokens.are(at, &["on", "conflict"]));
        let stop = clash.unwrap_or(returning);
        let source = if self.tokens.are(after, &["default", "values"]) {
            InsertSource::Defaults(after, after.saturating_add(1))
        } else {
            let main = self.behind_with(after, stop);
            self.arms(main, stop);
            let mut arms = Vec::new();
            self.source_arms(main, stop, &mut arms);
            InsertSource::Query(arms)
        };
        let arbiter = clash.map(|clash| clash.saturating_add(2)).map_or_else(Vec::new, |at| {
            self.tokens.close(at).map_or_else(Vec::new, |close| self.names(at, close))
        });
        let conflict = clash.and_then(|clash| self.conflict(clash, returning));
        self.inserts.push(Insert { name, last, alias, open, columns, source, arbiter, conflict });
    }

    /// The filter of DO UPDATE, whose SET comes before it and whose arbiter may have a WHERE too.
    fn conflict(&mut self, at: usize, end: usize) -> Option<usize> {
        let action = self.tokens.find_word(at, end, "do")?;
        if !self.tokens.are(action, &["do", "update", "set"]) {
            return None;
        }
        let set = action.saturating_add(2);
        Some(match self.tokens.find_word(set, end, "where") {
            Some(keyword) => self.condition(keyword.saturating_add(1), end, keyword),
            None => self.condition(end, end, set),
        })
    }

    /// Every place where a row of the query gets its values.
    fn source_arms(&self, start: usize, end: usize, arms: &mut Vec<Arm>) {
        let mut at = start;
        let mut begins = true;
        while at < end {
            let word = self.tokens.word(at);
            match word {
                "select" if begins || !self.tokens.is_label(at) => {
                    let Select { from, filter, stop } = self.clauses(at.saturating_add(1), end);
                    let list = from.or(filter).unwrap_or(stop).saturating_sub(1);
                    arms.push(Arm::List(list, list == at));
                    at = stop.max(at.saturating_add(1));
                    begins = false;
                    continue;
                }
                "table" if begins => arms.push(Arm::Table(at)),
                "values" if begins => {
                    let mut row = at.saturating_add(1);
                    while row < end && self.tokens.close(row).is_some() {
                        arms.push(Arm::Row(row));
                        row = self.tokens.step(row);
                        if self.tokens.is(row, &PieceKind::Comma) {
                            row = row.saturating_add(1);
                        }
                    }
                    at = row;
                    begins = false;
                    continue;
                }
                _ => {
                    if begins && let Some(close) = self.tokens.close(at) {
                        let inner = self.behind_with(at.saturating_add(1), close);
                        self.source_arms(inner, close, arms);
                    }
                }
            }
            begins = matches!(word, "union" | "intersect" | "except" | "all" | "distinct");
            at = self.tokens.step(at);
        }
    }
}
