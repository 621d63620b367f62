//! The program as its users run it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use orgguard::cli::Throwaway;
use serde_json::Value;

fn orgguard(arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_orgguard"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that does not read its input has closed it perhaps.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn shipped(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name);
    file.to_str().unwrap().to_owned()
}

/// A file of this name and text in a directory of its own.
fn file(name: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).unwrap();
    path
}

const HONEST: &str =
    "SELECT id FROM org_products WHERE organization_id = $1 AND deleted_at IS NULL";
const FORGOTTEN: &str =
    "SELECT 1;\n-- é\nSELECT id\n  FROM org_products\n WHERE deleted_at IS NULL;";

#[test]
fn check_tells_by_its_exit_code() {
    assert_eq!(orgguard(&["check", "-"], HONEST).0, 0);
    assert_eq!(orgguard(&["check", "-"], "").0, 0);
    assert_eq!(orgguard(&["check", "-"], FORGOTTEN).0, 1);
    assert_eq!(orgguard(&["check", "-"], "SELECT 'open").0, 1);
    assert_eq!(orgguard(&["check", "no/such.sql"], "").0, 2);
    assert_eq!(orgguard(&["check", "--mode", "reckless", "-"], HONEST).0, 2);
    assert_eq!(orgguard(&["check", "--config", "no/such.toml", "-"], HONEST).0, 2);
    assert_eq!(orgguard(&["check"], "").0, 2);
    // Verdicts do not depend on the mode.
    let config = shipped("audit.toml");
    assert_eq!(orgguard(&["check", "--config", &config, "-"], FORGOTTEN).0, 1);
    assert_eq!(orgguard(&["check", "--mode", "audit", "-"], FORGOTTEN).0, 1);
}

#[test]
fn check_shows_line_column_and_hint() {
    let (_, output, _) = orgguard(&["check", "-"], FORGOTTEN);
    assert!(output.starts_with("-:4:8: unbound-tenant: "), "{output}");
    assert!(
        output.contains("\n      FROM org_products\n           ^^^^^^^^^^^^\n    hint: "),
        "{output}"
    );
    assert!(output.ends_with("\n2 statements: 1 admitted, 1 violating\n"), "{output}");
}

#[test]
fn check_writes_one_object_for_each_statement() {
    let path = file("forgotten.sql", FORGOTTEN);
    let path = path.to_str().unwrap();
    let (_, output, _) = orgguard(&["check", "--format", "json", path, "-"], HONEST);
    let records: Vec<Value> =
        output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len(), 3, "{output}");
    assert_eq!(records[0]["verdict"], "holds");
    assert_eq!(records[2]["file"], "-");
    let record = &records[1];
    assert_eq!(record["file"], path);
    assert_eq!(record["line"], 3);
    assert_eq!(record["statement"], "SELECT id\n  FROM org_products\n WHERE deleted_at IS NULL");
    assert_eq!(record["verdict"], "violates");
    let violation = &record["violations"][0];
    assert_eq!(violation["rule"], "unbound-tenant");
    assert_eq!(violation["table"], "org_products");
    assert_eq!(violation["position"], 18);
    assert!(violation["hint"].as_str().unwrap().contains("organization_id"));
    assert_eq!(record["advice"], Value::Array(Vec::new()));
}

#[test]
fn check_reports_every_problem_of_a_configuration() {
    let path =
        file("wrong.toml", "mode = \"enforce\"\n[guard]\ntabels = []\ntenant_type = \"int\"\n");
    let path = path.to_str().unwrap();
    let (code, _, errors) = orgguard(&["check", "--config", path, "-"], HONEST);
    assert_eq!(code, 2);
    let lines: Vec<&str> = errors.lines().collect();
    assert_eq!(lines.len(), 2, "{errors}");
    assert!(lines[0].starts_with(&format!("orgguard: {path}:3: unknown key `tabels`")), "{errors}");
    assert!(lines[1].starts_with(&format!("orgguard: {path}:4: `tenant_type`")), "{errors}");
}

#[test]
fn explain_shows_what_is_owed_and_what_is_proved() {
    let (code, output, _) = orgguard(&["explain", HONEST], "");
    assert_eq!(code, 0);
    assert!(output.starts_with("line 1, select: holds\n"), "{output}");
    assert_eq!(output.matches("    proved").count(), 2, "{output}");
    let (code, output, _) =
        orgguard(&["explain", "SELECT id FROM org_products WHERE deleted_at IS NULL"], "");
    assert_eq!(code, 1);
    assert!(output.contains("    NOT PROVED  org_products.organization_id"), "{output}");
    assert!(output.contains("    proved      org_products.deleted_at"), "{output}");
    assert!(output.contains("\n                   ^^^^^^^^^^^^\n    hint: "), "{output}");
}

#[test]
fn deep_statements_do_not_bring_the_program_down() {
    let chain = format!("SELECT {}1", "1 + ".repeat(100_000));
    let (code, _, errors) = orgguard(&["check", "-"], &chain);
    assert_eq!((code, &*errors), (1, ""));
    let nested = format!("SELECT {}1{}", "(".repeat(50_000), ")".repeat(50_000));
    let (code, _, errors) = orgguard(&["check", "-"], &nested);
    assert_eq!((code, &*errors), (1, ""));
}

#[test]
fn serve_says_what_is_wrong_with_its_configuration() {
    let config = shipped("audit.toml");
    let (code, _, errors) = orgguard(&["serve", "--config", &config, "--mode", "reckless"], "");
    assert_eq!(code, 2);
    assert!(errors.starts_with("orgguard: --mode: `mode` must be \"audit\""), "{errors}");
}

#[test]
fn the_demo_comes_out_as_expected() {
    let (code, output, errors) = orgguard(&["demo", "--once"], "");
    assert_eq!(code, 0, "{output}\n{errors}");
    assert!(!output.contains("NOT EXPECTED") && !output.contains('\x1b'), "{output}");
    assert!(output.contains("through the guard 0 and 0."), "{output}");
}

#[test]
fn the_demo_says_when_postgresql_is_missing() {
    let output = Command::new(env!("CARGO_BIN_EXE_orgguard"))
        .args(["demo", "--once"])
        .env("ORGGUARD_PG_BIN", env!("CARGO_TARGET_TMPDIR"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.starts_with("orgguard: PostgreSQL is missing: "), "{errors}");
    assert_eq!(errors.lines().count(), 1);
}

/// A guard started by `serve`; killed if a test stops before it.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// The status and body of an admin page, 0 if nobody listens.
fn get(admin: &str, path: &str) -> (u16, String) {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).build().into();
    match agent.get(format!("http://{admin}{path}")).call() {
        Ok(mut answer) => (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap()),
        Err(_) => (0, String::new()),
    }
}

async fn forget_the_organization(address: &str) -> Result<usize, tokio_postgres::Error> {
    let (host, port) = address.split_once(':').unwrap();
    let text = format!("host={host} port={port} user=postgres dbname=postgres");
    let (client, connection) = tokio_postgres::connect(&text, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    let sql = "SELECT 1 FROM org_notes WHERE note = 'do-not-log' AND deleted_at IS NULL";
    client.query(sql, &[]).await.map(|rows| rows.len())
}

#[test]
fn serve_runs_from_ready_to_drained() {
    let server = Throwaway::start().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let text = server.connection_string();
        let (client, connection) =
            tokio_postgres::connect(&text, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let schema = "CREATE TABLE org_notes (organization_id uuid, note text, deleted_at timestamptz); \
                      INSERT INTO org_notes (note) VALUES ('do-not-log')";
        client.batch_execute(schema).await.unwrap();
    });
    for mode in ["audit", "enforce"] {
        let (listen, admin) = (free_address(), free_address());
        let child = Command::new(env!("CARGO_BIN_EXE_orgguard"))
            .args(["serve", "--config", &shipped("audit.toml"), "--mode", mode])
            .args(["--listen", &listen, "--admin", &admin])
            .args(["--upstream", &server.address().to_string()])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut serving = Serving(child);
        while get(&admin, "/readyz").0 != 200 {
            assert_eq!(serving.0.try_wait().unwrap(), None, "it ended before it was ready");
            std::thread::sleep(Duration::from_millis(20));
        }
        match runtime.block_on(forget_the_organization(&listen)) {
            Ok(rows) => assert_eq!((mode, rows), ("audit", 1)),
            Err(error) => {
                assert_eq!(mode, "enforce", "{error:?}");
                assert_eq!(error.code().unwrap().code(), "42501");
            }
        }
        let counted = format!(
            "orgguard_violations_total{{mode=\"{mode}\",rule=\"unbound-tenant\",table=\"org_notes\"}} 1"
        );
        // Audit judges after it has forwarded.
        let asked = Instant::now();
        let mut metrics = String::new();
        while !metrics.lines().any(|line| line == counted) {
            assert!(asked.elapsed() < Duration::from_secs(30), "{metrics}");
            metrics = get(&admin, "/metrics").1;
        }

        let process = serving.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &process]).status().unwrap().success());
        let mut log = String::new();
        serving.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        assert!(serving.0.wait().unwrap().success(), "{log}");
        let events: Vec<Value> =
            log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let found: Vec<_> =
            events.iter().filter(|event| event["target"] == "orgguard::violation").collect();
        assert_eq!(found.len(), 1, "{log}");
        assert_eq!(found[0]["rule"], "unbound-tenant");
        assert_eq!(found[0]["table"], "org_notes");
        assert_eq!(found[0]["position"], 15);
        assert_eq!(found[0]["role"], "postgres");
        assert_eq!(
            found[0]["statement"],
            "SELECT ? FROM org_notes WHERE note = ? AND deleted_at IS NULL"
        );
        assert!(!log.contains("do-not-log"), "{log}");
    }
}
