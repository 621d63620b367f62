//! Bytes as the text of a statement.

use orgguard::analyze::{Argument, Arguments, Form, SessionTenant, Verdict, plan};
use orgguard::telemetry::normalize;
use orgguard::tenant::TenantType;

use super::{NOBODY, SHOP, STRICT};

/// Any text is planned, settled, explained and normalized; the spans of what is said of it lie in
/// it; and no guarded statement holds for an organization that it does not name.
pub(crate) fn run(data: &[u8]) {
    let text = std::str::from_utf8(data).unwrap_or("\0");
    let config = if text.len().is_multiple_of(2) { &SHOP } else { &STRICT };
    let plan = plan(text, &config.policy);
    let nobody = TenantType::Uuid.parse(NOBODY).expect("a uuid");
    let known = SessionTenant::Known(&nobody);
    let long = [Argument { type_oid: 2951, form: Form::Binary(data) }];
    for statement in plan.statements() {
        let span = statement.span();
        assert!(
            text.get(span.start as usize..span.end as usize).is_some(),
            "a span outside the text"
        );
        let foreign = statement.settle(known, Arguments::Values(&[]));
        if statement.is_guarded() && foreign.holds() {
            assert!(may_bind_without_a_name(text), "it holds for an organization it does not name");
        }
        let verdicts = [
            foreign,
            statement.settle(known, Arguments::Values(&long)),
            statement.settle(SessionTenant::Any, Arguments::Unknown),
        ];
        for verdict in &verdicts {
            places(text, verdict);
        }
        if data.len().is_multiple_of(8) {
            let _ = format!("{:?}", statement.explain());
        }
    }
    let _ = normalize(text);
}

fn places(text: &str, verdict: &Verdict) {
    for violation in &verdict.violations {
        let position = violation.span.position(text);
        assert!(position >= 1 && position <= text.chars().count() + 1, "a position outside");
        assert!(!violation.detail.is_empty());
    }
    for advice in &verdict.advice {
        let _ = advice.span.position(text);
    }
}

/// The tenant's own setting binds to whoever it is, and so does what is never true: NULL, an array
/// without elements.
fn may_bind_without_a_name(text: &str) -> bool {
    let text = text.to_lowercase();
    let nulls = text.matches("null").count();
    let harmless = text.matches("is null").count();
    let between = |open: &str| {
        text.split_once('{').is_some_and(|(_, rest)| rest.trim_start().starts_with(open))
    };
    text.contains("current_setting") || between("}") || nulls > harmless
}
