use std::io;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::live::Live;
use super::state::ConfigState;
use super::status;
use crate::catalog::{Health, Policies};
use crate::config::{Endpoint, Upstream};
use crate::telemetry::Telemetry;

/// `/readyz` is asked often and by something that has a deadline itself.
const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(1);

/// How far the listener for clients has come. Cheap to clone; all clones tell the same.
#[derive(Clone, Debug)]
pub struct Readiness {
    stage: watch::Sender<Stage>,
}

/// How far the listener for clients has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Not listening yet.
    Starting,
    /// Clients may connect here.
    Listening(SocketAddr),
    /// No new clients; waiting for those that are there.
    Draining,
}

impl Default for Readiness {
    fn default() -> Self {
        Self { stage: watch::Sender::new(Stage::Starting) }
    }
}

impl Readiness {
    /// Tells how far the listener has come.
    pub fn set(&self, stage: Stage) {
        self.stage.send_replace(stage);
    }

    /// How far the listener has come.
    #[must_use]
    pub fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// Waits until clients may connect, and tells where. Never ends if that does not come.
    pub async fn listening(&self) -> SocketAddr {
        let mut stages = self.stage.subscribe();
        loop {
            if let Stage::Listening(address) = *stages.borrow_and_update() {
                return address;
            }
            if stages.changed().await.is_err() {
                // `self` holds the sender, so this does not happen; there is nothing to wait for.
                std::future::pending::<()>().await;
            }
        }
    }
}

/// What the admin port tells about.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The metrics.
    pub telemetry: Telemetry,
    /// The listener for clients.
    pub readiness: Readiness,
    /// The database servers.
    pub upstream: Upstream,
    /// The policy with its catalogue.
    pub policies: Policies,
    /// The configuration in force.
    pub live: Live,
}

impl Admin {
    /// Answers `/metrics`, `/healthz`, `/readyz`, `/violations`, `/config` and the status page `/`
    /// until the task is dropped.
    ///
    /// # Errors
    /// If the listener fails.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        let routes = Router::new()
            .route("/", get(status::page))
            .route("/status", get(status::status))
            .route("/metrics", get(metrics))
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
            .route("/violations", get(violations))
            .route("/config", get(config))
            .with_state(self);
        axum::serve(listener, routes).await
    }

    /// Why clients could not work now, if they could not.
    pub(super) async fn not_ready(&self) -> Option<String> {
        match self.readiness.stage() {
            Stage::Starting => return Some("not listening yet".to_owned()),
            Stage::Draining => return Some("draining".to_owned()),
            Stage::Listening(_) => {}
        }
        if self.policies.health() == Health::Unread {
            return Some("the catalogue has not been read yet".to_owned());
        }
        match timeout(UPSTREAM_TIMEOUT, reach(&self.upstream)).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(format!("upstream {}: {error}", self.upstream)),
            Err(_) => Some(format!("upstream {}: no answer", self.upstream)),
        }
    }
}

/// Connects to the first server that can be reached, and leaves.
async fn reach(upstream: &Upstream) -> io::Result<()> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for endpoint in upstream.endpoints.iter() {
        let reached = match endpoint {
            Endpoint::Tcp { host, port } => TcpStream::connect((&**host, *port)).await.map(drop),
            Endpoint::Unix(path) => UnixStream::connect(path).await.map(drop),
        };
        match reached {
            Ok(()) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn ready(State(admin): State<Admin>) -> Response {
    match admin.not_ready().await {
        None => match admin.policies.health().age() {
            None => "ready\n".into_response(),
            // The last catalogue is in force, so traffic need not go elsewhere.
            Some(age) => {
                format!("ready\ncatalogue: stale, read {} s ago\n", age.as_secs()).into_response()
            }
        },
        Some(why) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")).into_response()
        }
    }
}

async fn metrics(State(admin): State<Admin>) -> Response {
    match admin.telemetry.render() {
        Ok(text) => {
            // The version of the text format (Prometheus documentation, exposition formats).
            let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
            (kind, text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// The ledger, as one JSON object.
async fn violations(State(admin): State<Admin>) -> Response {
    json(&admin.telemetry.account())
}

/// The configuration in force, as one JSON object.
async fn config(State(admin): State<Admin>) -> Response {
    let current = admin.live.current();
    let uses = |name: &str| Some(admin.telemetry.exempted(name));
    json(&ConfigState::new(&current.config, Some(current.since), SystemTime::now(), uses))
}

pub(super) fn json(value: &impl serde::Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
