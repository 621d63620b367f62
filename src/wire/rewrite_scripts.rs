//! Rewrite mode: what is sent in place of what a client wrote, and what it is told.

use super::script::*;
use crate::session::{Mode, UnknownTenant};

const SET_A: &str = "SET app.organization_id = '11111111-1111-4111-8111-111111111111'";
const NAMES: &str = "SELECT name FROM org_products";
const TYPED_A: &str = "'11111111-1111-4111-8111-111111111111'::pg_catalog.uuid";

fn script() -> Script {
    Script::with(Mode::Rewrite, |rules| {
        rules.tenant.rebinding = crate::session::Rebinding::Free;
        rules.tenant.unknown = UnknownTenant::Refuse;
    })
}

fn with_tenant() -> Script {
    let mut script = script();
    script.run(SET_A, &["SET"], 'I');
    script
}

fn bound_to(tenant: &str) -> String {
    format!(
        "{NAMES} WHERE org_products.organization_id = '{tenant}'::pg_catalog.uuid AND org_products.deleted_at IS NULL"
    )
}

#[test]
fn a_query_is_sent_with_what_it_lacks() {
    for chunk in [usize::MAX, 1, 7] {
        let mut script = with_tenant().in_chunks(chunk);
        assert_eq!(script.client(&[query(NAMES)]), [format!("> Q {}", bound_to(A))]);
        assert_eq!(script.server(&[complete("SELECT 3"), ready('I')]), ["C SELECT 3", "Z I"]);
        // What holds is sent as it is, byte for byte.
        let own = format!(
            "/*+ hint */ SELECT  1 FROM org_products WHERE organization_id='{A}' and deleted_at is null"
        );
        script.run(&own, &["SELECT 1"], 'I');
    }
}

#[test]
fn without_a_tenant_nothing_is_put_in() {
    let mut script = script();
    script.refused(NAMES, "42501");
    assert_eq!(script.client(&[parse("", NAMES), bind("", "", &[]), sync()]).len(), 2);
}

#[test]
fn in_a_string_each_statement_has_the_tenant_of_its_turn() {
    let mut script = script();
    let set = |tenant: &str| format!("SET app.organization_id = '{tenant}'");
    let own = format!("{}; {NAMES}; {}; {NAMES}", set(A), set(B));
    let sent = format!("> Q {}; {}; {}; {}", set(A), bound_to(A), set(B), bound_to(B));
    assert_eq!(script.client(&[query(&own)]), [sent]);
}

#[test]
fn what_no_condition_mends_is_refused() {
    for refused in [
        format!("SELECT 1 FROM org_products WHERE organization_id = '{B}'"),
        format!("UPDATE org_products SET organization_id = '{B}'"),
        format!("INSERT INTO org_tags (organization_id, label) VALUES ('{B}', 'x')"),
        "TRUNCATE org_products".to_owned(),
        "EXPLAIN SELECT 1 FROM org_products".to_owned(),
        "SELECT 1 FROM org_products; SELECT query_to_xml('x', true, true, '')".to_owned(),
    ] {
        with_tenant().refused(&refused, "42501");
    }
}

#[test]
fn a_prepared_statement_gets_the_tenant_as_a_parameter_that_its_client_does_not_see() {
    let mut script = with_tenant();
    let own = "SELECT name FROM org_products WHERE id = $1 LIMIT $2";
    let sent = "SELECT name FROM org_products WHERE id = $1 AND org_products.organization_id = $3::pg_catalog.uuid AND org_products.deleted_at IS NULL LIMIT $2";
    assert_eq!(
        script.client(&[parse("s", own), describe('S', "s"), sync()]),
        [&format!("> P s: {sent}"), "> D", "> S"]
    );
    let types = message(b't', b"\0\x03\0\0\x0b\x86\0\0\0\x14\0\0\x0b\x86");
    let (server, client) = script.server_raw(&[bare('1'), types, bare('n'), ready('I')].concat());
    assert!(server.is_empty());
    let told = message(b't', b"\0\x02\0\0\x0b\x86\0\0\0\x14");
    assert_eq!(client, [bare('1'), told, bare('n'), ready('I')].concat());
    // Each tenant gets its own.
    for tenant in [A, B] {
        script.run(&format!("SET app.organization_id = '{tenant}'"), &["SET"], 'I');
        let run = [bind("", "s", &["x", "1"]), execute(""), sync()];
        let (server, _) = script.client_raw(&run.concat());
        assert_eq!(server, [bind("", "s", &["x", "1", tenant]), execute(""), sync()].concat());
        script.server(&[bare('2'), complete("SELECT 0"), ready('I')]);
    }
    // As many values as the client knows of.
    let told = script.client(&[bind("", "s", &["x"]), sync()]);
    assert_eq!(told, ["> S", "< E 08P01"]);
}

#[test]
fn a_parameter_more_than_declared_or_used() {
    let mut script = with_tenant();
    let body = format!("s\0{NAMES}\0\0\x02\0\0\0\x17\0\0\0\x17");
    let server = script.client(&[message(b'P', body.as_bytes()), sync()]);
    assert!(server[0].contains("= $3::pg_catalog.uuid"), "{server:?}");
}

#[test]
fn sql_prepare_and_execute() {
    let mut script = with_tenant();
    let prepared = "PREPARE p (text) AS SELECT 1 FROM org_products WHERE name = $1";
    let more = " AND org_products.organization_id = $2::pg_catalog.uuid AND org_products.deleted_at IS NULL";
    assert_eq!(script.client(&[query(prepared)]), [format!("> Q {prepared}{more}")]);
    script.server(&[complete("PREPARE"), ready('I')]);
    for tenant in [A, B] {
        script.run(&format!("SET app.organization_id = '{tenant}'"), &["SET"], 'I');
        let sent = format!("> Q EXECUTE p ('x', '{tenant}')");
        assert_eq!(script.client(&[query("EXECUTE p ('x')")]), [sent]);
        script.server(&[complete("SELECT 0"), ready('I')]);
        // The name space is one with the protocol's.
        let run = [bind("", "p", &["x"]), execute(""), sync()];
        let (server, _) = script.client_raw(&run.concat());
        assert_eq!(server, [bind("", "p", &["x", tenant]), execute(""), sync()].concat());
        script.server(&[bare('2'), complete("SELECT 0"), ready('I')]);
    }
    // In one string, and without any argument of its own.
    let own = format!("PREPARE q AS {NAMES}; EXECUTE q; DEALLOCATE q");
    let server = script.client(&[query(&own)]);
    assert!(server[0].contains("= $1::pg_catalog.uuid"), "{server:?}");
    assert!(server[0].ends_with(&format!("; EXECUTE q('{B}'); DEALLOCATE q")), "{server:?}");
    script.server(&[complete("PREPARE"), complete("SELECT 0"), complete("DEALLOCATE"), ready('I')]);
}

#[test]
fn copy_takes_a_constant_and_is_that_tenants_alone() {
    let mut script = with_tenant();
    let own = format!("COPY ({NAMES}) TO STDOUT");
    let sent = format!("COPY ({}) TO STDOUT", bound_to(A));
    assert_eq!(script.client(&[query(&own)]), [format!("> Q {sent}")]);
    script.server(&[complete("COPY 0"), ready('I')]);
    assert_eq!(script.client(&[parse("c", &own), sync()]), [&format!("> P c: {sent}"), "> S"]);
    script.server(&[bare('1'), ready('I')]);
    assert_eq!(script.client(&[bind("", "c", &[]), sync()]), ["> B", "> S"]);
    script.server(&[bare('2'), ready('I')]);
    script.run(&format!("SET app.organization_id = '{B}'"), &["SET"], 'I');
    assert_eq!(script.client(&[bind("", "c", &[]), sync()]), ["> S", "< E 42501"]);
}

#[test]
fn an_error_of_the_server_has_the_place_in_the_clients_text() {
    let mut script = with_tenant();
    let own = "SELECT 'é' FROM org_products ORDER BY wrong";
    let sent = format!(
        "SELECT 'é' FROM org_products WHERE org_products.organization_id = {TYPED_A} AND org_products.deleted_at IS NULL ORDER BY wrong"
    );
    assert_eq!(script.client(&[query(own)]), [format!("> Q {sent}")]);
    let place = |text: &str| text.chars().count() - "wrong".len() + 1;
    let error =
        |text: &str| message(b'E', format!("SERROR\0C42703\0Mno\0P{}\0\0", place(text)).as_bytes());
    let (_, client) = script.server_raw(&[error(&sent), ready('I')].concat());
    assert_eq!(client, [error(own), ready('I')].concat());
    // The same of a Parse.
    script.client(&[parse("", own), sync()]);
    let number = sent.replace(TYPED_A, "$1::pg_catalog.uuid");
    let (_, client) = script.server_raw(&[error(&number), ready('I')].concat());
    assert_eq!(client, [error(own), ready('I')].concat());
}

#[test]
fn a_dry_run_tells_and_refuses() {
    let mut script = Script::with(Mode::Rewrite, |rules| rules.dry_run = true);
    script.run(SET_A, &["SET"], 'I');
    script.violations();
    script.refused(NAMES, "42501");
    let told = script.violations();
    assert_eq!(told, ["rewritten", "rewritten", "unbound-tenant", "visible-deleted"]);
}

#[test]
fn a_delete_that_was_sent_as_an_update_has_its_own_tag() {
    let mut script = with_tenant();
    script.change_policy(|policy| policy.soft_deletes = true);
    let own = "DELETE FROM org_products AS p USING plain WHERE p.id = plain.id RETURNING p.id";
    let sent = format!(
        "UPDATE  org_products AS p SET deleted_at = pg_catalog.now() FROM plain WHERE p.id = plain.id AND p.organization_id = {TYPED_A} AND p.deleted_at IS NULL RETURNING p.id"
    );
    assert_eq!(script.client(&[query(own)]), [format!("> Q {sent}")]);
    assert_eq!(script.server(&[complete("UPDATE 2"), ready('I')]), ["C DELETE 2", "Z I"]);
    script.client(&[parse("", own), bind("", "", &[]), execute(""), sync()]);
    let answer = [bare('1'), bare('2'), complete("UPDATE 2"), ready('I')];
    assert_eq!(script.server(&answer), ["1", "2", "C DELETE 2", "Z I"]);
    script.run("DELETE FROM plain", &["DELETE 1"], 'I');
    // One that SQL has prepared as well, by a simple query and by Parse.
    script.client(&[query("PREPARE d AS DELETE FROM org_products")]);
    script.server(&[complete("PREPARE"), ready('I')]);
    script.client(&[query("EXECUTE d; DELETE FROM plain")]);
    let answer = [complete("UPDATE 2"), complete("DELETE 3"), ready('I')];
    assert_eq!(script.server(&answer), ["C DELETE 2", "C DELETE 3", "Z I"]);
    script.client(&[parse("", "EXECUTE d"), bind("", "", &[]), execute(""), sync()]);
    let answer = [bare('1'), bare('2'), complete("UPDATE 2"), ready('I')];
    assert_eq!(script.server(&answer), ["1", "2", "C DELETE 2", "Z I"]);
}

#[test]
fn an_upsert_that_meets_a_hidden_row_fails_as_under_row_level_security() {
    let mut script = with_tenant();
    let own =
        "INSERT INTO org_tags (label) VALUES ('x') ON CONFLICT (id) DO UPDATE SET label = 'y'";
    let sent = script.client(&[query(own)]);
    assert!(sent[0].ends_with("OR pg_catalog.current_setting('orgguard.hidden_row') IS NULL)"));
    let error =
        b"SERROR\0C42704\0Munrecognized configuration parameter \"orgguard.hidden_row\"\0\0";
    assert_eq!(script.server(&[message(b'E', error), ready('I')]), ["E 42501", "Z I"]);
}
