//! The oracle: PostgreSQL itself. Every statement of the case files that the guard admits is run
//! on a database without row-level security and on one where PostgreSQL binds every guarded table
//! to the tenant. Rows, tags, errors and what is in the tables afterwards must be the same, and no
//! soft-deleted row may come out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/cases.rs"]
mod cases;

use std::fmt::Write as _;

use orgguard::analyze::{Kind, plan};
use orgguard::cli::Throwaway;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

const SCHEMA: &str = include_str!("cases/schema.sql");
const POLICIES: &str = include_str!("cases/rls.sql");

#[test]
fn what_is_admitted_is_what_row_level_security_gives() {
    let server = Throwaway::start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(compare(&server));
}

/// A database of the application's role, and a connection to it.
async fn database(server: &Throwaway, name: &str, scripts: &[&str]) -> Client {
    let admin = connect(&server.connection_string()).await;
    admin.batch_execute(&format!("CREATE DATABASE {name} OWNER app")).await.unwrap();
    let address = server.address();
    let client =
        connect(&format!("host={} port={} user=app dbname={name}", address.ip(), address.port()))
            .await;
    for script in scripts {
        client.batch_execute(script).await.unwrap();
    }
    client.batch_execute(&format!("SET app.organization_id = '{}'", cases::TENANT)).await.unwrap();
    client
}

async fn connect(settings: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(settings, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn compare(server: &Throwaway) {
    let admin = connect(&server.connection_string()).await;
    admin.batch_execute("CREATE ROLE app LOGIN").await.unwrap();
    let raw = database(server, "raw", &[SCHEMA]).await;
    let rls = database(server, "rls", &[SCHEMA, POLICIES]).await;
    let (mut compared, mut ran) = (0_usize, 0_usize);
    let mut differences = String::new();
    for case in cases::all() {
        let plan = plan(&case.sql, &cases::policy(&case));
        let comparable = plan.statements().iter().all(|statement| {
            matches!(
                statement.kind(),
                Kind::Select
                    | Kind::Insert
                    | Kind::Update
                    | Kind::Delete
                    | Kind::Prepared
                    | Kind::Copy
            )
        });
        if !comparable || case.unknown_tenant || plan.statements().is_empty() {
            continue;
        }
        let alternatives: Vec<Option<&[Option<String>]>> = if case.binds.is_empty() {
            vec![None]
        } else {
            case.binds.iter().map(|(values, _)| Some(values.as_slice())).collect()
        };
        for values in alternatives {
            let said = cases::judge(&case, &plan, values);
            if !said.starts_with("admit")
                || (values.is_none() && case.sql.contains('$') && has_parameter(&case.sql))
            {
                continue;
            }
            compared += 1;
            let text = executable(&case.sql, values);
            let mine = run(&raw, &text).await;
            let truth = run(&rls, &text).await;
            ran += usize::from(mine.error.is_none());
            let advised = said.starts_with("admit advice");
            let lost_only = advised && mine.rows.iter().all(|row| truth.rows.contains(row));
            // A cascade reaches other tenants' rows under row-level security too, where it is not seen.
            let cascades = case.note.as_deref().is_some_and(|note| note.contains("cascade"));
            let foreign = !cascades && mine.foreign;
            if foreign || (mine.seen() != truth.seen() && !advised && !lost_only) {
                let _ = writeln!(
                    differences,
                    "{}:{}: {}\n  {text}\n  without RLS {mine:?}\n  with RLS    {truth:?}",
                    case.file.display(),
                    case.line,
                    case.name
                );
            }
            if mine.rows.iter().any(|row| row.contains("gone ")) {
                let _ = writeln!(
                    differences,
                    "{}:{}: {}: a soft-deleted row comes out: {:?}",
                    case.file.display(),
                    case.line,
                    case.name,
                    mine.rows
                );
            }
        }
    }
    println!("{compared} admitted statements compared, {ran} of them without an error");
    assert!(differences.is_empty(), "{differences}");
    assert!(ran > 100, "only {ran} statements ran: the oracle has nothing to say");
}

fn has_parameter(sql: &str) -> bool {
    sql.as_bytes()
        .windows(2)
        .any(|pair| pair.first() == Some(&b'$') && pair.get(1).is_some_and(u8::is_ascii_digit))
}

/// The statement with its values, through PREPARE so that they have the types of parameters.
fn executable(sql: &str, values: Option<&[Option<String>]>) -> String {
    let Some(values) = values else {
        return sql.to_owned();
    };
    let values: Vec<String> = values
        .iter()
        .map(|value| {
            value
                .as_ref()
                .map_or("NULL".to_owned(), |text| format!("'{}'", text.replace('\'', "''")))
        })
        .collect();
    format!("PREPARE oracle AS {sql}; EXECUTE oracle({})", values.join(", "))
}

/// What a statement gave.
#[derive(Debug, PartialEq)]
struct Outcome {
    error: Option<String>,
    rows: Vec<String>,
    tags: Vec<u64>,
    /// The tenant's own rows afterwards.
    own: String,
    /// Whether other tenants' rows changed, where they can be seen.
    foreign: bool,
}

impl Outcome {
    /// What a client sees of it, and the tenant's rows afterwards.
    fn seen(&self) -> (&Option<String>, &[String], &[u64], &str) {
        (&self.error, &self.rows, &self.tags, &self.own)
    }
}

/// Runs a text in a transaction that is rolled back.
async fn run(client: &Client, text: &str) -> Outcome {
    let before = contents(client, false).await;
    client.batch_execute("BEGIN; SAVEPOINT oracle").await.unwrap();
    let mut outcome = Outcome {
        error: None,
        rows: Vec::new(),
        tags: Vec::new(),
        own: String::new(),
        foreign: false,
    };
    match client.simple_query(text).await {
        Ok(messages) => {
            for message in messages {
                match message {
                    SimpleQueryMessage::Row(row) => {
                        let values: Vec<&str> =
                            (0..row.len()).map(|at| row.get(at).unwrap_or("∅")).collect();
                        outcome.rows.push(values.join("|"));
                    }
                    SimpleQueryMessage::CommandComplete(count) => outcome.tags.push(count),
                    _ => {}
                }
            }
        }
        Err(error) => {
            outcome.error =
                error.code().map(|code| code.code().to_owned()).or_else(|| Some(error.to_string()));
            client.batch_execute("ROLLBACK TO oracle").await.unwrap();
        }
    }
    outcome.rows.sort();
    outcome.own = contents(client, true).await;
    outcome.foreign = contents(client, false).await != before;
    client.batch_execute("ROLLBACK; DEALLOCATE ALL").await.unwrap();
    outcome
}

/// A digest of the guarded tables: of the tenant's rows, or of all others.
async fn contents(client: &Client, own: bool) -> String {
    let tables = "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                  WHERE c.relkind = 'r' AND n.nspname IN ('public', 'archive') AND c.relname ILIKE 'org\\_%' ORDER BY 1";
    let mut digest = String::new();
    for message in client.simple_query(tables).await.unwrap() {
        let SimpleQueryMessage::Row(row) = message else {
            continue;
        };
        let table = row.get(0).unwrap();
        let comparison = if own { "=" } else { "<>" };
        let query = format!(
            "SELECT md5(coalesce(string_agg(t::text, ',' ORDER BY t::text), '')) FROM {table} t \
             WHERE organization_id {comparison} '{}'",
            cases::TENANT
        );
        for message in client.simple_query(&query).await.unwrap() {
            if let SimpleQueryMessage::Row(row) = message {
                digest.push_str(row.get(0).unwrap());
            }
        }
    }
    digest
}
