use std::hash::RandomState;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use tokio_postgres::Client;

use super::published::{Health, Policies};
use super::read::{NotRead, Snapshot, read};
use crate::config::CatalogSource;
use crate::database::{Driver, connect};
use crate::telemetry::{CatalogRead, CatalogUnread, Telemetry};

/// Between two readings because of names that nobody knows: clients choose those names.
const PAUSE: Duration = Duration::from_millis(250);

/// That pause is at least so many times as long as the reading before it took.
const READING_SHARE: u32 = 4;

/// Until the first connection, and after an attempt that failed.
const RETRY: Duration = Duration::from_millis(500);

/// One connection attempt, and one reading.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Keeps the catalogue up to date until it is dropped: at once, on the interval, and when asked.
/// Runs for good; a database that cannot be reached is tried again.
pub async fn keep(policies: Policies, source: CatalogSource, telemetry: Telemetry) {
    let mut keeper = Keeper {
        policies,
        source,
        telemetry,
        hasher: RandomState::new(),
        digest: None,
        read_at: None,
        took: Duration::ZERO,
        connection: None,
    };
    loop {
        let number = keeper.policies.last_asked();
        let outcome = keeper.refresh().await;
        let failed = outcome.is_err();
        keeper.tell(outcome);
        keeper.policies.answer(number, keeper.health(failed));
        if failed {
            sleep(RETRY).await;
        } else {
            keeper.rest().await;
        }
    }
}

struct Keeper {
    policies: Policies,
    source: CatalogSource,
    telemetry: Telemetry,
    hasher: RandomState,
    /// Of the catalogue that is published.
    digest: Option<u64>,
    read_at: Option<Instant>,
    /// How long the last reading took.
    took: Duration,
    connection: Option<Connection>,
}

/// A client and the task that moves its bytes.
struct Connection {
    client: Client,
    driver: Driver,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    async fn open(source: &CatalogSource) -> Result<Self, NotRead> {
        let mut config = source.connection.clone();
        if config.get_application_name().is_none() {
            config.application_name("orgguard catalogue");
        }
        let connected = timeout(CONNECT_TIMEOUT, connect(&config, source.tls.as_ref())).await;
        let (client, driver) = connected.map_err(|_| NotRead::TooLate)??;
        Ok(Self { client, driver })
    }
}

impl Keeper {
    /// Reads the catalogue, over a new connection if there is none.
    async fn refresh(&mut self) -> Result<CatalogRead, NotRead> {
        let connection = match self.connection.take().filter(|it| !it.driver.is_finished()) {
            Some(connection) => connection,
            None => Connection::open(&self.source).await?,
        };
        let start = Instant::now();
        let policy = self.policies.current().policy;
        let reading = read(&connection.client, &policy.tables, &self.hasher);
        let read = timeout(READ_TIMEOUT, reading).await;
        let Snapshot { catalog, digest } = read.map_err(|_| NotRead::TooLate)??;
        // Kept only now: after an error it may be in a transaction that failed.
        self.connection = Some(connection);
        self.read_at = Some(start);
        self.took = start.elapsed();
        let relations = catalog.len();
        let changed = self.digest != Some(digest);
        if changed {
            self.digest = Some(digest);
            self.policies.publish(catalog);
        }
        Ok(CatalogRead { relations, changed })
    }

    fn tell(&self, outcome: Result<CatalogRead, NotRead>) {
        match outcome {
            Ok(read) => read.emit(&self.telemetry),
            Err(error) => {
                CatalogUnread { why: error_chain(&error), attempted: true }.emit(&self.telemetry);
            }
        }
    }

    fn health(&self, failed: bool) -> Health {
        match self.read_at {
            None => Health::Unread,
            Some(at) if failed => Health::Stale(at),
            Some(_) => Health::Fresh,
        }
    }

    /// Waits until the catalogue is to be read again.
    async fn rest(&mut self) {
        let interval = sleep(self.source.refresh);
        let pause = sleep(self.took.saturating_mul(READING_SHARE).max(PAUSE));
        tokio::pin!(interval, pause);
        let mut paused = false;
        let mut wanted = false;
        loop {
            if self.policies.is_behind() || (wanted && paused) {
                return;
            }
            let driver = self.connection.as_mut().map(|connection| &mut connection.driver);
            tokio::select! {
                () = &mut interval => return,
                () = &mut pause, if !paused => paused = true,
                () = self.policies.woken() => wanted = true,
                () = ended(driver) => {
                    // Its end was taken: a task may be waited for once only.
                    self.connection = None;
                    let why = "the connection was closed".to_owned();
                    CatalogUnread { why, attempted: false }.emit(&self.telemetry);
                    self.policies.lost(self.health(true));
                    return;
                }
            }
        }
    }
}

async fn ended(driver: Option<&mut Driver>) {
    match driver {
        Some(driver) => {
            // Why it ended is told by the attempt that follows.
            let _ = driver.await;
        }
        None => std::future::pending().await,
    }
}

/// An error and what it came from: the driver's own text leaves out what the server said.
fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}
