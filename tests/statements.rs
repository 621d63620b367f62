//! `docs/statements.md` against the code: each command of PostgreSQL has a row, and each row says
//! what `plan` says.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/cases.rs"]
mod cases;

use std::collections::BTreeSet;

use orgguard::analyze::{Arguments, Effect, Kind, Plan, SessionTenant, Verdict, plan};
use orgguard::policy::Policy;
use orgguard::tenant::TenantType;

/// A row of a table of the page.
struct Row {
    line: usize,
    command: String,
    example: String,
    treatment: String,
}

/// The rows with an example: four cells, of which the second is code.
fn rows() -> Vec<Row> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/statements.md");
    let text = std::fs::read_to_string(page).unwrap();
    let mut rows = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [command, example, treatment, _] = cells.as_slice() else {
            continue;
        };
        if let Some(example) = example.strip_prefix('`').and_then(|cell| cell.strip_suffix('`')) {
            rows.push(Row {
                line: index + 1,
                command: (*command).to_owned(),
                example: example.to_owned(),
                treatment: (*treatment).to_owned(),
            });
        }
    }
    rows
}

fn policy() -> Policy {
    Policy { tenant_type: TenantType::Text, ..cases::standard_policy() }
}

/// What the guard says of a text, in the words of the case files.
fn said(plan: &Plan) -> String {
    let tenant = TenantType::Text.parse("acme").unwrap();
    let mut verdicts: Vec<Verdict> = Vec::new();
    for statement in plan.statements() {
        verdicts.push(statement.settle(SessionTenant::Known(&tenant), Arguments::Unknown));
        if let Effect::Prepare { statement, .. } = statement.effect() {
            verdicts.push(statement.settle(SessionTenant::Known(&tenant), Arguments::Unknown));
        }
    }
    cases::words(&verdicts)
}

#[test]
fn every_row_says_what_the_guard_does() {
    let policy = policy();
    let judge = |text: &str| said(&plan(text, &policy));
    let mut wrong = Vec::new();
    for Row { line, command, example, treatment } in rows() {
        let own = judge(&example);
        let holds = match treatment.as_str() {
            "as its query" => {
                let foreign = judge(&example.replace("'acme'", "'other'"));
                own == "admit"
                    && ["refuse foreign-tenant", "refuse foreign-insert"].contains(&&*foreign)
            }
            "unless guarded" => {
                let guarded = judge(&example.replace("plans", "org_notes"));
                own == "admit" && ["refuse guarded-ddl", "refuse guarded-copy"].contains(&&*guarded)
            }
            "followed" => {
                let control = plan(&example, &policy).statements().iter().all(|statement| {
                    matches!(statement.kind(), Kind::Transaction | Kind::Setting | Kind::Prepared)
                });
                own == "admit" && control
            }
            "admitted" => own == "admit",
            refused => refused
                .strip_prefix("refused: ")
                .is_some_and(|rule| own == format!("refuse {rule}")),
        };
        if !holds {
            wrong.push(format!("docs/statements.md:{line}: {command}: the guard says {own}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_command_has_a_row() {
    let rows: BTreeSet<String> = rows().into_iter().map(|row| row.command).collect();
    let commands: BTreeSet<String> = COMMANDS.iter().map(|&command| command.to_owned()).collect();
    assert_eq!(rows, commands);
}

/// Each example is of the command of its row.
#[test]
fn every_example_is_of_its_command() {
    for Row { line, command, example, .. } in rows() {
        let of_it = match command.as_str() {
            "SELECT INTO" => example.starts_with("SELECT") && example.contains(" INTO "),
            "CREATE TABLE AS" => example.contains(" TABLE ") && example.contains(" AS SELECT"),
            "CREATE LANGUAGE" => example.starts_with("CREATE TRUSTED LANGUAGE"),
            command => example.starts_with(command),
        };
        assert!(of_it, "docs/statements.md:{line}: {example}");
    }
}

/// The commands of PostgreSQL 18 (documentation, part VI, "SQL Commands").
const COMMANDS: &[&str] = &[
    "ABORT",
    "ALTER AGGREGATE",
    "ALTER COLLATION",
    "ALTER CONVERSION",
    "ALTER DATABASE",
    "ALTER DEFAULT PRIVILEGES",
    "ALTER DOMAIN",
    "ALTER EVENT TRIGGER",
    "ALTER EXTENSION",
    "ALTER FOREIGN DATA WRAPPER",
    "ALTER FOREIGN TABLE",
    "ALTER FUNCTION",
    "ALTER GROUP",
    "ALTER INDEX",
    "ALTER LANGUAGE",
    "ALTER LARGE OBJECT",
    "ALTER MATERIALIZED VIEW",
    "ALTER OPERATOR",
    "ALTER OPERATOR CLASS",
    "ALTER OPERATOR FAMILY",
    "ALTER POLICY",
    "ALTER PROCEDURE",
    "ALTER PUBLICATION",
    "ALTER ROLE",
    "ALTER ROUTINE",
    "ALTER RULE",
    "ALTER SCHEMA",
    "ALTER SEQUENCE",
    "ALTER SERVER",
    "ALTER STATISTICS",
    "ALTER SUBSCRIPTION",
    "ALTER SYSTEM",
    "ALTER TABLE",
    "ALTER TABLESPACE",
    "ALTER TEXT SEARCH CONFIGURATION",
    "ALTER TEXT SEARCH DICTIONARY",
    "ALTER TEXT SEARCH PARSER",
    "ALTER TEXT SEARCH TEMPLATE",
    "ALTER TRIGGER",
    "ALTER TYPE",
    "ALTER USER",
    "ALTER USER MAPPING",
    "ALTER VIEW",
    "ANALYZE",
    "BEGIN",
    "CALL",
    "CHECKPOINT",
    "CLOSE",
    "CLUSTER",
    "COMMENT",
    "COMMIT",
    "COMMIT PREPARED",
    "COPY",
    "CREATE ACCESS METHOD",
    "CREATE AGGREGATE",
    "CREATE CAST",
    "CREATE COLLATION",
    "CREATE CONVERSION",
    "CREATE DATABASE",
    "CREATE DOMAIN",
    "CREATE EVENT TRIGGER",
    "CREATE EXTENSION",
    "CREATE FOREIGN DATA WRAPPER",
    "CREATE FOREIGN TABLE",
    "CREATE FUNCTION",
    "CREATE GROUP",
    "CREATE INDEX",
    "CREATE LANGUAGE",
    "CREATE MATERIALIZED VIEW",
    "CREATE OPERATOR",
    "CREATE OPERATOR CLASS",
    "CREATE OPERATOR FAMILY",
    "CREATE POLICY",
    "CREATE PROCEDURE",
    "CREATE PUBLICATION",
    "CREATE ROLE",
    "CREATE RULE",
    "CREATE SCHEMA",
    "CREATE SEQUENCE",
    "CREATE SERVER",
    "CREATE STATISTICS",
    "CREATE SUBSCRIPTION",
    "CREATE TABLE",
    "CREATE TABLE AS",
    "CREATE TABLESPACE",
    "CREATE TEXT SEARCH CONFIGURATION",
    "CREATE TEXT SEARCH DICTIONARY",
    "CREATE TEXT SEARCH PARSER",
    "CREATE TEXT SEARCH TEMPLATE",
    "CREATE TRANSFORM",
    "CREATE TRIGGER",
    "CREATE TYPE",
    "CREATE USER",
    "CREATE USER MAPPING",
    "CREATE VIEW",
    "DEALLOCATE",
    "DECLARE",
    "DELETE",
    "DISCARD",
    "DO",
    "DROP ACCESS METHOD",
    "DROP AGGREGATE",
    "DROP CAST",
    "DROP COLLATION",
    "DROP CONVERSION",
    "DROP DATABASE",
    "DROP DOMAIN",
    "DROP EVENT TRIGGER",
    "DROP EXTENSION",
    "DROP FOREIGN DATA WRAPPER",
    "DROP FOREIGN TABLE",
    "DROP FUNCTION",
    "DROP GROUP",
    "DROP INDEX",
    "DROP LANGUAGE",
    "DROP MATERIALIZED VIEW",
    "DROP OPERATOR",
    "DROP OPERATOR CLASS",
    "DROP OPERATOR FAMILY",
    "DROP OWNED",
    "DROP POLICY",
    "DROP PROCEDURE",
    "DROP PUBLICATION",
    "DROP ROLE",
    "DROP ROUTINE",
    "DROP RULE",
    "DROP SCHEMA",
    "DROP SEQUENCE",
    "DROP SERVER",
    "DROP STATISTICS",
    "DROP SUBSCRIPTION",
    "DROP TABLE",
    "DROP TABLESPACE",
    "DROP TEXT SEARCH CONFIGURATION",
    "DROP TEXT SEARCH DICTIONARY",
    "DROP TEXT SEARCH PARSER",
    "DROP TEXT SEARCH TEMPLATE",
    "DROP TRANSFORM",
    "DROP TRIGGER",
    "DROP TYPE",
    "DROP USER",
    "DROP USER MAPPING",
    "DROP VIEW",
    "END",
    "EXECUTE",
    "EXPLAIN",
    "FETCH",
    "GRANT",
    "IMPORT FOREIGN SCHEMA",
    "INSERT",
    "LISTEN",
    "LOAD",
    "LOCK",
    "MERGE",
    "MOVE",
    "NOTIFY",
    "PREPARE",
    "PREPARE TRANSACTION",
    "REASSIGN OWNED",
    "REFRESH MATERIALIZED VIEW",
    "REINDEX",
    "RELEASE SAVEPOINT",
    "RESET",
    "REVOKE",
    "ROLLBACK",
    "ROLLBACK PREPARED",
    "ROLLBACK TO SAVEPOINT",
    "SAVEPOINT",
    "SECURITY LABEL",
    "SELECT",
    "SELECT INTO",
    "SET",
    "SET CONSTRAINTS",
    "SET ROLE",
    "SET SESSION AUTHORIZATION",
    "SET TRANSACTION",
    "SHOW",
    "START TRANSACTION",
    "TRUNCATE",
    "UNLISTEN",
    "UPDATE",
    "VACUUM",
    "VALUES",
];
