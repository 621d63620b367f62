//! Where the clauses of a statement stand, from its tokens alone.
//!
//! It is only asked for statements that the reading has understood, and what is edited by it is
//! read and judged again, so an error here ends in a refusal. What it must be sure of is that a
//! condition stands where it filters the relation and nothing else.

use super::tokens::{Tokens, is_query_word};
use crate::policy::fold;
use crate::sql::PieceKind;

/// The clauses of one statement.
#[derive(Debug)]
pub(super) struct Layout<'t> {
    pub(super) tokens: &'t Tokens,
    pub(super) uses: Vec<Use>,
    pub(super) filters: Vec<Filter>,
    pub(super) inserts: Vec<Insert>,
    pub(super) deletes: Vec<Delete>,
}

/// One use of a relation by name, in FROM or as the target of UPDATE or DELETE.
#[derive(Debug)]
pub(super) struct Use {
    /// The first token: ONLY or the schema.
    pub(super) first: usize,
    /// The name itself.
    pub(super) name: usize,
    /// The last token before an alias.
    pub(super) last: usize,
    pub(super) alias: Option<usize>,
    /// Whether it has column aliases.
    pub(super) columns: bool,
    /// TABLESAMPLE follows.
    pub(super) sampled: bool,
    pub(super) place: Place,
    /// Further filters that the same rows pass: of MERGE's clauses on rows without a source.
    pub(super) more: Vec<usize>,
    /// Where `TABLE` stands that makes it a query of its own.
    pub(super) table_word: Option<usize>,
    /// Whether it is what a write changes.
    pub(super) target: bool,
}

/// Where a condition on a relation filters that relation's rows and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Not known.
    Unknown,
    /// In this filter.
    Filter(usize),
    /// Only in a derived table around the relation.
    Wrapped,
}

/// WHERE or ON.
#[derive(Debug)]
pub(super) struct Filter {
    /// First and last token of the condition that is there.
    pub(super) condition: Option<(usize, usize)>,
    /// The token behind which the first condition would be written, and the word before it.
    pub(super) after: usize,
    pub(super) keyword: &'static str,
}

/// INSERT.
#[derive(Debug)]
pub(super) struct Insert {
    pub(super) name: usize,
    /// The last token of the name or alias.
    pub(super) last: usize,
    pub(super) alias: Option<usize>,
    /// The column list's opening bracket, and its names.
    pub(super) open: Option<usize>,
    pub(super) columns: Vec<Box<str>>,
    pub(super) source: InsertSource,
    /// The columns of the conflict target.
    pub(super) arbiter: Vec<Box<str>>,
    /// The filter of DO UPDATE.
    pub(super) conflict: Option<usize>,
}

/// What INSERT takes its rows from.
#[derive(Debug)]
pub(super) enum InsertSource {
    /// DEFAULT VALUES: its first and last token.
    Defaults(usize, usize),
    /// A query, by its arms.
    Query(Vec<Arm>),
}

/// One arm of the query of an INSERT.
#[derive(Debug)]
pub(super) enum Arm {
    /// One row of VALUES: its opening bracket.
    Row(usize),
    /// SELECT: the last token of its list, and whether the list is empty.
    List(usize, bool),
    /// `TABLE t`: where TABLE stands.
    Table(usize),
}

/// DELETE.
#[derive(Debug)]
pub(super) struct Delete {
    /// Where DELETE and FROM stand.
    pub(super) keyword: usize,
    /// The number of the target among the uses.
    pub(super) target: usize,
    /// The last token of the target and its alias.
    pub(super) last: usize,
    pub(super) using: Option<usize>,
}

/// The clauses of a SELECT.
pub(super) struct Select {
    pub(super) from: Option<usize>,
    pub(super) filter: Option<usize>,
    /// Where what may be filtered ends.
    pub(super) stop: usize,
}

impl<'t> Layout<'t> {
    /// Reads the statement whose tokens are these.
    pub(super) fn read(tokens: &'t Tokens, start: usize, end: usize) -> Self {
        let mut layout = Self {
            tokens,
            uses: Vec::new(),
            filters: Vec::new(),
            inserts: Vec::new(),
            deletes: Vec::new(),
        };
        let (start, end) = query_of(tokens, start, end);
        layout.query(start, end);
        layout
    }

    /// A query or write with what is in its brackets; of brackets that hold neither, only theirs.
    fn query(&mut self, start: usize, end: usize) {
        let main = self.behind_with(start, end);
        match self.tokens.word(main) {
            "insert" if self.tokens.word(main.saturating_add(1)) == "into" => {
                self.insert(main, end);
            }
            "update" => self.update(main, end),
            "delete" if self.tokens.word(main.saturating_add(1)) == "from" => {
                self.delete(main, end);
            }
            "merge" if self.tokens.word(main.saturating_add(1)) == "into" => {
                self.merge(main, end);
            }
            _ => self.arms(main, end),
        }
        let mut at = start;
        while at < end {
            if let Some(close) = self.tokens.close(at) {
                self.query(at.saturating_add(1), close);
            }
            at = self.tokens.step(at);
        }
    }

    /// Behind WITH and its entries.
    pub(super) fn behind_with(&self, start: usize, end: usize) -> usize {
        if self.tokens.word(start) != "with" {
            return start;
        }
        let mut at = start.saturating_add(1);
        loop {
            // An entry ends with its query in brackets, SEARCH and CYCLE may follow.
            let Some(entry) = self.tokens.find_word(at, end, "as") else {
                return end;
            };
            let Some(open) = self.tokens.find(entry, end, &|at| self.tokens.close(at).is_some())
            else {
                return end;
            };
            let next = self.tokens.find(self.tokens.step(open), end, &|at| {
                self.tokens.is(at, &PieceKind::Comma)
                    || self.tokens.close(at).is_some()
                    || is_query_word(self.tokens.word(at))
            });
            match next {
                Some(comma) if self.tokens.is(comma, &PieceKind::Comma) => {
                    at = comma.saturating_add(1);
                }
                Some(main) => return main,
                None => return end,
            }
        }
    }

    /// The arms of a query: SELECT and TABLE, between set operations.
    pub(super) fn arms(&mut self, start: usize, end: usize) {
        let mut at = start;
        let mut begins = true;
        while at < end {
            let word = self.tokens.word(at);
            if word == "select" && (begins || !self.tokens.is_label(at)) {
                let stop = self.select(at, end);
                at = stop.max(at.saturating_add(1));
                begins = false;
                continue;
            }
            if word == "table" && begins {
                self.table(at, end);
            }
            begins = matches!(word, "union" | "intersect" | "except" | "all" | "distinct");
            at = self.tokens.step(at);
        }
    }

    fn select(&mut self, at: usize, end: usize) -> usize {
        let Select { from, filter, stop } = self.clauses(at.saturating_add(1), end);
        let Some(from) = from else {
            return stop;
        };
        let list = from.saturating_add(1);
        let number = match filter {
            Some(keyword) => self.condition(keyword.saturating_add(1), stop, keyword),
            None => self.condition(stop, stop, from),
        };
        self.from(list, filter.unwrap_or(stop), number);
        stop
    }

    /// FROM and WHERE of a SELECT or UPDATE, and where what they filter ends.
    pub(super) fn clauses(&self, at: usize, end: usize) -> Select {
        let (mut from, mut filter) = (None, None);
        let mut at = at;
        while at < end {
            if !self.tokens.is_label(at) {
                match self.tokens.word(at) {
                    "from"
                        if from.is_none()
                            && filter.is_none()
                            && !self.tokens.is_distinct_from(at) =>
                    {
                        from = Some(at);
                    }
                    "where" if filter.is_none() => filter = Some(at),
                    _ if self.ends_filter(at) => return Select { from, filter, stop: at },
                    _ => {}
                }
            }
            at = self.tokens.step(at);
        }
        Select { from, filter, stop: end }
    }

    /// Whether a clause begins here that follows WHERE.
    fn ends_filter(&self, at: usize) -> bool {
        let next = self.tokens.word(at.saturating_add(1));
        match self.tokens.word(at) {
            "group" | "order" => next == "by",
            "having" | "window" | "limit" | "offset" | "fetch" | "union" | "intersect"
            | "except" | "returning" => true,
            "for" => matches!(next, "update" | "share" | "no" | "key"),
            "on" => next == "conflict",
            _ => false,
        }
    }

    /// `TABLE t`: a SELECT without clauses.
    fn table(&mut self, at: usize, end: usize) {
        let first = at.saturating_add(1);
        let Some((name, last)) = self.relation_name(first).filter(|(_, last)| *last < end) else {
            return;
        };
        let stop = last.saturating_add(1);
        let filter = self.condition(stop, stop, last);
        self.uses.push(Use {
            first,
            name,
            last,
            alias: None,
            columns: false,
            sampled: false,
            place: Place::Filter(filter),
            more: Vec::new(),
            table_word: Some(at),
            target: false,
        });
    }

    /// The target of a write, with its alias; the alias is no one of these words. What follows.
    pub(super) fn target(&mut self, at: usize, not: &[&str]) -> Option<(usize, usize)> {
        let (name, last) = self.relation_name(at)?;
        let mut after = last.saturating_add(1);
        let mut alias = None;
        if self.tokens.word(after) == "as" {
            alias = Some(after.saturating_add(1));
            after = after.saturating_add(2);
        } else if self.tokens.is_name(after) && !not.contains(&self.tokens.word(after)) {
            alias = Some(after);
            after = after.saturating_add(1);
        }
        self.uses.push(Use {
            first: at,
            name,
            last,
            alias,
            columns: false,
            sampled: false,
            place: Place::Unknown,
            more: Vec::new(),
            table_word: None,
            target: true,
        });
        Some((self.uses.len().saturating_sub(1), after))
    }

    fn update(&mut self, at: usize, end: usize) {
        let Some((target, after)) = self.target(at.saturating_add(1), &["set"]) else {
            return;
        };
        if self.tokens.word(after) != "set" {
            return;
        }
        let Select { from, filter, stop } = self.clauses(after.saturating_add(1), end);
        let number = match filter {
            Some(keyword) => self.condition(keyword.saturating_add(1), stop, keyword),
            None => self.condition(stop, stop, after),
        };
        if let Some(found) = self.uses.get_mut(target) {
            found.place = Place::Filter(number);
        }
        if let Some(from) = from {
            self.from(from.saturating_add(1), filter.unwrap_or(stop), number);
        }
    }

    fn delete(&mut self, at: usize, end: usize) {
        let words = ["using", "where", "returning"];
        let Some((target, after)) = self.target(at.saturating_add(2), &words) else {
            return;
        };
        let stop = self.tokens.find_word(after, end, "returning").unwrap_or(end);
        let filter = self.tokens.find_word(after, stop, "where");
        let using = Some(after).filter(|after| self.tokens.word(*after) == "using");
        let number = match filter {
            Some(keyword) => self.condition(keyword.saturating_add(1), stop, keyword),
            None => self.condition(stop, stop, after.saturating_sub(1)),
        };
        if let Some(found) = self.uses.get_mut(target) {
            found.place = Place::Filter(number);
        }
        if let Some(using) = using {
            self.from(using.saturating_add(1), filter.unwrap_or(stop), number);
        }
        self.deletes.push(Delete { keyword: at, target, last: after.saturating_sub(1), using });
    }

    /// The names of a column list, folded.
    pub(super) fn names(&self, start: usize, end: usize) -> Vec<Box<str>> {
        (start..end).filter_map(|at| self.folded(at)).collect()
    }

    /// The identifier here, folded as the server does.
    pub(super) fn folded(&self, at: usize) -> Option<Box<str>> {
        match self.tokens.kind(at) {
            Some(PieceKind::Word(word)) => Some(fold(word)),
            Some(PieceKind::Quoted(name)) => Some(name.clone()),
            Some(_) | None => None,
        }
    }

    /// The schema before a name.
    pub(super) fn schema(&self, name: usize) -> Option<Box<str>> {
        let dot = name.checked_sub(1).filter(|at| self.tokens.is(*at, &PieceKind::Period))?;
        self.folded(dot.checked_sub(1)?)
    }
}

/// The query or write in a statement that explains, prepares, declares or makes a table of it.
fn query_of(tokens: &Tokens, start: usize, end: usize) -> (usize, usize) {
    let behind = |word: &str| {
        tokens
            .find(start, end, &|at| {
                tokens.word(at) == word && begins_query(tokens, at.saturating_add(1))
            })
            .map_or(end, |at| at.saturating_add(1))
    };
    match tokens.word(start) {
        "explain" => {
            let mut at = start.saturating_add(1);
            if tokens.close(at).is_some() && !tokens.is_query(at) {
                at = tokens.step(at);
            }
            while matches!(tokens.word(at), "analyze" | "analyse" | "verbose") {
                at = at.saturating_add(1);
            }
            if matches!(tokens.word(at), "declare" | "create") {
                return query_of(tokens, at, end);
            }
            (at, end)
        }
        "prepare" => (behind("as"), end),
        "declare" => (behind("for"), end),
        "create" => {
            let at = behind("as");
            let last = end.saturating_sub(1);
            let without = if tokens.word(last) != "data" {
                end
            } else if tokens.word(last.saturating_sub(1)) == "no" {
                end.saturating_sub(3)
            } else {
                end.saturating_sub(2)
            };
            (at, without)
        }
        _ => (start, end),
    }
}

fn begins_query(tokens: &Tokens, at: usize) -> bool {
    is_query_word(tokens.word(at)) || tokens.is_query(at)
}
