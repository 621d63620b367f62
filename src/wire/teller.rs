use std::sync::Arc;

use super::connection::Connection;
use super::conversation::Conversation;
use super::relay::Witness;
use super::startup::Unwelcome;
use crate::analyze::{Rule, Violation};
use crate::session::{Event, Mode};
use crate::sql::Span;
use crate::telemetry::{
    AdviceGiven, BytesRelayed, Direction, ExemptionUsed, FramingLost, Remembered, SessionLabels,
    StatementJudged, StatementRewritten, ViolationFound,
};

/// Turns what a session has to tell into telemetry.
pub(super) struct Teller {
    pub(super) connection: Connection,
    pub(super) labels: Arc<SessionLabels>,
    pub(super) remembered: Remembered,
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
        self.violation(&violation, (self.connection.rules.mode, None), None);
    }

    fn violation(
        &self,
        violation: &Violation,
        (mode, exemption): (Mode, Option<&str>),
        text: Option<&str>,
    ) {
        ViolationFound {
            violation,
            mode,
            exemption,
            session: &self.labels,
            position: text.map_or(1, |text| violation.span.position(text)),
            statement: text.unwrap_or_default(),
        }
        .emit(&self.connection.telemetry);
    }

    fn event(&self, event: &Event, from: Direction) {
        let telemetry = &self.connection.telemetry;
        match event {
            Event::Judged { kind, outcome, decision } => {
                StatementJudged { kind: *kind, outcome: *outcome, decision: *decision }
                    .emit(telemetry);
            }
            Event::Violation { text, violation, mode, exemption } => {
                if let Some(exemption) = exemption {
                    ExemptionUsed { exemption }.emit(telemetry);
                }
                let exemption = exemption.as_ref().map(|exemption| &*exemption.name);
                let text = text.as_ref().map(|text| text.text());
                self.violation(violation, (*mode, exemption), text);
            }
            Event::Advice { text, advice } => {
                let text = text.as_ref().map_or("", |text| text.text());
                AdviceGiven {
                    advice,
                    session: &self.labels,
                    position: advice.span.position(text),
                    statement: text,
                }
                .emit(telemetry);
            }
            Event::Rewritten { text, injection, sent } => StatementRewritten {
                injection,
                sent: *sent,
                session: &self.labels,
                position: injection.span.position(text.text()),
                statement: text.text(),
            }
            .emit(telemetry),
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
        for event in conversation.events() {
            self.event(&event, from);
        }
        // A portal that comes and goes within a group is not counted twice over.
        if from == Direction::FromServer {
            let (statements, portals) = conversation.session().remembered();
            self.remembered.update(statements, portals);
        }
    }
}
