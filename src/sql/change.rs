//! What statements do to the names of relations, from their tokens.

use sqlparser::tokenizer::Token;

use super::statement::{Statement, StatementBody, Utility, Wrapper};
use super::token::{Lexeme, tokenize};
use crate::policy::{ReadingLimits, SchemaChange};

/// What a statement of this text does to the names of relations; `None` if that is nothing.
///
/// A name too many does no harm: what is changed is not known for sure until the transaction ends.
#[must_use]
pub fn schema_change(
    text: &str,
    statement: &Statement,
    limits: &ReadingLimits,
) -> Option<SchemaChange> {
    match &statement.body {
        StatementBody::DiscardAll => return Some(SchemaChange::DiscardTemporary),
        StatementBody::Utility(
            Utility::Plain | Utility::Ddl(_) | Utility::Opaque(_) | Utility::Escape(_),
        )
        | StatementBody::Wrapped { wrapper: Wrapper::TableAs | Wrapper::View, .. } => {}
        StatementBody::Utility(_)
        | StatementBody::Query(_)
        | StatementBody::Explain { .. }
        | StatementBody::Prepare { .. }
        | StatementBody::Execute { .. }
        | StatementBody::Deallocate(_)
        | StatementBody::Declare { .. }
        | StatementBody::Fetch(_)
        | StatementBody::Close(_)
        | StatementBody::Wrapped { .. }
        | StatementBody::Transaction(_)
        | StatementBody::Set { .. }
        | StatementBody::Reset(_)
        | StatementBody::CopyFrom(_)
        | StatementBody::Show => return None,
    }
    let start = usize::try_from(statement.span.start).ok()?;
    let end = usize::try_from(statement.span.end).ok()?;
    let lexemes = tokenize(text.get(start..end)?, limits).ok()?;
    let first = lexemes.first()?;
    if first.is("discard") {
        let temporary = lexemes.iter().any(|word| word.is("temp") || word.is("temporary"));
        return temporary.then_some(SchemaChange::DiscardTemporary);
    }
    if first.is("create") {
        return created(&lexemes);
    }
    if first.is("alter") || first.is("drop") {
        return Some(mentioned(&lexemes));
    }
    into(&lexemes)
}

/// CREATE … TABLE and VIEW; an index, a sequence and so on change no relation that is read.
fn created(lexemes: &[Lexeme]) -> Option<SchemaChange> {
    const BEFORE: [&str; 9] = [
        "or",
        "replace",
        "global",
        "local",
        "temp",
        "temporary",
        "unlogged",
        "recursive",
        "materialized",
    ];
    let mut rest = lexemes.iter().skip(1).peekable();
    let mut temporary = false;
    while let Some(word) = rest.next_if(|own| BEFORE.iter().any(|word| own.is(word))) {
        temporary = temporary || word.is("temp") || word.is("temporary");
    }
    let kind = rest.next()?;
    let is_view = kind.is("view");
    if !is_view && !kind.is("table") {
        return None;
    }
    while rest.next_if(|own| ["if", "not", "exists"].iter().any(|word| own.is(word))).is_some() {}
    named(rest, temporary, is_view).or_else(|| Some(mentioned(lexemes)))
}

/// SELECT … INTO [TEMPORARY] [UNLOGGED] [TABLE] name.
fn into(lexemes: &[Lexeme]) -> Option<SchemaChange> {
    let at = lexemes.iter().position(|lexeme| lexeme.is("into"))?;
    let mut rest = lexemes.iter().skip(at.saturating_add(1)).peekable();
    let mut temporary = false;
    let words = ["local", "global", "temp", "temporary", "unlogged", "table"];
    while let Some(word) = rest.next_if(|own| words.iter().any(|word| own.is(word))) {
        temporary = temporary || word.is("temp") || word.is("temporary");
    }
    named(rest, temporary, false).or_else(|| Some(mentioned(lexemes)))
}

fn named<'a>(
    mut rest: impl Iterator<Item = &'a Lexeme>,
    temporary: bool,
    is_view: bool,
) -> Option<SchemaChange> {
    let first = rest.next()?.name()?;
    let (schema, name) = if rest.next().is_some_and(|lexeme| lexeme.token == Token::Period) {
        (Some(first), rest.next()?.name()?)
    } else {
        (None, first)
    };
    let temporary = temporary
        || schema.is_some_and(|schema| &*schema == "pg_temp" || schema.starts_with("pg_temp_"));
    Some(if is_view {
        SchemaChange::View { name, temporary }
    } else {
        SchemaChange::Table { name, temporary }
    })
}

fn mentioned(lexemes: &[Lexeme]) -> SchemaChange {
    SchemaChange::Other(lexemes.iter().filter_map(Lexeme::name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(text: &str) -> Option<SchemaChange> {
        let limits = ReadingLimits::default();
        let statements = super::super::read(text, &limits).unwrap();
        schema_change(text, statements.last().unwrap(), &limits)
    }

    #[test]
    fn what_is_made() {
        for (text, own, temporary) in [
            ("CREATE TABLE a (b int)", "a", false),
            ("CREATE UNLOGGED TABLE IF NOT EXISTS shop.a (b int)", "a", false),
            ("CREATE LOCAL TEMPORARY TABLE \"A\" (b int) ON COMMIT DROP", "A", true),
            ("CREATE TABLE pg_temp.a (b int)", "a", true),
            ("CREATE TEMP TABLE a AS SELECT 1", "a", true),
            ("SELECT 1; CREATE TABLE a AS SELECT 1", "a", false),
            ("SELECT 1 AS b INTO TEMP TABLE a", "a", true),
            ("SELECT b INTO a FROM c", "a", false),
        ] {
            let name = own.into();
            assert_eq!(change(text), Some(SchemaChange::Table { name, temporary }), "{text}");
        }
        assert_eq!(
            change("CREATE OR REPLACE TEMP VIEW v AS SELECT 1"),
            Some(SchemaChange::View { name: "v".into(), temporary: true })
        );
        assert_eq!(change("DISCARD TEMP"), Some(SchemaChange::DiscardTemporary));
        assert_eq!(change("DISCARD ALL"), Some(SchemaChange::DiscardTemporary));
        for text in ["SELECT 1", "CREATE INDEX i ON a (b)", "DISCARD PLANS", "LISTEN a", "BEGIN"] {
            assert_eq!(change(text), None, "{text}");
        }
        let Some(SchemaChange::Other(names)) = change("ALTER TABLE a ADD COLUMN b int") else {
            panic!("a change");
        };
        assert!(names.contains(&"a".into()));
    }
}
