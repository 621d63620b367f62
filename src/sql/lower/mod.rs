//! The second reading: the parser's tree lowered into our model.
//!
//! Every struct of the parser is destructured in full and every enum either matched in full or
//! ends in a refusal, so that a new field or variant stops the build or refuses the statement.
//! Every identifier that becomes part of the model is accounted for, token by token.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "in this room a wildcard arm over the parser's enums is always a refusal, or keeps \
              every part of what it stands for"
)]

mod call;
mod expr;
mod from;
mod merge;
mod query;
mod types;
mod write;

use std::collections::HashMap;

use sqlparser::ast::{
    self, Ident, ObjectName, ObjectNamePart, SelectInto, SetExpr, Statement as ParsedStatement,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Location, Span as ParserSpan, Token, TokenWithSpan};

use super::keyword::{is_reserved, is_reserved_in_any_way};
use super::model::{Name, Query};
use super::token::Lexeme;
use super::{NotUnderstood, Span};
use crate::policy::{cut_name, fold};

type Lowered<T> = Result<T, NotUnderstood>;

/// Parenthesised expressions and queries that the parser may open at once; the token measure has
/// already bounded the text.
const RECURSION_LIMIT: usize = 250;

/// What became of a query's or write's tokens.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) query: Query,
    /// SELECT … INTO a new table, whose name is accounted for nowhere.
    pub(crate) into_table: bool,
    /// Identifier tokens that are in no part of the model.
    pub(crate) unaccounted: Vec<Name>,
}

/// Reads the tokens of one query, INSERT, UPDATE, DELETE or MERGE.
pub(crate) fn read(lexemes: &[Lexeme], span: Span) -> Lowered<Reading> {
    let (mut tokens, mut accounted) = prepare(lexemes);
    tokens.push(written(Token::EOF));
    let dialect = PostgreSqlDialect {};
    let mut parser = Parser::new(&dialect)
        .with_recursion_limit(RECURSION_LIMIT)
        .with_tokens_with_locations(tokens);
    let unread = |_| NotUnderstood::new("the statement could not be parsed", span);
    let mut parsed = parser.parse_statement().map_err(unread)?;
    if parser.peek_token().token != Token::EOF {
        return Err(NotUnderstood::new("text is left behind the statement", span));
    }
    let by_place = lexemes
        .iter()
        .enumerate()
        .map(|(index, lexeme)| ((lexeme.place.start.line, lexeme.place.start.column), index))
        .collect();
    let mut lowering = Lowering { lexemes, by_place, accounted: &mut accounted, statement: span };
    let into_table = lowering.take_into(&mut parsed)?;
    let query = lowering.statement(parsed)?;
    let unaccounted = lexemes
        .iter()
        .zip(&accounted)
        .filter(|(_, accounted)| !**accounted)
        .filter_map(|(lexeme, _)| Some(Name { text: lexeme.name()?, span: lexeme.span }))
        .collect();
    Ok(Reading { query, into_table, unaccounted })
}

/// A token of our own, which stands nowhere in the text.
const fn written(token: Token) -> TokenWithSpan {
    TokenWithSpan { token, span: ParserSpan::empty() }
}

/// Takes out what the parser does not read and the analysis does not need (`ONLY` before a table,
/// locking clauses, OVERRIDING, EXCLUDE of a window's frame), and writes `TABLE t` out as `SELECT * FROM t`. Each starts with a word that
/// PostgreSQL reserves, so nothing else can stand there. Gives the tokens for the parser, and which
/// lexemes are accounted for already.
fn prepare(lexemes: &[Lexeme]) -> (Vec<TokenWithSpan>, Vec<bool>) {
    let mut kept = Vec::with_capacity(lexemes.len().saturating_add(1));
    let mut accounted = vec![false; lexemes.len()];
    let mut index = 0_usize;
    while let Some(lexeme) = lexemes.get(index) {
        let before = index.checked_sub(1).and_then(|before| lexemes.get(before));
        let is_name = before.is_some_and(|before| before.token == Token::Period || before.is("as"));
        let after_rows = before.is_some_and(|before| {
            before.is("row")
                || before.is("rows")
                || before.is("first")
                || before.is("next")
                || matches!(before.token, Token::Number(..))
        });
        if lexeme.is("only") && !is_name && !after_rows {
            index = index.saturating_add(1);
            continue;
        }
        let ends_frame = before.is_some_and(|before| {
            ["row", "preceding", "following"].iter().any(|word| before.is(word))
        });
        if ends_frame && !is_name {
            let words = frame_exclusion(lexemes.get(index..).unwrap_or_default());
            if words > 0 {
                index = index.saturating_add(words);
                continue;
            }
        }
        if overrides(lexemes.get(index..).unwrap_or_default()) {
            index = index.saturating_add(3);
            continue;
        }
        let starts_write = before.is_some_and(|before| before.is("insert") || before.is("merge"));
        if lexeme.is("into") && !is_name && !starts_write {
            kept.push(TokenWithSpan { token: lexeme.token.clone(), span: lexeme.place });
            index = index.saturating_add(1);
            index = index.saturating_add(table_words(lexemes.get(index..).unwrap_or_default()));
            continue;
        }
        if lexeme.is("for") && !is_name {
            let end = locking_clause(lexemes, index);
            if end > index {
                for place in accounted.iter_mut().take(end).skip(index) {
                    *place = true;
                }
                index = end;
                continue;
            }
        }
        if lexeme.is("table") && !is_name {
            let select = [Token::make_keyword("SELECT"), Token::Mul, Token::make_keyword("FROM")];
            kept.extend(select.map(written));
        } else {
            kept.push(TokenWithSpan { token: lexeme.token.clone(), span: lexeme.place });
        }
        index = index.saturating_add(1);
    }
    (kept, accounted)
}

/// How many words stand between INTO and the table's name (documentation, SELECT INTO).
fn table_words(lexemes: &[Lexeme]) -> usize {
    let mut count = 0_usize;
    while let [word, next, ..] = lexemes.get(count..).unwrap_or_default()
        && ["temp", "temporary", "local", "global", "unlogged", "table"].iter().any(|w| word.is(w))
        && matches!(next.token, Token::Word(_))
        && (next.is("table") || !next.word().is_some_and(|next| is_reserved(&next)))
    {
        count = count.saturating_add(1);
    }
    count
}

/// How many words EXCLUDE … at the end of a window's frame has; 0 if it does not stand here.
fn frame_exclusion(lexemes: &[Lexeme]) -> usize {
    let is_end = |lexeme: &Lexeme| lexeme.token == Token::RParen;
    match lexemes {
        [exclude, what, end, ..]
            if exclude.is("exclude") && (what.is("group") || what.is("ties")) && is_end(end) =>
        {
            2
        }
        [exclude, one, two, end, ..]
            if exclude.is("exclude")
                && ((one.is("current") && two.is("row")) || (one.is("no") && two.is("others")))
                && is_end(end) =>
        {
            3
        }
        _ => 0,
    }
}

/// `OVERRIDING { SYSTEM | USER } VALUE` of INSERT, which changes no value that is written.
fn overrides(lexemes: &[Lexeme]) -> bool {
    matches!(lexemes, [first, kind, value, ..]
        if first.is("overriding") && (kind.is("system") || kind.is("user")) && value.is("value"))
}

/// Where the locking clause that starts here ends (documentation, SELECT, "The Locking Clause");
/// `start` if none does. Every name in it is an alias of a FROM item, not a relation of its own.
fn locking_clause(lexemes: &[Lexeme], start: usize) -> usize {
    let is = |at: usize, word: &str| lexemes.get(at).is_some_and(|lexeme| lexeme.is(word));
    let mut at = start.saturating_add(1);
    if is(at, "no") && is(at.saturating_add(1), "key") {
        at = at.saturating_add(2);
    } else if is(at, "key") {
        at = at.saturating_add(1);
    }
    if !is(at, "update") && !is(at, "share") {
        return start;
    }
    at = at.saturating_add(1);
    if is(at, "of") {
        at = at.saturating_add(1);
        while lexemes.get(at).is_some_and(|l| {
            matches!(l.token, Token::Comma | Token::Period)
                || (matches!(l.token, Token::Word(_))
                    && !l.word().is_some_and(|w| is_clause_start(&w)))
        }) {
            at = at.saturating_add(1);
        }
    }
    if is(at, "nowait") {
        at = at.saturating_add(1);
    } else if is(at, "skip") && is(at.saturating_add(1), "locked") {
        at = at.saturating_add(2);
    }
    at
}

fn is_clause_start(word: &str) -> bool {
    is_reserved_in_any_way(word) || matches!(word, "nowait" | "skip")
}

struct Lowering<'a> {
    lexemes: &'a [Lexeme],
    by_place: HashMap<(u64, u64), usize>,
    accounted: &'a mut [bool],
    statement: Span,
}

impl Lowering<'_> {
    fn statement(&mut self, parsed: ParsedStatement) -> Lowered<Query> {
        match parsed {
            ParsedStatement::Query(query) => self.query(*query),
            ParsedStatement::Insert(insert) => self.insert(insert).map(write::as_query),
            ParsedStatement::Update(update) => self.update(update).map(write::as_query),
            ParsedStatement::Delete(delete) => self.delete(delete).map(write::as_query),
            ParsedStatement::Merge(merge) => self.merge(merge).map(write::as_query),
            _ => self.refuse("a statement of a kind that is not read"),
        }
    }

    /// Takes INTO out of a SELECT that is the statement itself.
    fn take_into(&self, parsed: &mut ParsedStatement) -> Lowered<bool> {
        let ParsedStatement::Query(query) = parsed else {
            return Ok(false);
        };
        let SetExpr::Select(select) = &mut *query.body else {
            return Ok(false);
        };
        let Some(into) = select.into.take() else {
            return Ok(false);
        };
        let SelectInto { temporary: _, unlogged: _, table: _, targets } = into;
        match targets.as_slice() {
            [ast::Expr::Identifier(_) | ast::Expr::CompoundIdentifier(_)] => Ok(true),
            _ => self.refuse("SELECT INTO something that is not a table"),
        }
    }

    fn refuse<T>(&self, reason: &'static str) -> Lowered<T> {
        Err(NotUnderstood::new(reason, self.statement))
    }

    /// Refuses unless the clause, which PostgreSQL does not have or which is not read, is absent.
    fn absent(&self, absent: bool, reason: &'static str) -> Lowered<()> {
        if absent { Ok(()) } else { self.refuse(reason) }
    }

    fn lexeme_at(&self, place: Location) -> Option<(usize, &Lexeme)> {
        let index = *self.by_place.get(&(place.line, place.column))?;
        Some((index, self.lexemes.get(index)?))
    }

    /// An identifier in a position where it cannot be anything but what the model says it is.
    fn name(&mut self, ident: &Ident) -> Lowered<Name> {
        let Ident { value, quote_style, span } = ident;
        let found = self.lexeme_at(span.start).map(|(index, lexeme)| (index, lexeme.span));
        let (index, span) = found.unzip();
        let span = span.unwrap_or_default();
        if quote_style.is_none() {
            let lower = value.to_ascii_lowercase();
            let free = index.and_then(|index| index.checked_sub(1)).is_some_and(|before| {
                self.lexemes.get(before).is_some_and(|b| b.token == Token::Period || b.is("as"))
            });
            if is_reserved(&lower) && !free {
                return Err(NotUnderstood::new("a reserved word as a name", span));
            }
        }
        if let Some(place) = index.and_then(|index| self.accounted.get_mut(index)) {
            *place = true;
        }
        let text = match quote_style {
            None => fold(value),
            Some('"') => cut_name(value).into(),
            Some(_) => return Err(NotUnderstood::new("an identifier in unknown quotes", span)),
        };
        Ok(Name { text, span })
    }

    /// A label or alias without AS: behind a reserved word it may hide what that word begins
    /// (`SELECT name OR FROM t`), so there it does not count as accounted for.
    fn label(&mut self, ident: &Ident) -> Lowered<Name> {
        let name = self.name(ident)?;
        let Some((index, _)) = self.lexeme_at(ident.span.start) else {
            return Ok(name);
        };
        let suspicious = index
            .checked_sub(1)
            .and_then(|before| self.lexemes.get(before))
            .and_then(Lexeme::word)
            .is_some_and(|word| word != "as" && is_reserved_in_any_way(&word) && word != "end");
        if suspicious && let Some(place) = self.accounted.get_mut(index) {
            *place = false;
        }
        Ok(name)
    }

    fn names(&mut self, idents: &[Ident]) -> Lowered<Vec<Name>> {
        idents.iter().map(|ident| self.name(ident)).collect()
    }

    fn object_name(&mut self, name: &ObjectName) -> Lowered<Vec<Name>> {
        let ObjectName(parts) = name;
        parts
            .iter()
            .map(|part| match part {
                ObjectNamePart::Identifier(ident) => self.name(ident),
                ObjectNamePart::Function(_) => self.refuse("a computed name"),
            })
            .collect()
    }

    /// The last part and those before it.
    fn qualified(&mut self, name: &ObjectName) -> Lowered<(Vec<Name>, Name)> {
        let mut parts = self.object_name(name)?;
        match parts.pop() {
            Some(last) if parts.len() <= 2 => Ok((parts, last)),
            Some(_) | None => self.refuse("a name of too many parts"),
        }
    }
}
