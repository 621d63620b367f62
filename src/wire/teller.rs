use std::sync::Arc;

use super::connection::Connection;
use super::conversation::Conversation;
use super::relay::Witness;
use super::startup::Unwelcome;
use crate::analyze::{Rule, Violation};
use crate::session::{Event, Mode, Planned};
use crate::sql::Span;
use crate::telemetry::{
    AdviceGiven, BytesRelayed, Direction, ExemptionUsed, FramingLost, Remembered, SessionLabels,
    StatementJudged, StatementRewritten, StatementText, ViolationFound,
};

/// Turns what a session has to tell into telemetry.
#[repr(C)]
pub(super) struct Teller {
    pub(super) remembered: Remembered,
    pub(super) connection: Connection,
    pub(super) labels: Arc<SessionLabels>,
}

impl Teller {
    /// A startup parameter that enforce does not let through.
    pub(super) fn unwelcome(&self, unwelcome: &Unwelcome) {
        let violation = Violation {
            rule: Rule::SessionEscape,
            table: unwelcome.parameter.as_deref().map(Into::into),
            span: Span::default(),
            detail: "a startup parameter that is not let through".into(),
            hint: "".into(),
        };
        let none = StatementText::new("", None);
        self.violation(&violation, (self.connection.rules.mode, None), &none);
    }

    fn violation(
        &self,
        violation: &Violation,
        (mode, exemption): (Mode, Option<&str>),
        text: &StatementText<'_>,
    ) {
        let session = &*self.labels;
        ViolationFound { violation, mode, exemption, session, text }
            .emit(&self.connection.telemetry);
    }

    fn events(&self, events: &[Event], from: Direction) {
        let none = StatementText::new("", None);
        let mut told: Option<(&Arc<Planned>, StatementText<'_>)> = None;
        for event in events {
            let text = match (event.text(), &mut told) {
                (None, _) => &none,
                (Some(text), Some((same, told))) if Arc::ptr_eq(same, text) => &*told,
                (Some(text), told) => {
                    let new = StatementText::new(text.text(), text.fingerprint());
                    &told.insert((text, new)).1
                }
            };
            self.event(event, text, from);
        }
    }

    fn event(&self, event: &Event, text: &StatementText<'_>, from: Direction) {
        let telemetry = &self.connection.telemetry;
        let session = &*self.labels;
        match event {
            Event::Judged { kind, outcome, decision } => {
                StatementJudged { kind: *kind, outcome: *outcome, decision: *decision }
                    .emit(telemetry);
            }
            Event::Violation { text: _, violation, mode, exemption } => {
                if let Some(exemption) = exemption {
                    ExemptionUsed { exemption }.emit(telemetry);
                }
                let exemption = exemption.as_ref().map(|exemption| &*exemption.name);
                self.violation(violation, (*mode, exemption), text);
            }
            Event::Advice { text: _, advice } => {
                AdviceGiven { advice, session, text }.emit(telemetry);
            }
            Event::Rewritten { text: _, injection, sent } => {
                StatementRewritten { injection, sent: *sent, session, text }.emit(telemetry);
            }
            // Before a byte of the server's answer goes on: whoever acts on that answer plans
            // under a catalogue that has seen the change.
            Event::SchemaChanged => self.connection.policies.mark_stale(),
            Event::Lost { reason } => {
                FramingLost { direction: from, client: self.connection.client }.emit(telemetry);
                tracing::warn!(client = %self.connection.client, reason, "conversation lost");
            }
        }
    }
}

impl Witness for Teller {
    fn took(&mut self, from: Direction, bytes: usize, conversation: &mut Conversation) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        BytesRelayed { direction: from, bytes }.emit(&self.connection.telemetry);
        if conversation.has_events() {
            let mut events = conversation.take_events();
            self.events(&events, from);
            events.clear();
            conversation.give_back_events(events);
        }
        // A portal that comes and goes within a group is not counted twice over.
        if from == Direction::FromServer {
            let (statements, portals) = conversation.session().remembered();
            self.remembered.update(statements, portals);
        }
    }
}
