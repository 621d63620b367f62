//! MERGE: its target is filtered by ON, and by the clauses on target rows without a source row, of
//! which ON says nothing. Its source is preserved, so only a derived table filters it.

use super::layout::{Arm, Insert, InsertSource, Layout, Place};

impl Layout<'_> {
    pub(super) fn merge(&mut self, at: usize, end: usize) {
        let Some((target, using)) = self.target(at.saturating_add(2), &["using"]) else {
            return;
        };
        if self.tokens.word(using) != "using" {
            return;
        }
        let (source, on) = self.joined(using.saturating_add(1), end);
        self.assign(&source, Place::Wrapped);
        if self.tokens.word(on) != "on" {
            return;
        }
        let whens = self.whens(on.saturating_add(1), end);
        let Some(first) = whens.first() else {
            return;
        };
        let filter = self.condition(on.saturating_add(1), *first, on);
        if let Some(found) = self.uses.get_mut(target) {
            found.place = Place::Filter(filter);
        }
        let ends = whens.iter().skip(1).copied().chain([end]);
        for (when, stop) in whens.iter().copied().zip(ends) {
            self.clause(target, when, stop);
        }
    }

    /// Where the WHEN clauses begin; the WHEN of a CASE is none.
    fn whens(&self, start: usize, end: usize) -> Vec<usize> {
        let mut found = Vec::new();
        let mut cases = 0_usize;
        let mut at = start;
        while at < end {
            if !self.tokens.is_label(at) {
                match self.tokens.word(at) {
                    "case" => cases = cases.saturating_add(1),
                    "end" => cases = cases.saturating_sub(1),
                    "when" if cases == 0 => found.push(at),
                    _ => {}
                }
            }
            at = self.tokens.step(at);
        }
        found
    }

    fn clause(&mut self, target: usize, when: usize, end: usize) {
        let mut cases = 0_usize;
        let mut then = when;
        let mut at = when.saturating_add(1);
        while at < end {
            match self.tokens.word(at) {
                "case" => cases = cases.saturating_add(1),
                "end" => cases = cases.saturating_sub(1),
                "then" if cases == 0 => {
                    then = at;
                    break;
                }
                _ => {}
            }
            at = self.tokens.step(at);
        }
        if self.tokens.are(when, &["when", "not", "matched", "by", "source"]) {
            let last = when.saturating_add(4);
            let and = last.saturating_add(1);
            let start = if self.tokens.word(and) == "and" { and.saturating_add(1) } else { then };
            let filter = self.condition(start, then, last);
            if let Some(filter) = self.filters.get_mut(filter) {
                filter.keyword = "AND";
            }
            if let Some(found) = self.uses.get_mut(target) {
                found.more.push(filter);
            }
        }
        let insert = then.saturating_add(1);
        if self.tokens.word(insert) == "insert" {
            self.merge_insert(target, insert);
        }
    }

    fn merge_insert(&mut self, target: usize, insert: usize) {
        let Some(name) = self.uses.get(target).map(|found| found.name) else {
            return;
        };
        let mut after = insert.saturating_add(1);
        let mut open = None;
        let mut columns = Vec::new();
        if let Some(close) = self.tokens.close(after) {
            open = Some(after);
            columns = self.names(after.saturating_add(1), close);
            after = close.saturating_add(1);
        }
        if self.tokens.word(after) == "overriding" {
            after = after.saturating_add(3);
        }
        let source = if self.tokens.are(after, &["default", "values"]) {
            InsertSource::Defaults(after, after.saturating_add(1))
        } else {
            InsertSource::Query(vec![Arm::Row(after.saturating_add(1))])
        };
        self.inserts.push(Insert {
            name,
            last: insert,
            alias: None,
            open,
            columns,
            source,
            arbiter: Vec::new(),
            conflict: None,
        });
    }
}
