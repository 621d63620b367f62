//! From the first audit to enforcement: an application in audit mode, what the report says of it,
//! the repairs, and enforcement that refuses nothing.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/serving.rs"]
mod serving;

use std::time::{Duration, Instant};

use orgguard::cli::Throwaway;
use serde_json::Value;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls};

use serving::{Serving, get, new_file, orgguard};

const ACME: &str = "11111111-1111-1111-1111-111111111111";

const SCHEMA: &str = "
CREATE TABLE org_products (id int, organization_id uuid NOT NULL, name text NOT NULL,
  deleted_at timestamptz);
CREATE TABLE org_customers (id int, organization_id uuid NOT NULL, email text,
  deleted_at timestamptz);
CREATE TABLE org_orders (id int, organization_id uuid NOT NULL, customer_id int,
  deleted_at timestamptz);
CREATE ROLE app LOGIN; CREATE ROLE worker LOGIN;
GRANT ALL ON ALL TABLES IN SCHEMA public TO app, worker;
INSERT INTO org_products SELECT n, '11111111-1111-1111-1111-111111111111', 'secret-' || n
  FROM generate_series(1, 20) n;
INSERT INTO org_customers VALUES (1, '11111111-1111-1111-1111-111111111111', 'a@secret.example');
INSERT INTO org_orders VALUES (1, '11111111-1111-1111-1111-111111111111', 1);
";

/// What the application sends, rightly.
const HONEST: [&str; 5] = [
    "SELECT name FROM org_products WHERE organization_id = $1 AND deleted_at IS NULL",
    "SELECT c.email FROM org_orders o JOIN org_customers c ON c.id = o.customer_id \
     AND c.organization_id = o.organization_id WHERE o.organization_id = $1 \
     AND o.deleted_at IS NULL AND c.deleted_at IS NULL",
    "UPDATE org_products SET name = name WHERE organization_id = $1 AND deleted_at IS NULL",
    "INSERT INTO org_customers (id, organization_id) VALUES (2, $1)",
    "SELECT email FROM org_customers WHERE organization_id = $1 AND deleted_at IS NULL",
];

/// What it sends by mistake, the rules it breaks, the table, and the same as it should be. `{}` is
/// another value each time.
const FORGOTTEN: [(&str, &[&str], &str, &str); 5] = [
    (
        "SELECT id FROM org_products WHERE name = 'secret-{}' AND deleted_at IS NULL",
        &["unbound-tenant"],
        "org_products",
        "SELECT id FROM org_products WHERE name = 'secret-{}' AND organization_id = '{o}' \
         AND deleted_at IS NULL",
    ),
    (
        "SELECT id FROM org_products WHERE id = {}",
        &["unbound-tenant", "visible-deleted"],
        "org_products",
        "SELECT id FROM org_products WHERE id = {} AND organization_id = '{o}' \
         AND deleted_at IS NULL",
    ),
    (
        "UPDATE org_orders SET customer_id = {} WHERE organization_id = '{o}'",
        &["visible-deleted"],
        "org_orders",
        "UPDATE org_orders SET customer_id = {} WHERE organization_id = '{o}' \
         AND deleted_at IS NULL",
    ),
    (
        "DELETE FROM org_customers WHERE email = 'nobody-{}@secret.example' \
         AND deleted_at IS NULL",
        &["unbound-tenant"],
        "org_customers",
        "DELETE FROM org_customers WHERE email = 'nobody-{}@secret.example' \
         AND organization_id = '{o}' AND deleted_at IS NULL",
    ),
    (
        "SELECT count(*) FROM org_orders o WHERE o.organization_id = '{o}' \
         AND o.deleted_at IS NULL AND EXISTS (SELECT 1 FROM org_customers c \
         WHERE c.id = o.customer_id AND c.id > {} AND c.deleted_at IS NULL)",
        &["unbound-tenant"],
        "org_customers",
        "SELECT count(*) FROM org_orders o WHERE o.organization_id = '{o}' \
         AND o.deleted_at IS NULL AND EXISTS (SELECT 1 FROM org_customers c \
         WHERE c.id = o.customer_id AND c.organization_id = o.organization_id AND c.id > {} \
         AND c.deleted_at IS NULL)",
    ),
];

/// The rounds of traffic, and how often each mistake is made: no two equally often.
const ROUNDS: usize = 10;

fn configuration(mode: &str, ledger: &str) -> String {
    format!(
        "mode = \"{mode}\"\n[guard]\ntables = [\"org_*\"]\n[tenant]\nsources = [\"setting\"]\n\
         [ledger]\nfile = \"{ledger}\"\n"
    )
}

async fn connect(dsn: &str) -> Client {
    let (client, driver) = tokio_postgres::connect(dsn, NoTls).await.unwrap();
    tokio::spawn(driver);
    client
}

/// A statement with a value in it, and the organization.
fn fill(sql: &str, value: usize) -> String {
    sql.replace("{}", &value.to_string()).replace("{o}", ACME)
}

async fn honest(client: &Client) {
    for sql in HONEST {
        let sql = sql.replace("$1", "$1::text::uuid");
        let values: [&(dyn ToSql + Sync); 1] = [&ACME];
        // Prepared and bound, and once more with the value in the text.
        client.execute(&sql.replace("$1::text::uuid", &format!("'{ACME}'")), &[]).await.unwrap();
        if !sql.starts_with("INSERT") {
            let typed = sql.replace("$1::text::uuid", "($1::text)::uuid");
            client.execute(&typed, &values).await.unwrap();
        }
    }
}

/// Mixed traffic of several applications under two roles.
async fn traffic(guard: &Serving, rounds: usize, mended: bool) {
    let api = connect(&guard.dsn("app", "api")).await;
    let jobs = connect(&guard.dsn("worker", "jobs")).await;
    for client in [&api, &jobs] {
        client.batch_execute(&format!("SET app.organization_id = '{ACME}'")).await.unwrap();
    }
    for round in 0..rounds {
        honest(&api).await;
        for (at, (bad, _, _, good)) in FORGOTTEN.iter().enumerate() {
            if round < rounds.saturating_sub(at) {
                let client = if round.is_multiple_of(2) { &api } else { &jobs };
                let sql = fill(if mended { good } else { bad }, round);
                client.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
            }
        }
        jobs.batch_execute("BEGIN; SELECT 1; COMMIT").await.unwrap();
    }
}

/// The report as JSON, and its exit code.
fn report(arguments: &[&str]) -> (i32, Value) {
    let (code, output, error) = orgguard(&[arguments, &["--format", "json"]].concat());
    assert_eq!(error, "");
    (code, serde_json::from_str(&output).unwrap())
}

/// Audit judges after it has forwarded: the report when it has so many attempts.
fn settled(url: &str, attempts: u64) -> (i32, Value) {
    let asked = Instant::now();
    loop {
        let (code, found) = report(&["report", url]);
        let statements = found["statements"].as_array().unwrap();
        let counts = statements.iter().map(|it| it["count"].as_u64().unwrap());
        if counts.sum::<u64>() == attempts {
            return (code, found);
        }
        assert!(asked.elapsed() < Duration::from_secs(60), "{found:#}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn from_audit_to_enforcement() {
    let server = Throwaway::start().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        connect(&server.connection_string()).await.batch_execute(SCHEMA).await.unwrap();
    });
    let upstream = server.address().to_string();
    let file = new_file("ledger.jsonl", "");
    std::fs::remove_file(&file).unwrap();
    let ledger = file.to_str().unwrap();

    // Audit: nothing is refused, and the report names each mistake once.
    let guard = Serving::start(&upstream, &configuration("audit", ledger));
    let url = format!("http://{}", guard.admin);
    let (code, empty) = report(&["report", &url]);
    assert_eq!((code, &empty["verdict"]), (1, &"not seen".into()));
    runtime.block_on(traffic(&guard, ROUNDS, false));
    let made: usize = (0..FORGOTTEN.len()).map(|at| ROUNDS - at).sum();
    let (code, found) = settled(&url, u64::try_from(made).unwrap());
    assert_eq!((code, &found["verdict"]), (1, &"not ready".into()));
    names_every_mistake_once(&found);
    for format in ["text", "markdown"] {
        let (_, shown, _) = orgguard(&["report", &url, "--format", format]);
        assert!(shown.contains("5 statement shapes (40 attempts)"), "{shown}");
        assert!(!shown.contains("secret") && !shown.contains(ACME), "{shown}");
    }
    let (status, told) = get(&guard.admin, "/violations");
    assert_eq!(status, 200);
    assert!(!told.contains("secret") && !told.contains(ACME), "{told}");

    // The application is mended while the guard runs.
    let mended_at = told_at(&found);
    runtime.block_on(traffic(&guard, ROUNDS, true));
    let (code, since) = report(&["report", &url, "--since", &mended_at]);
    assert_eq!((code, &since["verdict"]), (0, &"ready".into()), "{since:#}");
    assert_eq!(since["earlier"], 5);
    for table in since["tables"].as_array().unwrap() {
        assert_eq!(table["verdict"], "ready", "{table:#}");
    }
    assert_eq!(report(&["report", &url]).0, 1, "the mistakes of before are still known");
    assert!(!guard.stop().contains("secret"));

    // The file says the same as the guard did, and the next guard goes on from it.
    let (code, written) = report(&["report", ledger]);
    assert_eq!(code, 1);
    assert_eq!(written["statements"], found["statements"]);

    // Enforcement refuses nothing of the mended application, and the mistakes as before.
    let guard = Serving::start(&upstream, &configuration("enforce", ledger));
    runtime.block_on(traffic(&guard, ROUNDS, true));
    let (_, metrics) = get(&guard.admin, "/metrics");
    assert!(!metrics.contains("decision=\"refuse\""), "{metrics}");
    let url = format!("http://{}", guard.admin);
    assert_eq!(report(&["report", &url, "--since", &mended_at]).0, 0);
    runtime.block_on(async {
        let client = connect(&guard.dsn("app", "api")).await;
        for (bad, ..) in FORGOTTEN {
            let error = client.batch_execute(&fill(bad, 1)).await.unwrap_err();
            assert_eq!(error.code().unwrap().code(), "42501", "{bad}");
        }
    });
    let (code, again) = report(&["report", &url, "--since", &mended_at]);
    assert_eq!((code, again["statements"].as_array().unwrap().len()), (1, 5));
    let total: u64 = again["statements"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["count"].as_u64().unwrap())
        .sum();
    assert_eq!(total, u64::try_from(made + FORGOTTEN.len()).unwrap());
}

/// A moment after everything that a report knows.
fn told_at(report: &Value) -> String {
    std::thread::sleep(Duration::from_millis(2));
    report["at"].as_str().unwrap().to_owned()
}

fn names_every_mistake_once(report: &Value) {
    let statements = report["statements"].as_array().unwrap();
    assert_eq!(statements.len(), FORGOTTEN.len(), "{report:#}");
    for (at, (_, rules, table, _)) in FORGOTTEN.iter().enumerate() {
        // The most frequent first.
        let shape = &statements[at];
        assert_eq!(shape["count"], ROUNDS - at, "{shape:#}");
        let broken = shape["violations"].as_array().unwrap();
        let found: Vec<_> = broken.iter().map(|it| it["rule"].as_str().unwrap()).collect();
        assert_eq!(found, *rules, "{shape:#}");
        for one in broken {
            assert_eq!(one["table"], *table);
            let column =
                if one["rule"] == "unbound-tenant" { "organization_id" } else { "deleted_at" };
            assert!(one["hint"].as_str().unwrap().contains(column), "{shape:#}");
        }
        assert_eq!(shape["roles"], serde_json::json!(["app", "worker"]));
        assert_eq!(shape["application_names"], serde_json::json!(["api", "jobs"]));
    }
    let verdicts: Vec<_> = report["tables"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["table"].as_str().unwrap(), it["verdict"].as_str().unwrap()))
        .collect();
    assert_eq!(
        verdicts,
        [
            ("org_customers", "not ready"),
            ("org_orders", "not ready"),
            ("org_products", "not ready")
        ]
    );
}

/// What is proposed loads as it is, and as a person would edit it.
#[test]
fn a_configuration_is_learned() {
    let server = Throwaway::start().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let more = "CREATE TABLE notes (id int, organization_id uuid, deleted_at timestamptz);
        CREATE TABLE org_tags (id int, organization_id uuid); CREATE TABLE org_bare (id int);
        CREATE FUNCTION score(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'";
    runtime.block_on(async {
        let client = connect(&server.connection_string()).await;
        client.batch_execute(SCHEMA).await.unwrap();
        client.batch_execute(more).await.unwrap();
    });
    let guard = Serving::start(&server.address().to_string(), "mode = \"audit\"\n");
    runtime.block_on(async {
        let client = connect(&guard.dsn("app", "api")).await;
        client.batch_execute(&fill(FORGOTTEN[0].0, 7)).await.unwrap();
        client.batch_execute("SELECT score(1)").await.unwrap();
    });
    let url = format!("http://{}", guard.admin);
    let asked = Instant::now();
    while report(&["report", &url]).1["statements"].as_array().unwrap().len() < 2 {
        assert!(asked.elapsed() < Duration::from_secs(60));
    }
    let (code, text, error) = orgguard(&["learn", &url, "--dsn", &server.connection_string()]);
    assert_eq!((code, &*error), (0, ""));
    for part in [
        "tables = [\"org_*\", \"notes\"]",
        "name = \"org_tags\"\nsoft_delete = false",
        "# org_bare is guarded by its name and has no organization_id",
        "    # \"score\",   # 1 times",
        "# SELECT id FROM org_products WHERE name = ? AND deleted_at IS NULL",
        "roles app; applications api",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("secret"), "{text}");
    let edited = text
        .replace("    # \"score\",", "    \"score\",")
        .replace("# [[exemption]]", "[[exemption]]")
        .replace("# name =", "name =")
        .replace("# reason = \"\"", "reason = \"meant\"")
        .replace("# expires = \"\"", "expires = 2999-12-31")
        .replace("# fingerprints", "fingerprints");
    for text in [&text, &edited] {
        let file = new_file("learned.toml", text);
        let (code, shown, error) = orgguard(&["config", "show", file.to_str().unwrap()]);
        assert_eq!((code, &*error), (0, ""), "{text}");
        assert_eq!(shown.contains("exemption learned-1"), text == &edited);
    }
    assert_eq!(orgguard(&["learn"]).0, 2);
}

#[test]
fn a_report_that_cannot_be_made_says_why() {
    let missing = orgguard(&["report", "no/such/ledger.jsonl"]);
    assert_eq!((missing.0, &*missing.1), (2, ""));
    let other = new_file("other.jsonl", "{\"a\": 1}\n");
    let (code, _, error) = orgguard(&["report", other.to_str().unwrap()]);
    assert!(code == 2 && error.contains("not a ledger: line 1"), "{error}");
    assert_eq!(orgguard(&["report", "http://127.0.0.1:1"]).0, 2);
    let (code, _, error) = orgguard(&["report", "https://127.0.0.1:1"]);
    assert!(code == 2 && error.contains("ORGGUARD_ADMIN_CA"), "{error}");
}
