//! CREATE.

use sqlparser::tokenizer::Token;

use super::{Read, contains, query, word};
use crate::sql::NotUnderstood;
use crate::sql::statement::{Cursor, StatementBody, Utility, Wrapper};
use crate::sql::token::Lexeme;

/// CREATE, as far as it cannot make anything that runs or hides guarded rows.
pub(super) fn create(cursor: &mut Cursor<'_>) -> Read {
    let rest = cursor.rest();
    let skipped = rest.iter().take_while(|lexeme| MODIFIERS.iter().any(|word| lexeme.is(word)));
    let at = skipped.count();
    let (kind, second) = (word(rest, at), word(rest, at.saturating_add(1)));
    let utility = match (kind.as_str(), second.as_str()) {
        ("view", _) | ("materialized", "view") => return view(cursor),
        ("recursive", "view") => Utility::Ddl("a recursive view is not read"),
        ("table", _) => match table_as(cursor)? {
            Some(body) => return Ok(body),
            None => computing(rest),
        },
        ("index", _) => {
            let utility = computing(rest);
            index_name(cursor, at);
            utility
        }
        ("statistics", _) => computing(rest),
        ("sequence", _) => Utility::Plain,
        ("schema", _) if !contains(rest, "create") => Utility::Plain,
        ("schema", _) => Utility::Ddl("the elements of a schema are not read"),
        ("role" | "user" | "group", what) if what != "mapping" => Utility::Escape("a role is made"),
        ("policy", _) => Utility::Ddl("a policy of row-level security"),
        ("publication", _) => Utility::Ddl("a publication sends rows of every tenant"),
        ("database", _) => Utility::Ddl("a database can be the copy of one with guarded tables"),
        (
            "function" | "procedure" | "aggregate" | "trigger" | "constraint" | "event" | "rule",
            _,
        ) => Utility::Opaque("a routine, trigger or rule whose body is not read"),
        ("foreign" | "server" | "user" | "subscription", _) => {
            Utility::Opaque("rows of another server, beside the guard")
        }
        (_, _) => Utility::Opaque("an object that can change what statements mean"),
    };
    Ok(StatementBody::Utility(utility))
}

/// Words between CREATE and what is made (documentation, CREATE TABLE, CREATE INDEX, CREATE VIEW,
/// CREATE LANGUAGE).
const MODIFIERS: &[&str] = &[
    "global",
    "local",
    "or",
    "procedural",
    "replace",
    "temp",
    "temporary",
    "trusted",
    "unique",
    "unlogged",
];

/// CREATE TABLE … AS query; `None` if it is another CREATE TABLE.
fn table_as(cursor: &mut Cursor<'_>) -> Result<Option<StatementBody>, NotUnderstood> {
    let rest = cursor.rest();
    let as_query = rest.iter().enumerate().find_map(|(index, lexeme)| {
        let next = rest.get(index.saturating_add(1))?;
        let starts =
            ["select", "with", "values", "table", "execute"].iter().any(|word| next.is(word))
                || next.token == Token::LParen;
        (lexeme.is("as") && starts && !generated(rest, index)).then_some(index)
    });
    let Some(index) = as_query else {
        return Ok(None);
    };
    cursor.at = cursor.at.saturating_add(index).saturating_add(1);
    let inner = without_data(cursor.rest());
    let statement = query(inner, cursor)?;
    Ok(Some(StatementBody::Wrapped { wrapper: Wrapper::TableAs, statement }))
}

/// A query before WITH [NO] DATA.
fn without_data(lexemes: &[Lexeme]) -> &[Lexeme] {
    match lexemes {
        [query @ .., with, no, data] if with.is("with") && no.is("no") && data.is("data") => query,
        [query @ .., with, data] if with.is("with") && data.is("data") => query,
        query => query,
    }
}

/// CREATE VIEW and CREATE MATERIALIZED VIEW: the query behind the first AS outside parentheses
/// (before it stand the name, columns, USING, options in parentheses, and TABLESPACE).
fn view(cursor: &mut Cursor<'_>) -> Read {
    let mut depth = 0_usize;
    while let Some(lexeme) = cursor.next() {
        match lexeme.token {
            Token::LParen => depth = depth.saturating_add(1),
            Token::RParen => depth = depth.saturating_sub(1),
            _ if depth == 0 && lexeme.is("as") => break,
            _ => {}
        }
    }
    let inner = match without_data(cursor.rest()) {
        [query @ .., with, check, option] if is_check_option(with, check, option) => query,
        [query @ .., with, kind, check, option]
            if (kind.is("local") || kind.is("cascaded"))
                && is_check_option(with, check, option) =>
        {
            query
        }
        query => query,
    };
    Ok(StatementBody::Wrapped { wrapper: Wrapper::View, statement: query(inner, cursor)? })
}

fn is_check_option(with: &Lexeme, check: &Lexeme, option: &Lexeme) -> bool {
    with.is("with") && check.is("check") && option.is("option")
}

fn computing(rest: &[Lexeme]) -> Utility {
    if all_routines_known(rest) {
        Utility::Plain
    } else {
        Utility::Opaque("a routine that is not known to be harmless")
    }
}

/// An index's own name is no relation's that could be read.
fn index_name(cursor: &mut Cursor<'_>, index: usize) {
    let mut at = cursor.at.saturating_add(index).saturating_add(1);
    let is = |at: usize, word: &str| cursor.lexemes.get(at).is_some_and(|it| it.is(word));
    for word in ["concurrently", "if", "not", "exists"] {
        if is(at, word) {
            at = at.saturating_add(1);
        }
    }
    // A name with a schema before it does not follow CREATE INDEX, and the table follows ON.
    if !is(at, "on") && is(at.saturating_add(1), "on") {
        cursor.named.push(at);
    }
}

/// Whether the AS at `index` belongs to `GENERATED … AS (…)` or a cast.
fn generated(rest: &[Lexeme], index: usize) -> bool {
    index
        .checked_sub(1)
        .and_then(|before| rest.get(before))
        .is_some_and(|before| before.is("always") || before.is("default"))
}

/// Whether every word before a parenthesis is a keyword, a type, the statement's own object, or a
/// routine that is known to be harmless (a DEFAULT or CHECK runs later, unseen).
pub(super) fn all_routines_known(rest: &[Lexeme]) -> bool {
    rest.iter().enumerate().all(|(index, lexeme)| {
        let opens =
            rest.get(index.saturating_add(1)).is_some_and(|next| next.token == Token::LParen);
        if !opens || !matches!(lexeme.token, Token::Word(_)) {
            return true;
        }
        let before = index.checked_sub(1).and_then(|before| rest.get(before));
        let names_object = before.is_some_and(|before| {
            before.token == Token::Period
                || [
                    "table",
                    "exists",
                    "references",
                    "on",
                    "index",
                    "constraint",
                    "column",
                    "as",
                    "only",
                ]
                .iter()
                .any(|word| before.is(word))
        });
        let word = lexeme.name().unwrap_or_default();
        names_object || DDL_WORDS.contains(&&*word) || crate::policy::is_harmless_routine(&word)
    })
}

/// Words that stand before a parenthesis in CREATE TABLE, CREATE INDEX and ALTER TABLE.
const DDL_WORDS: &[&str] = &[
    "add",
    "all",
    "and",
    "any",
    "array",
    "as",
    "bit",
    "btree",
    "char",
    "character",
    "check",
    "column",
    "columns",
    "decimal",
    "default",
    "exclude",
    "float",
    "for",
    "from",
    "gin",
    "gist",
    "brin",
    "hash",
    "identity",
    "in",
    "include",
    "interval",
    "key",
    "list",
    "not",
    "null",
    "numeric",
    "or",
    "partition",
    "range",
    "set",
    "spgist",
    "stored",
    "time",
    "timestamp",
    "to",
    "unique",
    "using",
    "values",
    "varbit",
    "varchar",
    "varying",
    "with",
    "where",
];
