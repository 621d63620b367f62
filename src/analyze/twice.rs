//! A text as a plan: by the first reading alone, or by both.

use std::sync::Arc;

use super::agree::{self, Difference};
use super::plan::{StatementPlan, not_understood, plan_in_turn};
use super::reader::Reader;
use crate::policy::{Policy, SecondReading};
use crate::sql::{self, NotUnderstood, Readings, Second, Slots, Span, Statement, StatementBody};

/// Why the two readings of a text do not agree. The text is then not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disagreement {
    /// The first reads it, PostgreSQL's grammar has no such statement.
    Rejected,
    /// The first reads it, the second cannot place everything that the grammar found.
    Unread,
    /// Both read it, and the first claims what the second does not.
    Differs(Difference),
}

impl Disagreement {
    /// Every metric label.
    pub const CAUSES: [&'static str; 3] = ["rejected", "unread", "differs"];

    /// The metric label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Unread => "unread",
            Self::Differs(_) => "differs",
        }
    }
}

/// The plans of a text's statements, and whether it is refused for a disagreement.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) statements: Vec<StatementPlan>,
    pub(super) disagreement: Option<Disagreement>,
    /// How many readings have given these very plans, if every reading has and each statement is a
    /// query or a write.
    pub(super) readings: Option<usize>,
}

impl Planned {
    fn refused(
        refused: NotUnderstood,
        policy: &Policy,
        disagreement: Option<Disagreement>,
    ) -> Self {
        Self { statements: vec![not_understood(refused, policy)], disagreement, readings: None }
    }

    fn all(text: &str, statements: &[Statement], policy: &Policy, reader: Reader) -> Self {
        let plans = plan_in_turn(text, statements, policy, reader);
        Self { statements: plans, disagreement: None, readings: None }
    }
}

/// Reads a text, once or twice, and plans it.
pub(super) fn read_and_plan(text: &str, policy: &Policy, slots: Option<&Arc<Slots>>) -> Planned {
    match policy.second_reading {
        SecondReading::Off => match sql::read_into(text, &policy.limits, slots) {
            Ok(statements) => Planned {
                readings: are_queries(&statements).then_some(1),
                ..Planned::all(text, &statements, policy, Reader::First)
            },
            Err(refused) => Planned::refused(refused, policy, None),
        },
        SecondReading::Required => {
            plan_twice(text, sql::read_twice_into(text, &policy.limits, slots), policy)
        }
    }
}

/// Utility statements are read from their tokens, of whose values no account is kept.
fn are_queries(statements: &[Statement]) -> bool {
    statements.iter().all(|statement| matches!(statement.body, StatementBody::Query(_)))
}

/// Plans what two readings agree on, or what only PostgreSQL's grammar reads.
fn plan_twice(text: &str, readings: Readings, policy: &Policy) -> Planned {
    let Readings { first, second } = readings;
    let (first, mut second) = match (first, second) {
        (Ok(first), Second::Read(second)) => (first, second),
        (Err(_), Second::Read(second)) => {
            return Planned::all(text, &second, policy, Reader::Grammar);
        }
        (Err(refused), Second::Rejected(_) | Second::Unread(_)) => {
            return Planned::refused(refused, policy, None);
        }
        (Ok(_), Second::Rejected(refused)) => {
            return Planned::refused(refused, policy, Some(Disagreement::Rejected));
        }
        (Ok(_), Second::Unread(refused)) => {
            return Planned::refused(refused, policy, Some(Disagreement::Unread));
        }
    };
    // The sweep over the first reading answers for the tokens; the grammar does not give the place
    // of every name.
    for statement in &mut second {
        statement.unaccounted.clear();
    }
    let place = first.first().map_or(Span::default(), |statement| statement.span);
    let are_queries = are_queries(&first) && are_queries(&second);
    let first = Planned::all(text, &first, policy, Reader::Either);
    let second = Planned::all(text, &second, policy, Reader::Compared);
    match agree::difference(&first.statements, &second.statements) {
        None => {
            let pairs = || first.statements.iter().zip(&second.statements);
            let same =
                are_queries && pairs().all(|(own, other)| own.owed.graph == other.owed.graph);
            Planned { readings: same.then_some(2), ..first }
        }
        Some(difference) => {
            let refused = NotUnderstood { reason: difference.reason(), span: place };
            Planned::refused(refused, policy, Some(Disagreement::Differs(difference)))
        }
    }
}
