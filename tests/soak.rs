//! Mixed clients for a long time: what the guard holds must be back where it started.
//!
//! All drivers of docs/clients.md, psql and pgbench, two organizations, every form of telling the
//! tenant, at once; with errors, cancels, COPY, cursors, prepared statements and connections that
//! end in the middle. `ORGGUARD_SOAK_MINUTES` says how long; without it, ten seconds.
//! `ORGGUARD_GUARD` may name another build of the guard, for example that of a release.
//!
//! First the same clients run for a while as a warm-up: the allocator gets its pages, the cache of
//! plans fills. Then memory, file descriptors, connections and remembered names are noted, and held
//! against what they are after the long run, when every client has gone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    reason = "a test may stop at the first surprise, and this one tells how it goes"
)]

#[path = "support/held.rs"]
mod held;
#[path = "support/clients.rs"]
mod support;
#[path = "support/tokio_client.rs"]
mod tokio_client;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use held::Sample;
use orgguard::cli::Throwaway;
use serde_json::Value;
use support::{ACME, BOLT, GuardProcess, install_node, install_python, make_tables};

/// The run without `ORGGUARD_SOAK_MINUTES`, and the share of a run that the warm-up takes before it.
const SHORT: Duration = Duration::from_secs(10);
const WARM_UP_SHARE: u32 = 5;
const WARM_UP_LIMIT: Duration = Duration::from_secs(180);

/// What memory may grow between the warm-up and the end. A leak of one kilobyte for each connection
/// of a run of 30 minutes is more than that.
const MEMORY_MARGIN_KIB: i64 = 8 << 10;

/// The cache of plans is full after the warm-up, so that its filling is no growth.
const TENANT: &str = "rebinding = \"free\"\nunknown = \"refuse\"\n\
                      [limits]\nplan_cache_bytes = 262_144\nstatements_per_session = 500";

/// A table that is not guarded, for COPY FROM.
const SCRATCH: &str = "CREATE TABLE scratch (id serial PRIMARY KEY, note text NOT NULL)";

const FORMS: [&str; 3] = ["startup", "local", "set"];
const NODE: [&str; 2] = ["node-postgres", "postgres.js"];
const PYTHON: [&str; 3] = ["psycopg", "asyncpg", "sqlalchemy"];

#[test]
fn what_the_guard_holds_is_back_where_it_started() {
    let minutes = std::env::var("ORGGUARD_SOAK_MINUTES").ok();
    let time = minutes.map_or(SHORT, |minutes| {
        Duration::from_secs_f64(minutes.parse::<f64>().expect("ORGGUARD_SOAK_MINUTES") * 60.0)
    });
    let soak = Soak::start();
    let before = Sample::of(&soak.guard);
    println!("{:>6} {}", "s", Sample::HEAD);
    println!("start  {before}");
    let warm_up = soak.run((time / WARM_UP_SHARE).clamp(SHORT / 2, WARM_UP_LIMIT));
    let warm = Sample::settled(&soak.guard);
    println!("warm   {warm}");
    let tally = soak.run(time);
    let after = Sample::settled(&soak.guard);
    println!("end    {after}");
    println!("warm-up {warm_up}\nrun     {tally}");

    for counted in [&warm_up, &tally] {
        assert_eq!(counted.problems, Vec::<String>::new(), "{counted}");
        assert_eq!(counted.of("honest_refused"), 0, "{counted}");
        assert_eq!(counted.of("foreign_rows"), 0, "{counted}");
        for what in ["rounds", "refused", "mischief", "rows", "psql", "pgbench"] {
            assert!(counted.of(what) > 0, "no {what}: {counted}");
        }
    }
    // What is counted as gone must have been there.
    assert!(tally.most.statements > 0 && tally.most.connections > 20, "{}", tally.most);
    after.assert_back(&warm, MEMORY_MARGIN_KIB);
    soak.guard.stop();
}

/// The guard, the server behind it and the programs in front of it.
struct Soak {
    guard: GuardProcess,
    server: Throwaway,
    node: PathBuf,
    python: PathBuf,
    folder: PathBuf,
}

impl Soak {
    fn start() -> Self {
        let (node, python) = (install_node("clients/drizzle"), install_python("clients/python"));
        let server = Throwaway::start_with(&[("max_connections", "300")]).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(make_tables(&server, &[SCRATCH]));
        let folder = support::folder("soak");
        let guard = GuardProcess::start(&server, &folder, "soak", "enforce", TENANT);
        Self { guard, server, node, python, folder }
    }

    /// Runs all clients for a time; what they counted, and the most that the guard held meanwhile.
    fn run(&self, time: Duration) -> Tally {
        let mut programs = Vec::new();
        for form in FORMS {
            let node = NODE.map(|driver| (driver, support::node(&self.node, "tenancy.js")));
            let python = PYTHON.map(|driver| (driver, support::python(&self.python, "tenancy.py")));
            for (driver, mut command) in node.into_iter().chain(python) {
                command.env("DRIVER", driver).env("FORM", form).env("MISCHIEF", "1");
                command.env("SECONDS", time.as_secs_f64().to_string());
                command.env("DATABASE_URL", self.guard.url());
                let name = format!("{driver}-{form}");
                programs.push((name.clone(), Program::spawn(&self.folder, &name, command)));
            }
        }
        let end = Instant::now() + time;
        let mut tally = Tally::default();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let sampling = scope.spawn(|| Sample::watch(&self.guard, &over));
            let url = self.guard.url();
            let own = FORMS.map(|form| {
                let url = url.clone();
                scope.spawn(move || {
                    let until = tokio_client::Until::Instant(end);
                    tokio_client::run_with(&url, form, until, true)
                })
            });
            let psql = scope.spawn(|| self.psql(end));
            let pgbench = scope.spawn(|| self.pgbench(end));
            for (form, ended) in FORMS.iter().zip(own) {
                tally.add(&format!("tokio-postgres-{form}"), &ended.join().unwrap());
            }
            for (name, program) in programs {
                tally.add(&name, &program.outcome(end));
            }
            tally.counts.insert("psql".into(), psql.join().unwrap());
            tally.counts.insert("pgbench".into(), pgbench.join().unwrap());
            over.store(true, Ordering::Relaxed);
            tally.most = sampling.join().unwrap();
        });
        tally
    }

    /// A program of PostgreSQL's client side: beside the server's, or on the PATH.
    fn tool(&self, name: &str, tenant: &str) -> Command {
        let beside = self.server.programs().join(name);
        let mut command = if beside.is_file() { Command::new(beside) } else { Command::new(name) };
        let listen = self.guard.listen;
        command.args(["-h", &listen.ip().to_string(), "-p", &listen.port().to_string()]);
        command.args(["-U", "app"]).env("PGOPTIONS", format!("-c app.organization_id={tenant}"));
        command
    }

    /// Runs psql over and over; how often. Its script ends with the names it saw.
    fn psql(&self, end: Instant) -> u64 {
        let mut count = 0;
        while Instant::now() < end {
            for (tenant, names) in
                [(ACME, "Anvil,Bellows,Chisel"), (BOLT, "Foreign drill,Foreign saw")]
            {
                let script = self.folder.join(format!("psql-{tenant}.sql"));
                fs::write(&script, PSQL.replace("TENANT", tenant)).unwrap();
                let mut command = self.tool("psql", tenant);
                command.args(["-qAtX", "-d", "shop", "-f"]).arg(&script);
                let output = command.stdin(Stdio::null()).output().expect("psql is missing");
                let said = String::from_utf8_lossy(&output.stdout);
                let errors = String::from_utf8_lossy(&output.stderr);
                let last = said.lines().last().unwrap_or_default();
                assert_eq!(last, names, "psql said:\n{said}\n{errors}");
                // Division by zero, and the other organization's rows.
                assert_eq!(errors.matches("ERROR:").count(), 2, "psql said:\n{errors}");
                count += 1;
            }
            sleep(Duration::from_millis(300));
        }
        count
    }

    /// Runs pgbench in all three protocols for both organizations; its transactions.
    fn pgbench(&self, end: Instant) -> u64 {
        let mut count = 0;
        let mut protocols = ["simple", "extended", "prepared"].iter().cycle();
        loop {
            let left = end.saturating_duration_since(Instant::now()).as_secs();
            if left == 0 {
                return count;
            }
            let protocol = protocols.next().unwrap();
            let runs = [ACME, BOLT].map(|tenant| {
                let script = self.folder.join(format!("pgbench-{tenant}.sql"));
                fs::write(&script, PGBENCH.replace("TENANT", tenant)).unwrap();
                let mut command = self.tool("pgbench", tenant);
                // A slow rate: the clients with a head of their own are to have their turn.
                command.args(["-n", "-c", "2", "-R", "40", "-M", protocol, "-T"]);
                command.arg(left.min(10).to_string()).arg("-f").arg(&script).arg("shop");
                command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
                command.spawn().expect("pgbench is missing")
            });
            for run in runs {
                let output = run.wait_with_output().unwrap();
                let said = String::from_utf8_lossy(&output.stdout);
                let errors = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "pgbench said:\n{said}\n{errors}");
                let line = "number of transactions actually processed: ";
                let processed = said.lines().find_map(|text| text.strip_prefix(line)).unwrap();
                count += processed.parse::<u64>().unwrap();
            }
        }
    }
}

const PSQL: &str = r"
BEGIN;
DECLARE own CURSOR FOR SELECT name FROM org_products WHERE organization_id = 'TENANT' AND deleted_at IS NULL;
FETCH 1 FROM own;
MOVE 1 FROM own;
COMMIT;
PREPARE one (uuid) AS SELECT name FROM org_products WHERE organization_id = $1 AND deleted_at IS NULL LIMIT 1;
EXECUTE one('TENANT');
DEALLOCATE one;
SELECT 1 / 0;
SELECT name FROM org_products WHERE organization_id = '01900000-0000-7000-8000-00000000000c' AND deleted_at IS NULL;
\copy (SELECT sku, name FROM org_products WHERE organization_id = 'TENANT' AND deleted_at IS NULL) TO '/dev/null'
\copy scratch (note) FROM PROGRAM 'seq 100'
TRUNCATE scratch;
SELECT name FROM org_tags WHERE organization_id = 'TENANT' AND deleted_at IS NULL \gdesc
\d org_products
SELECT string_agg(name, ',' ORDER BY name) FROM org_products WHERE organization_id = 'TENANT' AND deleted_at IS NULL;
";

const PGBENCH: &str = r"
\set least random(0, 5)
BEGIN;
SELECT count(*) FROM org_products WHERE organization_id = 'TENANT' AND deleted_at IS NULL AND stock >= :least;
UPDATE org_products SET updated_at = now() WHERE organization_id = 'TENANT' AND deleted_at IS NULL AND stock = :least;
END;
";

/// A client program that writes to files: nobody reads pipes while it runs.
struct Program {
    child: Child,
    said: PathBuf,
    errors: PathBuf,
}

impl Program {
    fn spawn(folder: &Path, name: &str, mut command: Command) -> Self {
        let said = folder.join(format!("{name}.out"));
        let errors = folder.join(format!("{name}.err"));
        command.stdin(Stdio::null());
        command.stdout(fs::File::create(&said).unwrap());
        command.stderr(fs::File::create(&errors).unwrap());
        Self { child: command.spawn().unwrap(), said, errors }
    }

    /// What it counted; it must end by itself soon after `end`.
    fn outcome(mut self, end: Instant) -> Value {
        while self.child.try_wait().unwrap().is_none() {
            assert!(
                Instant::now() < end + 4 * support::PATIENCE,
                "{} stopped",
                self.said.display()
            );
            sleep(Duration::from_millis(100));
        }
        let said = fs::read_to_string(&self.said).unwrap();
        let last = said.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|_| {
            panic!(
                "{}:\n{said}\n{}",
                self.said.display(),
                fs::read_to_string(&self.errors).unwrap()
            )
        })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Already gone after `outcome`; else a failed test must not leave it behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What all clients counted.
#[derive(Default)]
struct Tally {
    counts: BTreeMap<String, u64>,
    problems: Vec<String>,
    most: Sample,
}

impl Tally {
    fn add(&mut self, name: &str, outcome: &Value) {
        for (what, value) in outcome.as_object().unwrap() {
            if let Some(problems) = value.as_array() {
                self.problems.extend(problems.iter().map(|problem| format!("{name}: {problem}")));
            } else {
                *self.counts.entry(what.clone()).or_default() += value.as_u64().unwrap();
            }
        }
    }

    fn of(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or_default()
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}; at most {}", self.counts, self.most)
    }
}
