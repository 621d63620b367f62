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

#[path = "support/clients.rs"]
mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use orgguard::cli::Throwaway;
use support::{GuardProcess, finish, install_node, install_python, make_tables, violations};

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

/// The programs of `tests/clients`.
struct Programs {
    folder: PathBuf,
    node: PathBuf,
    python: PathBuf,
}

impl Programs {
    fn install() -> Self {
        Self {
            folder: support::folder("clients"),
            node: install_node("clients/drizzle"),
            python: install_python("clients/python"),
        }
    }

    /// Runs every program with every driver through a guard of its own, over fresh tables.
    fn run(&self, server: &Throwaway, mode: &str, list: Option<&str>) -> Run {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(make_tables(server, &[]));
        let guard = start(server, &self.folder, mode);
        let node = ["node-postgres", "postgres.js"]
            .map(|driver| (driver, support::node(&self.node, "main.js")));
        let python = ["psycopg", "asyncpg", "sqlalchemy"]
            .map(|driver| (driver, support::python(&self.python, "main.py")));
        for (driver, mut command) in node.into_iter().chain(python) {
            command.env("DATABASE_URL", guard.url());
            command.env("EXPECT", mode).env("DRIVER", driver).env_remove("STATEMENTS");
            match list {
                Some(list) => command.env("LIST", list),
                None => command.env_remove("LIST"),
            };
            let said = finish(command, driver);
            let tally = said.lines().last().unwrap_or_default();
            assert!(tally.ends_with(" passed, 0 failed"), "{driver} in {mode} mode:\n{said}");
        }
        let violations = violations(&guard.metrics());
        Run { violations, log: guard.stop() }
    }
}

fn start(server: &Throwaway, folder: &Path, mode: &str) -> GuardProcess {
    let tenant = "rebinding = \"free\"\nunknown = \"structural\"";
    GuardProcess::start(server, folder, &format!("guard-{mode}"), mode, tenant)
}
