//! PostgreSQL as the oracle of rewriting: one database without row-level security, one where
//! PostgreSQL binds every guarded table to the tenant's live rows.
#![allow(dead_code, reason = "each test program uses its own part")]

use std::hash::RandomState;
use std::sync::Arc;

use orgguard::catalog::read;
use orgguard::cli::Throwaway;
use orgguard::policy::Policy;
use tokio_postgres::{Client, Column, NoTls, SimpleQueryMessage};

use super::cases;

const SCHEMA: &str = include_str!("../cases/schema.sql");
const POLICIES: &str = include_str!("../cases/rls.sql");

/// Binds every table to live rows too. PostgreSQL applies a policy to new rows as well, so rows that
/// a test itself deletes, which are deleted later than all others, pass.
const LIVE: &str = "
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

/// Makes the tenant the default of every tenant column, as rewriting does for rows without one.
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

const OWN: &str = "(organization_id = '11111111-1111-4111-8111-111111111111' \
     AND coalesce((to_jsonb(t) ->> 'deleted_at')::timestamptz > '2026-06-01', true))";

/// Makes both databases, with a script behind the schema; gives the policy with the first one's
/// catalogue.
pub(crate) async fn databases(server: &Throwaway, script: &str) -> Policy {
    let admin = connect(&server.connection_string()).await;
    admin.batch_execute("CREATE ROLE app LOGIN").await.unwrap();
    let scripts: [(&str, &[&str]); 2] =
        [("raw", &[SCHEMA, script]), ("strict", &[SCHEMA, script, POLICIES, DEFAULTS, LIVE])];
    for (name, scripts) in scripts {
        admin.batch_execute(&format!("CREATE DATABASE {name} OWNER app")).await.unwrap();
        let client = client(server, name).await;
        for script in scripts {
            client.batch_execute(script).await.unwrap();
        }
        client.batch_execute("ANALYZE").await.unwrap();
    }
    let mut policy = cases::standard_policy();
    let client = client(server, "raw").await;
    let snapshot = read(&client, &policy.tables, &RandomState::new()).await.unwrap();
    policy.catalog = Some(Arc::new(snapshot.catalog));
    policy
}

/// A connection to each.
pub(crate) async fn pair(server: &Throwaway) -> (Live, Live) {
    (Live::open(server, "raw").await, Live::open(server, "strict").await)
}

async fn client(server: &Throwaway, database: &str) -> Client {
    let address = server.address();
    let settings =
        format!("host={} port={} user=app dbname={database}", address.ip(), address.port());
    connect(&settings).await
}

async fn connect(settings: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(settings, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// One of the two databases, where nothing ever changes.
pub(crate) struct Live {
    client: Client,
    /// Asks for a digest of the tenant's live rows in every guarded table, and of all others.
    digest: String,
    before: Vec<String>,
}

/// What a statement gave.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    /// The columns' names and types, where the text is one statement that can be described.
    pub(crate) columns: Vec<String>,
    pub(crate) error: Option<String>,
    pub(crate) rows: Vec<String>,
    pub(crate) tags: Vec<u64>,
    /// The tenant's live rows afterwards.
    pub(crate) own: String,
    /// Whether other rows changed, where they can be seen.
    pub(crate) foreign: bool,
}

impl Live {
    async fn open(server: &Throwaway, database: &str) -> Self {
        let client = client(server, database).await;
        let set = format!("SET app.organization_id = '{}'", cases::TENANT);
        client.batch_execute(&set).await.unwrap();
        let tables = "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c \
                      JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' \
                      AND n.nspname IN ('public', 'archive') AND c.relname ILIKE 'org\\_%' ORDER BY 1";
        let tables = rows(client.simple_query(tables).await.unwrap()).0;
        let digest = |which: &str| {
            let part = |table: &String| {
                format!(
                    "(SELECT coalesce(string_agg(t::text, ',' ORDER BY t::text), '') \
                     FROM {table} t WHERE {which})"
                )
            };
            let parts: Vec<String> = tables.iter().map(part).collect();
            format!("md5({})", parts.join(" || '/' || "))
        };
        let others = format!("NOT {OWN}");
        let digest = format!("SELECT {} UNION ALL SELECT {}", digest(OWN), digest(&others));
        let before = rows(client.simple_query(&digest).await.unwrap()).0;
        assert_eq!(before.len(), 2, "two digests");
        Self { client, digest, before }
    }

    /// Runs a text that only reads.
    pub(crate) async fn read(&self, text: &str) -> Outcome {
        let columns = self.columns(text).await.unwrap_or_default();
        let (rows, tags, error) = self.answer(text).await;
        Outcome { columns, error, rows, tags, own: self.before[0].clone(), foreign: false }
    }

    /// The columns of a statement that can be described.
    async fn columns(&self, text: &str) -> Option<Vec<String>> {
        let described = self.client.prepare(text).await.ok()?;
        let name = |column: &Column| format!("{} {}", column.name(), column.type_());
        Some(described.columns().iter().map(name).collect())
    }

    async fn answer(&self, text: &str) -> (Vec<String>, Vec<u64>, Option<String>) {
        match self.client.simple_query(text).await {
            Ok(messages) => {
                let (mut rows, tags) = rows(messages);
                rows.sort();
                (rows, tags, None)
            }
            Err(error) => {
                let code = error.code().map(|code| code.code().to_owned());
                (Vec::new(), Vec::new(), code.or_else(|| Some(error.to_string())))
            }
        }
    }

    /// Runs a text in a transaction that is rolled back. Several workers write to one database: who
    /// is chosen to end a deadlock tries again.
    pub(crate) async fn run(&self, text: &str) -> Outcome {
        loop {
            let outcome = self.run_once(text).await;
            if outcome.error.as_deref() != Some("40P01") {
                return outcome;
            }
        }
    }

    async fn run_once(&self, text: &str) -> Outcome {
        self.client.batch_execute("BEGIN; SAVEPOINT oracle").await.unwrap();
        let columns = self.columns(text).await;
        if columns.is_none() {
            self.client.batch_execute("ROLLBACK TO oracle").await.unwrap();
        }
        let (given, tags, error) = self.answer(text).await;
        if error.is_some() {
            self.client.batch_execute("ROLLBACK TO oracle").await.unwrap();
        }
        let after = rows(self.client.simple_query(&self.digest).await.unwrap()).0;
        self.client.batch_execute("ROLLBACK; DEALLOCATE ALL").await.unwrap();
        Outcome {
            columns: columns.unwrap_or_default(),
            error,
            rows: given,
            tags,
            own: after[0].clone(),
            foreign: after[1] != self.before[1],
        }
    }
}

/// Rows, columns joined, and the counts of the tags.
fn rows(messages: Vec<SimpleQueryMessage>) -> (Vec<String>, Vec<u64>) {
    let (mut rows, mut tags) = (Vec::new(), Vec::new());
    for message in messages {
        match message {
            SimpleQueryMessage::Row(row) => {
                let values: Vec<&str> =
                    (0..row.len()).map(|at| row.get(at).unwrap_or("∅")).collect();
                rows.push(values.join("|"));
            }
            SimpleQueryMessage::CommandComplete(count) => tags.push(count),
            _ => {}
        }
    }
    (rows, tags)
}
