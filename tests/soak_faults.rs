//! Clients at work while everything around them breaks, for a time: no verdict is ever wrong, nothing
//! that was acknowledged is lost or there twice, and what the guard holds is back where it started.
//!
//! Sessions are ended and statements cancelled on the server, the server is restarted, fast and by a
//! crash, clients reset their connections in the middle, and the guard reads its configuration anew.
//! `ORGGUARD_SOAK_MINUTES` says how long; without it, some seconds. `ORGGUARD_GUARD` may name another
//! build of the guard.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    reason = "a test may stop at the first surprise, and this one tells how it goes"
)]

#[path = "support/guard.rs"]
mod guard;
#[path = "support/held.rs"]
mod held;
#[path = "support/clients.rs"]
mod support;

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::SinkExt as _;
use guard::{message, startup};
use held::Sample;
use orgguard::cli::Throwaway;
use support::{ACME, BOLT, GuardProcess, make_tables};
use tokio_postgres::{Client, Error, NoTls, SimpleQueryMessage};

const SHORT: Duration = Duration::from_secs(12);
const WORKERS: usize = 4;

/// As in the soak without faults.
const MEMORY_MARGIN_KIB: i64 = 8 << 10;

const TENANT: &str = "rebinding = \"free\"\nunknown = \"refuse\"\n\
                      [limits]\nplan_cache_bytes = 262_144\nconnect_timeout = \"1s\"";

const SCRATCH: &str = "CREATE TABLE scratch (id serial PRIMARY KEY, note text NOT NULL)";

/// What an honest session sees of each organization.
const NAMES: [(&str, &str); 2] =
    [(ACME, "Anvil,Bellows,Chisel"), (BOLT, "Foreign drill,Foreign saw")];

/// What a session is told, or not even told, when something beside it breaks: its statement was
/// cancelled, its server session was ended, crashed, or cannot be had.
const BROKEN: [&str; 7] = ["57014", "57P01", "57P02", "57P03", "08006", "08003", "53300"];

#[test]
fn no_verdict_is_wrong_while_everything_breaks() {
    let minutes = std::env::var("ORGGUARD_SOAK_MINUTES").ok();
    let time = minutes.map_or(SHORT, |minutes| {
        Duration::from_secs_f64(minutes.parse::<f64>().expect("ORGGUARD_SOAK_MINUTES") * 60.0)
    });
    let settings = [("max_connections", "100"), ("synchronous_commit", "on")];
    let server = Throwaway::start_with(&settings).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(make_tables(&server, &[SCRATCH]));
    let folder = support::folder("soak-faults");
    let guard = GuardProcess::start(&server, &folder, "soak-faults", "enforce", TENANT);
    let soak = Soak { guard, server, tally: Mutex::default(), over: AtomicBool::new(false) };

    println!("{:>6} {}", "s", Sample::HEAD);
    soak.run(&runtime, (time / 5).clamp(SHORT, Duration::from_secs(180)));
    let warm = Sample::settled(&soak.guard);
    println!("warm   {warm}");
    soak.run(&runtime, time);
    let after = Sample::settled(&soak.guard);
    println!("end    {after}");

    let tally = soak.tally.lock().unwrap();
    println!("{:?}", tally.counts);
    assert_eq!(tally.problems, Vec::<String>::new());
    for what in [
        "own rows seen",
        "foreign refused",
        "unbound refused",
        "rows kept",
        "copies kept",
        "sessions broken",
        "fault: end",
        "fault: cancel",
        "fault: reset",
        "fault: reload",
        "fault: fast",
        "fault: immediate",
    ] {
        assert!(tally.counts.get(what).is_some_and(|count| *count > 0), "no {what}");
    }
    soak.assert_kept(&tally.kept);
    after.assert_back(&warm, MEMORY_MARGIN_KIB);
    drop(tally);
    let log = soak.guard.stop();
    assert!(!log.contains("panicked"), "{log}");
}

struct Soak {
    guard: GuardProcess,
    server: Throwaway,
    tally: Mutex<Tally>,
    over: AtomicBool,
}

#[derive(Default)]
struct Tally {
    counts: BTreeMap<&'static str, u64>,
    problems: Vec<String>,
    /// Notes that were acknowledged, and how many rows each stands for.
    kept: Vec<(String, u64)>,
}

impl Soak {
    fn run(&self, runtime: &tokio::runtime::Runtime, time: Duration) {
        let end = Instant::now() + time;
        self.over.store(false, Ordering::Relaxed);
        std::thread::scope(|scope| {
            let sampling = scope.spawn(|| Sample::watch(&self.guard, &self.over));
            for number in 0..WORKERS {
                scope.spawn(move || runtime.block_on(self.work(number, end)));
            }
            self.inject(runtime, end);
            // Workers end within one round; the server is up again.
            self.over.store(true, Ordering::Relaxed);
            println!("most   {}", sampling.join().unwrap());
        });
    }

    fn count(&self, what: &'static str) {
        *self.tally.lock().unwrap().counts.entry(what).or_default() += 1;
    }

    fn problem(&self, what: String) {
        self.tally.lock().unwrap().problems.push(what);
    }

    /// One fault after the other.
    fn inject(&self, runtime: &tokio::runtime::Runtime, end: Instant) {
        let faults =
            ["end", "reset", "cancel", "reload", "fast", "reset", "end", "cancel", "immediate"];
        for fault in faults.iter().cycle() {
            if Instant::now() >= end {
                return;
            }
            sleep(Duration::from_millis(700));
            match *fault {
                "end" => self.ask(runtime, "pg_terminate_backend"),
                "cancel" => self.ask(runtime, "pg_cancel_backend"),
                "reset" => self.reset(),
                "reload" => {
                    let process = self.guard.pid().to_string();
                    assert!(
                        Command::new("kill").args(["-HUP", &process]).status().unwrap().success()
                    );
                }
                how => self.server.restart(how).unwrap(),
            }
            self.count(match *fault {
                "end" => "fault: end",
                "cancel" => "fault: cancel",
                "reset" => "fault: reset",
                "reload" => "fault: reload",
                "fast" => "fault: fast",
                _ => "fault: immediate",
            });
        }
    }

    /// Does this to half of the application's server sessions.
    fn ask(&self, runtime: &tokio::runtime::Runtime, function: &str) {
        let sql = format!(
            "SELECT {function}(pid) FROM pg_stat_activity WHERE usename = 'app' AND random() < 0.5"
        );
        runtime.block_on(async {
            let dsn = self.server.connection_string();
            let (client, driver) = tokio_postgres::connect(&dsn, NoTls).await.unwrap();
            tokio::spawn(driver);
            client.simple_query(&sql).await.unwrap();
        });
    }

    /// Clients that break off at every stage, by a reset.
    fn reset(&self) {
        let login = startup(&[("user", "app"), ("database", "shop")]);
        let query = message(b'Q', b"SELECT count(*) FROM generate_series(1, 300000)\0");
        let rows = message(b'Q', b"SELECT repeat('x', 1000) FROM generate_series(1, 20000)\0");
        let all = [login.clone(), query, rows].concat();
        for end in [0, 3, login.len(), login.len() + 9, all.len()] {
            let mut client = guard::Client::connect(self.guard.listen);
            client.send(&all[..end]);
            sleep(Duration::from_millis(5));
            client.leave(true);
        }
    }

    /// An honest program that is now and then careless. It goes on after every fault.
    async fn work(&self, number: usize, end: Instant) {
        let (tenant, names) = NAMES[number % 2];
        let (foreign, _) = NAMES[(number + 1) % 2];
        let mut round = 0_u64;
        while Instant::now() < end {
            let client = match self.connect(tenant).await {
                Ok(client) => client,
                Err(error) => {
                    self.judge_error("connect", &error);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            };
            // Each session is used for some rounds, and some end by a fault.
            for _ in 0..40 {
                round += 1;
                let note = format!("{number}-{round}-{}", nanoseconds());
                if let Err(error) = self.round(&client, tenant, foreign, names, &note).await {
                    self.judge_error("round", &error);
                    self.count("sessions broken");
                    break;
                }
                if Instant::now() >= end {
                    break;
                }
            }
        }
    }

    async fn connect(&self, tenant: &str) -> Result<Client, Error> {
        let mut config: tokio_postgres::Config = self.guard.url().parse().unwrap();
        config.options(format!("-c app.organization_id={tenant}"));
        let (client, driver) = config.connect(NoTls).await?;
        tokio::spawn(driver);
        Ok(client)
    }

    async fn round(
        &self,
        client: &Client,
        tenant: &str,
        foreign: &str,
        names: &str,
        note: &str,
    ) -> Result<(), Error> {
        let own = |tenant: &str| {
            format!(
                "SELECT string_agg(name, ',' ORDER BY name) FROM org_products \
                 WHERE organization_id = {tenant} AND deleted_at IS NULL"
            )
        };
        let literal = own(&format!("'{tenant}'"));
        let setting = own("current_setting('app.organization_id')::uuid");
        for sql in [&literal, &setting] {
            let seen = simple(client, sql).await?;
            self.expect(seen == names, || format!("{sql}: {seen}"), "own rows seen");
        }
        let prepared = client.prepare(&literal).await?;
        let seen: String = client.query_one(&prepared, &[]).await?.get(0);
        self.expect(seen == names, || format!("prepared: {seen}"), "own rows seen");
        for (sql, what) in [
            (own(&format!("'{foreign}'")), "foreign refused"),
            ("SELECT name FROM org_products".to_owned(), "unbound refused"),
        ] {
            match simple(client, &sql).await {
                Ok(seen) => self.problem(format!("{sql}: {seen}")),
                Err(error) if code(&error) == "42501" => self.count(what),
                Err(error) => return Err(error),
            }
        }
        client.batch_execute("BEGIN").await?;
        client.batch_execute(&format!("INSERT INTO scratch (note) VALUES ('{note}')")).await?;
        client.batch_execute("COMMIT").await?;
        self.kept(note.to_owned(), 1, "rows kept");
        let copied = format!("copy-{note}");
        let sink = client.copy_in::<_, Bytes>("COPY scratch (note) FROM STDIN").await?;
        let mut sink = std::pin::pin!(sink);
        for _ in 0..20 {
            sink.send(Bytes::from(format!("{copied}\n"))).await?;
        }
        sink.finish().await?;
        // The driver comes back at CommandComplete; the transaction is over with ReadyForQuery
        // (documentation, 55.2.3), which the next answer comes behind.
        client.batch_execute("SELECT 1").await?;
        self.kept(copied, 20, "copies kept");
        Ok(())
    }

    fn kept(&self, note: String, rows: u64, what: &'static str) {
        self.tally.lock().unwrap().kept.push((note, rows));
        self.count(what);
    }

    fn expect(&self, so: bool, why: impl FnOnce() -> String, what: &'static str) {
        if so {
            self.count(what);
        } else {
            self.problem(why());
        }
    }

    /// Whether an error is what a fault looks like to a client.
    fn judge_error(&self, at: &str, error: &Error) {
        let broken = match error.code() {
            Some(code) => BROKEN.contains(&code.code()),
            // The connection is gone.
            None => true,
        };
        if !broken {
            self.problem(format!("{at}: {error:?}"));
        }
    }

    /// Every row that was acknowledged is there, once.
    fn assert_kept(&self, kept: &[(String, u64)]) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let rows: BTreeMap<String, u64> = runtime.block_on(async {
            let dsn = self.server.connection_string().replace("dbname=postgres", "dbname=shop");
            let (client, driver) = tokio_postgres::connect(&dsn, NoTls).await.unwrap();
            tokio::spawn(driver);
            let counts = "SELECT note, count(*) FROM scratch GROUP BY note";
            let rows = client.query(counts, &[]).await.unwrap();
            rows.iter().map(|row| (row.get(0), row.get::<_, i64>(1).cast_unsigned())).collect()
        });
        for (note, count) in kept {
            assert_eq!(rows.get(note), Some(count), "{note}");
        }
        // What was not acknowledged is there as a whole or not at all.
        for (note, count) in &rows {
            let whole = if note.starts_with("copy-") { 20 } else { 1 };
            assert_eq!(*count, whole, "{note}");
        }
    }
}

fn code(error: &Error) -> &str {
    error.code().map_or("", |code| code.code())
}

fn nanoseconds() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos()
}

/// The first value of a simple query.
async fn simple(client: &Client, sql: &str) -> Result<String, Error> {
    let messages = client.simple_query(sql).await?;
    for message in messages {
        if let SimpleQueryMessage::Row(row) = message {
            return Ok(row.get(0).unwrap_or_default().to_owned());
        }
    }
    Ok(String::new())
}
