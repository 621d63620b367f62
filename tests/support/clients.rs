//! Programs of other languages, the shop's tables, and a guard of its own process in front of them.
#![allow(dead_code, reason = "each test program uses its own part")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use orgguard::cli::Throwaway;

/// The shop's tables and rows.
pub(crate) const SCHEMA: &str = include_str!("../clients/drizzle/schema.sql");

/// The two organizations of the tables.
pub(crate) const ACME: &str = "01900000-0000-7000-8000-00000000000a";
pub(crate) const BOLT: &str = "01900000-0000-7000-8000-00000000000b";

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
"#;

/// How long a guard may take to become ready or to drain before the test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Where a test program keeps what it installs and writes.
pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// The Node programs of `tests/<from>`, copied beside the build with what npm fetches for them.
pub(crate) fn install_node(from: &str) -> PathBuf {
    install_node_of(from, &[from])
}

/// The same for programs that several folders make up. No script of a package is run.
pub(crate) fn install_node_of(name: &str, from: &[&str]) -> PathBuf {
    let target = copied(name, from);
    install_once(&target, "package-lock.json", || {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&target);
        finish(npm, "npm (install Node 20 or later)");
    });
    target
}

/// The Python programs of `tests/<from>`, copied beside the build, with a virtual environment of
/// what they require.
pub(crate) fn install_python(from: &str) -> PathBuf {
    let target = copied(from, &[from]);
    install_once(&target, "requirements.txt", || {
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv", "--clear", "venv"]).current_dir(&target);
        finish(venv, "python3 -m venv (install Python 3.11 or later and its venv module)");
        let mut pip = Command::new(target.join("venv/bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--requirement", "requirements.txt"]);
        pip.current_dir(&target);
        finish(pip, "pip");
    });
    target
}

/// `node <script>` in a folder of `install_node`.
pub(crate) fn node(folder: &Path, script: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(script).current_dir(folder);
    command
}

/// `python <script>` in a folder of `install_python`.
pub(crate) fn python(folder: &Path, script: &str) -> Command {
    let mut command = Command::new(folder.join("venv/bin/python"));
    command.arg(script).current_dir(folder);
    command
}

/// A guard process in front of the server.
pub(crate) struct GuardProcess {
    process: Child,
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
    log: PathBuf,
}

impl GuardProcess {
    /// Starts a guard of the standard configuration in this mode; `tenant` are the lines that end
    /// its section `[tenant]`, and may open more sections. Its log is `name`.log in `folder`.
    /// `ORGGUARD_GUARD` may name another build of the guard, for example that of a release.
    pub(crate) fn start(
        server: &Throwaway,
        folder: &Path,
        name: &str,
        mode: &str,
        tenant: &str,
    ) -> Self {
        let program = std::env::var("ORGGUARD_GUARD");
        let program = program.as_deref().unwrap_or(env!("CARGO_BIN_EXE_orgguard"));
        fs::create_dir_all(folder).unwrap();
        let config = folder.join(format!("{name}.toml"));
        fs::write(&config, format!("{CONFIG}{tenant}\n")).unwrap();
        let log = folder.join(format!("{name}.log"));
        let output = fs::File::create(&log).unwrap();
        let (listen, admin) = (free_address(), free_address());
        let process = Command::new(program)
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

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The connection URL of the application's role.
    pub(crate) fn url(&self) -> String {
        format!("postgres://app@{}/shop", self.listen)
    }

    pub(crate) fn metrics(&self) -> String {
        get(self.admin, "/metrics").unwrap()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Ends it as an orchestrator would and gives its log.
    pub(crate) fn stop(mut self) -> String {
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
        let log = self.log();
        assert!(status.success(), "the guard ended with {status}:\n{log}");
        log
    }
}

impl Drop for GuardProcess {
    fn drop(&mut self) {
        // Already gone after `stop`; else a failed test must not leave it behind.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Makes the role, the database and the tables anew, and runs more scripts as the role. The role is
/// nobody special: what the programs see through the guard is not a superuser's view.
pub(crate) async fn make_tables(server: &Throwaway, more: &[&str]) {
    let ours = [
        "DROP DATABASE IF EXISTS shop WITH (FORCE)",
        "DROP ROLE IF EXISTS app",
        "CREATE ROLE app LOGIN",
        "CREATE DATABASE shop OWNER app",
    ];
    batch(server, "postgres", "postgres", &ours).await;
    batch(server, "app", "shop", &[SCHEMA]).await;
    batch(server, "app", "shop", more).await;
}

pub(crate) async fn batch(server: &Throwaway, user: &str, database: &str, texts: &[&str]) {
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
pub(crate) fn violations(metrics: &str) -> BTreeSet<(String, String)> {
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

/// The value of a metric without labels.
pub(crate) fn gauge(metrics: &str, name: &str) -> i64 {
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no metric {name}")).parse().unwrap()
}

/// The body of an answer with status 200, if there is one.
pub(crate) fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200 ").then(|| body.to_owned())
}

/// An address of 127.0.0.1 that was free a moment ago.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Runs a program to its end and gives what it printed; a program that fails fails the test.
pub(crate) fn finish(mut command: Command, name: &str) -> String {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("could not run {name}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} failed with {}:\n{said}\n{errors}", output.status);
    said
}

/// Copies the files of folders of `tests` beside the build, but not what is in folders below, so
/// that what npm and pip fetch stays out of the sources.
fn copied(name: &str, from: &[&str]) -> PathBuf {
    let target = folder(name);
    fs::create_dir_all(&target).unwrap();
    for from in from {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(from);
        for entry in fs::read_dir(source).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::copy(&path, target.join(path.file_name().unwrap())).unwrap();
            }
        }
    }
    target
}

/// Runs `install` unless it was finished before for the same contents of `file`. Test programs may
/// run at once, so one installs and the others wait.
fn install_once(folder: &Path, file: &str, install: impl FnOnce()) {
    let wanted = fs::read(folder.join(file)).unwrap();
    let lock = fs::File::create(folder.join("installing")).unwrap();
    lock.lock().unwrap();
    let stamp = folder.join("installed");
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return;
    }
    install();
    fs::write(&stamp, wanted).unwrap();
}
