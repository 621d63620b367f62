//! Programs of applications that keep their filters, with every client of docs/clients.md, through a
//! guard that enforces: each honest statement must give what PostgreSQL gives directly, and with one
//! filter forgotten, for every filter of every step in turn, it must be refused with SQLSTATE 42501
//! and leave the connection usable. The table of docs/clients.md is what this test measured.
//!
//! Runs Drizzle over node-postgres. `ORGGUARD_CLIENTS=all` runs every client, or a list of them
//! separated by commas; `ORGGUARD_WRITE=1` beside `all` writes the table.
//!
//! Needs Node 20 with npm; the whole matrix also Python 3.11 with venv, Java 17 and Debian's package
//! libpostgresql-jdbc-java. The rest is fetched as the lock files say. What is missing fails the
//! test: it is never skipped.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    reason = "a test may stop at the first surprise, and this one tells how it goes"
)]

#[path = "client_matrix/clients.rs"]
mod clients;
#[path = "client_matrix/migrations.rs"]
mod migrations;
#[path = "support/clients.rs"]
mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use clients::{CLIENTS, Client, Kind, chosen, statements};
use orgguard::cli::Throwaway;
use serde_json::{Map, Value};
use support::{GuardProcess, finish, folder, make_tables, violations};

/// The result of every step, whatever the client.
const EXPECTED: &str = include_str!("client_matrix/expected.json");

/// The table that the shop does not have.
const INVOICES: &str = include_str!("client_matrix/schema.sql");

/// The organization is told at startup, or by `set_config` in a transaction.
const TENANT: &str = "rebinding = \"transaction\"\nunknown = \"refuse\"";

/// Where the table begins and ends in docs/clients.md.
const BEGIN: &str = "<!-- begin of the client matrix -->\n";
const END: &str = "<!-- end of the client matrix -->";

#[test]
fn honest_statements_pass_and_forgotten_filters_are_refused() {
    let server = Throwaway::start().unwrap();
    let chosen = chosen();
    let mut rows = Vec::new();
    let mut problems = Vec::new();
    for client in &chosen {
        let measured = if matches!(client.kind, Kind::Migrations(_)) {
            migrations::measure(client, &server)
        } else {
            measure(client, &server)
        };
        println!("{}: {} problems", client.name, measured.problems.len());
        let own = measured.problems.iter().map(|problem| format!("{}: {problem}", client.name));
        problems.extend(own);
        rows.push(measured.row(client));
    }
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
    compare_table(&rows, chosen.len() == CLIENTS.len());
}

/// What a client did.
#[derive(Default)]
struct Measured {
    /// Names and versions, of the client and of what is below it.
    versions: Vec<String>,
    /// Honest steps, and the statements that the guard judged of them.
    steps: usize,
    statements: u64,
    /// Runs of steps with one filter forgotten.
    forgotten: usize,
    problems: Vec<String>,
}

impl Measured {
    fn row(&self, client: &Client) -> String {
        let below = self.versions[1..].join(", ");
        format!(
            "| {} | {below} | {} | {} | {} | {} |",
            self.versions[0], self.steps, self.statements, self.forgotten, client.to_know
        )
    }
}

fn measure(client: &Client, server: &Throwaway) -> Measured {
    let direct = format!("postgres://app@{}/shop", server.address());
    let truth = fresh_run(client, server, &direct, "honest");
    let guard = start(client, server, "honest");
    let honest = fresh_run(client, server, &guard.url(), "honest");
    let metrics = guard.metrics();
    guard.stop();
    let guard = start(client, server, "forgotten");
    let forgotten = fresh_run(client, server, &guard.url(), "forgotten");
    guard.stop();

    let mut measured = Measured { statements: judged(&metrics, ""), ..Measured::default() };
    let versions = honest[0]["versions"].as_array().unwrap();
    measured.versions.extend(versions.iter().map(|version| version.as_str().unwrap().to_owned()));
    compare_steps(&truth[1..], "directly", &mut measured);
    measured.steps = compare_steps(&honest[1..], "through the guard", &mut measured);
    let counted = violations(&metrics);
    if !counted.is_empty() {
        measured.problems.push(format!("honest statements were counted as {counted:?}"));
    }
    measured.forgotten = forgotten.len() - 1;
    for line in &forgotten[1..] {
        let refused = line["error"]["code"] == "42501"
            && line["error"]["message"]
                .as_str()
                .is_some_and(|said| said.contains("orgguard: statement refused"));
        if !refused || line["kept"] != true {
            measured.problems.push(format!("not refused, or not usable afterwards: {line}"));
        }
    }
    measured
}

/// Every step must have been run and have given what is expected; how many there were.
fn compare_steps(lines: &[Value], how: &str, measured: &mut Measured) -> usize {
    let expected: Map<String, Value> = serde_json::from_str(EXPECTED).unwrap();
    let (every, some) = (&expected["every program"], &expected["some programs"]);
    let mut missing: BTreeSet<&String> = every.as_object().unwrap().keys().collect();
    for line in lines {
        let step = line["step"].as_str().unwrap();
        missing.retain(|name| *name != step);
        let wanted = every.get(step).or_else(|| some.get(step));
        if wanted.is_none() || wanted != line.get("result") {
            measured.problems.push(format!("{how}: {line} instead of {wanted:?}"));
        }
    }
    if !missing.is_empty() {
        measured.problems.push(format!("{how}: no {missing:?}"));
    }
    lines.len()
}

fn start(client: &Client, server: &Throwaway, part: &str) -> GuardProcess {
    let name = format!("{}-{part}", client.name);
    GuardProcess::start(server, &folder("client_matrix"), &name, "enforce", TENANT)
}

/// Runs the program of a client over fresh tables; the lines that it printed.
fn fresh_run(client: &Client, server: &Throwaway, url: &str, part: &str) -> Vec<Value> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(make_tables(server, &[INVOICES]));
    let mut command = client.kind.command();
    command.env("DATABASE_URL", url).env("PART", part).env("STATEMENTS", statements());
    let said = finish(command, client.name);
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Statements that the guard judged, of those series whose labels contain this.
fn judged(metrics: &str, label: &str) -> u64 {
    metrics
        .lines()
        .filter(|line| line.starts_with("orgguard_statements_total{") && line.contains(label))
        .map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
        .sum()
}

/// The table of docs/clients.md must have these rows, and no others if they are all.
fn compare_table(rows: &[String], all: bool) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/clients.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (table, after) = rest.split_once(END).unwrap();
    if !all {
        for row in rows {
            assert!(table.lines().any(|line| line == row), "docs/clients.md has not:\n{row}");
        }
        return;
    }
    let mut measured = String::from(
        "| client | over | honest steps | their statements | filters forgotten, all refused | to know |\n\
         |---|---|---|---|---|---|\n",
    );
    for row in rows {
        writeln!(measured, "{row}").unwrap();
    }
    if std::env::var("ORGGUARD_WRITE").is_ok_and(|write| write == "1") {
        fs::write(&path, format!("{before}{BEGIN}{measured}{END}{after}")).unwrap();
    } else {
        assert_eq!(table, measured, "docs/clients.md differs; ORGGUARD_WRITE=1 writes it");
    }
}
