//! Programs that know nothing of tenants: Django, SQLAlchemy's unit of work, Drizzle, TypeORM.
//!
//! Each runs for two organizations, one after the other, under row-level security (the truth) and
//! through a guard in mode `rewrite` on tables without it. What the program was given at each step,
//! and what is in the tables afterwards, must be the same, save the refusals that docs/rules.md
//! lists. Without either the same programs must differ, or the comparison could not fail.
//!
//! Needs Node 20 with npm, and Python 3.11 with venv; both fetch what their lock and requirement
//! files name. What is missing fails the test: it is never skipped.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    reason = "a test may stop at the first surprise, and this one tells how it goes"
)]

#[path = "support/clients.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use orgguard::cli::Throwaway;
use serde_json::Value;
use support::{ACME, BOLT, GuardProcess, finish, install_node, install_python, make_tables};
use tokio_postgres::SimpleQueryMessage;

/// Row-level security on every guarded table.
const POLICIES: &str = include_str!("programs/rls.sql");

/// A default for the organization, where no guard puts it in.
const DEFAULTS: &str = include_str!("programs/defaults.sql");

/// A program and a variant of it.
struct Program {
    name: &'static str,
    script: &'static str,
    form: &'static str,
}

const PROGRAMS: [Program; 6] = [
    Program { name: "django", script: "with_django.py", form: "" },
    Program { name: "django, bound by the server", script: "with_django.py", form: "bound" },
    Program { name: "sqlalchemy", script: "with_sqlalchemy.py", form: "" },
    Program { name: "drizzle, node-postgres", script: "with_drizzle.js", form: "node-postgres" },
    Program { name: "drizzle, postgres.js", script: "with_drizzle.js", form: "postgres.js" },
    Program { name: "typeorm", script: "with_typeorm.js", form: "" },
];

/// Steps that the guard refuses where row-level security runs them, and why.
const REFUSED: [(&str, &str, &str); 0] = [];

#[test]
fn programs_without_a_tenant_filter() {
    let programs = Programs::install();
    let server = Throwaway::start().unwrap();
    let direct = format!("postgres://app@{}/shop", server.address());
    let mut differences = Vec::new();
    for program in &PROGRAMS {
        fresh(&server, &[DEFAULTS, POLICIES]);
        let truth = programs.run(&server, program, &direct);

        fresh(&server, &[DEFAULTS]);
        let raw = programs.run(&server, program, &direct);
        assert!(!compare(program.name, &truth, &raw).is_empty(), "{} cannot differ", program.name);

        fresh(&server, &[]);
        let tenant = "rebinding = \"never\"\nunknown = \"refuse\"";
        let guard =
            GuardProcess::start(&server, &support::folder("programs"), "guard", "rewrite", tenant);
        let guarded = programs.run(&server, program, &guard.url());
        guard.stop();
        let found = compare(program.name, &truth, &guarded);
        let steps: usize = truth.runs.iter().map(Vec::len).sum();
        println!("{}: {steps} steps, {} differences", program.name, found.len());
        differences.extend(found);
    }
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

/// What the runs of a program gave.
struct Outcome {
    /// Its steps for the one organization and for the other.
    runs: Vec<Vec<Value>>,
    /// The tables afterwards, for a superuser.
    tables: Vec<String>,
}

/// Where two outcomes differ, one line each.
fn compare(name: &str, truth: &Outcome, other: &Outcome) -> Vec<String> {
    let mut found = Vec::new();
    for (tenant, (truth, other)) in ["ACME", "BOLT"].iter().zip(truth.runs.iter().zip(&other.runs))
    {
        assert_eq!(truth.len(), other.len(), "{name} has lost steps");
        for (truth, other) in truth.iter().zip(other) {
            let step = truth["step"].as_str().unwrap();
            if truth["result"] == other["result"] && truth["error"] == other["error"] {
                continue;
            }
            let listed = REFUSED
                .iter()
                .any(|(program, refused, _)| name.starts_with(program) && *refused == step);
            if !listed || other["error"] != "42501" {
                found.push(format!("{name}, {tenant}, {step}: {other}\n    instead of {truth}"));
            }
        }
    }
    if truth.tables != other.tables {
        let missing = truth.tables.iter().filter(|row| !other.tables.contains(row));
        let extra = other.tables.iter().filter(|row| !truth.tables.contains(row));
        found.extend(missing.map(|row| format!("{name}: not in the tables: {row}")));
        found.extend(extra.map(|row| format!("{name}: in the tables: {row}")));
    }
    found
}

struct Programs {
    node: PathBuf,
    python: PathBuf,
}

impl Programs {
    fn install() -> Self {
        Self { node: install_node("programs/node"), python: install_python("programs/python") }
    }

    fn run(&self, server: &Throwaway, program: &Program, url: &str) -> Outcome {
        let runs = [ACME, BOLT].map(|tenant| {
            let mut command = self.command(program);
            command.env("DATABASE_URL", url).env("TENANT", tenant).env_remove("FORM");
            if !program.form.is_empty() {
                command.env("FORM", program.form);
            }
            let said = finish(command, program.name);
            let steps: Vec<Value> =
                said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert!(steps.len() > 40, "{} said:\n{said}", program.name);
            steps
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Outcome { runs: runs.into(), tables: runtime.block_on(tables(server)) }
    }

    fn command(&self, program: &Program) -> Command {
        if Path::new(program.script).extension().is_some_and(|kind| kind == "py") {
            support::python(&self.python, program.script)
        } else {
            support::node(&self.node, program.script)
        }
    }
}

fn fresh(server: &Throwaway, scripts: &[&str]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(make_tables(server, scripts));
}

/// Every row of every guarded table, without the times that differ from run to run.
async fn tables(server: &Throwaway) -> Vec<String> {
    let address = server.address();
    let parameters =
        format!("host={} port={} user=postgres dbname=shop", address.ip(), address.port());
    let (client, driver) =
        tokio_postgres::connect(&parameters, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(driver);
    let mut rows = Vec::new();
    for table in [
        "org_customers",
        "org_products",
        "org_orders",
        "org_order_items",
        "org_tags",
        "org_product_tags",
        "org_members",
        "organizations",
    ] {
        let text = format!(
            "SELECT '{table} ' || (to_jsonb(t) - 'created_at' - 'updated_at')::text FROM {table} t ORDER BY 1"
        );
        for message in client.simple_query(&text).await.unwrap() {
            if let SimpleQueryMessage::Row(row) = message {
                rows.push(row.get(0).unwrap().to_owned());
            }
        }
    }
    rows
}
