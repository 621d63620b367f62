//! A guard with a catalogue in this process, and ordinary clients of it.
#![allow(dead_code, reason = "each test program uses its own part")]

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use orgguard::analyze::READER_STACK;
use orgguard::catalog::Policies;
use orgguard::cli::Throwaway;
use orgguard::config::{self, Overrides};
use orgguard::serve::{self, Admin, Credentials, Live, Readiness};
use orgguard::telemetry::Telemetry;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

/// How long anything may take before the test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Longer than the test: nothing here is seen by the interval.
pub(crate) const NEVER: &str = "1h";

pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .thread_stack_size(READER_STACK)
        .build()
        .unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE * 4, test).await.unwrap() });
}

pub(crate) async fn connect(address: SocketAddr) -> Client {
    let dsn = format!("host={} port={} user=app dbname=postgres", address.ip(), address.port());
    let (client, driver) = tokio_postgres::connect(&dsn, NoTls).await.unwrap();
    tokio::spawn(driver);
    client
}

pub(crate) async fn server(schema: &str) -> (Throwaway, Client) {
    let server = tokio::task::spawn_blocking(|| Throwaway::start().unwrap()).await.unwrap();
    let dsn = server.connection_string();
    let (client, driver) = tokio_postgres::connect(&dsn, NoTls).await.unwrap();
    tokio::spawn(driver);
    client.batch_execute(schema).await.unwrap();
    (server, client)
}

/// A guard in this process.
pub(crate) struct Guard {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) policies: Policies,
    pub(crate) telemetry: Telemetry,
    _tasks: JoinSet<()>,
}

impl Guard {
    pub(crate) async fn start(
        mode: &str,
        upstream: SocketAddr,
        catalog: SocketAddr,
        refresh: &str,
    ) -> Self {
        Self::start_with(mode, upstream, catalog, refresh, "").await
    }

    /// With more sections of the configuration.
    pub(crate) async fn start_with(
        mode: &str,
        upstream: SocketAddr,
        catalog: SocketAddr,
        refresh: &str,
        more: &str,
    ) -> Self {
        let text = format!(
            "mode = \"{mode}\"\nlisten = \"127.0.0.1:0\"\nupstream = \"{upstream}\"\n\
             [catalog]\ndsn = \"host={} port={} user=app dbname=postgres\"\nrefresh = \"{refresh}\"\n{more}",
            catalog.ip(),
            catalog.port(),
        );
        let config = config::parse(&text, &Overrides::default()).unwrap();
        let config = Arc::new(config);
        let telemetry = Telemetry::new(config.mode, Arc::clone(&config.policy)).unwrap();
        let readiness = Readiness::default();
        let policies = Policies::of(&config);
        let mut tasks = JoinSet::new();
        let admin = Admin {
            telemetry: telemetry.clone(),
            readiness: readiness.clone(),
            credentials: Credentials::load(&config).unwrap(),
            policies: policies.clone(),
            live: Live::of(&config),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let admin_address = listener.local_addr().unwrap();
        tasks.spawn(async { admin.serve(listener).await.unwrap() });
        let serving = serve::serve(
            config,
            telemetry.clone(),
            readiness.clone(),
            policies.clone(),
            std::future::pending(),
        );
        tasks.spawn(async { serving.await.unwrap() });
        let address = tokio::select! {
            address = readiness.listening() => address,
            ended = tasks.join_next() => panic!("not served: {ended:?}"),
        };
        Self { address, admin: admin_address, policies, telemetry, _tasks: tasks }
    }

    pub(crate) fn metric(&self, line: &str) -> Option<String> {
        let text = String::from_utf8(self.telemetry.render().unwrap()).unwrap();
        let found = text.lines().find_map(|found| found.strip_prefix(&format!("{line} ")));
        found.map(str::to_owned)
    }

    pub(crate) async fn ready(&self) -> (u16, String) {
        let address = self.admin;
        tokio::task::spawn_blocking(move || {
            let agent: ureq::Agent =
                ureq::Agent::config_builder().http_status_as_error(false).build().into();
            let mut answer = agent.get(format!("http://{address}/readyz")).call().unwrap();
            (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
        })
        .await
        .unwrap()
    }
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let patience = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < patience, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The rule that refused a statement; `None` if it ran.
pub(crate) async fn refused(client: &Client, sql: &str) -> Option<String> {
    let error = client.simple_query(sql).await.err()?;
    let error = error.as_db_error().unwrap_or_else(|| panic!("{sql}: {error}"));
    assert_eq!(error.code().code(), "42501", "{sql}: {error:?}");
    Some(error.detail().unwrap().to_owned())
}

pub(crate) async fn assert_refused(client: &Client, sql: &str, rule: &str) {
    let detail = refused(client, sql).await;
    assert!(detail.as_ref().is_some_and(|it| it.contains(rule)), "{sql}: {detail:?}");
}

pub(crate) async fn assert_runs(client: &Client, sql: &str) {
    assert_eq!(refused(client, sql).await, None, "{sql}");
}
