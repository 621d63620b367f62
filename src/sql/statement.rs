//! A text as statements. Queries and writes go to the parser; what stands around them (EXPLAIN,
//! PREPARE, DECLARE, COPY) and every utility statement is read here, from tokens alone.

use sqlparser::tokenizer::Token;

use super::lower;
use super::model::{Name, Query};
use super::token::{Lexeme, tokenize};
use super::utility;
use super::{NotUnderstood, Span};
use crate::policy::ReadingLimits;

/// One statement of a text.
#[derive(Debug)]
pub struct Statement {
    /// From its first token to its last.
    pub span: Span,
    /// What it is.
    pub body: StatementBody,
    /// Its identifiers and keywords that are in no part of the body, folded: none of them may be
    /// the name of a guarded relation.
    pub unaccounted: Vec<Name>,
}

/// What a statement is.
#[derive(Debug)]
pub enum StatementBody {
    /// A query or a write.
    Query(Query),
    /// EXPLAIN of a statement.
    Explain {
        /// Whether the row estimates are left out (COSTS OFF).
        costs_off: bool,
        /// What is explained.
        statement: Box<Statement>,
    },
    /// PREPARE name AS statement.
    Prepare {
        /// The prepared statement's name.
        name: Name,
        /// The types of its first parameters, by their numbers in pg_type.
        types: Vec<u32>,
        /// The statement.
        statement: Box<Statement>,
    },
    /// EXECUTE name (arguments).
    Execute {
        /// The prepared statement's name.
        name: Name,
        /// The arguments.
        arguments: Vec<Operand>,
    },
    /// DEALLOCATE name, or ALL.
    Deallocate(Option<Name>),
    /// DECLARE name CURSOR FOR query.
    Declare {
        /// The cursor's name.
        name: Name,
        /// WITH HOLD.
        hold: bool,
        /// The query.
        statement: Box<Statement>,
    },
    /// FETCH or MOVE.
    Fetch(Name),
    /// CLOSE name, or ALL.
    Close(Option<Name>),
    /// A utility statement that runs or keeps a query: judged as the query.
    Wrapped {
        /// Which.
        wrapper: Wrapper,
        /// The query.
        statement: Box<Statement>,
    },
    /// Transaction control.
    Transaction(TransactionControl),
    /// SET name TO value.
    Set {
        /// SESSION or LOCAL.
        local: bool,
        /// The setting, in lower case, where it stands.
        name: Name,
        /// The values: one, or a list; none for DEFAULT.
        values: Vec<Operand>,
    },
    /// RESET name, or ALL.
    Reset(Option<Name>),
    /// SHOW.
    Show,
    /// DISCARD ALL.
    DiscardAll,
    /// COPY table FROM STDIN of which every option was read.
    CopyFrom(CopyFrom),
    /// Any other utility statement.
    Utility(Utility),
}

/// COPY table (columns) FROM STDIN (options).
#[derive(Debug)]
pub struct CopyFrom {
    /// The table, without its schema.
    pub table: Name,
    /// The columns named; empty if none are.
    pub columns: Vec<Name>,
    /// The options in lower case and their values, in the names of the form in parentheses.
    pub options: Vec<(Box<str>, Option<Box<str>>)>,
}

/// A utility statement around a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapper {
    /// COPY (query) TO STDOUT.
    Copy,
    /// CREATE TABLE … AS query, SELECT … INTO table.
    TableAs,
    /// CREATE (MATERIALIZED) VIEW … AS query: it outlives the session and its tenant.
    View,
    /// CALL routine(…), as the query SELECT routine(…).
    Call,
}

/// What is thought of a utility statement from its tokens alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Utility {
    /// Cannot run SQL or read rows: admitted if it names no guarded relation.
    Plain,
    /// COPY of a table from or to the client: admitted if the table is not guarded.
    CopyTable,
    /// Changes schemas, and with them what is guarded; the reason.
    Ddl(&'static str),
    /// Can run SQL text or read beside the guard; the reason.
    Opaque(&'static str),
    /// Changes the session's role or settings for good; the reason.
    Escape(&'static str),
}

/// Transaction control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionControl {
    /// BEGIN, START TRANSACTION.
    Begin,
    /// COMMIT, END; AND CHAIN or not.
    Commit(bool),
    /// ROLLBACK, ABORT; AND CHAIN or not.
    Rollback(bool),
    /// SAVEPOINT name.
    Savepoint(Box<str>),
    /// RELEASE name.
    Release(Box<str>),
    /// ROLLBACK TO name.
    RollbackTo(Box<str>),
    /// PREPARE TRANSACTION.
    PrepareTransaction,
    /// Nothing that changes where the session stands: SET TRANSACTION, SET CONSTRAINTS.
    Other,
}

/// A value in a utility statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operand {
    /// NULL.
    Null,
    /// A string, number or word, as text.
    Text(Box<str>),
    /// `$n`.
    Parameter(u16),
}

/// Reads a text as statements; an empty one has none.
///
/// # Errors
/// If any part of the text cannot be read with certainty.
pub fn read(text: &str, limits: &ReadingLimits) -> Result<Vec<Statement>, NotUnderstood> {
    statements(&tokenize(text, limits)?)
}

/// The statements that these tokens are.
pub(super) fn statements(lexemes: &[Lexeme]) -> Result<Vec<Statement>, NotUnderstood> {
    lexemes.split(Lexeme::is_semicolon).filter(|part| !part.is_empty()).map(statement).collect()
}

/// Whether these tokens begin a query or a write.
pub(super) fn is_query_start(lexemes: &[Lexeme]) -> bool {
    lexemes.first().is_some_and(|first| {
        first.token == Token::LParen
            || ["select", "with", "values", "table", "insert", "update", "delete", "merge"]
                .iter()
                .any(|word| first.is(word))
    })
}

/// Reads one statement from its tokens.
pub(super) fn statement(lexemes: &[Lexeme]) -> Result<Statement, NotUnderstood> {
    let span = match (lexemes.first(), lexemes.last()) {
        (Some(first), Some(last)) => Span { start: first.span.start, end: last.span.end },
        (_, _) => {
            return Err(NotUnderstood::new("a statement is missing", Span::default()));
        }
    };
    let mut cursor = Cursor { lexemes, at: 0, span, named: Vec::new() };
    let first = lexemes.first().and_then(Lexeme::word).unwrap_or_default();
    if is_query_start(lexemes) {
        let lower::Reading { query, into_table, unaccounted } = lower::read(lexemes, span)?;
        let body = StatementBody::Query(query);
        if !into_table {
            return Ok(Statement { span, body, unaccounted });
        }
        let statement = Box::new(Statement { span, body, unaccounted: Vec::new() });
        let body = StatementBody::Wrapped { wrapper: Wrapper::TableAs, statement };
        return Ok(Statement { span, body, unaccounted });
    }
    cursor.at = 1;
    let body = utility::body(&first, &mut cursor)?;
    let inner = match &body {
        StatementBody::Explain { statement, .. }
        | StatementBody::Prepare { statement, .. }
        | StatementBody::Declare { statement, .. }
        | StatementBody::Wrapped { statement, .. } => statement.span.start,
        StatementBody::Utility(_) | StatementBody::CopyFrom(_) => span.end,
        StatementBody::Query(_)
        | StatementBody::Execute { .. }
        | StatementBody::Deallocate(_)
        | StatementBody::Fetch(_)
        | StatementBody::Close(_)
        | StatementBody::Transaction(_)
        | StatementBody::Set { .. }
        | StatementBody::Reset(_)
        | StatementBody::Show
        | StatementBody::DiscardAll => span.start,
    };
    let Cursor { named, .. } = cursor;
    let unaccounted = lexemes
        .iter()
        .enumerate()
        .filter(|(index, lexeme)| lexeme.span.start < inner && !named.contains(index))
        .filter_map(|(_, lexeme)| Some(Name { text: lexeme.name()?, span: lexeme.span }))
        .collect();
    Ok(Statement { span, body, unaccounted })
}

/// Tokens of one statement, read from left to right.
pub(super) struct Cursor<'a> {
    pub(super) lexemes: &'a [Lexeme],
    pub(super) at: usize,
    pub(super) span: Span,
    /// Names of cursors, statements, savepoints and channels: tokens that name no relation.
    pub(super) named: Vec<usize>,
}

impl<'a> Cursor<'a> {
    pub(super) fn peek(&self) -> Option<&'a Lexeme> {
        self.lexemes.get(self.at)
    }

    pub(super) fn next(&mut self) -> Option<&'a Lexeme> {
        let lexeme = self.lexemes.get(self.at)?;
        self.at = self.at.saturating_add(1);
        Some(lexeme)
    }

    /// Takes the keyword if it stands here.
    pub(super) fn take(&mut self, keyword: &str) -> bool {
        let found = self.peek().is_some_and(|lexeme| lexeme.is(keyword));
        if found {
            self.at = self.at.saturating_add(1);
        }
        found
    }

    /// Takes the first of the keywords that stands here.
    pub(super) fn take_any(&mut self, keywords: &[&str]) -> bool {
        keywords.iter().any(|keyword| self.take(keyword))
    }

    pub(super) fn take_token(&mut self, token: &Token) -> bool {
        let found = self.peek().is_some_and(|lexeme| lexeme.token == *token);
        if found {
            self.at = self.at.saturating_add(1);
        }
        found
    }

    /// The tokens not taken yet.
    pub(super) fn rest(&self) -> &'a [Lexeme] {
        self.lexemes.get(self.at..).unwrap_or_default()
    }

    pub(super) fn is_done(&self) -> bool {
        self.at >= self.lexemes.len()
    }

    /// Takes an identifier that names no relation.
    pub(super) fn name(&mut self) -> Result<Name, NotUnderstood> {
        self.named.push(self.at);
        let found =
            self.next().and_then(|lexeme| Some(Name { text: lexeme.name()?, span: lexeme.span }));
        found.ok_or_else(|| self.unread("a name is missing"))
    }

    pub(super) fn done(&self) -> Result<(), NotUnderstood> {
        if self.is_done() { Ok(()) } else { Err(self.unread("text is left behind the statement")) }
    }

    pub(super) fn unread(&self, reason: &'static str) -> NotUnderstood {
        NotUnderstood::new(reason, self.span)
    }
}
