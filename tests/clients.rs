//! Real drivers through the guard: the programs of `tests/clients` run as an application would, in
//! audit and in enforce mode, and the guard's metrics and log are read afterwards.
//!
//! Needs Node 20 with npm, and Python 3.11 with venv; both fetch the drivers that their lock and
//! requirement files name. What is missing fails the test: it is never skipped.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may stop at the first surprise"
)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use orgguard::cli::Throwaway;

/// The database, the role that owns its tables, and the tables themselves.
const SCHEMA: &str = include_str!("clients/drizzle/schema.sql");

/// What the guard is told about the shop's tables.
const CONFIG: &str = r#"
mode = "enforce"
listen = "127.0.0.1:1"
upstream = "127.0.0.1:2"
admin = "127.0.0.1:3"

[guard]
tables = ["org_*"]
tenant_column = "organization_id"
tenant_type = "uuid"
soft_delete_column = "deleted_at"

[[guard.table]]
name = "org_product_tags"
soft_delete = false

[[guard.table]]
name = "org_members"
bound_by = ["organization_id", "user_id"]

[tenant]
sources = ["setting"]
setting = "app.organization_id"
rebinding = "free"
unknown = "structural"
"#;

/// How long a guard may take to become ready or to drain before the test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Violations that the forgotten queries must have caused, by rule and table.
const TELLING: [(&str, &str); 8] = [
    ("foreign-tenant", "org_products"),
    ("unbound-tenant", "org_customers"),
    ("unbound-tenant", "org_order_items"),
    ("unbound-tenant", "org_orders"),
    ("unbound-tenant", "org_products"),
    ("visible-deleted", "org_customers"),
    ("visible-deleted", "org_orders"),
    ("visible-deleted", "org_products"),
];

/// Literals of the programs' statements, none of which may reach the log.
const LITERALS: [&str; 4] = ["Preis für", "ANVIL", "Foreign", "planted"];

#[test]
fn real_clients_through_the_guard() {
    let programs = Programs::install();
    let server = Throwaway::start().unwrap();

    // Audit admits everything, so an honest query is honest only if nothing was counted.
    let honest = programs.run(&server, "audit", Some("honest"));
    assert_eq!(honest.violations, BTreeSet::new(), "honest queries were taken for violations");

    let audit = programs.run(&server, "audit", None);
    let enforce = programs.run(&server, "enforce", None);
    for (rule, table) in TELLING {
        let pair = (rule.to_owned(), table.to_owned());
        assert!(audit.violations.contains(&pair), "audit did not count {rule} on {table}");
        assert!(enforce.violations.contains(&pair), "enforce did not count {rule} on {table}");
    }
    assert_eq!(audit.violations, enforce.violations, "a verdict depends on the mode");

    for (mode, run) in [("audit", &audit), ("enforce", &enforce)] {
        assert!(
            run.log.contains("unbound-tenant"),
            "no violation in the log of {mode}:\n{}",
            run.log
        );
        for literal in LITERALS {
            assert!(!run.log.contains(literal), "the log of {mode} has the literal {literal}");
        }
    }
}

/// What a guard had to tell after the programs ran.
struct Run {
    violations: BTreeSet<(String, String)>,
    log: String,
}

/// The programs, copied beside the build so that what npm and pip fetch stays out of the sources.
struct Programs {
    node: PathBuf,
    python: PathBuf,
}

impl Programs {
    fn install() -> Self {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients");
        let (node, python) = (target.join("drizzle"), target.join("python"));
        copy_files(&sources.join("drizzle"), &node);
        copy_files(&sources.join("python"), &python);
        install_once(&node, "package-lock.json", || {
            let mut npm = Command::new("npm");
            npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(&node);
            finish(npm, "npm (install Node 20 or later)");
        });
        install_once(&python, "requirements.txt", || {
            let mut venv = Command::new("python3");
            venv.args(["-m", "venv", "--clear", "venv"]).current_dir(&python);
            finish(venv, "python3 -m venv (install Python 3.11 or later and its venv module)");
            let mut pip = Command::new(python.join("venv/bin/python"));
            pip.args(["-m", "pip", "install", "--quiet", "--requirement", "requirements.txt"]);
            pip.current_dir(&python);
            finish(pip, "pip");
        });
        Self { node, python }
    }

    /// Runs every program with every driver through a guard of its own, over fresh tables.
    fn run(&self, server: &Throwaway, mode: &str, list: Option<&str>) -> Run {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(make_tables(server));
        let guard = Guard::start(server, mode);
        let node = ["node-postgres", "postgres.js"].map(|driver| {
            let mut command = Command::new("node");
            command.arg("main.js").current_dir(&self.node);
            (driver, command)
        });
        let python = ["psycopg", "asyncpg", "sqlalchemy"].map(|driver| {
            let mut command = Command::new(self.python.join("venv/bin/python"));
            command.arg("main.py").current_dir(&self.python);
            (driver, command)
        });
        for (driver, mut command) in node.into_iter().chain(python) {
            command.env("DATABASE_URL", format!("postgres://app@{}/shop", guard.listen));
            command.env("EXPECT", mode).env("DRIVER", driver).env_remove("STATEMENTS");
            match list {
                Some(list) => command.env("LIST", list),
                None => command.env_remove("LIST"),
            };
            let said = finish(command, driver);
            let tally = said.lines().last().unwrap_or_default();
            assert!(tally.ends_with(" passed, 0 failed"), "{driver} in {mode} mode:\n{said}");
        }
        let violations = violations(&get(guard.admin, "/metrics").unwrap());
        Run { violations, log: guard.stop() }
    }
}

/// A guard process in front of the server.
struct Guard {
    process: Child,
    listen: SocketAddr,
    admin: SocketAddr,
    log: PathBuf,
}

impl Guard {
    fn start(server: &Throwaway, mode: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients");
        let config = folder.join("guard.toml");
        fs::write(&config, CONFIG).unwrap();
        let log = folder.join(format!("guard-{mode}.log"));
        let output = fs::File::create(&log).unwrap();
        let (listen, admin) = (free_address(), free_address());
        let process = Command::new(env!("CARGO_BIN_EXE_orgguard"))
            .args(["serve", "--mode", mode, "--config"])
            .arg(&config)
            .args(["--listen", &listen.to_string(), "--admin", &admin.to_string()])
            .args(["--upstream", &server.address().to_string()])
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        let guard = Self { process, listen, admin, log };
        let patience = Instant::now() + PATIENCE;
        while get(guard.admin, "/readyz").is_none() {
            assert!(
                Instant::now() < patience,
                "not ready:\n{}",
                fs::read_to_string(&guard.log).unwrap()
            );
            sleep(Duration::from_millis(50));
        }
        guard
    }

    /// Ends it as an orchestrator would and gives its log.
    fn stop(mut self) -> String {
        let mut kill = Command::new("kill");
        kill.arg(self.process.id().to_string());
        finish(kill, "kill");
        let patience = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < patience, "SIGTERM did not end the guard");
            sleep(Duration::from_millis(50));
        };
        let log = fs::read_to_string(&self.log).unwrap();
        assert!(status.success(), "the guard ended with {status}:\n{log}");
        log
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Already gone after `stop`; else a failed test must not leave it behind.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Makes the role, the database and the tables anew. The role is nobody special: what the programs
/// see through the guard is not a superuser's view.
async fn make_tables(server: &Throwaway) {
    let ours = [
        "DROP DATABASE IF EXISTS shop WITH (FORCE)",
        "DROP ROLE IF EXISTS app",
        "CREATE ROLE app LOGIN",
        "CREATE DATABASE shop OWNER app",
    ];
    batch(server, "postgres", "postgres", &ours).await;
    batch(server, "app", "shop", &[SCHEMA]).await;
}

async fn batch(server: &Throwaway, user: &str, database: &str, texts: &[&str]) {
    let address = server.address();
    let parameters =
        format!("host={} port={} user={user} dbname={database}", address.ip(), address.port());
    let (client, driver) =
        tokio_postgres::connect(&parameters, tokio_postgres::NoTls).await.unwrap();
    let driver = tokio::spawn(driver);
    for text in texts {
        client.batch_execute(text).await.unwrap();
    }
    drop(client);
    driver.await.unwrap().unwrap();
}

/// Rule and table of every violation counted.
fn violations(metrics: &str) -> BTreeSet<(String, String)> {
    let label = |line: &str, name: &str| {
        let (_, rest) = line.split_once(&format!("{name}=\"")).unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    };
    metrics
        .lines()
        .filter(|line| line.starts_with("orgguard_violations_total{") && !line.ends_with(" 0"))
        .map(|line| (label(line, "rule"), label(line, "table")))
        .collect()
}

/// The body of an answer with status 200, if there is one.
fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200 ").then(|| body.to_owned())
}

/// An address of 127.0.0.1 that was free a moment ago.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Runs a program to its end and gives what it printed; a program that fails fails the test.
fn finish(mut command: Command, name: &str) -> String {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("could not run {name}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} failed with {}:\n{said}\n{errors}", output.status);
    said
}

/// Copies the files of a folder, but not what is in folders below.
fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

/// Runs `install` unless it was finished before for the same contents of `file`.
fn install_once(folder: &Path, file: &str, install: impl FnOnce()) {
    let wanted = fs::read(folder.join(file)).unwrap();
    let stamp = folder.join("installed");
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return;
    }
    install();
    fs::write(&stamp, wanted).unwrap();
}
