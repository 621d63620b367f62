//! `orgguard check` on what servers and applications write down, made by a real server where one
//! writes it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/serving.rs"]
mod serving;

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use orgguard::cli::Throwaway;
use serde_json::Value;
use tokio_postgres::NoTls;
use tokio_postgres::types::Type;

use serving::{new_file, orgguard};

const HONEST: &str = "SELECT name FROM org_products WHERE organization_id = $1 \
                      AND name = 'secret' AND deleted_at IS NULL";
const FORGOTTEN: &str = "SELECT name FROM org_products WHERE name <> 'secret' AND id > $1";

/// A server that logs every statement as CSV and as JSON, in a directory that it may write, after
/// some traffic; and its `pg_stat_statements`, exported.
fn traffic() -> (Throwaway, PathBuf, String) {
    // The server runs as another user, who may not go through the tree that the tests are in.
    let below = std::env::temp_dir().join(format!("orgguard-logs-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&below);
    std::fs::create_dir(&below).unwrap();
    assert!(Command::new("chmod").arg("a+rwx").arg(&below).status().unwrap().success());
    let server = Throwaway::start_with(&[
        ("logging_collector", "on"),
        ("log_directory", below.to_str().unwrap()),
        ("log_filename", "server.log"),
        ("log_file_mode", "0644"),
        ("log_destination", "csvlog,jsonlog"),
        ("log_min_duration_statement", "0"),
        ("shared_preload_libraries", "pg_stat_statements"),
    ])
    .unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let export = runtime.block_on(async {
        let (client, driver) =
            tokio_postgres::connect(&server.connection_string(), NoTls).await.unwrap();
        tokio::spawn(driver);
        let schema = "CREATE EXTENSION pg_stat_statements; CREATE TABLE org_products \
          (id int, organization_id uuid, name text, deleted_at timestamptz); \
          SELECT pg_stat_statements_reset()";
        client.batch_execute(schema).await.unwrap();
        let organization = "11111111-1111-1111-1111-111111111111";
        let honest = client.prepare_typed(HONEST, &[Type::UUID]).await.unwrap();
        let _ = honest;
        for number in 0..3_i32 {
            client.query(FORGOTTEN, &[&number]).await.unwrap();
            let simple = HONEST.replace("$1", &format!("'{organization}'"));
            client.simple_query(&simple).await.unwrap();
            let simple = FORGOTTEN.replace("$1", &number.to_string());
            client
                .simple_query(&format!("{simple} /* {number} */; SELECT {number}"))
                .await
                .unwrap();
        }
        let rows = client
            .query("SELECT query, calls FROM pg_stat_statements WHERE query LIKE '%org_%'", &[])
            .await
            .unwrap();
        let mut export = String::from("query,calls\n");
        for row in rows {
            let query: String = row.get(0);
            let calls: i64 = row.get(1);
            export.push_str(&format!("\"{}\",{calls}\n", query.replace('"', "\"\"")));
        }
        export
    });
    (server, below, export)
}

fn check(file: &str, more: &[&str]) -> (i32, String) {
    let (code, output, error) = orgguard(&[&["check", file], more].concat());
    assert_eq!(error, "");
    (code, output)
}

/// The shapes told of, with how often each rule was broken.
fn shapes(file: &str) -> Vec<(String, u64)> {
    let (code, output) = check(file, &["--format", "json"]);
    assert_eq!(code, 1, "{output}");
    assert!(!output.contains("secret"), "{output}");
    let parsed = output.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    parsed
        .filter(|it| it["statement"].as_str().unwrap().starts_with("SELECT name"))
        .map(|it| {
            let rules: Vec<_> = it["violations"].as_array().unwrap().iter().collect();
            assert!(rules.iter().any(|it| it["rule"] == "unbound-tenant"), "{it:#}");
            (it["statement"].as_str().unwrap().to_owned(), it["count"].as_u64().unwrap())
        })
        .collect()
}

#[test]
fn logs_of_a_server() {
    let (server, logs, export) = traffic();
    let csv = logs.join("server.csv");
    let json = logs.join("server.json");
    // The collector writes a moment later; the last statement is the export's.
    let asked = Instant::now();
    let read = |path: &PathBuf| std::fs::read_to_string(path).unwrap_or_default();
    while [&csv, &json].iter().any(|path| !read(path).contains("LIKE '%org_%'")) {
        assert!(asked.elapsed() < Duration::from_secs(30), "{}", read(&csv));
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(server);

    let bound = "SELECT name FROM org_products WHERE name <> ? AND id > $1";
    let simple = "SELECT name FROM org_products WHERE name <> ? AND id > ?";
    for path in [&csv, &json] {
        let found = shapes(path.to_str().unwrap());
        let wanted = [(bound.to_owned(), 3), (simple.to_owned(), 3)];
        assert_eq!(found, wanted, "{}", path.display());
    }
    let (_, text) = check(csv.to_str().unwrap(), &[]);
    assert!(text.contains("unbound-tenant") && text.contains("(3 times)"), "{text}");
    assert!(!text.contains("secret"), "{text}");
    let (_, sarif) = check(json.to_str().unwrap(), &["--format", "sarif"]);
    assert!(!sarif.contains("secret"), "{sarif}");

    let export = new_file("export.csv", &export);
    let found = shapes(export.to_str().unwrap());
    assert_eq!(found.iter().map(|(_, count)| count).sum::<u64>(), 6, "{found:?}");
    std::fs::remove_dir_all(logs).unwrap();
}

#[test]
fn queries_that_drizzle_logged() {
    let log = "Query: select \"id\" from \"org_products\" where (\"org_products\".\"organization_id\" = $1 \
        and \"org_products\".\"deleted_at\" is null) -- params: [\"secret\"]\n\
        listening on 3000\n\
        Query: select \"id\"\n from \"org_products\" where \"org_products\".\"deleted_at\" is null\n\
        GET /products 200\n";
    let path = new_file("app.log", log);
    let (code, output) = check(path.to_str().unwrap(), &[]);
    assert_eq!(code, 1);
    let name = path.display().to_string();
    assert!(output.starts_with(&format!("{name}:3: unbound-tenant: ")), "{output}");
    assert!(output.ends_with("2 statements: 1 admitted, 1 violating\n"), "{output}");
    let sql = new_file("same.txt", log);
    let told = check(sql.to_str().unwrap(), &["--from", "drizzle"]);
    assert!(told.1.ends_with("2 statements: 1 admitted, 1 violating\n"));
}

#[test]
fn sarif_and_annotations_of_a_file_of_sql() {
    let sql = "SELECT 1;\nSELECT name, 'é' FROM org_products\n  WHERE deleted_at IS NULL;\n";
    let path = new_file("a, b.sql", sql);
    let path = path.to_str().unwrap();
    let (code, output) = check(path, &["--format", "sarif"]);
    assert_eq!(code, 1);
    let log: Value = serde_json::from_str(&output).unwrap();
    let run = &log["runs"][0];
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 1);
    let result = &results[0];
    let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
    assert_eq!(run["tool"]["driver"]["rules"][index]["id"], "unbound-tenant");
    assert_eq!(result["level"], "error");
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["region"], serde_json::json!({ "startLine": 2, "startColumn": 23 }));
    assert!(place["artifactLocation"]["uri"].as_str().unwrap().ends_with("a%2C%20b.sql"));

    let (_, output) = check(path, &["--format", "github"]);
    assert_eq!(output.lines().count(), 1, "{output}");
    assert!(output.starts_with("::error file="), "{output}");
    assert!(output.contains("a%2C b.sql,line=2,col=23,title=orgguard%3A unbound-tenant::"));
    // An honest file says nothing to GitHub, and SARIF has no result.
    let honest = new_file("honest.sql", HONEST);
    let (code, output) = check(honest.to_str().unwrap(), &["--format", "github"]);
    assert_eq!((code, &*output), (0, ""));
    let (code, output) = check(honest.to_str().unwrap(), &["--format", "sarif"]);
    assert!(code == 0 && output.contains("\"results\": []"), "{output}");
}

#[test]
fn a_log_that_is_none_is_said_to_be_none() {
    for (name, text, wanted) in [
        ("short.csv", "a,b\nc,d\n", "line 1 has 2 columns"),
        ("no.json", "{}\nnonsense\n", "line 2 is no JSON object"),
    ] {
        let path = new_file(name, text);
        let (code, _, error) = orgguard(&["check", path.to_str().unwrap()]);
        assert!(code == 2 && error.contains(wanted), "{error}");
    }
    let path = new_file("none.csv", "a,b\n");
    let from = ["check", "--from", "stat-statements", path.to_str().unwrap()];
    assert!(orgguard(&from).2.contains("no column `query`"));
}

#[test]
fn long_work_shows_nothing_of_itself_in_a_pipe() {
    let path = new_file("long.csv", &format!("query,calls\n{}", "SELECT 1,1\n".repeat(5_000)));
    let (code, output, error) = orgguard(&["check", path.to_str().unwrap()]);
    assert_eq!((code, &*output, &*error), (0, "5000 statements: 5000 admitted\n", ""));
}
