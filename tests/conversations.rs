//! Conversations by hand with a guard in front of a real PostgreSQL: what a refusal does to the
//! transaction, to the pipeline around it, and to the session's names and tenant.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/guard.rs"]
mod guard;

use guard::{Client, Guard, bind, execute, flush, message, parse, startup, sync};
use orgguard::cli::Throwaway;

const SCHEMA: &str = include_str!("cases/schema.sql");
const A: &str = "11111111-1111-4111-8111-111111111111";
const B: &str = "22222222-2222-4222-8222-222222222222";
const BOUND: &str =
    "SELECT name FROM org_products WHERE organization_id = $1 AND deleted_at IS NULL";
const FORGOTTEN: &str = "SELECT name FROM org_products";

/// A server with the case schema, and a guard that enforces in front of it.
struct Scene {
    guard: Guard,
    server: Throwaway,
}

impl Scene {
    fn new() -> Self {
        let server = Throwaway::start().unwrap();
        let guard = Guard::start("enforce", server.address(), "");
        let scene = Self { guard, server };
        assert!(scene.directly().query(SCHEMA).iter().all(|shown| !shown.starts_with('E')));
        scene
    }

    fn directly(&self) -> Client {
        login(Client::connect(self.server.address()), &[])
    }

    /// A session of tenant A through the guard.
    fn session(&self) -> Client {
        let tenant = format!("-c app.organization_id={A}");
        login(self.guard.connect(), &[("options", &tenant)])
    }

    /// How many tags there are with this label, whoever's.
    fn tags(&self, label: &str) -> String {
        let counted =
            self.directly().query(&format!("SELECT 1 FROM org_tags WHERE label = '{label}'"));
        counted.iter().find(|shown| shown.starts_with('C')).unwrap().clone()
    }
}

fn login(mut client: Client, more: &[(&str, &str)]) -> Client {
    let mut parameters = vec![("user", "postgres"), ("database", "postgres")];
    parameters.extend(more);
    client.send(&startup(&parameters));
    client.until(b'Z');
    client
}

fn insert(label: &str) -> String {
    format!(
        "INSERT INTO org_tags (id, organization_id, label) VALUES (gen_random_uuid(), '{A}', '{label}')"
    )
}

fn close(name: &str) -> Vec<u8> {
    message(b'C', format!("S{name}\0").as_bytes())
}

fn describe(name: &str) -> Vec<u8> {
    message(b'D', format!("S{name}\0").as_bytes())
}

#[test]
fn a_refusal_aborts_the_transaction_block_on_the_server() {
    let scene = Scene::new();
    let mut client = scene.session();
    assert_eq!(client.query("BEGIN"), ["C BEGIN", "Z T"]);
    assert_eq!(client.query(&insert("block")), ["C INSERT 0 1", "Z T"]);
    assert_eq!(client.query(FORGOTTEN), ["E 42501", "Z E"]);
    assert_eq!(client.query("SELECT 1"), ["E 25P02", "Z E"], "the server's own state");
    assert_eq!(client.query("COMMIT"), ["C ROLLBACK", "Z I"]);
    assert_eq!(scene.tags("block"), "C SELECT 0");
    // A savepoint brings the block back, as after an error of the server's own.
    client.query("BEGIN");
    client.query(&insert("kept"));
    client.query("SAVEPOINT s");
    assert_eq!(client.query(FORGOTTEN), ["E 42501", "Z E"]);
    assert_eq!(client.query("ROLLBACK TO s"), ["C ROLLBACK", "Z T"]);
    assert_eq!(client.query("COMMIT"), ["C COMMIT", "Z I"]);
    assert_eq!(scene.tags("kept"), "C SELECT 1");
}

#[test]
fn a_refusal_in_a_group_undoes_what_the_group_did_before_it() {
    let scene = Scene::new();
    let mut client = scene.session();
    let group = [
        parse("", &insert("group")),
        bind("", "", &[]),
        execute(""),
        parse("", FORGOTTEN),
        bind("", "", &[]),
        execute(""),
        sync(),
    ];
    client.send(&group.concat());
    assert_eq!(client.until(b'Z'), ["1", "2", "C INSERT 0 1", "E 42501", "Z I"]);
    assert_eq!(scene.tags("group"), "C SELECT 0");
}

#[test]
fn a_refusal_leaves_the_other_groups_of_a_pipeline_alone() {
    let scene = Scene::new();
    let mut client = scene.session();
    let group = |sql: &str| [parse("", sql), bind("", "", &[]), execute(""), sync()].concat();
    client.send(&[group(&insert("first")), group(FORGOTTEN), group(&insert("third"))].concat());
    assert_eq!(client.until(b'Z'), ["1", "2", "C INSERT 0 1", "Z I"]);
    assert_eq!(client.until(b'Z'), ["E 42501", "Z I"]);
    assert_eq!(client.until(b'Z'), ["1", "2", "C INSERT 0 1", "Z I"]);
    assert_eq!(scene.tags("first"), "C SELECT 1");
    assert_eq!(scene.tags("third"), "C SELECT 1");
}

#[test]
fn one_bad_statement_refuses_its_string_before_anything_runs() {
    let scene = Scene::new();
    let mut client = scene.session();
    let string = format!("{}; {FORGOTTEN}", insert("string"));
    assert_eq!(client.query(&string), ["E 42501", "Z I"]);
    assert_eq!(scene.tags("string"), "C SELECT 0");
    let hidden = format!("SELECT 1 END; {FORGOTTEN}");
    assert_eq!(client.query(&hidden), ["E 0A000", "Z I"]);
}

#[test]
fn every_bind_is_settled() {
    let scene = Scene::new();
    let mut client = scene.session();
    let once = |value: &str| [bind("", "s", &[value]), execute("")].concat();
    client.send(&[parse("s", BOUND), once(A), once(B), once(A), sync()].concat());
    // The first gives its rows, the second is refused, and the third is skipped.
    let shown = client.until(b'Z');
    assert_eq!(shown[..3], ["1", "2", "D"]);
    assert_eq!(shown[shown.len() - 3..], ["C SELECT 4", "E 42501", "Z I"]);
    // The statement is still there, and still judged.
    client.send(&[once("11111111111141118111111111111111"), sync()].concat());
    assert_eq!(client.until(b'Z').last().unwrap(), "Z I");
}

#[test]
fn a_failed_parse_leaves_the_old_statement_and_its_plan() {
    let scene = Scene::new();
    let mut client = scene.session();
    let old = "SELECT name FROM org_products WHERE organization_id = $1 AND deleted_at IS NULL AND $2::text <> ''";
    let new = "SELECT name FROM org_products WHERE organization_id = $2 AND deleted_at IS NULL AND $1::text <> ''";
    client.send(&[parse("s", old), sync()].concat());
    assert_eq!(client.until(b'Z'), ["1", "Z I"]);
    client.send(&[parse("s", new), sync()].concat());
    assert_eq!(client.until(b'Z'), ["E 42P05", "Z I"]);
    client.send(&[bind("", "s", &[B, A]), execute(""), sync()].concat());
    assert_eq!(client.until(b'Z'), ["E 42501", "Z I"]);
    client.send(&[bind("", "s", &[A, B]), execute(""), sync()].concat());
    assert!(client.until(b'Z').contains(&"D".to_owned()));
}

#[test]
fn names_are_cut_as_the_server_cuts_them() {
    let scene = Scene::new();
    let mut client = scene.session();
    let (one, other) = (format!("{}x", "n".repeat(63)), format!("{}y", "n".repeat(63)));
    client.send(&[parse(&one, BOUND), sync()].concat());
    assert_eq!(client.until(b'Z'), ["1", "Z I"]);
    client.send(&[bind("", &other, &[B]), execute(""), sync()].concat());
    assert_eq!(client.until(b'Z'), ["E 42501", "Z I"]);
}

#[test]
fn both_protocols_share_their_names() {
    let scene = Scene::new();
    let mut client = scene.session();
    client.send(&[parse("s", BOUND), sync()].concat());
    client.until(b'Z');
    assert_eq!(client.query(&format!("EXECUTE s('{B}')")), ["E 42501", "Z I"]);
    assert!(client.query(&format!("EXECUTE s('{A}')")).contains(&"D".to_owned()));
    client.query(&format!("PREPARE q AS {BOUND}"));
    client.send(&[bind("", "q", &[B]), execute(""), sync()].concat());
    assert_eq!(client.until(b'Z'), ["E 42501", "Z I"]);
    client.send(&[close("s"), sync()].concat());
    client.until(b'Z');
    assert_eq!(client.query(&format!("EXECUTE s('{A}')")), ["E 26000", "Z I"]);
    client.query("DEALLOCATE ALL");
    client.send(&[bind("", "q", &[A]), execute(""), sync()].concat());
    assert_eq!(client.until(b'Z'), ["E 26000", "Z I"]);
}

#[test]
fn flush_is_answered_without_a_sync() {
    let scene = Scene::new();
    let mut client = scene.session();
    client.send(&[parse("s", BOUND), describe("s"), flush()].concat());
    assert_eq!(client.until(b'T'), ["1", "t", "T"]);
    client.send(&[bind("", "s", &[A]), execute(""), sync()].concat());
    assert!(client.until(b'Z').contains(&"D".to_owned()));
    client.send(&[parse("", FORGOTTEN), describe(""), flush()].concat());
    assert_eq!(client.until(b'E'), ["E 42501"]);
    client.send(&sync());
    assert_eq!(client.until(b'Z'), ["Z I"]);
}

#[test]
fn the_tenant_follows_the_transaction() {
    let scene = Scene::new();
    let mut client = scene.session();
    let own = |tenant: &str| BOUND.replace("$1", &format!("'{tenant}'"));
    let passes = |client: &mut Client, tenant: &str| {
        client.query(&own(tenant)).iter().all(|s| !s.starts_with('E'))
    };
    assert!(passes(&mut client, A) && !passes(&mut client, B));
    client.query("BEGIN");
    client.query(&format!("SET LOCAL app.organization_id = '{B}'"));
    assert!(passes(&mut client, B));
    client.query("ROLLBACK");
    assert!(passes(&mut client, A) && !passes(&mut client, B));
    client.send(
        &[
            parse("", "SELECT set_config('app.organization_id', $1, false)"),
            bind("", "", &[B]),
            execute(""),
            sync(),
        ]
        .concat(),
    );
    client.until(b'Z');
    assert!(passes(&mut client, B) && !passes(&mut client, A));
    client.query("RESET ALL");
    assert!(passes(&mut client, A) && !passes(&mut client, B));
    // Inside a statement it does not change at all.
    let inside = format!("SELECT set_config('app.organization_id', '{B}', false), name FROM plans");
    assert_eq!(client.query(&inside), ["E 42501", "Z I"]);
}

#[test]
fn the_function_call_message_is_refused() {
    let scene = Scene::new();
    let mut client = scene.session();
    // version(), oid 89, no arguments, text result.
    client.send(&message(b'F', &[0, 0, 0, 89, 0, 0, 0, 0, 0, 0]));
    assert_eq!(client.until(b'Z'), ["E 42501", "Z I"]);
}

#[test]
fn a_refusal_does_not_overtake_rows() {
    let scene = Scene::new();
    let mut client = scene.session();
    let rows =
        [parse("", "SELECT generate_series(1, 2000)"), bind("", "", &[]), execute("")].concat();
    client.send(&[rows, close("nothing"), parse("", FORGOTTEN), sync()].concat());
    let shown = client.until(b'Z');
    assert_eq!(shown.iter().filter(|s| *s == "D").count(), 2000);
    assert_eq!(shown[shown.len() - 4..], ["C SELECT 2000", "3", "E 42501", "Z I"]);
}
