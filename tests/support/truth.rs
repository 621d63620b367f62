//! PostgreSQL as the oracle: one database without row-level security, one with it.
#![allow(dead_code, reason = "each test program uses its own part")]

use orgguard::cli::Throwaway;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::cases;

const SCHEMA: &str = include_str!("../cases/schema.sql");
const POLICIES: &str = include_str!("../cases/rls.sql");

/// Both databases, as the application's role, with the tenant set.
pub(crate) async fn databases(server: &Throwaway) -> (Client, Client) {
    let admin = connect(&server.connection_string()).await;
    admin.batch_execute("CREATE ROLE app LOGIN").await.unwrap();
    let raw = database(server, "raw", &[SCHEMA]).await;
    let rls = database(server, "rls", &[SCHEMA, POLICIES]).await;
    (raw, rls)
}

/// Makes the tenant the default of every tenant column, as rewriting does for rows without one,
/// and binds every table to live rows too. PostgreSQL applies a policy to new rows as well, so rows
/// that a test itself deletes, which are deleted later than all others, pass.
const STRICT: &str = "
DO $$
DECLARE guarded regclass;
BEGIN
  FOR guarded IN
    SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname IN ('public', 'archive') AND c.relname ILIKE 'org\\_%'
      AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'deleted_at')
  LOOP
    EXECUTE format('CREATE POLICY live ON %s AS RESTRICTIVE USING (deleted_at IS NULL OR deleted_at > ''2026-06-01'')', guarded);
  END LOOP;
END $$";
const DEFAULTS: &str = "
DO $$
DECLARE guarded regclass;
BEGIN
  FOR guarded IN
    SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname IN ('public', 'archive') AND c.relname ILIKE 'org\\_%'
  LOOP
    EXECUTE format('ALTER TABLE %s ALTER organization_id SET DEFAULT %L', guarded,
      '11111111-1111-4111-8111-111111111111');
  END LOOP;
END $$";

/// The databases for rewriting: without row-level security, and bound to the tenant's live rows.
pub(crate) async fn rewriting_databases(server: &Throwaway) -> (Client, Client) {
    let (raw, _) = databases(server).await;
    (raw, database(server, "strict", &[SCHEMA, POLICIES, DEFAULTS, STRICT]).await)
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

/// What a statement gave.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) error: Option<String>,
    pub(crate) rows: Vec<String>,
    pub(crate) tags: Vec<u64>,
    /// The tenant's own rows afterwards.
    pub(crate) own: String,
    /// Whether other tenants' rows changed, where they can be seen.
    pub(crate) foreign: bool,
}

impl Outcome {
    /// What a client sees of it, and the tenant's rows afterwards.
    pub(crate) fn seen(&self) -> (&Option<String>, &[String], &[u64], &str) {
        (&self.error, &self.rows, &self.tags, &self.own)
    }
}

/// Runs a text in a transaction that is rolled back.
pub(crate) async fn run(client: &Client, text: &str) -> Outcome {
    const OWN: &str = "organization_id = '11111111-1111-4111-8111-111111111111'";
    run_among(client, text, OWN).await
}

/// The same where only live rows are the tenant's own.
pub(crate) async fn run_live(client: &Client, text: &str) -> Outcome {
    const OWN: &str = "(organization_id = '11111111-1111-4111-8111-111111111111' \
                       AND coalesce((to_jsonb(t) ->> 'deleted_at')::timestamptz > '2026-06-01', true))";
    run_among(client, text, OWN).await
}

async fn run_among(client: &Client, text: &str, own: &str) -> Outcome {
    let others = format!("NOT {own}");
    let before = contents(client, &others).await;
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
    outcome.own = contents(client, own).await;
    outcome.foreign = contents(client, &others).await != before;
    client.batch_execute("ROLLBACK; DEALLOCATE ALL").await.unwrap();
    outcome
}

/// A digest of the guarded tables: of the rows for which this is true.
async fn contents(client: &Client, which: &str) -> String {
    let tables = "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                  WHERE c.relkind = 'r' AND n.nspname IN ('public', 'archive') AND c.relname ILIKE 'org\\_%' ORDER BY 1";
    let mut digest = String::new();
    for message in client.simple_query(tables).await.unwrap() {
        let SimpleQueryMessage::Row(row) = message else {
            continue;
        };
        let table = row.get(0).unwrap();
        let query = format!(
            "SELECT md5(coalesce(string_agg(t::text, ',' ORDER BY t::text), '')) FROM {table} t \
             WHERE {which}"
        );
        for message in client.simple_query(&query).await.unwrap() {
            if let SimpleQueryMessage::Row(row) = message {
                digest.push_str(row.get(0).unwrap());
            }
        }
    }
    digest
}
