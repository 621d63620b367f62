//! PostgreSQL's own programs through the guard, in both modes: psql and pgbench.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/guard.rs"]
mod guard;

use std::net::SocketAddr;
use std::process::{Command, Output};

use guard::Guard;
use orgguard::cli::Throwaway;

const SCHEMA: &str = include_str!("cases/schema.sql");
const TENANT: &str = "11111111-1111-4111-8111-111111111111";

/// Runs one of the server's client programs against an address.
fn run(server: &Throwaway, program: &str, address: SocketAddr, arguments: &[&str]) -> Output {
    Command::new(server.programs().join(program))
        .args([
            "-h",
            &address.ip().to_string(),
            "-p",
            &address.port().to_string(),
            "-U",
            "postgres",
        ])
        .args(arguments)
        .env("PGOPTIONS", format!("-c app.organization_id={TENANT}"))
        .output()
        .unwrap()
}

/// What a run that succeeded wrote to its output.
fn succeeds(server: &Throwaway, program: &str, address: SocketAddr, arguments: &[&str]) -> String {
    let output = run(server, program, address, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn pgbench_runs_in_every_protocol() {
    let server = Throwaway::start().unwrap();
    for mode in ["audit", "enforce"] {
        let guard = Guard::start(mode, server.address(), "");
        let address = guard.address();
        succeeds(&server, "pgbench", address, &["-i", "-s", "1", "-q", "postgres"]);
        for protocol in ["simple", "extended", "prepared"] {
            for script in [&["-S"][..], &["-N"], &[]] {
                let mut arguments = vec!["-n", "-c", "4", "-t", "50", "-M", protocol];
                arguments.extend(script);
                arguments.push("postgres");
                let report = succeeds(&server, "pgbench", address, &arguments);
                let failed = report.lines().find(|line| line.starts_with("number of failed"));
                assert_eq!(failed, Some("number of failed transactions: 0 (0.000%)"), "{report}");
            }
        }
        assert_eq!(guard.metric("orgguard_framing_lost_total"), 0);
    }
}

#[test]
fn psql_describes_and_queries() {
    let server = Throwaway::start().unwrap();
    succeeds(&server, "psql", server.address(), &["-qXc", SCHEMA, "postgres"]);
    let honest = format!(
        "SELECT count(*) FROM org_products WHERE organization_id = '{TENANT}' AND deleted_at IS NULL"
    );
    let own = succeeds(&server, "psql", server.address(), &["-XAtc", &honest, "postgres"]);
    for mode in ["audit", "enforce"] {
        let guard = Guard::start(mode, server.address(), "");
        let address = guard.address();
        for command in [
            "\\d",
            "\\d org_products",
            "\\dt+",
            "\\di",
            "\\df",
            "\\dn",
            "\\du",
            "\\l",
            "\\conninfo",
        ] {
            succeeds(&server, "psql", address, &["-X", "-c", command, "postgres"]);
        }
        let copied = format!("\\copy ({honest}) TO STDOUT");
        for command in [honest.as_str(), copied.as_str()] {
            let through = succeeds(&server, "psql", address, &["-XAtc", command, "postgres"]);
            assert_eq!(through, own, "{command} in {mode}");
        }
        succeeds(
            &server,
            "psql",
            address,
            &[
                "-X",
                "-c",
                "BEGIN; CREATE TEMP TABLE notes (x int); INSERT INTO notes VALUES (1); COMMIT",
                "postgres",
            ],
        );
    }
}

#[test]
fn psql_shows_where_and_how_a_statement_was_refused() {
    let server = Throwaway::start().unwrap();
    succeeds(&server, "psql", server.address(), &["-qXc", SCHEMA, "postgres"]);
    let guard = Guard::start("enforce", server.address(), "");
    let forgotten =
        ["-X", "-v", "VERBOSITY=verbose", "-c", "SELECT name FROM org_products", "postgres"];
    let output = run(&server, "psql", guard.address(), &forgotten);
    let errors = String::from_utf8(output.stderr).unwrap();
    for part in [
        "ERROR:  42501: orgguard: statement refused: unbound-tenant on \"org_products\"",
        "LINE 1: SELECT name FROM org_products",
        "                         ^",
        "DETAIL:  unbound-tenant on \"org_products\"",
        "add org_products.organization_id = <tenant>",
        "add org_products.deleted_at IS NULL",
    ] {
        assert!(errors.contains(part), "{part:?} in {errors}");
    }
    assert_eq!(
        guard.metric("orgguard_violations_total{mode=\"enforce\",rule=\"unbound-tenant\",table=\"org_products\"}"),
        1
    );
}
