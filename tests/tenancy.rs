//! Two organizations at once through one guard that enforces, with every driver of docs/clients.md
//! and every form of telling the tenant: each must see its own rows and be refused the other's.
//! Then the same with the next stricter `rebinding`, which must refuse the form.
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

#[path = "support/clients.rs"]
mod support;
#[path = "support/tokio_client.rs"]
mod tokio_client;

use std::path::Path;
use std::process::{Command, Stdio};

use orgguard::cli::Throwaway;
use serde_json::Value;
use support::{GuardProcess, install_node, install_python, make_tables};

/// A form of telling the tenant, the `rebinding` that it needs, and one that refuses it.
struct Form {
    name: &'static str,
    needs: &'static str,
    /// The next stricter policy; the form that needs the strictest has none.
    refused_by: Option<&'static str>,
}

const FORMS: [Form; 3] = [
    Form { name: "startup", needs: "never", refused_by: None },
    Form { name: "local", needs: "transaction", refused_by: Some("never") },
    Form { name: "set", needs: "free", refused_by: Some("transaction") },
];

const NODE: [&str; 2] = ["node-postgres", "postgres.js"];
const PYTHON: [&str; 3] = ["psycopg", "asyncpg", "sqlalchemy"];

/// Rounds of each of a program's six workers.
const ROUNDS: usize = 8;
const WORKERS: u64 = 6;

#[test]
fn two_organizations_with_every_driver_and_form() {
    let (node, python) = (install_node("clients/drizzle"), install_python("clients/python"));
    let server = Throwaway::start_with(&[("max_connections", "200")]).unwrap();
    let folder = support::folder("tenancy");
    for form in &FORMS {
        let guard = fresh(&server, &folder, form.name, form.needs);
        for (driver, outcome) in run_all(&node, &python, &guard.url(), form.name) {
            let what = format!("{driver} with {} under rebinding = {}", form.name, form.needs);
            assert_eq!(outcome["problems"], Value::Array(Vec::new()), "{what}");
            let rounds = outcome["rounds"].as_u64().unwrap();
            assert_eq!(rounds, ROUNDS as u64 * WORKERS, "{what}: {outcome}");
            assert_eq!(outcome["refused"].as_u64(), Some(rounds), "{what}: {outcome}");
            assert_eq!(outcome["foreign_rows"].as_u64(), Some(0), "{what}: {outcome}");
            // Three reads of three or two rows and one of its own tag, at the least.
            assert!(outcome["rows"].as_u64().unwrap() >= rounds * 5, "{what}: {outcome}");
        }
        guard.stop();
        let Some(strict) = form.refused_by else {
            continue;
        };
        let guard = fresh(&server, &folder, &format!("{}-refused", form.name), strict);
        for (driver, outcome) in run_all(&node, &python, &guard.url(), form.name) {
            let what = format!("{driver} with {} under rebinding = {strict}", form.name);
            assert!(outcome["honest_refused"].as_u64().unwrap() > 0, "{what}: {outcome}");
            assert_eq!(outcome["foreign_rows"].as_u64(), Some(0), "{what}: {outcome}");
        }
        guard.stop();
    }
    // Without a guard every program is given the other organization's rows, and says so.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(make_tables(&server, &[]));
    let url = format!("postgres://app@{}/shop", server.address());
    for (driver, outcome) in run_all(&node, &python, &url, "startup") {
        assert!(outcome["foreign_rows"].as_u64().unwrap() > 0, "{driver} directly: {outcome}");
    }
}

/// A guard over fresh tables. A statement on a session that has no tenant is refused, so what works
/// works by the tenant that the driver told.
fn fresh(server: &Throwaway, folder: &Path, name: &str, rebinding: &str) -> GuardProcess {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(make_tables(server, &[]));
    let tenant = format!("rebinding = \"{rebinding}\"\nunknown = \"refuse\"");
    GuardProcess::start(server, folder, name, "enforce", &tenant)
}

/// Runs all drivers at once; what each counted.
fn run_all(node: &Path, python: &Path, url: &str, form: &str) -> Vec<(&'static str, Value)> {
    let node = NODE.map(|driver| (driver, support::node(node, "tenancy.js")));
    let python = PYTHON.map(|driver| (driver, support::python(python, "tenancy.py")));
    let spawned: Vec<_> = node
        .into_iter()
        .chain(python)
        .map(|(driver, mut command)| {
            command.env("DATABASE_URL", url).env("DRIVER", driver).env("FORM", form);
            command.env("ROUNDS", ROUNDS.to_string());
            (driver, spawn(command))
        })
        .collect();
    let own = tokio_client::run(url, form, tokio_client::Until::Rounds(ROUNDS));
    let mut outcomes = vec![("tokio-postgres", own)];
    for (driver, child) in spawned {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().last().unwrap_or_default();
        let outcome = serde_json::from_str(last);
        let outcome = outcome.unwrap_or_else(|_| panic!("{driver} said:\n{said}\n{errors}"));
        outcomes.push((driver, outcome));
    }
    outcomes
}

fn spawn(mut command: Command) -> std::process::Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in ["SECONDS", "MISCHIEF"] {
        command.env_remove(name);
    }
    command.spawn().unwrap()
}
