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
/// and binds every table to live rows too.
const STRICT: &str = "
DO $$
DECLARE guarded regclass;
BEGIN
  FOR guarded IN
    SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname IN ('public', 'archive') AND c.relname ILIKE 'org\\_%'
      AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'deleted_at')
  LOOP
    EXECUTE format('CREATE POLICY live ON %s AS RESTRICTIVE USING (deleted_at IS NULL) WITH CHECK (true)', guarded);
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

/// The databases for rewriting: without row-level security, with the tenant's rows, and with the
/// tenant's live rows.
pub(crate) async fn rewriting_databases(server: &Throwaway) -> (Client, Client, Client) {
    let (raw, rls) = databases(server).await;
    rls.batch_execute(DEFAULTS).await.unwrap();
    let strict = database(server, "strict", &[SCHEMA, POLICIES, DEFAULTS, STRICT]).await;
    (raw, rls, strict)
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
