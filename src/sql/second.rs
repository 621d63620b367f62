use super::NotUnderstood;
use super::statement::Statement;
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

/// Reads a text by PostgreSQL's own grammar, under the same limits as [`super::read`]: its parser
/// and what walks its trees would overflow the stack on a text that is not measured first.
#[must_use]
pub fn read_again(text: &str, limits: &ReadingLimits) -> Second {
    match super::token::tokenize(text, limits) {
        Ok(lexemes) => by_grammar(text, &lexemes),
        Err(refused) => Second::Unread(refused),
    }
}

#[cfg(feature = "postgres-grammar")]
fn by_grammar(text: &str, lexemes: &[super::token::Lexeme]) -> Second {
    super::postgres::read(text, lexemes)
}

#[cfg(not(feature = "postgres-grammar"))]
fn by_grammar(_: &str, _: &[super::token::Lexeme]) -> Second {
    let reason = "this binary was built without PostgreSQL's grammar";
    Second::Unread(NotUnderstood::new(reason, super::Span::default()))
}
