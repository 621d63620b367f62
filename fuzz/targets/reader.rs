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
    let null = [Argument { type_oid: 0, form: Form::Null }];
    let long = [Argument { type_oid: 2951, form: Form::Binary(data) }];
    for statement in plan.statements() {
        let span = statement.span();
        assert!(
            text.get(span.start as usize..span.end as usize).is_some(),
            "a span outside the text"
        );
        let mut verdicts = Vec::new();
        for tenant in [SessionTenant::Known(&nobody), SessionTenant::Any, SessionTenant::Required] {
            for arguments in [
                Arguments::Unknown,
                Arguments::Values(&[]),
                Arguments::Values(&null),
                Arguments::Values(&long),
            ] {
                verdicts.push(statement.settle(tenant, arguments));
            }
        }
        for verdict in &verdicts {
            places(text, verdict);
        }
        for explained in statement.explain() {
            let _ = format!("{explained:?}");
        }
        let foreign = statement.settle(SessionTenant::Known(&nobody), Arguments::Values(&[]));
        if statement.is_guarded() && foreign.holds() {
            assert!(may_bind_without_a_name(text), "it holds for an organization it does not name");
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
    text.contains("current_setting") || text.contains("{}") || nulls > harmless
}
