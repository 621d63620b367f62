//! The case schema on a real server, and guards with a catalogue in front of it.
#![allow(dead_code, reason = "each test program uses its own part")]

use std::future::poll_fn;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use orgguard::analyze::READER_STACK;
use orgguard::catalog::Policies;
use orgguard::cli::Throwaway;
use orgguard::config::{self, Overrides};
use orgguard::serve::{Readiness, serve};
use orgguard::telemetry::Telemetry;
use tokio::task::JoinSet;
use tokio_postgres::error::DbError;
use tokio_postgres::{AsyncMessage, Client, NoTls, SimpleQueryMessage};

pub(crate) const A: &str = "11111111-1111-4111-8111-111111111111";
pub(crate) const B: &str = "22222222-2222-4222-8222-222222222222";

const SCHEMA: &str = include_str!("../cases/schema.sql");
const POLICIES: &str = include_str!("../cases/rls.sql");

/// Runs a test that may wait, with the stack that `serve` gives its readers.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .thread_stack_size(READER_STACK)
        .build()
        .unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(120), test).await.unwrap() });
}

/// A server with two databases to copy: `shop`, and `shop_rls` where PostgreSQL binds every
/// guarded table to organization A.
pub(crate) struct Server {
    throwaway: Throwaway,
    copies: AtomicU32,
}

/// The servers that tests of this program share: one for each directory of programs.
static SERVERS: Mutex<Vec<(Option<PathBuf>, Weak<Server>)>> = Mutex::new(Vec::new());

impl Server {
    /// The server of the version that tests run on.
    pub(crate) async fn usual() -> Arc<Self> {
        Self::of(None).await
    }

    /// A server with the programs of this directory.
    pub(crate) async fn of(programs: Option<PathBuf>) -> Arc<Self> {
        let make = move || {
            let mut servers = SERVERS.lock().unwrap();
            let known = servers.iter().find(|(own, _)| *own == programs);
            if let Some(server) = known.and_then(|(_, server)| server.upgrade()) {
                return server;
            }
            let throwaway = match &programs {
                None => Throwaway::start(),
                Some(programs) => Throwaway::start_from(programs.clone(), &[]),
            };
            let server =
                Arc::new(Self { throwaway: throwaway.unwrap(), copies: AtomicU32::new(0) });
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            std::thread::scope(|scope| {
                let fill = || runtime.unwrap().block_on(server.fill());
                scope.spawn(fill).join().unwrap();
            });
            servers.retain(|(own, _)| *own != programs);
            servers.push((programs, Arc::downgrade(&server)));
            server
        };
        tokio::task::spawn_blocking(make).await.unwrap()
    }

    async fn fill(&self) {
        let postgres = self.connect("postgres", "postgres").await;
        postgres.batch_execute("CREATE ROLE app LOGIN; CREATE ROLE guest LOGIN").await.unwrap();
        for (name, scripts) in [("shop", &[SCHEMA][..]), ("shop_rls", &[SCHEMA, POLICIES])] {
            postgres.batch_execute(&format!("CREATE DATABASE {name} OWNER app")).await.unwrap();
            let app = self.connect("app", name).await;
            for script in scripts {
                app.batch_execute(script).await.unwrap();
            }
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.throwaway.address()
    }

    /// A connection that no guard sees.
    pub(crate) async fn connect(&self, role: &str, database: &str) -> Client {
        connect(self.address(), role, database).await
    }

    /// The version, such as 150004.
    pub(crate) async fn version(&self) -> u32 {
        let client = self.connect("postgres", "postgres").await;
        rows(&client, "SHOW server_version_num").await.unwrap()[0].parse().unwrap()
    }

    /// A database of one test, copied from `shop` or `shop_rls`.
    pub(crate) async fn copy(&self, of: &str) -> String {
        let name = format!("copy{}", self.copies.fetch_add(1, Ordering::Relaxed));
        let postgres = self.connect("postgres", "postgres").await;
        let create = format!("CREATE DATABASE {name} TEMPLATE {of} OWNER app");
        postgres.batch_execute(&create).await.unwrap();
        name
    }
}

/// One test's shop: a database without row-level security, a guard in front of it, and the twin
/// that PostgreSQL binds itself.
pub(crate) struct Shop {
    pub(crate) server: Arc<Server>,
    pub(crate) database: String,
    /// The application's role (it owns every table) past the guard.
    pub(crate) direct: Client,
    /// The same role past the guard where row-level security is on.
    pub(crate) twin: Client,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::on(Server::usual().await).await
    }

    pub(crate) async fn on(server: Arc<Server>) -> Self {
        let (database, twin) = (server.copy("shop").await, server.copy("shop_rls").await);
        let direct = tenant(server.connect("app", &database).await, A).await;
        let twin = tenant(server.connect("app", &twin).await, A).await;
        Self { server, database, direct, twin }
    }

    /// Runs a script of the schema's owner in both databases.
    pub(crate) async fn both(&self, script: &str) {
        self.direct.batch_execute(script).await.unwrap();
        self.twin.batch_execute(script).await.unwrap();
    }

    /// A guard that enforces, with more lines in its `[guard]` and other sections.
    pub(crate) async fn guard(&self, more: &str) -> Guard {
        Guard::start("enforce", self.server.address(), &self.database, more).await
    }
}

/// A guard in this process.
pub(crate) struct Guard {
    address: SocketAddr,
    database: String,
    _tasks: JoinSet<()>,
}

impl Guard {
    pub(crate) async fn start(mode: &str, server: SocketAddr, database: &str, more: &str) -> Self {
        let (ip, port) = (server.ip(), server.port());
        let text = format!(
            "mode = \"{mode}\"\nlisten = \"127.0.0.1:0\"\nupstream = \"{server}\"\n\
             [catalog]\ndsn = \"host={ip} port={port} user=postgres dbname={database}\"\n\
             refresh = \"1h\"\n{more}"
        );
        let config = Arc::new(config::parse(&text, &Overrides::default()).unwrap());
        let telemetry = Telemetry::new(config.mode, Arc::clone(&config.policy)).unwrap();
        let readiness = Readiness::default();
        let policies = Policies::of(&config);
        let mut tasks = JoinSet::new();
        let serving = serve(config, telemetry, readiness.clone(), policies, std::future::pending());
        tasks.spawn(async { serving.await.unwrap() });
        let address = tokio::select! {
            address = readiness.listening() => address,
            ended = tasks.join_next() => panic!("not served: {ended:?}"),
        };
        Self { address, database: database.to_owned(), _tasks: tasks }
    }

    /// A session of the application whose tenant is A.
    pub(crate) async fn session(&self) -> Client {
        self.session_of("app", A).await
    }

    pub(crate) async fn session_of(&self, role: &str, organization: &str) -> Client {
        tenant(connect(self.address, role, &self.database).await, organization).await
    }
}

async fn tenant(client: Client, organization: &str) -> Client {
    let set = format!("SET app.organization_id = '{organization}'");
    client.batch_execute(&set).await.unwrap();
    client
}

pub(crate) async fn connect(address: SocketAddr, role: &str, database: &str) -> Client {
    let settings =
        format!("host={} port={} user={role} dbname={database}", address.ip(), address.port());
    let (client, connection) = tokio_postgres::connect(&settings, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A connection, and what is notified on it.
pub(crate) async fn listen(
    address: SocketAddr,
    role: &str,
    database: &str,
) -> (Client, Arc<Mutex<Vec<String>>>) {
    let settings =
        format!("host={} port={} user={role} dbname={database}", address.ip(), address.port());
    let (client, mut connection) = tokio_postgres::connect(&settings, NoTls).await.unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(notification) = message {
                kept.lock().unwrap().push(notification.payload().to_owned());
            }
        }
    });
    (client, heard)
}

/// The rows of a text, columns joined with `|`, and the server's or guard's error.
pub(crate) async fn rows(client: &Client, sql: &str) -> Result<Vec<String>, DbError> {
    let messages = client.simple_query(sql).await;
    let messages = messages.map_err(|error| match error.as_db_error() {
        Some(error) => error.clone(),
        None => panic!("{sql}: {error}"),
    })?;
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            let values = (0..row.len()).map(|at| row.get(at).unwrap_or("∅").to_owned());
            Some(values.collect::<Vec<_>>().join("|"))
        }
        _ => None,
    });
    Ok(rows.collect())
}
