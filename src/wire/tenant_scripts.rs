use super::script::*;
use crate::session::{Mode, Rebinding, UnknownTenant};

fn of(tenant: &str) -> String {
    format!(
        "SELECT name FROM org_products WHERE organization_id = '{tenant}' AND deleted_at IS NULL"
    )
}

fn set(tenant: &str) -> String {
    format!("SET app.organization_id = '{tenant}'")
}

fn set_local(tenant: &str) -> String {
    format!("SET LOCAL app.organization_id = '{tenant}'")
}

#[test]
fn the_tenant_follows_set_and_rollback() {
    let mut script = Script::new(Mode::Enforce);
    script.run(&of(B), &["SELECT 1"], 'I');
    script.run(&set(A), &["SET"], 'I');
    script.refused(&of(B), "42501");
    script.run("BEGIN", &["BEGIN"], 'T');
    script.run(&set_local(B), &["SET"], 'T');
    script.run(&of(B), &["SELECT 1"], 'T');
    script.run("ROLLBACK", &["ROLLBACK"], 'I');
    script.refused(&of(B), "42501");
    script.run(&of(A), &["SELECT 1"], 'I');
    script.run("RESET ALL", &["RESET"], 'I');
    script.run(&of(B), &["SELECT 1"], 'I');
}

#[test]
fn within_a_string_the_tenant_moves_with_its_statements() {
    let mut script = Script::new(Mode::Enforce);
    script.run(&set(A), &["SET"], 'I');
    script.run(&format!("{}; {}", set(B), of(B)), &["SET", "SELECT 1"], 'I');
    script.refused(&format!("{}; {}", set(A), of(B)), "42501");
    // The refused string has set nothing.
    script.run(&of(B), &["SELECT 1"], 'I');
    // SET LOCAL outside a block lasts to the end of the string.
    script.run(&format!("{}; {}", set_local(A), of(A)), &["SET", "SELECT 1"], 'I');
    script.refused(&of(A), "42501");
}

#[test]
fn a_failed_set_has_set_nothing() {
    let mut script = Script::new(Mode::Enforce);
    script.run(&set(A), &["SET"], 'I');
    script.client(&[query(&format!("{}; SELECT 1/0", set(B)))]);
    script.server(&[complete("SET"), error("22012"), ready('I')]);
    script.refused(&of(B), "42501");
    // An acknowledged SET is undone by a commit that fails.
    script.client(&[query(&format!("BEGIN; {}; COMMIT", set(B)))]);
    script.server(&[complete("BEGIN"), complete("SET"), error("23505"), ready('I')]);
    script.refused(&of(B), "42501");
}

#[test]
fn set_config_takes_its_value_at_bind_and_applies_it_once() {
    let mut script = Script::new(Mode::Enforce);
    let setter = "SELECT set_config('app.organization_id', $1, false)";
    script.client(&[parse("set", setter), sync()]);
    script.server(&[bare('1'), ready('I')]);
    let select = "SELECT name FROM org_products WHERE organization_id = $1 AND deleted_at IS NULL";
    let sent = script.client(&[
        bind("", "set", &[A]),
        execute(""),
        parse("get", select),
        bind("", "get", &[B]),
        sync(),
    ]);
    assert_eq!(sent.last().unwrap(), "> S");
    assert!(sent.contains(&"> P orgguard: orgguard refused a statement".to_owned()), "{sent:?}");
    let answer = [bare('2'), complete("SELECT 1"), bare('1'), error("42601"), ready('I')];
    assert_eq!(script.server(&answer), ["2", "C SELECT 1", "1", "E 42501", "Z I"]);
    // The group failed, so the tenant is not set.
    script.run(&of(B), &["SELECT 1"], 'I');
    script.client(&[bind("", "set", &[A]), execute(""), sync()]);
    script.server(&[bare('2'), bare('s'), ready('I')]);
    script.refused(&of(B), "42501");
}

#[test]
fn a_portal_runs_under_the_tenant_it_was_bound_under() {
    let mut script = Script::new(Mode::Enforce);
    script.run(&set(A), &["SET"], 'I');
    script.run("BEGIN", &["BEGIN"], 'T');
    script.client(&[parse("", &of(A)), bind("c", "", &[]), sync()]);
    script.server(&[bare('1'), bare('2'), ready('T')]);
    script.run(&format!("DECLARE d CURSOR FOR {}", of(A)), &["DECLARE CURSOR"], 'T');
    script.run("SAVEPOINT s", &["SAVEPOINT"], 'T');
    script.run(&set(B), &["SET"], 'T');
    let sent = script.client(&[execute("c"), sync()]);
    assert_eq!(sent, ["> P orgguard: orgguard refused a statement", "> S"]);
    assert_eq!(script.server(&[error("42601"), ready('E')]), ["E 42501", "Z E"]);
    script.run("ROLLBACK TO s", &["ROLLBACK"], 'T');
    script.run("FETCH 1 FROM d", &["FETCH 1"], 'T');
    assert_eq!(script.client(&[execute("c"), sync()]), ["> E", "> S"]);
    script.server(&[complete("SELECT 1"), ready('T')]);
    script.run(&set(B), &["SET"], 'T');
    assert_eq!(script.client(&[query("FETCH 1 FROM d")]), ["> Q orgguard refused a statement"]);
}

#[test]
fn an_unknown_tenant_may_be_required() {
    let mut script =
        Script::with(Mode::Enforce, |rules| rules.tenant.unknown = UnknownTenant::Refuse);
    script.refused(&of(A), "42501");
    script.run("SELECT 1", &["SELECT 1"], 'I');
    script.run(&set("not a uuid"), &["SET"], 'I');
    script.refused(&of(A), "42501");
    script.run(&set(A), &["SET"], 'I');
    script.run(&of(A), &["SELECT 1"], 'I');
}

#[test]
fn rebinding_never_keeps_the_first_tenant() {
    let mut script = Script::with(Mode::Enforce, |rules| rules.tenant.rebinding = Rebinding::Never);
    script.run("RESET ALL", &["RESET"], 'I');
    script.run(&set(A), &["SET"], 'I');
    script.run(&set(A), &["SET"], 'I');
    script.refused(&set(B), "42501");
    script.refused(&format!("SELECT set_config('app.organization_id', '{B}', false)"), "42501");
    script.refused("RESET ALL", "42501");
    script.refused("DISCARD ALL", "42501");
    assert_eq!(script.violations(), ["session-escape"; 4]);
}

#[test]
fn rebinding_in_a_transaction_comes_first_and_once() {
    let mut script =
        Script::with(Mode::Enforce, |rules| rules.tenant.rebinding = Rebinding::Transaction);
    script.refused(&set(A), "42501");
    for tenant in [A, B] {
        script.run("BEGIN", &["BEGIN"], 'T');
        script.run(&set_local(tenant), &["SET"], 'T');
        script.run(&of(tenant), &["SELECT 1"], 'T');
        script.run("COMMIT", &["COMMIT"], 'I');
    }
    script.run("BEGIN", &["BEGIN"], 'T');
    script.run(&of(A), &["SELECT 1"], 'T');
    assert_eq!(script.client(&[query(&set_local(B))]), ["> Q orgguard refused a statement"]);
    script.server(&[error("42601"), ready('E')]);
    script.run("ROLLBACK", &["ROLLBACK"], 'I');
    script.run("RESET ALL", &["RESET"], 'I');
}

#[test]
fn audit_follows_what_the_server_did() {
    let mut script = Script::with(Mode::Audit, |rules| rules.tenant.rebinding = Rebinding::Never);
    script.run(&set(A), &["SET"], 'I');
    script.run(&set(B), &["SET"], 'I');
    script.run(&of(B), &["SELECT 1"], 'I');
    assert_eq!(script.violations(), ["session-escape"]);
    // Groups do not wait for each other: later ones are judged on the prediction.
    let sent = script.client(&[query(&set(A)), query(&of(A)), query(&of(B))]);
    assert_eq!(sent.len(), 3);
    assert_eq!(script.violations(), ["foreign-tenant"]);
    script.server(&[complete("SET"), ready('I')]);
    script.server(&[complete("SELECT 1"), ready('I'), complete("SELECT 1"), ready('I')]);
    script.run(&of(A), &["SELECT 1"], 'I');
    assert_eq!(script.violations(), [""; 0]);
}
