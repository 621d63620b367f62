//! PgBouncer between the application and the guard, and between the guard and its server. What would
//! let one organization's session speak for another's is refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/guard.rs"]
mod guard;
#[path = "support/pgbouncer.rs"]
mod pgbouncer;

use guard::{Client, Guard, field, startup};
use orgguard::cli::Throwaway;
use pgbouncer::PgBouncer;

const A: &str = "11111111-1111-4111-8111-111111111111";
const B: &str = "22222222-2222-4222-8222-222222222222";

/// What a session of the organization in force sees, and that alone.
const OWN: &str = "SELECT name FROM org_products WHERE deleted_at IS NULL \
                   AND organization_id = current_setting('app.organization_id')::uuid";

fn server() -> Throwaway {
    let server = Throwaway::start().unwrap();
    let mut direct = login(server.address(), "postgres", "postgres").unwrap();
    let made = direct.query(&format!(
        "CREATE ROLE app LOGIN; CREATE TABLE org_products (id serial PRIMARY KEY, \
         organization_id uuid NOT NULL, name text NOT NULL, deleted_at timestamptz); \
         GRANT ALL ON org_products TO app; \
         INSERT INTO org_products (organization_id, name) VALUES ('{A}', 'lamp'), ('{B}', 'bolt')"
    ));
    assert_eq!(made.last().unwrap(), "Z I");
    server
}

/// A guard with these lines in place of those of the standard configuration.
fn guard(server: &Throwaway, rebinding: &str) -> Guard {
    let text = Guard::text("enforce", &server.address().to_string(), "")
        .replace("rebinding = \"free\"", &format!("rebinding = \"{rebinding}\""))
        .replace("unknown = \"structural\"", "unknown = \"refuse\"");
    Guard::start_text(&text)
}

/// A session, or the code, message and hint of the error.
fn login(address: std::net::SocketAddr, role: &str, database: &str) -> Result<Client, [String; 3]> {
    login_with(address, &[("user", role), ("database", database)])
}

fn login_with(
    address: std::net::SocketAddr,
    packet: &[(&str, &str)],
) -> Result<Client, [String; 3]> {
    let mut client = Client::connect(address);
    client.send(&startup(packet));
    loop {
        match client.message() {
            (b'Z', _) => return Ok(client),
            (b'E', body) => return Err([b'C', b'M', b'H'].map(|kind| field(&body, kind))),
            _ => {}
        }
    }
}

/// The one value of each row.
fn names(client: &mut Client, sql: &str) -> Vec<String> {
    client.send(&guard::message(b'Q', format!("{sql}\0").as_bytes()));
    let mut names = Vec::new();
    loop {
        match client.message() {
            (b'D', row) => names.push(String::from_utf8(row[6..].to_vec()).unwrap()),
            (b'E', body) => names.push(format!("E {}", field(&body, b'C'))),
            (b'Z', _) => return names,
            _ => {}
        }
    }
}

fn set(tenant: &str, local: &str) -> String {
    format!("SET {local} app.organization_id = '{tenant}'")
}

#[test]
fn session_pooling_before_the_guard_forgets_the_organization_with_its_client() {
    let server = server();
    let guard = guard(&server, "free");
    let pooler = PgBouncer::start(guard.address(), "session", "", "");
    for tenant in [(A, "lamp"), (B, "bolt"), (A, "lamp")] {
        let mut client = login(pooler.address, "app", "postgres").unwrap();
        // The guard's session is the one that the client before had.
        assert_eq!(names(&mut client, OWN), ["E 42501"]);
        assert_eq!(client.query(&set(tenant.0, "")), ["C SET", "Z I"]);
        assert_eq!(names(&mut client, OWN), [tenant.1]);
        let foreign = if tenant.0 == A { B } else { A };
        let theirs = OWN.replace("current_setting('app.organization_id')", &format!("'{foreign}'"));
        assert_eq!(names(&mut client, &theirs), ["E 42501"]);
    }
    assert_eq!(guard.metric("orgguard_connections_opened_total"), 1, "{}", pooler.log());
}

#[test]
fn transaction_pooling_before_the_guard_has_an_organization_for_each_transaction() {
    let server = server();
    let guard = guard(&server, "transaction");
    let pooler = PgBouncer::start(guard.address(), "transaction", "", "");
    std::thread::scope(|scope| {
        for (tenant, name) in [(A, "lamp"), (B, "bolt"), (A, "lamp"), (B, "bolt")] {
            let address = pooler.address;
            scope.spawn(move || {
                let mut client = login(address, "app", "postgres").unwrap();
                for round in 0..50 {
                    assert_eq!(client.query("BEGIN"), ["C BEGIN", "Z T"]);
                    assert_eq!(client.query(&set(tenant, "LOCAL")), ["C SET", "Z T"]);
                    assert_eq!(names(&mut client, OWN), [name], "round {round}");
                    assert_eq!(client.query("COMMIT"), ["C COMMIT", "Z I"]);
                    // One string is one transaction.
                    let both = format!("{}; {OWN}", set(tenant, "LOCAL"));
                    assert_eq!(names(&mut client, &both), [name], "round {round}");
                    // Between transactions there is no organization, whoever was here before.
                    assert_eq!(names(&mut client, OWN), ["E 42501"], "round {round}");
                    // What would stay for the next client is refused.
                    assert_eq!(client.query(&set(tenant, "")), ["E 42501", "Z I"]);
                    let stays =
                        format!("SELECT set_config('app.organization_id', '{tenant}', false)");
                    assert_eq!(names(&mut client, &stays), ["E 42501"]);
                }
            });
        }
    });
    assert_eq!(guard.metric("orgguard_connections_opened_total"), 1, "{}", pooler.log());
}

#[test]
fn transaction_pooling_before_the_guard_with_a_pool_for_each_organization() {
    let server = server();
    let guard = guard(&server, "never");
    let address = guard.address();
    let pool = |name: &str, tenant: &str| {
        format!(
            "{name} = host={} port={} dbname=postgres connect_query='SELECT \
             set_config(''app.organization_id'', ''{tenant}'', false)'\n",
            address.ip(),
            address.port()
        )
    };
    let databases = format!("{}{}", pool("acme", A), pool("bolt", B));
    let pooler = PgBouncer::start(address, "transaction", &databases, "");
    for _ in 0..3 {
        for (database, name, foreign) in [("acme", "lamp", B), ("bolt", "bolt", A)] {
            let mut client = login(pooler.address, "app", database).unwrap();
            assert_eq!(names(&mut client, OWN), [name]);
            assert_eq!(client.query(&set(foreign, "")), ["E 42501", "Z I"]);
            client.query("BEGIN");
            assert_eq!(client.query(&set(foreign, "LOCAL")), ["E 42501", "Z E"]);
            client.query("ROLLBACK");
            assert_eq!(names(&mut client, OWN), [name]);
        }
    }
    assert_eq!(guard.metric("orgguard_connections_opened_total"), 2, "{}", pooler.log());
}

/// The guard relies on its own server process. Behind a pooler that it has not been told of it would
/// believe an organization that another process never heard of, or that another session has set there.
#[test]
fn a_pooler_behind_the_guard_is_refused_unless_it_is_named() {
    let server = server();
    for mode in ["session", "transaction"] {
        for (more, code, part) in
            [("", "08P01", "unsupported startup parameter"), (DROPPED, "42501", "orgguard.session")]
        {
            let pooler = PgBouncer::start(server.address(), mode, "", more);
            let guard = Guard::start("enforce", pooler.address, "");
            let told = login(guard.address(), "app", "postgres").map(drop).unwrap_err();
            assert_eq!(told[0], code, "{mode}: {told:?}");
            assert!(told[1].contains(part), "{mode}: {told:?}");
            if code == "42501" {
                assert!(told[2].contains("not to a pooler"), "{mode}: {told:?}");
            }
            // Audit forwards what it sees, and judges what it can.
            let audit = Guard::start("audit", pooler.address, "");
            let mut client = login(audit.address(), "app", "postgres").unwrap();
            assert_eq!(names(&mut client, "SELECT count(*) FROM org_products"), ["2"]);
        }
    }
}

const DROPPED: &str = "ignore_startup_parameters = row_security, backslash_quote, \
                       transform_null_equals, orgguard.session, app.organization_id";

/// A guard before a pooler that it has been told of.
fn guard_before(pooler: &PgBouncer) -> Guard {
    let text = Guard::text("enforce", &pooler.address.to_string(), "")
        .replace("unknown = \"structural\"", "unknown = \"refuse\"");
    Guard::start_text(&format!("upstream_pooling = \"session\"\n{text}"))
}

/// A session of an organization, named in the startup packet.
fn session(guard: &Guard, tenant: &str) -> Result<Client, [String; 3]> {
    let odd = "it's \\ \u{95}\u{5c}' $$";
    let more = [("app.organization_id", tenant), ("app.note", odd), ("extra_float_digits", "2")];
    let packet = [&[("user", "app"), ("database", "postgres")], &more[..]].concat();
    let mut client = login_with(guard.address(), &packet)?;
    // What PgBouncer would have refused in the startup packet is set all the same.
    assert_eq!(names(&mut client, "SELECT current_setting('app.note')"), [odd]);
    assert_eq!(names(&mut client, "SHOW extra_float_digits"), ["2"]);
    Ok(client)
}

#[test]
fn session_pooling_behind_the_guard_works_if_the_guard_is_told() {
    let server = server();
    let pooler = PgBouncer::start(server.address(), "session", "", "");
    let guard = guard_before(&pooler);
    let mut processes = Vec::new();
    for (tenant, name, foreign) in [(A, "lamp", B), (B, "bolt", A), (A, "lamp", B)] {
        let mut client = session(&guard, tenant).unwrap();
        processes.extend(names(&mut client, "SELECT pg_backend_pid()"));
        assert_eq!(names(&mut client, OWN), [name]);
        let theirs = OWN.replace("current_setting('app.organization_id')", &format!("'{foreign}'"));
        assert_eq!(names(&mut client, &theirs), ["E 42501"]);
        // Another value is another value, but no reset comes back to what the session began with.
        assert_eq!(client.query(&set(foreign, "")), ["C SET", "Z I"]);
        assert_eq!(names(&mut client, &theirs).len(), 1);
        for reset in [
            "RESET ALL",
            "DISCARD ALL",
            "RESET app.organization_id",
            "SET app.organization_id TO DEFAULT",
            "SET LOCAL app.organization_id TO DEFAULT",
            "SELECT set_config('app.organization_id', NULL, false)",
            "RESET row_security",
            "RESET search_path",
            "SET search_path TO DEFAULT",
            "SELECT set_config('row_security', NULL, false)",
            "SELECT set_config('search_path', NULL, true)",
        ] {
            assert_eq!(client.query(reset), ["E 42501", "Z I"], "{reset}");
        }
        assert_eq!(client.query("RESET statement_timeout"), ["C RESET", "Z I"]);
        client.send(&guard::message(b'X', b""));
        assert!(client.rest().is_empty());
    }
    // One process served them all, one after the other.
    processes.dedup();
    assert_eq!(processes.len(), 1, "{}", pooler.log());
    // Who has no organization finds none that was left there.
    let mut client = login(guard.address(), "app", "postgres").unwrap();
    assert_eq!(names(&mut client, OWN), ["E 42501"]);
}

#[test]
fn a_pooler_that_mixes_sessions_is_found_out_by_the_marks_they_leave() {
    let server = server();
    for (mode, more) in [("transaction", ""), ("session", "server_reset_query =")] {
        let pooler = PgBouncer::start(server.address(), mode, "", more);
        let guard = guard_before(&pooler);
        drop(session(&guard, A).unwrap());
        for _ in 0..3 {
            let told = session(&guard, B).map(drop).unwrap_err();
            assert_eq!(told[0], "42501", "{mode}: {told:?}");
            assert!(told[2].contains("pool_mode = session"), "{mode}: {told:?}");
        }
    }
}
