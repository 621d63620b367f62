use crate::policy::ReadingLimits;
use crate::sql::{self, NotUnderstood, Statement};

/// By which readings the texts are read that a statement only refers to: definitions of views and
/// bodies of routines. A plan that is compared with another takes nothing from the other's reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// The first.
    First,
    /// The first, or where it cannot read, PostgreSQL's grammar.
    Either,
    /// PostgreSQL's grammar.
    Grammar,
    /// PostgreSQL's grammar, for a plan that is compared with another and then thrown away.
    Compared,
}

impl Reader {
    pub(super) fn read(
        self,
        text: &str,
        limits: &ReadingLimits,
    ) -> Result<Vec<Statement>, NotUnderstood> {
        match self {
            Self::First => sql::read(text, limits),
            Self::Either => sql::read(text, limits).or_else(|_| sql::read_by_grammar(text, limits)),
            Self::Grammar | Self::Compared => sql::read_by_grammar(text, limits),
        }
    }
}
