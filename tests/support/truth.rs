//! PostgreSQL as the oracle: one database without row-level security, one with it.
#![allow(dead_code, reason = "each test program uses its own part")]

use orgguard::cli::Throwaway;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::cases;

const SCHEMA: &str = include_str!("../cases/schema.sql");
const POLICIES: &str = include_str!("../cases/rls.sql");

/// Both databases, as the application's role, with the tenant set.
pub(crate) async fn databases(server: &Throwaway) -> (Truth, Truth) {
    databases_with(server, "").await
}

/// The same with a script of the owner's behind the schema.
pub(crate) async fn databases_with(server: &Throwaway, script: &str) -> (Truth, Truth) {
    let admin = connect(&server.connection_string()).await;
    admin.batch_execute("CREATE ROLE app LOGIN").await.unwrap();
    for (name, scripts) in [("raw", &[SCHEMA, script][..]), ("rls", &[SCHEMA, script, POLICIES])] {
        admin.batch_execute(&format!("CREATE DATABASE {name} OWNER app")).await.unwrap();
        let client = client(server, name).await;
        for script in scripts {
            client.batch_execute(script).await.unwrap();
        }
        // Else it begins in the middle of things, and moves plans and row orders.
        client.batch_execute("ANALYZE").await.unwrap();
    }
    pair(server).await
}

/// One more connection to each.
pub(crate) async fn pair(server: &Throwaway) -> (Truth, Truth) {
    (Truth::open(server, "raw").await, Truth::open(server, "rls").await)
}

/// A connection of the application's role.
pub(crate) async fn client(server: &Throwaway, database: &str) -> Client {
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
pub(crate) struct Truth {
    client: Client,
    /// Asks for a digest of the tenant's rows in every guarded table, and of all others.
    digest: String,
    before: Vec<String>,
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

impl Truth {
    async fn open(server: &Throwaway, database: &str) -> Self {
        let client = client(server, database).await;
        let set = format!("SET app.organization_id = '{}'", cases::TENANT);
        client.batch_execute(&set).await.unwrap();
        let tables = "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c \
                      JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' \
                      AND n.nspname IN ('public', 'archive') AND c.relname ILIKE 'org\\_%' ORDER BY 1";
        let tables = rows(client.simple_query(tables).await.unwrap()).0;
        let part = |table: &String, comparison: &str| {
            format!(
                "(SELECT coalesce(string_agg(t::text, ',' ORDER BY t::text), '') FROM {table} t \
                 WHERE organization_id {comparison} '{}')",
                cases::TENANT
            )
        };
        let digest = |comparison: &str| {
            let parts: Vec<String> = tables.iter().map(|table| part(table, comparison)).collect();
            format!("md5({})", parts.join(" || '/' || "))
        };
        let digest = format!("SELECT {} UNION ALL SELECT {}", digest("="), digest("<>"));
        let before = rows(client.simple_query(&digest).await.unwrap()).0;
        assert_eq!(before.len(), 2, "two digests");
        Self { client, digest, before }
    }

    /// Runs a text in a transaction that is rolled back.
    pub(crate) async fn run(&self, text: &str) -> Outcome {
        self.client.batch_execute("BEGIN; SAVEPOINT oracle").await.unwrap();
        let (mut rows_given, tags, error) = self.answer(text).await;
        if error.is_some() {
            self.client.batch_execute("ROLLBACK TO oracle").await.unwrap();
        }
        let after = rows(self.client.simple_query(&self.digest).await.unwrap()).0;
        self.client.batch_execute("ROLLBACK; DEALLOCATE ALL").await.unwrap();
        rows_given.sort();
        Outcome {
            error,
            rows: rows_given,
            tags,
            own: after[0].clone(),
            foreign: after[1] != self.before[1],
        }
    }

    /// Runs a text that only reads.
    pub(crate) async fn read(&self, text: &str) -> Outcome {
        let (mut rows, tags, error) = self.answer(text).await;
        rows.sort();
        Outcome { error, rows, tags, own: self.before[0].clone(), foreign: false }
    }

    async fn answer(&self, text: &str) -> (Vec<String>, Vec<u64>, Option<String>) {
        match self.client.simple_query(text).await {
            Ok(messages) => {
                let (rows, tags) = rows(messages);
                (rows, tags, None)
            }
            Err(error) => {
                let code = error.code().map(|code| code.code().to_owned());
                (Vec::new(), Vec::new(), code.or_else(|| Some(error.to_string())))
            }
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
