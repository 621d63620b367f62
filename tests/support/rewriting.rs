//! A text as the guard would send it in rewrite mode, without a session.
#![allow(dead_code, reason = "each test program uses its own part")]

use orgguard::analyze::{Arguments, SessionTenant, Verdict, plan};
use orgguard::policy::Policy;
use orgguard::rewrite::{Fill, Operand, rewrite};

use super::cases;

/// What becomes of a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It is sent as it is.
    Unchanged,
    /// It is sent so.
    Changed(String),
    /// It is refused.
    Refused,
}

fn holds(text: &str, policy: &Policy) -> bool {
    let tenant = cases::tenant();
    let plan = plan(text, policy);
    let verdicts: Vec<Verdict> = plan
        .statements()
        .iter()
        .map(|one| one.settle(SessionTenant::Known(&tenant), Arguments::Values(&[])))
        .collect();
    verdicts.iter().all(Verdict::holds)
}

/// A text of the simple protocol under the tenant of the cases.
pub(crate) fn send(text: &str, policy: &Policy) -> Sent {
    let tenant = cases::tenant();
    if holds(text, policy) {
        return Sent::Unchanged;
    }
    let plan = plan(text, policy);
    let Some(rewrite) = rewrite(text, &plan, policy).filter(|it| it.has_edits()) else {
        return Sent::Refused;
    };
    let fill = Fill { tenant: Operand::Literal(&tenant), execute: false };
    let fills = vec![fill; plan.statements().len()];
    match rewrite.splice(text, &fills) {
        Some(spliced) if holds(&spliced.text, policy) => Sent::Changed(spliced.text),
        Some(_) | None => Sent::Refused,
    }
}
