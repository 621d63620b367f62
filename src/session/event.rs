use std::sync::Arc;

use super::mode::{Decision, Mode};
use super::modes::Exemption;
use super::planned::Planned;
use crate::analyze::{Advice, Kind, Outcome, Violation};
use crate::rewrite::Injection;

/// What a session has to tell. The session never logs: its driver does.
#[derive(Debug)]
pub enum Event {
    /// A statement was judged for an attempt to run it.
    Judged {
        /// Its kind.
        kind: Kind,
        /// What was thought of it.
        outcome: Outcome,
        /// What was done with its message.
        decision: Decision,
    },
    /// A violation of a judged statement; one for each rule and table.
    Violation {
        /// The text with the statement, if it has one of its own.
        text: Option<Arc<Planned>>,
        /// The violation.
        violation: Violation,
        /// The mode it was judged under.
        mode: Mode,
        /// The exemption that let it pass.
        exemption: Option<Arc<Exemption>>,
    },
    /// A weaker flaw of an admitted statement.
    Advice {
        /// The text with the statement, if it has one of its own.
        text: Option<Arc<Planned>>,
        /// The flaw.
        advice: Advice,
    },
    /// A condition or value was put into a statement.
    Rewritten {
        /// The client's own text.
        text: Arc<Planned>,
        /// What was put in, and why.
        injection: Injection,
        /// Whether it was sent so; else it was refused (`dry_run`).
        sent: bool,
    },
    /// A statement that may have changed the catalogue has taken effect. What the server says of
    /// it has not been passed on yet.
    SchemaChanged,
    /// The session can no longer follow the conversation.
    Lost {
        /// Why, in a few fixed words.
        reason: &'static str,
    },
}

impl Event {
    /// The text that it speaks of.
    #[must_use]
    pub const fn text(&self) -> Option<&Arc<Planned>> {
        match self {
            Self::Violation { text, .. } | Self::Advice { text, .. } => text.as_ref(),
            Self::Rewritten { text, .. } => Some(text),
            Self::Judged { .. } | Self::SchemaChanged | Self::Lost { .. } => None,
        }
    }
}
