use super::message::FromClient;
use super::mode::{Decision, Mode};
use super::modes::SessionModes;
use super::planned::Planned;
use crate::analyze::Verdict;

/// The key to send a client's message upstream. Only the gate makes one, and sending uses it up.
#[derive(Debug)]
pub struct Permit(());

impl Permit {
    /// Uses the permit up: its one message is being sent.
    pub(crate) fn spend(self) {
        let Self(()) = self;
    }
}

/// A verdict under a mode.
#[derive(Debug)]
pub(super) enum Ruling {
    /// The message may be sent.
    Forward(Permit),
    /// It may not.
    Refuse,
}

impl Ruling {
    /// What is told of it.
    pub(super) const fn decision(&self) -> Decision {
        match self {
            Self::Forward(_) => Decision::Forward,
            Self::Refuse => Decision::Refuse,
        }
    }
}

/// Decides on the verdicts of all statements of one message: the strictest mode wins.
pub(super) fn decide<'a>(
    modes: &SessionModes,
    text: Option<&Planned>,
    verdicts: impl Iterator<Item = &'a Verdict>,
) -> Ruling {
    let fingerprint = text.and_then(Planned::fingerprint);
    let refused = verdicts
        .flat_map(|verdict| &verdict.violations)
        .any(|violation| refuses(modes.judge(violation, fingerprint).deciding()));
    if refused { Ruling::Refuse } else { Ruling::Forward(Permit(())) }
}

/// Decides on what could not even be judged, such as a statement that does not exist.
pub(super) fn decide_unjudged(session: Mode) -> Ruling {
    if refuses(session) { Ruling::Refuse } else { Ruling::Forward(Permit(())) }
}

/// Whether a violation is refused in this mode.
pub(super) const fn refuses(mode: Mode) -> bool {
    match mode {
        Mode::Audit => false,
        Mode::Enforce | Mode::Rewrite => true,
    }
}

/// A permit for a message that runs nothing by itself.
pub(super) const fn harmless(message: &FromClient<'_>) -> Option<Permit> {
    match message {
        FromClient::Query(_)
        | FromClient::Parse { .. }
        | FromClient::Bind { .. }
        | FromClient::Execute(_)
        | FromClient::FunctionCall => None,
        FromClient::Describe(..)
        | FromClient::Close(..)
        | FromClient::Flush
        | FromClient::Sync
        | FromClient::CopyData
        | FromClient::CopyDone
        | FromClient::CopyFail
        | FromClient::Terminate
        | FromClient::Password => Some(Permit(())),
    }
}

/// A permit for bytes that the session makes itself in place of a refused message.
pub(super) const fn substitute() -> Permit {
    Permit(())
}
