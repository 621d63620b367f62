//! Certificates, keys and secrets that change while the guard serves, and secrets that it asks the
//! database for.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/legs.rs"]
mod legs;
#[path = "support/serving.rs"]
mod serving;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use legs::{PASSWORD, Setting};
use serving::Serving;

fn port(guard: &Serving) -> u16 {
    guard.listen.rsplit_once(':').unwrap().1.parse().unwrap()
}

fn read_anew(guard: &Serving, result: &str) -> u64 {
    guard.metric(&format!("orgguard_credential_reloads_total{{result=\"{result}\"}}"))
}

fn wait(what: &str, so: impl Fn() -> bool) {
    let asked = Instant::now();
    while !so() {
        assert!(asked.elapsed() < Duration::from_secs(30), "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// SIGHUP, and the certificates have been looked at.
fn hang_up(guard: &Serving, result: &str) {
    let before = read_anew(guard, result);
    guard.signal("-HUP");
    wait(result, || read_anew(guard, result) > before);
}

/// Whether a new client finds a certificate that this file verifies.
fn shows(setting: &Setting, guard: &Serving, certificate: &str) -> bool {
    let connection = format!(
        "user=postgres host=localhost sslmode=verify-full sslrootcert={}",
        setting.path(certificate)
    );
    match setting.psql(port(guard), &connection, "SELECT 1") {
        Ok(one) => one == "1",
        Err(error) => {
            assert!(error.contains("certificate verify failed"), "{error}");
            false
        }
    }
}

/// A psql that stays.
struct Open {
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Open {
    fn start(setting: &Setting, guard: &Serving, connection: &str) -> Self {
        let connection =
            format!("host=127.0.0.1 port={} dbname=postgres {connection}", port(guard));
        let mut child = Command::new(setting.server.programs().join("psql"))
            .args(["-XAtq", &connection])
            .env("PGPASSWORD", PASSWORD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (asks, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut open = Self { child, asks, answers: BufReader::new(answers) };
        assert_eq!(open.ask("SELECT 'there'"), "there");
        open
    }

    fn ask(&mut self, query: &str) -> String {
        writeln!(self.asks, "{query};").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_changed_certificate_is_shown_to_new_clients_and_a_bad_one_to_nobody() {
    let setting = Setting::new();
    let upstream = setting.server.address().to_string();
    let guard =
        Serving::start(&upstream, &format!("mode = \"enforce\"\n{}", setting.client_tls("guard")));
    let keep = |name: &str| {
        fs::copy(setting.path("guard.crt"), setting.path(name)).unwrap();
    };
    keep("first.crt");
    let mut running = Open::start(&setting, &guard, "user=postgres sslmode=require");
    assert!(shows(&setting, &guard, "first.crt"));

    setting.make("guard");
    keep("second.crt");
    hang_up(&guard, "changed");
    assert!(shows(&setting, &guard, "second.crt"));
    assert!(!shows(&setting, &guard, "first.crt"));
    assert_eq!(running.ask("SELECT 'still'"), "still");
    hang_up(&guard, "unchanged");

    // A key that is not the certificate's, and one that is none.
    fs::copy(setting.path("server.key"), setting.path("guard.key")).unwrap();
    hang_up(&guard, "invalid");
    fs::write(setting.path("guard.key"), "no key").unwrap();
    hang_up(&guard, "invalid");
    assert!(shows(&setting, &guard, "second.crt"));

    // Without a signal, once the files have come to rest.
    setting.make("guard");
    keep("third.crt");
    let before = read_anew(&guard, "changed");
    wait("the files are looked at", || read_anew(&guard, "changed") > before);
    assert!(shows(&setting, &guard, "third.crt"));
    assert_eq!(running.ask("SELECT 'still'"), "still");
    assert_eq!(read_anew(&guard, "invalid"), 2);
    drop(running);
    let log = guard.stop();
    assert!(log.contains("certificates or secrets not taken"), "{log}");
    assert!(!log.contains("no key\""), "{log}");
}

#[test]
fn changed_secrets_and_authorities_hold_for_new_clients() {
    let setting = Setting::new();
    let secrets = setting.path("secrets");
    let write = |password: &str| {
        fs::write(&secrets, format!("\"app\" \"{password}\"\n")).unwrap();
    };
    write(PASSWORD);
    fs::copy(setting.path("server.crt"), setting.path("ca.crt")).unwrap();
    let guard = Serving::start(
        &format!("localhost:{}", setting.server.port()),
        &format!(
            "mode = \"enforce\"\n[login]\nmode = \"guard\"\nsecrets = {secrets:?}\n\
             [upstream_tls]\nmode = \"verify-full\"\nca = {:?}\n",
            setting.path("ca.crt")
        ),
    );
    let log_in = |password: &str| {
        let connection = format!("user=app sslmode=disable password='{password}'");
        setting.psql(port(&guard), &connection, "SELECT 1")
    };
    assert_eq!(log_in(PASSWORD).as_deref(), Ok("1"));
    let mut running = Open::start(&setting, &guard, "user=app sslmode=disable");

    let change = "ALTER ROLE app PASSWORD 'new'";
    let direct = "user=postgres sslmode=disable";
    setting.psql(setting.server.port(), direct, change).unwrap();
    write("new");
    hang_up(&guard, "changed");
    assert_eq!(log_in("new").as_deref(), Ok("1"));
    assert!(log_in(PASSWORD).unwrap_err().contains("password authentication failed"));
    assert_eq!(running.ask("SELECT 'still'"), "still");

    // The server is verified by other authorities: it is not spoken to any more.
    fs::copy(setting.path("guard.crt"), setting.path("ca.crt")).unwrap();
    hang_up(&guard, "changed");
    assert!(log_in("new").unwrap_err().contains("cannot be reached"));
    fs::copy(setting.path("server.crt"), setting.path("ca.crt")).unwrap();
    hang_up(&guard, "changed");
    assert_eq!(log_in("new").as_deref(), Ok("1"));
    assert_eq!(running.ask("SELECT 'still'"), "still");
}

/// What docs/operations.md tells to make.
const AUTH_QUERY: &str = "
CREATE SCHEMA orgguard;
CREATE FUNCTION orgguard.role_secret(role text) RETURNS text
LANGUAGE sql SECURITY DEFINER STABLE SET search_path = pg_catalog
BEGIN ATOMIC
  SELECT a.rolpassword FROM pg_authid a
  WHERE a.rolname = role AND a.rolcanlogin AND NOT a.rolsuper AND NOT a.rolreplication
    AND (a.rolvaliduntil IS NULL OR a.rolvaliduntil > now());
END;
REVOKE ALL ON FUNCTION orgguard.role_secret(text) FROM PUBLIC;
CREATE ROLE auth_reader LOGIN PASSWORD 'open sesame';
GRANT USAGE ON SCHEMA orgguard TO auth_reader;
GRANT EXECUTE ON FUNCTION orgguard.role_secret(text) TO auth_reader;
";

#[test]
fn the_text_of_the_documentation_is_what_is_tested() {
    let text = include_str!("../docs/operations.md").replace("'…'", "'open sesame'");
    assert!(text.contains(AUTH_QUERY.trim()), "docs/operations.md has another text");
}

#[test]
fn secrets_come_from_the_database() {
    let setting = Setting::new();
    let admin = "user=postgres sslmode=disable";
    let direct = |sql: &str| setting.psql(setting.server.port(), admin, sql).unwrap();
    direct(AUTH_QUERY);
    direct("CREATE ROLE late LOGIN PASSWORD 'open sesame' VALID UNTIL '2020-01-01'");
    for tls in ["", "[upstream_tls]\nmode = \"require\"\n"] {
        let guard = Serving::start(
            &setting.server.address().to_string(),
            &format!(
                "mode = \"enforce\"\n[login]\nmode = \"guard\"\n\
                 auth_dsn = \"user=auth_reader password='{PASSWORD}' dbname=postgres\"\n\
                 auth_query = \"SELECT orgguard.role_secret($1)\"\nauth_cache = \"1h\"\n{tls}{}",
                setting.client_tls("guard"),
            ),
        );
        let log_in = |connection: &str| setting.psql(port(&guard), connection, "SELECT 1");
        for binding in ["disable", "prefer", "require"] {
            let connection = format!("user=app sslmode=require channel_binding={binding}");
            assert_eq!(log_in(&connection).as_deref(), Ok("1"), "{tls}{binding}");
        }
        for who in ["app password=wrong", "nobody", "late", "postgres", "old"] {
            let error = log_in(&format!("user={who} sslmode=require")).unwrap_err();
            assert!(error.contains("password authentication failed"), "{who}: {error}");
        }
        assert_eq!(log_in("user=app sslmode=require").as_deref(), Ok("1"));
        // A password that has changed is learnt at the next attempt, however long answers are kept.
        direct("ALTER ROLE app PASSWORD 'other'");
        let other = "user=app sslmode=require password=other";
        assert!(log_in(other).unwrap_err().contains("password authentication failed"));
        assert_eq!(log_in(other).as_deref(), Ok("1"));
        direct(&format!("ALTER ROLE app PASSWORD '{PASSWORD}'"));
        assert!(log_in(other).is_err());

        // The connection is lost, and made again.
        let lose = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                    WHERE usename = 'auth_reader'";
        direct(lose);
        assert_eq!(log_in("user=app sslmode=require").as_deref(), Ok("1"));
        // An error of the query lets nobody in.
        direct("ALTER FUNCTION orgguard.role_secret(text) RENAME TO away");
        let error = log_in("user=bare sslmode=require").unwrap_err();
        assert!(error.contains("cannot be read now"), "{error}");
        let refused = "orgguard_refused_connections_total{reason=\"upstream\"}";
        assert_eq!(guard.metric(refused), 1);
        direct("ALTER FUNCTION orgguard.away(text) RENAME TO role_secret");
        assert_eq!(log_in("user=app sslmode=require").as_deref(), Ok("1"));
        assert!(!guard.stop().contains("SCRAM-SHA-256$"));
    }
}
