//! The second reading: the text read again by PostgreSQL's own grammar, and its raw parse tree
//! lowered into our model by code that shares nothing with the first lowering.
//!
//! The crate's nodes cannot be destructured, so a node type or clause that this room does not know
//! ends in a refusal, and what it knows is counted: the relations, calls, queries and parameters
//! that were lowered must be as many as the crate's own walk finds in the tree.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "in this room a wildcard arm over the grammar's nodes is always a refusal, or keeps \
              every part of what it stands for"
)]

mod call;
mod expr;
mod from;
mod json;
mod places;
mod query;
mod types;
mod utility;
mod write;

use std::panic::{AssertUnwindSafe, catch_unwind};

use pg_raw_parse::walk::{Recurse, walk_manual};
use pg_raw_parse::{Node, nodes};

use self::places::Places;
use super::model::Query;
use super::second::Second;
use super::statement::Statement;
use super::token::Lexeme;
use super::{NotUnderstood, Span};

type Lowered<T> = Result<T, NotUnderstood>;

/// Reads a text whose tokens have been measured already.
pub(super) fn read(text: &str, lexemes: &[Lexeme]) -> Second {
    let whole = Span { start: 0, end: u32::try_from(text.len()).unwrap_or(u32::MAX) };
    // The crate panics where a tree is not what its types promise: that is no reading.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let Ok(parsed) = pg_raw_parse::parse(text) else {
            let reason = "PostgreSQL's grammar does not read the text";
            return Second::Rejected(NotUnderstood::new(reason, whole));
        };
        let statements: Lowered<Vec<Statement>> =
            parsed.iter().map(|raw| statement(raw, lexemes, whole)).collect();
        match statements {
            Ok(statements) => Second::Read(statements),
            Err(refused) => Second::Unread(refused),
        }
    }));
    outcome.unwrap_or_else(|_| {
        Second::Unread(NotUnderstood::new("PostgreSQL's parse tree could not be followed", whole))
    })
}

fn statement(raw: &nodes::RawStmt, lexemes: &[Lexeme], whole: Span) -> Lowered<Statement> {
    let start = u32::try_from(raw.stmt_location).unwrap_or(0);
    let length = u32::try_from(raw.stmt_len).unwrap_or(0);
    let end = if length == 0 { whole.end } else { start.saturating_add(length) };
    let from = lexemes.partition_point(|lexeme| lexeme.span.start < start);
    let to = lexemes.partition_point(|lexeme| lexeme.span.end <= end);
    let mut own = lexemes.get(from..to).unwrap_or_default();
    while let [rest @ .., last] = own
        && last.is_semicolon()
    {
        own = rest;
    }
    while let [first, rest @ ..] = own
        && first.is_semicolon()
    {
        own = rest;
    }
    let (Some(first), Some(last)) = (own.first(), own.last()) else {
        return Err(NotUnderstood::new("a statement without tokens", whole));
    };
    let span = Span { start: first.span.start, end: last.span.end };
    utility::statement(raw.stmt(), own, span)
}

/// How many nodes of the kinds that matter there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    relations: usize,
    calls: usize,
    queries: usize,
    subqueries: usize,
    parameters: usize,
}

impl Counts {
    /// What the crate's walk finds below a query or write.
    fn of(node: Node<'_>) -> Self {
        let mut counts = Self::default();
        counts.count(node);
        walk_manual::<()>(node, |node| {
            counts.count(node);
            // The columns of a tuple in SET share one source.
            Recurse::recurse_unless(matches!(node, Node::MultiAssignRef(multi) if multi.colno > 1))
        });
        counts
    }

    const fn count(&mut self, node: Node<'_>) {
        let counted = match node {
            Node::RangeVar(_) => &mut self.relations,
            Node::FuncCall(_) => &mut self.calls,
            Node::SelectStmt(_) => &mut self.queries,
            Node::SubLink(_) => &mut self.subqueries,
            Node::ParamRef(_) => &mut self.parameters,
            _ => return,
        };
        *counted = counted.saturating_add(1);
    }
}

struct Lowering<'a> {
    places: Places<'a>,
    counts: Counts,
    statement: Span,
    /// Whether SELECT INTO may stand in the next block.
    may_select_into: bool,
}

impl<'a> Lowering<'a> {
    fn new(lexemes: &'a [Lexeme], statement: Span) -> Self {
        let (places, counts) = (Places::new(lexemes), Counts::default());
        Self { places, counts, statement, may_select_into: false }
    }

    /// A query or write with every node below it accounted for.
    fn counted(&mut self, node: Node<'_>) -> Lowered<Query> {
        self.counts = Counts::default();
        let query = self.any_query(node)?;
        if self.counts == Counts::of(node) {
            Ok(query)
        } else {
            self.refuse("a part of PostgreSQL's parse tree is not accounted for")
        }
    }

    fn refuse<T>(&self, reason: &'static str) -> Lowered<T> {
        Err(NotUnderstood::new(reason, self.statement))
    }

    /// Refuses unless the clause, which is not read, is absent.
    fn absent(&self, absent: bool, reason: &'static str) -> Lowered<()> {
        if absent { Ok(()) } else { self.refuse(reason) }
    }

    /// A text that PostgreSQL's grammar always gives.
    fn text<'t>(&self, text: Option<&'t str>) -> Lowered<&'t str> {
        text.map_or_else(|| self.refuse("a name is missing in PostgreSQL's parse tree"), Ok)
    }
}
