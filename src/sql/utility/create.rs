//! CREATE.

use sqlparser::tokenizer::Token;

use super::{Read, contains, query};
use crate::sql::statement::{Cursor, StatementBody, Utility};
use crate::sql::token::Lexeme;

/// CREATE, as far as it cannot make anything that runs or hides guarded rows.
pub(super) fn create(cursor: &mut Cursor<'_>) -> Read {
    let rest = cursor.rest();
    let mut at = 0_usize;
    while rest.get(at).is_some_and(|l| {
        ["global", "local", "temp", "temporary", "unlogged", "unique"].iter().any(|word| l.is(word))
    }) {
        at = at.saturating_add(1);
    }
    let kind = rest.get(at).and_then(Lexeme::word).unwrap_or_default();
    let utility = match kind.as_str() {
        "table" => {
            let as_query = rest.iter().enumerate().find_map(|(index, lexeme)| {
                let next = rest.get(index.saturating_add(1))?;
                let starts = ["select", "with", "values", "table", "execute"]
                    .iter()
                    .any(|word| next.is(word))
                    || next.token == Token::LParen;
                (lexeme.is("as") && starts && !generated(rest, index)).then_some(index)
            });
            if let Some(index) = as_query {
                cursor.at = cursor.at.saturating_add(index).saturating_add(1);
                let mut end = cursor.lexemes.len();
                if let [.., with, data] = cursor.lexemes
                    && with.is("with")
                    && data.is("data")
                {
                    end = end.saturating_sub(2);
                }
                let inner = cursor.lexemes.get(cursor.at..end).unwrap_or_default();
                return Ok(StatementBody::Wrapped {
                    copy: false,
                    statement: query(inner, cursor)?,
                });
            }
            if all_routines_known(rest) {
                Utility::Plain
            } else {
                Utility::Opaque("a routine that is not known to be harmless")
            }
        }
        "index" if all_routines_known(rest) => {
            index_name(cursor, at);
            Utility::Plain
        }
        "index" => Utility::Opaque("a routine that is not known to be harmless"),
        "sequence" => Utility::Plain,
        "schema" if rest.len() <= at.saturating_add(7) && !contains(rest, "create") => {
            Utility::Plain
        }
        "function" | "procedure" | "or" | "trigger" | "rule" | "constraint" | "event"
        | "aggregate" => Utility::Opaque("a routine, trigger, rule or view whose body is not read"),
        "view" | "materialized" | "recursive" => Utility::Opaque("a view can hide guarded rows"),
        _ => Utility::Opaque("an object that can change what statements mean"),
    };
    Ok(StatementBody::Utility(utility))
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
