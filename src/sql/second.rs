use std::sync::Arc;

use super::statement::{Statement, statements};
use super::token::{Lexeme, tokenize};
use super::{NotUnderstood, Slots};
use crate::policy::ReadingLimits;

/// Whether this binary can read a text a second time, by PostgreSQL's own grammar (the feature
/// `postgres-grammar`).
pub const HAS_SECOND_READING: bool = cfg!(feature = "postgres-grammar");

/// What the second reading makes of a text.
#[derive(Debug)]
pub enum Second {
    /// Its statements, in the same model as the first reading's.
    Read(Vec<Statement>),
    /// PostgreSQL's grammar does not read it: the server would not either.
    Rejected(NotUnderstood),
    /// PostgreSQL's grammar reads it, or may read it, but not everything in it could be placed.
    Unread(NotUnderstood),
}

/// A text read twice.
#[derive(Debug)]
pub struct Readings {
    /// What [`super::read`] gives.
    pub first: Result<Vec<Statement>, NotUnderstood>,
    /// What PostgreSQL's own grammar gives.
    pub second: Second,
}

/// Reads a text twice, under the same limits: PostgreSQL's parser and what walks its trees would
/// overflow the stack on a text that is not measured first.
#[must_use]
pub fn read_twice(text: &str, limits: &ReadingLimits) -> Readings {
    read_twice_into(text, limits, None)
}

/// The same, keeping account of the text's literals.
#[must_use]
pub fn read_twice_into(text: &str, limits: &ReadingLimits, slots: Option<&Arc<Slots>>) -> Readings {
    match marked(text, limits, slots) {
        Ok(lexemes) => Readings { first: statements(&lexemes), second: by_grammar(text, &lexemes) },
        Err(refused) => Readings { first: Err(refused), second: Second::Unread(refused) },
    }
}

/// Reads a text once as [`super::read`] does, keeping account of its literals.
///
/// # Errors
/// If any part of the text cannot be read with certainty.
pub fn read_into(
    text: &str,
    limits: &ReadingLimits,
    slots: Option<&Arc<Slots>>,
) -> Result<Vec<Statement>, NotUnderstood> {
    statements(&marked(text, limits, slots)?)
}

fn marked(
    text: &str,
    limits: &ReadingLimits,
    slots: Option<&Arc<Slots>>,
) -> Result<Vec<Lexeme>, NotUnderstood> {
    let mut lexemes = tokenize(text, limits)?;
    if let Some(slots) = slots {
        slots.mark(&mut lexemes);
    }
    Ok(lexemes)
}

/// Reads a text by PostgreSQL's own grammar alone.
///
/// # Errors
/// If any part of the text cannot be read with certainty.
pub fn read_by_grammar(
    text: &str,
    limits: &ReadingLimits,
) -> Result<Vec<Statement>, NotUnderstood> {
    match by_grammar(text, &tokenize(text, limits)?) {
        Second::Read(statements) => Ok(statements),
        Second::Rejected(refused) | Second::Unread(refused) => Err(refused),
    }
}

#[cfg(feature = "postgres-grammar")]
fn by_grammar(text: &str, lexemes: &[Lexeme]) -> Second {
    super::postgres::read(text, lexemes)
}

#[cfg(not(feature = "postgres-grammar"))]
fn by_grammar(_: &str, _: &[Lexeme]) -> Second {
    let reason = "this binary was built without PostgreSQL's grammar";
    Second::Unread(NotUnderstood::new(reason, super::Span::default()))
}
