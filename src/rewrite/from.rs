//! FROM lists: where a condition on each relation may stand so that it is the same as filtering
//! the relation's own rows.
//!
//! Below no outer join that is WHERE. On the nullable side of an outer join it is the ON of the
//! innermost such join, since `a LEFT JOIN b ON p AND q` is `a LEFT JOIN (b WHERE q) ON p`. Where
//! that join has no ON, or is a FULL one, only a derived table does.

use super::layout::{Filter, Layout, Place, Use};
use crate::sql::PieceKind;

/// A FROM item.
#[derive(Debug)]
pub(super) enum Node {
    /// A relation by name, by its number among the uses.
    Use(usize),
    /// A derived table or a function.
    Other,
    Join(Box<Join>),
}

#[derive(Debug)]
pub(super) struct Join {
    /// Whether each side is kept whole.
    left_kept: bool,
    right_kept: bool,
    left: Node,
    right: Node,
    /// The filter of its ON.
    on: Option<usize>,
}

/// The words of a join.
struct Words {
    left_kept: bool,
    right_kept: bool,
    /// Whether ON or USING follows.
    qualified: bool,
    after: usize,
}

impl Layout<'_> {
    /// Reads a FROM list whose rows pass a filter.
    pub(super) fn from(&mut self, start: usize, end: usize, filter: usize) {
        let mut at = start;
        while at < end {
            let (node, after) = self.joined(at, end);
            self.assign(&node, Place::Filter(filter));
            if !self.tokens.is(after, &PieceKind::Comma) {
                return;
            }
            at = after.saturating_add(1);
        }
    }

    pub(super) fn assign(&mut self, node: &Node, place: Place) {
        match node {
            Node::Use(number) => {
                if let Some(found) = self.uses.get_mut(*number) {
                    found.place = place;
                }
            }
            Node::Other => {}
            Node::Join(join) => {
                let Join { left_kept, right_kept, left, right, on } = &**join;
                let on = on.map_or(Place::Wrapped, Place::Filter);
                let (for_left, for_right) = match (left_kept, right_kept) {
                    (false, false) => (place, place),
                    (true, false) => (place, on),
                    (false, true) => (on, place),
                    (true, true) => (Place::Wrapped, Place::Wrapped),
                };
                self.assign(left, for_left);
                self.assign(right, for_right);
            }
        }
    }

    pub(super) fn joined(&mut self, at: usize, end: usize) -> (Node, usize) {
        let (first, after) = self.primary(at, end);
        self.joins(first, after, end)
    }

    /// The joins that follow an item. In `a JOIN b JOIN c ON … ON …` the first ON is the inner
    /// join's, as PostgreSQL's grammar reads it.
    fn joins(&mut self, first: Node, at: usize, end: usize) -> (Node, usize) {
        let (mut left, mut at) = (first, at);
        while at < end {
            let Some(words) = self.join_words(at) else {
                break;
            };
            let (mut right, mut after) = self.primary(words.after, end);
            let mut on = None;
            if words.qualified {
                if after < end && self.join_words(after).is_some() {
                    (right, after) = self.joins(right, after, end);
                }
                (on, after) = self.qualifier(after, end);
            }
            let Words { left_kept, right_kept, .. } = words;
            left = Node::Join(Box::new(Join { left_kept, right_kept, left, right, on }));
            at = after;
        }
        (left, at)
    }

    fn join_words(&self, at: usize) -> Option<Words> {
        if self.tokens.is_label(at) {
            return None;
        }
        let natural = self.tokens.word(at) == "natural";
        let at = if natural { at.saturating_add(1) } else { at };
        let kind = self.tokens.word(at);
        let next = at.saturating_add(1);
        let after = match kind {
            "join" => at,
            "left" | "right" | "full" if self.tokens.word(next) == "outer" => {
                next.saturating_add(1)
            }
            "left" | "right" | "full" | "inner" | "cross" => next,
            _ => return None,
        };
        (self.tokens.word(after) == "join").then(|| Words {
            left_kept: matches!(kind, "left" | "full"),
            right_kept: matches!(kind, "right" | "full"),
            qualified: !natural && kind != "cross",
            after: after.saturating_add(1),
        })
    }

    /// ON with its filter, or USING.
    fn qualifier(&mut self, at: usize, end: usize) -> (Option<usize>, usize) {
        let next = at.saturating_add(1);
        if self.tokens.word(at) == "using" {
            let mut after = self.tokens.step(next);
            if self.tokens.word(after) == "as" {
                after = after.saturating_add(2);
            }
            return (None, after);
        }
        if self.tokens.word(at) != "on" {
            return (None, at);
        }
        let ends = |at: usize| {
            self.tokens.is(at, &PieceKind::Comma)
                || self.join_words(at).is_some()
                || (matches!(self.tokens.word(at), "on" | "using") && !self.tokens.is_label(at))
        };
        let stop = self.tokens.find(next, end, &ends).unwrap_or(end);
        let filter = self.condition(next, stop, at);
        (Some(filter), stop)
    }

    fn primary(&mut self, at: usize, end: usize) -> (Node, usize) {
        let mut at = at;
        if self.tokens.word(at) == "lateral" {
            at = at.saturating_add(1);
        }
        if self.tokens.are(at, &["rows", "from"]) {
            let after = self.tokens.step(at.saturating_add(2));
            return (Node::Other, self.alias(after, end).2);
        }
        if let Some(close) = self.tokens.close(at) {
            let after = close.saturating_add(1);
            if self.tokens.is_query(at) {
                return (Node::Other, self.alias(after, end).2);
            }
            let (node, _) = self.joined(at.saturating_add(1), close);
            return (node, after);
        }
        let Some((name, last)) = self.relation_name(at) else {
            return (Node::Other, at.saturating_add(1));
        };
        let after = last.saturating_add(1);
        if self.tokens.close(after).is_some() {
            let mut after = self.tokens.step(after);
            if self.tokens.are(after, &["with", "ordinality"]) {
                after = after.saturating_add(2);
            }
            return (Node::Other, self.alias(after, end).2);
        }
        let (alias, columns, mut after) = self.alias(after, end);
        let sampled = self.tokens.word(after) == "tablesample";
        if sampled {
            after = self.tokens.step(after.saturating_add(2));
            if self.tokens.word(after) == "repeatable" {
                after = self.tokens.step(after.saturating_add(1));
            }
        }
        self.uses.push(Use {
            first: at,
            name,
            last,
            alias,
            columns,
            sampled,
            place: Place::Unknown,
            more: Vec::new(),
            table_word: None,
            target: false,
        });
        (Node::Use(self.uses.len().saturating_sub(1)), after)
    }

    /// A table's name with ONLY, schema and `*`: where the name itself stands, and the last token.
    pub(super) fn relation_name(&self, at: usize) -> Option<(usize, usize)> {
        let mut at = at;
        let mut closed = None;
        if self.tokens.word(at) == "only" {
            at = at.saturating_add(1);
            if let Some(close) = self.tokens.close(at) {
                closed = Some(close);
                at = at.saturating_add(1);
            }
        }
        while self.tokens.is_name(at) && self.tokens.is(at.saturating_add(1), &PieceKind::Period) {
            at = at.saturating_add(2);
        }
        if !self.tokens.is_name(at) {
            return None;
        }
        let last = match closed {
            Some(close) => close,
            None if self.tokens.is(at.saturating_add(1), &PieceKind::Star) => at.saturating_add(1),
            None => at,
        };
        Some((at, last))
    }

    /// An alias, whether it has column names, and what follows.
    fn alias(&self, at: usize, end: usize) -> (Option<usize>, bool, usize) {
        let mut at = at;
        if at >= end {
            return (None, false, at);
        }
        if self.tokens.word(at) == "as" {
            at = at.saturating_add(1);
        } else if self.join_words(at).is_some()
            || matches!(self.tokens.word(at), "on" | "using" | "tablesample")
        {
            return (None, false, at);
        }
        if self.tokens.close(at).is_some() {
            return (None, true, self.tokens.step(at));
        }
        if !self.tokens.is_name(at) {
            return (None, false, at);
        }
        let after = at.saturating_add(1);
        match self.tokens.close(after) {
            Some(close) if after < end => (Some(at), true, close.saturating_add(1)),
            Some(_) | None => (Some(at), false, after),
        }
    }

    /// Notes the filter whose condition stands from `start` to `stop`.
    pub(super) fn condition(&mut self, start: usize, stop: usize, keyword: usize) -> usize {
        self.filters.push(Filter {
            condition: (start < stop).then(|| (start, stop.saturating_sub(1))),
            after: stop.max(keyword.saturating_add(1)).saturating_sub(1),
            keyword: "WHERE",
        });
        self.filters.len().saturating_sub(1)
    }
}
