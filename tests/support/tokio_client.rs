//! tokio-postgres as a client program: workers of two organizations, as in
//! `tests/clients/python/tenancy.py`, with a small pool of their own.
#![allow(dead_code, reason = "each test program uses its own part")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{BufMut as _, BytesMut};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Error, NoTls, Row};

use super::support::{ACME, BOLT};

const WORKERS: usize = 3;
const POOL: usize = 3;

/// A round that takes longer has stopped.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the workers go on.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    Rounds(usize),
    Instant(Instant),
}

impl Until {
    fn goes_on(self, at: usize) -> bool {
        match self {
            Self::Rounds(rounds) => at < rounds,
            Self::Instant(end) => Instant::now() < end,
        }
    }
}

#[derive(Default)]
struct Tally {
    rounds: u64,
    rows: u64,
    refused: u64,
    mischief: u64,
    honest_refused: u64,
    foreign_rows: u64,
    problems: Vec<String>,
}

/// Connections that are lent to one worker at a time.
struct Pool {
    idle: Vec<Mutex<Client>>,
}

impl Pool {
    async fn open(url: &str, tenant: Option<&str>) -> Result<Arc<Self>, Error> {
        let mut idle = Vec::new();
        for _ in 0..POOL {
            idle.push(Mutex::new(connect(url, tenant).await?));
        }
        Ok(Arc::new(Self { idle }))
    }
}

async fn connect(url: &str, tenant: Option<&str>) -> Result<Client, Error> {
    let mut config: tokio_postgres::Config = url.parse()?;
    config.application_name("tokio-postgres");
    if let Some(tenant) = tenant {
        config.options(format!("-c app.organization_id={tenant}"));
    }
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Runs the workers; what they counted.
pub(crate) fn run(url: &str, form: &str, until: Until) -> Value {
    run_with(url, form, until, false)
}

/// The same, with mischief between the rounds if `mischief`.
pub(crate) fn run_with(url: &str, form: &str, until: Until, mischief: bool) -> Value {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(work(url, form, until, mischief))
}

async fn work(url: &str, form: &str, until: Until, mischief: bool) -> Value {
    let tally = Arc::new(Mutex::new(Tally::default()));
    let shared = match form {
        "startup" => None,
        _ => Some(Pool::open(url, None).await.unwrap()),
    };
    let mut workers = tokio::task::JoinSet::new();
    for tenant in [ACME, BOLT] {
        let pool = match &shared {
            Some(pool) => Arc::clone(pool),
            None => Pool::open(url, Some(tenant)).await.unwrap(),
        };
        for number in 0..WORKERS {
            let worker = Worker {
                url: url.to_owned(),
                pool: Arc::clone(&pool),
                form: form.to_owned(),
                tenant,
                number,
                mischief,
                tally: Arc::clone(&tally),
            };
            workers.spawn(async move { worker.run(until).await });
        }
    }
    while let Some(ended) = workers.join_next().await {
        ended.unwrap();
    }
    let tally = tally.lock().await;
    json!({
        "rounds": tally.rounds, "rows": tally.rows, "refused": tally.refused,
        "mischief": tally.mischief, "honest_refused": tally.honest_refused,
        "foreign_rows": tally.foreign_rows, "problems": tally.problems,
    })
}

struct Worker {
    url: String,
    pool: Arc<Pool>,
    form: String,
    tenant: &'static str,
    number: usize,
    mischief: bool,
    tally: Arc<Mutex<Tally>>,
}

/// Why a round failed.
enum Failed {
    Client(Error),
    Wrong(String),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Client(error)
    }
}

const PRODUCTS: &str = "SELECT name FROM org_products WHERE organization_id = $1 \
                        AND deleted_at IS NULL ORDER BY name";

/// A tenant as tokio-postgres binds it: sixteen bytes.
#[derive(Debug)]
struct Uuid(&'static str);

impl ToSql for Uuid {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let digits: Vec<u8> = self.0.bytes().filter(|digit| *digit != b'-').collect();
        for pair in digits.chunks(2) {
            out.put_u8(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?);
        }
        Ok(IsNull::No)
    }

    fn accepts(of: &Type) -> bool {
        *of == Type::UUID
    }

    to_sql_checked!();
}

fn is_refusal(error: &Error) -> bool {
    error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE)
}

impl Worker {
    async fn run(self, until: Until) {
        let mut at = 0;
        while until.goes_on(at) {
            let outcome = tokio::time::timeout(PATIENCE, self.round(at)).await;
            let outcome = outcome.unwrap_or_else(|_| Err(Failed::Wrong("stopped".into())));
            if let Err(failed) = outcome {
                let mut tally = self.tally.lock().await;
                let (refused, what) = match failed {
                    Failed::Client(error) => (is_refusal(&error), format!("{error:?}")),
                    Failed::Wrong(what) => (false, what),
                };
                tally.honest_refused += u64::from(refused);
                tally.problems.push(what);
                if tally.problems.len() > 5 {
                    return;
                }
            }
            at += 1;
        }
    }

    async fn round(&self, at: usize) -> Result<(), Failed> {
        let mut client = self.pool.idle[(at + self.number) % POOL].lock().await;
        let own = format!("{}:tokio:{}:{}:{at}", self.mark(), self.form, self.number);
        if self.form == "local" {
            let set = "SELECT set_config('app.organization_id', $1, true)";
            let transaction = client.transaction().await?;
            transaction.execute(set, &[&self.tenant]).await?;
            self.honest(transaction.client(), &own).await?;
            transaction.commit().await?;
            let transaction = client.transaction().await?;
            transaction
                .batch_execute(&format!("SET LOCAL app.organization_id = '{}'", self.tenant))
                .await?;
            self.foreign(transaction.client()).await?;
            transaction.rollback().await?;
        } else {
            if self.form == "set" {
                let set = format!("SET app.organization_id = '{}'", self.tenant);
                client.batch_execute(&set).await?;
            }
            self.honest(&client, &own).await?;
            self.foreign(&client).await?;
        }
        drop(client);
        if self.mischief && at % 5 == self.number {
            self.disturb(at / 5).await?;
            self.tally.lock().await.mischief += 1;
        }
        self.tally.lock().await.rounds += 1;
        Ok(())
    }

    /// What the names of the tenant's own tags begin with.
    fn mark(&self) -> char {
        self.tenant.chars().last().unwrap()
    }

    async fn honest(&self, client: &Client, own: &str) -> Result<(), Failed> {
        self.seen(&client.query(PRODUCTS, &[&Uuid(self.tenant)]).await?).await?;
        let prepared = client.prepare(PRODUCTS).await?;
        self.seen(&client.query(&prepared, &[&Uuid(self.tenant)]).await?).await?;
        let by_setting = PRODUCTS.replace("$1", "current_setting('app.organization_id')::uuid");
        self.seen(&client.query(&by_setting, &[]).await?).await?;
        let insert = "INSERT INTO org_tags (id, organization_id, name) \
                      VALUES (gen_random_uuid(), $1, $2)";
        client.execute(insert, &[&Uuid(self.tenant), &own]).await?;
        let tags = "SELECT name FROM org_tags WHERE organization_id = $1 \
                    AND deleted_at IS NULL AND name LIKE $2";
        let mark = format!("{}:%", self.mark());
        let tags = client.query(tags, &[&Uuid(self.tenant), &mark]).await?;
        self.tally.lock().await.rows += tags.len() as u64;
        let delete = "DELETE FROM org_tags WHERE organization_id = $1 \
                      AND deleted_at IS NULL AND name = $2";
        let gone = client.execute(delete, &[&Uuid(self.tenant), &own]).await?;
        if gone != 1 || !tags.iter().any(|row| row.get::<_, &str>(0) == own) {
            return Err(Failed::Wrong(format!("{gone} deleted of {own}")));
        }
        Ok(())
    }

    async fn seen(&self, rows: &[Row]) -> Result<(), Failed> {
        let live: &[&str] = if self.tenant == ACME {
            &["Anvil", "Bellows", "Chisel"]
        } else {
            &["Foreign drill", "Foreign saw"]
        };
        let names: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
        let mut tally = self.tally.lock().await;
        tally.rows += names.len() as u64;
        tally.foreign_rows += names.iter().filter(|name| !live.contains(name)).count() as u64;
        if names == live {
            return Ok(());
        }
        Err(Failed::Wrong(format!("{} saw {names:?}", self.tenant)))
    }

    async fn foreign(&self, client: &Client) -> Result<(), Failed> {
        let other = if self.tenant == ACME { BOLT } else { ACME };
        match client.query(PRODUCTS, &[&Uuid(other)]).await {
            Err(error) if is_refusal(&error) => {
                self.tally.lock().await.refused += 1;
                Ok(())
            }
            Err(error) => Err(error.into()),
            Ok(rows) => {
                self.tally.lock().await.foreign_rows += rows.len() as u64;
                Err(Failed::Wrong(format!("{} was given {} rows", self.tenant, rows.len())))
            }
        }
    }

    /// What goes wrong in a session, one thing after the other, on a connection of its own.
    async fn disturb(&self, turn: usize) -> Result<(), Failed> {
        let mut client = connect(&self.url, Some(self.tenant)).await?;
        match turn % 5 {
            0 => {
                for (text, code) in [
                    ("SELECT 1 / 0", SqlState::DIVISION_BY_ZERO),
                    ("SELECT nothing FROM plans", SqlState::UNDEFINED_COLUMN),
                ] {
                    expect(client.query(text, &[]).await.map(drop), &code)?;
                    expect(client.batch_execute(text).await, &code)?;
                }
            }
            1 => {
                let token = client.cancel_token();
                let query = client.batch_execute("SELECT pg_sleep(50)");
                // A cancel that comes before the query does nothing.
                let cancels = async {
                    loop {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        if let Err(error) = token.cancel_query(NoTls).await {
                            return error;
                        }
                    }
                };
                let outcome = tokio::select! {
                    outcome = query => outcome,
                    error = cancels => Err(error),
                };
                expect(outcome, &SqlState::QUERY_CANCELED)?;
            }
            2 => {
                let transaction = client.transaction().await?;
                let portal = transaction.bind(PRODUCTS, &[&Uuid(self.tenant)]).await?;
                self.tally.lock().await.rows +=
                    transaction.query_portal(&portal, 1).await?.len() as u64;
                let failed = transaction.batch_execute("SELECT 1 / 0").await;
                expect(failed, &SqlState::DIVISION_BY_ZERO)?;
                expect(
                    transaction.query_portal(&portal, 1).await.map(drop),
                    &SqlState::IN_FAILED_SQL_TRANSACTION,
                )?;
                transaction.rollback().await?;
            }
            3 => {
                let mut statements = Vec::new();
                for at in 0..20 {
                    let text = format!("{PRODUCTS} LIMIT {at}");
                    statements.push(client.prepare(&text).await?);
                }
                for statement in &statements {
                    client.query(statement, &[&Uuid(self.tenant)]).await?;
                }
                drop(statements);
                client.batch_execute("SELECT 1").await?;
            }
            // Nobody waits for the answer: the connection is closed while the server works.
            _ => {
                let tenant = Uuid(self.tenant);
                let values: [&(dyn ToSql + Sync); 1] = [&tenant];
                let query = client.query(PRODUCTS, &values);
                let _ = tokio::time::timeout(Duration::from_micros(300), query).await;
            }
        }
        Ok(())
    }
}

/// An error with this code must have come.
fn expect(outcome: Result<(), Error>, code: &SqlState) -> Result<(), Failed> {
    match outcome {
        Err(error) if error.code() == Some(code) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(()) => Err(Failed::Wrong(format!("worked, instead of {}", code.code()))),
    }
}
