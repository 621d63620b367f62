//! The traps of the session, each on a real server: what would leak if a cache, a rollback, a
//! pooler or a routine were believed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/guard.rs"]
mod guard;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use guard::{Client, Guard, bind, execute, field, message, parse, startup, sync};
use orgguard::cli::Throwaway;

const SCHEMA: &str = include_str!("cases/schema.sql");
const A: &str = "11111111-1111-4111-8111-111111111111";
const B: &str = "22222222-2222-4222-8222-222222222222";
const BOUND: &str =
    "SELECT name FROM org_products WHERE organization_id = $1 AND deleted_at IS NULL";
const BY_SETTING: &str = "SELECT name FROM org_products WHERE deleted_at IS NULL \
     AND organization_id = current_setting('app.organization_id')::uuid";

struct Scene {
    server: Throwaway,
}

impl Scene {
    fn new() -> Self {
        let scene = Self { server: Throwaway::start().unwrap() };
        scene.admin("CREATE ROLE app LOGIN; CREATE SCHEMA shop AUTHORIZATION app");
        scene.admin("GRANT ALL ON SCHEMA public TO app; ALTER DATABASE postgres OWNER TO app");
        let mut owner = login(Client::connect(scene.server.address()), "app", &[]).unwrap();
        passes(&owner.query(SCHEMA));
        scene
    }

    fn admin(&self, sql: &str) {
        let client = Client::connect(self.server.address());
        passes(&login(client, "postgres", &[]).unwrap().query(sql));
    }

    /// A guard with these replacements in the text of the standard configuration.
    fn guard(&self, changes: &[(&str, &str)]) -> Guard {
        guard_at(self.server.address(), changes)
    }
}

fn guard_at(address: SocketAddr, changes: &[(&str, &str)]) -> Guard {
    let mut text = Guard::text("enforce", &address.to_string(), "");
    for (old, new) in changes {
        assert!(text.contains(old), "{old}");
        text = text.replace(old, new);
    }
    Guard::start_text(&text)
}

/// Logs in, or gives the code and the message of the error.
fn login(mut client: Client, user: &str, more: &[(&str, &str)]) -> Result<Client, String> {
    let mut parameters = vec![("user", user), ("database", "postgres")];
    parameters.extend(more);
    client.send(&startup(&parameters));
    loop {
        match client.message() {
            (b'Z', _) => return Ok(client),
            (b'E', body) => return Err(format!("{} {}", field(&body, b'C'), field(&body, b'M'))),
            _ => {}
        }
    }
}

fn session(guard: &Guard, more: &[(&str, &str)]) -> Client {
    login(guard.connect(), "app", more).unwrap()
}

#[track_caller]
fn passes(answer: &[String]) {
    assert!(!answer.iter().any(|shown| shown.starts_with("E ")), "{answer:?}");
}

#[track_caller]
fn refused(answer: &[String]) {
    assert!(answer.contains(&"E 42501".to_owned()), "{answer:?}");
    assert!(!answer.contains(&"D".to_owned()), "{answer:?}");
}

#[track_caller]
fn rows(answer: &[String]) {
    passes(answer);
    assert!(answer.contains(&"D".to_owned()), "{answer:?}");
}

fn group(client: &mut Client, messages: &[Vec<u8>]) -> Vec<String> {
    client.send(&[messages.concat(), sync()].concat());
    client.until(b'Z')
}

fn set(tenant: &str) -> String {
    format!("SET app.organization_id = '{tenant}'")
}

fn own(tenant: &str) -> String {
    BOUND.replace("$1", &format!("'{tenant}'"))
}

/// One plan serves sessions of every tenant, every parameter type and every spelling, and none of
/// them gets what another was allowed.
#[test]
fn trap_10_no_verdict_is_kept_with_a_plan() {
    let scene = Scene::new();
    let guard = scene.guard(&[("[tenant]", "evaluation_order = \"refuse\"\n[tenant]")]);
    let mut a = session(&guard, &[("app.organization_id", A)]);
    let mut b = session(&guard, &[("app.organization_id", B)]);
    let mut none = session(&guard, &[]);
    for _ in 0..3 {
        rows(&a.query(&own(A)));
        refused(&b.query(&own(A)));
        rows(&none.query(&own(A)));
        rows(&b.query(&own(B)));
        refused(&a.query(&own(B)));
    }
    // The same text in Parse, with other types of its parameter.
    let typed = |oid: u32| {
        let mut body = format!("\0{BOUND}\0\0\x01").into_bytes();
        body.extend(oid.to_be_bytes());
        message(b'P', &body)
    };
    for oid in [2950_u32, 0, 2950] {
        rows(&group(&mut a, &[typed(oid), bind("", "", &[A]), execute("")]));
        refused(&group(&mut b, &[typed(oid), bind("", "", &[A]), execute("")]));
        rows(&group(&mut b, &[typed(oid), bind("", "", &[B]), execute("")]));
    }
    // bytea, int8: no comparison of the column's own, and the server would not take it either.
    for oid in [17_u32, 20] {
        let answer = group(&mut a, &[typed(oid), bind("", "", &[A]), execute("")]);
        assert!(answer.iter().any(|shown| shown.starts_with("E ")), "{answer:?}");
    }
    // Texts that differ in a literal that is more than a value: a setting's name, OFFSET 0, an
    // ordinal, a typmod. In either order, twice.
    let fence = |offset: &str| {
        format!(
            "SELECT name FROM (SELECT name FROM org_products WHERE organization_id = '{A}' \
             AND deleted_at IS NULL {offset}) p WHERE name::regclass IS NULL"
        )
    };
    for _ in 0..2 {
        passes(&a.query(
            &own(A).replace(&format!("'{A}'"), "current_setting('app.organization_id')::uuid"),
        ));
        refused(
            &a.query(&own(A).replace(&format!("'{A}'"), "current_setting('app.other_id')::uuid")),
        );
        refused(&a.query(&fence("")));
        // Admitted: the server's own complaint about a name that is no class, of the own rows.
        let fenced = a.query(&fence("OFFSET 0"));
        assert!(!fenced.contains(&"E 42501".to_owned()), "{fenced:?}");
        passes(&a.query(&format!("{} AND name = 'x'::varchar(3)", own(A))));
        refused(&a.query("SELECT name FROM org_products WHERE organization_id::varchar(2) = '11' AND deleted_at IS NULL"));
    }
    // The path of a session changes what a name means: only the configured ones are taken.
    refused(&a.query("SET search_path TO shop"));
    let other = scene.guard(&[("[tenant]", "[session]\nsearch_path = [\"shop\"]\n[tenant]")]);
    let mut a = session(&other, &[("app.organization_id", A)]);
    passes(&a.query("SET search_path TO shop, public"));
    rows(&a.query(&own(A)));
    refused(&a.query(&own(B)));
}

/// The tenant changes by SET, or by a SELECT that is one `set_config` of constants, and by nothing
/// inside another statement; what was opened under the one is not read under the other.
#[test]
fn trap_11_the_tenant_changes_only_between_statements() {
    let scene = Scene::new();
    let guard = scene.guard(&[]);
    let mut client = session(&guard, &[("app.organization_id", A)]);
    let config = format!("set_config('app.organization_id', '{B}', false)");
    for sql in [
        format!(
            "SELECT {config}, name FROM org_products WHERE organization_id = '{A}' AND deleted_at IS NULL"
        ),
        format!("SELECT {config} FROM plans"),
        format!("SELECT {config} WHERE true"),
        format!("SELECT 1, {config}"),
        format!("SELECT {config} LIMIT 1"),
        format!("SELECT (SELECT {config})"),
        format!("SELECT * FROM {config}"),
        format!("WITH x AS (SELECT {config}) SELECT * FROM x"),
        format!("INSERT INTO plans SELECT 9, {config}, 'x', 1"),
        "SELECT set_config('app.' || 'organization_id', 'x', false)".to_owned(),
        "SELECT set_config(lower('APP.ORGANIZATION_ID'), 'x', false)".to_owned(),
        "SELECT set_config(code, name, false) FROM plans".to_owned(),
    ] {
        refused(&client.query(&sql));
    }
    rows(&client.query(&own(A)));
    // In any case of letters, with a constant or a parameter.
    rows(&client.query(&format!("SELECT set_config('App.Organization_ID', '{B}', false)")));
    refused(&client.query(&own(A)));
    let bound = "SELECT pg_catalog.set_config('app.organization_id', $1, false)";
    rows(&group(&mut client, &[parse("", bound), bind("", "", &[A]), execute("")]));
    rows(&client.query(&own(A)));
    // A computed value is the server's to tell.
    rows(&client.query(&format!("SELECT set_config('app.organization_id', lower('{B}'), false)")));
    refused(&client.query(&own(A)));
    rows(&client.query(&own(B)));
    passes(&client.query(&set(A)));
    // Cursors and portals.
    passes(&client.query(&format!("DECLARE held CURSOR WITH HOLD FOR {}", own(A))));
    rows(&client.query("FETCH 1 FROM held"));
    passes(&client.query(&set(B)));
    refused(&client.query("FETCH 1 FROM held"));
    refused(&group(&mut client, &[execute("held")]));
    passes(&client.query(&set(A)));
    rows(&client.query("FETCH 1 FROM held"));
    passes(&group(&mut client, &[parse("s", BOUND)]));
    let moved = [parse("", &set(B)), bind("", "", &[]), execute("")].concat();
    refused(&group(&mut client, &[bind("p", "s", &[A]), moved, execute("p")]));
    rows(&client.query(&own(A)));
}

/// The effect of a SET is there when its transaction is.
#[test]
fn trap_12_a_set_counts_when_it_is_confirmed() {
    let scene = Scene::new();
    scene.admin(
        "CREATE TABLE parent (id int PRIMARY KEY); GRANT ALL ON parent TO app; \
         CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED); \
         GRANT ALL ON child TO app",
    );
    let guard = scene.guard(&[]);
    let mut client = session(&guard, &[("app.organization_id", A)]);
    let run = |sql: &str| [parse("", sql), bind("", "", &[]), execute("")].concat();
    let broken = run("INSERT INTO child VALUES (1)");
    // The server acknowledges the SET, and then its transaction fails: at Sync, at COMMIT, at the
    // end of a string. What was sent behind it is judged under what is left.
    let behind = [run(&own(A)), sync(), run(&own(B))].concat();
    client.send(&[broken, run(&set(B)), sync(), behind, sync()].concat());
    let answer = client.until(b'Z');
    assert!(answer.contains(&"C SET".to_owned()) && answer.contains(&"E 23503".to_owned()));
    rows(&client.until(b'Z'));
    refused(&client.until(b'Z'));
    let query = |sql: &str| message(b'Q', format!("{sql}\0").as_bytes());
    client.send(
        &[
            query("BEGIN"),
            query("INSERT INTO child VALUES (1)"),
            query(&set(B)),
            query("COMMIT"),
            query(&own(A)),
            query(&own(B)),
        ]
        .concat(),
    );
    for expected in [None, None, None, Some("E 23503")] {
        let answer = client.until(b'Z');
        assert_eq!(answer.iter().find(|it| it.starts_with("E ")).map(|it| &**it), expected);
    }
    rows(&client.until(b'Z'));
    refused(&client.until(b'Z'));
    client.send(
        &[query(&format!("INSERT INTO child VALUES (1); {}", set(B))), query(&own(B))].concat(),
    );
    assert!(client.until(b'Z').contains(&"E 23503".to_owned()));
    refused(&client.until(b'Z'));
    // NULL resets; SET LOCAL outside a block lasts to Sync, or to the end of the string.
    rows(&client.query("SELECT set_config('app.organization_id', NULL, false)"));
    rows(&client.query(&own(A)));
    let local = format!("SET LOCAL app.organization_id = '{B}'");
    rows(&client.query(&format!("{local}; {}", own(B))));
    refused(&client.query(&own(B)));
    rows(&group(&mut client, &[run(&local), run(&own(B))]));
    refused(&group(&mut client, &[run(&own(B))]));
    rows(&client.query(&own(A)));
}

/// `current_setting` is a proof only where the tenant came from that setting.
#[test]
fn trap_13_the_setting_proves_only_where_the_tenant_came_from_it() {
    let scene = Scene::new();
    scene.admin("CREATE ROLE app_11111111111141118111111111111111 LOGIN IN ROLE app");
    let guard = scene.guard(&[]);
    let mut client = session(&guard, &[("app.organization_id", A)]);
    rows(&client.query(BY_SETTING));
    for other in [
        "current_setting('app.organization')",
        "current_setting('application_name')",
        "current_setting('app.' || 'organization_id')",
        "current_setting(lower('app.organization_id'))",
        "coalesce(current_setting('app.organization_id', true), '')",
    ] {
        refused(
            &client.query(&BY_SETTING.replace("current_setting('app.organization_id')", other)),
        );
    }
    rows(&client.query(&BY_SETTING.replace(
        "current_setting('app.organization_id')",
        "nullif(current_setting('app.organization_id', true), '')",
    )));
    // No source: whoever set it did not tell the guard.
    let guard = scene.guard(&[("sources = [\"setting\"]", "sources = [\"none\"]")]);
    let mut client = session(&guard, &[("app.organization_id", B)]);
    refused(&client.query(BY_SETTING));
    rows(&client.query(&own(A)));
    // Another source comes first: the setting proves where it is the same, and only there.
    let role = "sources = [\"role\", \"setting\"]\nrole_pattern = \"app_{tenant}\"";
    let guard = scene.guard(&[("sources = [\"setting\"]", role)]);
    let user = "app_11111111111141118111111111111111";
    let mut client = login(guard.connect(), user, &[("app.organization_id", B)]).unwrap();
    refused(&client.query(BY_SETTING));
    refused(&client.query(&own(B)));
    rows(&client.query(&own(A)));
    passes(&client.query(&set(A)));
    rows(&client.query(BY_SETTING));
    passes(&group(&mut client, &[parse("s", BY_SETTING)]));
    passes(&client.query(&set(B)));
    refused(&group(&mut client, &[bind("", "s", &[]), execute("")]));
    rows(&client.query(&own(A)));
}

/// A pooler between guard and server: it has its own connections, and drops the parameters of
/// startup packets that it does not know.
fn pooler(server: SocketAddr, dropped: &'static [&'static str]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // The threads end with the process.
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let mut length = [0; 4];
            client.read_exact(&mut length).unwrap();
            let mut packet = vec![0; u32::from_be_bytes(length) as usize - 4];
            client.read_exact(&mut packet).unwrap();
            let text = String::from_utf8(packet[4..].to_vec()).unwrap();
            let parts: Vec<&str> = text.trim_end_matches('\0').split('\0').collect();
            let kept: Vec<(&str, &str)> = parts
                .chunks_exact(2)
                .map(|pair| (pair[0], pair[1]))
                .filter(|(name, _)| !dropped.contains(name))
                .collect();
            let mut upstream = TcpStream::connect(server).unwrap();
            upstream.write_all(&startup(&kept)).unwrap();
            let (mut back, mut forth) =
                (client.try_clone().unwrap(), upstream.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut forth, &mut back));
            std::thread::spawn(move || std::io::copy(&mut client, &mut upstream));
        }
    });
    address
}

/// What the guard relies on is sent, and read back before the client is let in.
#[test]
fn trap_16_pins_are_sent_and_read_back() {
    let scene = Scene::new();
    let guard = scene.guard(&[]);
    let mut client = session(&guard, &[]);
    for (setting, value) in [
        ("standard_conforming_strings", "on"),
        ("client_encoding", "UTF8"),
        ("row_security", "on"),
        ("backslash_quote", "safe_encoding"),
        ("transform_null_equals", "off"),
    ] {
        let from_client = format!(
            "SELECT 1 FROM pg_settings WHERE name = '{setting}' AND setting = '{value}' AND source = 'client'"
        );
        rows(&client.query(&from_client));
    }
    // By every route of an administrator, of which the startup packet does not win over all.
    for (holder, setting, value) in [
        ("ROLE app", "search_path", "shop, pg_catalog"),
        ("DATABASE postgres", "search_path", "evil"),
        ("ROLE app IN DATABASE postgres", "search_path", "pg_temp"),
        ("ROLE app", "session_replication_role", "replica"),
        ("ROLE app", "role", "pg_read_all_data"),
        ("ROLE app", "lo_compat_privileges", "on"),
    ] {
        scene.admin("GRANT pg_read_all_data TO app");
        scene.admin(&format!("ALTER {holder} SET {setting} = {value}"));
        let told = login(guard.connect(), "app", &[]).map(drop).unwrap_err();
        assert_eq!(
            told,
            format!("42501 orgguard: \"{setting}\" has a value that the guard cannot rely on")
        );
        scene.admin(&format!("ALTER {holder} RESET {setting}"));
        rows(&session(&guard, &[]).query(&own(A)));
    }
    // A path that the configuration knows is honest.
    scene.admin("ALTER ROLE app SET search_path = shop, public");
    let other = scene.guard(&[("[tenant]", "[session]\nsearch_path = [\"shop\"]\n[tenant]")]);
    rows(&session(&other, &[]).query(&own(A)));
    scene.admin("ALTER ROLE app RESET search_path");
    // The tenant's own setting counts from wherever it comes.
    scene.admin(&format!("ALTER ROLE app SET app.organization_id = '{A}'"));
    let mut client = session(&guard, &[]);
    rows(&client.query(&own(A)));
    refused(&client.query(&own(B)));
    passes(&client.query(&set(B)));
    passes(&client.query("RESET ALL"));
    refused(&client.query(&own(B)));
    scene.admin("ALTER ROLE app RESET app.organization_id");
    // What stands between guard and server is noticed.
    for (dropped, passed) in [
        (&[][..], true),
        (&["orgguard.session"], false),
        (&["orgguard.session", "row_security", "client_encoding"], false),
    ] {
        let between = guard_at(pooler(scene.server.address(), dropped), &[]);
        let told = login(between.connect(), "app", &[]);
        match told {
            Ok(mut client) => {
                assert!(passed);
                rows(&client.query(&own(A)));
            }
            Err(told) => {
                assert!(
                    !passed && told.starts_with("42501 orgguard: \"orgguard.session\""),
                    "{told}"
                );
            }
        }
    }
    // Nobody but the guard says what the mark is.
    for more in [("orgguard.session", "x"), ("options", "-c orgguard.session=x")] {
        let told = login(guard.connect(), "app", &[more]).map(drop).unwrap_err();
        assert!(told.starts_with("42501"), "{told}");
    }
}

const SETTERS: &str = "
CREATE FUNCTION set_tenant(t uuid) RETURNS void LANGUAGE plpgsql AS
  $$ BEGIN PERFORM set_config('app.organization_id', t::text, true); END $$;
CREATE FUNCTION shop.use_tenant(t text) RETURNS void LANGUAGE plpgsql AS
  $$ BEGIN PERFORM set_config('app.organization_id', t, false); END $$;
CREATE FUNCTION whoami() RETURNS text LANGUAGE plpgsql AS
  $$ BEGIN PERFORM set_config('app.organization_id', '22222222-2222-4222-8222-222222222222', false);
     RETURN 'me'; END $$;
CREATE FUNCTION harmless() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN 'x'; END $$;";

/// Tenant helpers: a call of a configured setter sets the tenant; behind any other routine that is
/// vouched for, the tenant is read again.
#[test]
fn trap_18_routines_that_set_the_tenant() {
    let scene = Scene::new();
    let mut owner = login(Client::connect(scene.server.address()), "app", &[]).unwrap();
    passes(&owner.query(SETTERS));
    let vouched = "setters = [\"set_tenant\", \"shop.use_tenant\"]\n\
                   [routines]\nallow = [\"whoami\", \"harmless\"]\n[session]\nsettings = []";
    let changes = |rebinding: &str| {
        [
            ("unknown = \"structural\"", format!("unknown = \"structural\"\n{vouched}")),
            ("rebinding = \"free\"", format!("rebinding = \"{rebinding}\"")),
        ]
    };
    let start = |rebinding: &str| {
        let changes = changes(rebinding);
        scene.guard(&[(changes[0].0, &changes[0].1), (changes[1].0, &changes[1].1)])
    };
    let guard = start("free");
    let mut client = session(&guard, &[]);
    // Local to its transaction, in both protocols, with a constant or a parameter.
    passes(&client.query("BEGIN"));
    rows(&client.query(&format!("SELECT set_tenant('{A}')")));
    rows(&client.query(BY_SETTING));
    refused(&client.query(&own(B)));
    passes(&client.query("ROLLBACK"));
    let call = [parse("", "SELECT set_tenant($1)"), bind("", "", &[A]), execute("")].concat();
    rows(&group(&mut client, &[call.clone(), parse("", BOUND), bind("", "", &[A]), execute("")]));
    let answer = group(&mut client, &[call, parse("", BOUND), bind("", "", &[B]), execute("")]);
    assert!(answer.contains(&"E 42501".to_owned()), "{answer:?}");
    // It ended with its transaction: the session has no tenant again.
    rows(&client.query(&own(B)));
    // Lasting, seen by reading it again.
    rows(&client.query(&format!("SELECT shop.use_tenant('{A}')")));
    refused(&client.query(&own(B)));
    rows(&client.query(BY_SETTING));
    // A setter inside another statement, or under another name, is none.
    for sql in [
        format!("SELECT set_tenant('{B}'), 1"),
        format!("SELECT set_tenant('{B}') FROM plans"),
        format!("SELECT other.set_tenant('{B}')"),
        format!("SELECT use_tenant('{B}')"),
        format!("SELECT name FROM plans WHERE set_tenant('{B}') IS NULL"),
    ] {
        refused(&client.query(&sql));
    }
    rows(&client.query(BY_SETTING));
    // A routine that sets it and does not say so: what follows in the string waits, what comes
    // later is judged by what the server has.
    refused(&client.query(&format!("SELECT whoami(); {}", own(A))));
    rows(&client.query("SELECT whoami()"));
    refused(&client.query(&own(A)));
    rows(&client.query(&own(B)));
    rows(&client.query("SELECT harmless()"));
    rows(&client.query(&own(B)));
    passes(&client.query("BEGIN"));
    passes(&client.query(&set(A)));
    rows(&client.query("SELECT whoami()"));
    refused(&client.query(&own(A)));
    passes(&client.query("ROLLBACK"));
    rows(&client.query(&own(B)));
    // Beside a predicate on the setting it could move the statement's own ground.
    refused(&client.query(&format!("{BY_SETTING} AND whoami() IS NOT NULL")));
    rows(&client.query(&format!("{} AND harmless() IS NOT NULL", own(B))));
    // Where the tenant may not change, such a routine ends the session.
    let guard = start("never");
    let mut client = session(&guard, &[("app.organization_id", A)]);
    rows(&client.query("SELECT harmless()"));
    rows(&client.query(&own(A)));
    refused(&client.query(&format!("SELECT shop.use_tenant('{B}')")));
    client.send(&message(b'Q', b"SELECT whoami()\0"));
    assert_eq!(client.until(b'E').last().unwrap(), "E 42501");
    assert!(client.rest().is_empty());
    let guard = start("transaction");
    let mut client = session(&guard, &[]);
    passes(&client.query("BEGIN"));
    rows(&client.query(&format!("SELECT set_tenant('{A}')")));
    rows(&client.query(&own(A)));
    refused(&client.query(&format!("SELECT set_tenant('{B}')")));
    passes(&client.query("ROLLBACK"));
    client.send(&message(b'Q', format!("SELECT shop.use_tenant('{A}')\0").as_bytes()));
    assert_eq!(client.until(b'E').last().unwrap(), "E 42501");
}
