use std::collections::BTreeSet;
use std::sync::Arc;

use super::event::Event;
use super::judge::Missing;
use super::mode::Decision;
use super::modes::SessionModes;
use super::planned::Planned;
use super::refusal::Refusal;
use super::registry::StatementRef;
use super::{Output, Span};
use crate::analyze::{Kind, Rule, Verdict, Violation};

/// Tells of one attempt to run a statement. A violation counts once for each rule and table.
pub(super) fn tell(
    kind: Kind,
    verdict: &Verdict,
    text: Option<&Arc<Planned>>,
    (modes, decision): (&SessionModes, Decision),
    out: &mut Output,
) {
    out.events.push(Event::Judged { kind, outcome: verdict.outcome(), decision });
    let mut told = BTreeSet::new();
    for violation in &verdict.violations {
        if !told.insert((violation.rule, violation.table.as_deref())) {
            continue;
        }
        let fingerprint = text.and_then(|text| text.fingerprint());
        let judged = modes.judge(violation, fingerprint);
        let (mode, exemption) = (judged.deciding(), judged.exemption);
        let (text, violation) = (text.cloned(), violation.clone());
        out.events.push(Event::Violation { text, violation, mode, exemption });
    }
    for advice in &verdict.advice {
        out.events.push(Event::Advice { text: text.cloned(), advice: advice.clone() });
    }
}

/// Tells of one statement that was sent rewritten. What it lacked is told as what was put in.
pub(super) fn tell_replaced(kind: Kind, verdict: &Verdict, text: &Arc<Planned>, out: &mut Output) {
    let advice = Verdict { violations: Vec::new(), advice: verdict.advice.clone() };
    let outcome = verdict.outcome();
    out.events.push(Event::Judged { kind, outcome, decision: Decision::Replace });
    for advice in advice.advice {
        out.events.push(Event::Advice { text: Some(Arc::clone(text)), advice });
    }
}

/// The refusal of a verdict, or of what was missing to give one.
pub(super) fn refusal(
    verdict: &Verdict,
    text: Option<&Planned>,
    missing: Option<Missing>,
) -> Refusal {
    match (Refusal::of(verdict, text), missing) {
        (Some(refusal), _) => refusal,
        (None, Some(missing)) => absent(missing),
        (None, None) => Refusal::plain("42501", "orgguard: statement refused"),
    }
}

/// What the server says of a name that it does not know. Drivers act on these codes.
pub(super) fn absent(missing: Missing) -> Refusal {
    match missing {
        Missing::Statement => Refusal::plain("26000", "prepared statement does not exist"),
        Missing::Portal => Refusal::plain("34000", "cursor or portal does not exist"),
    }
}

/// The registry is full.
pub(super) fn too_many() -> Refusal {
    Refusal::plain("54000", "orgguard: too many prepared statements and portals in one session")
}

/// What row-level security says of DO UPDATE on a row that it hides.
pub(super) fn hidden_row() -> Refusal {
    Refusal::plain(
        "42501",
        "orgguard: ON CONFLICT DO UPDATE met a row that is another tenant's or soft-deleted",
    )
}

/// A Bind has as many values as there can be, and the tenant would be one more.
pub(super) fn too_many_values() -> Refusal {
    Refusal::plain("54000", "orgguard: no parameter is left for the tenant")
}

/// Parse takes one statement only, as on the server.
pub(super) fn several(span: Span) -> Violation {
    Violation {
        rule: Rule::NotUnderstood,
        table: None,
        span,
        detail: "a prepared statement holds one statement only".into(),
        hint: "send each statement in a message of its own".into(),
    }
}

/// The text that a statement stands in; `None` if its spans are of another one.
pub(super) fn text_of(statement: &StatementRef) -> Option<&Arc<Planned>> {
    match statement {
        StatementRef::Nth(sent, _) => Some(sent.own()),
        StatementRef::Inner(..) => None,
    }
}
