use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

use super::access::TlsListener;
use super::credentials::Credentials;
use super::live::Live;
use super::state::ConfigState;
use super::status;
use crate::catalog::{Health, Policies};
use crate::config::Listen;
use crate::telemetry::Telemetry;

/// `/readyz` is asked often and by something that has a deadline itself.
const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(1);

/// How far the listener for clients has come. Cheap to clone; all clones tell the same.
#[derive(Clone, Debug)]
pub struct Readiness {
    stage: watch::Sender<Stage>,
}

/// How far the listener for clients has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Not listening yet.
    Starting,
    /// Clients may connect here.
    Listening(Arc<[Listen]>),
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
        self.stage.borrow().clone()
    }

    /// Waits until clients may connect, and tells the first TCP address for them. Never ends if that
    /// does not come.
    pub async fn listening(&self) -> SocketAddr {
        let sockets = self.sockets().await;
        match sockets.iter().find_map(Listen::tcp) {
            Some(address) => address,
            None => std::future::pending().await,
        }
    }

    /// Waits until clients may connect, and tells where. Never ends if that does not come.
    pub async fn sockets(&self) -> Arc<[Listen]> {
        let mut stages = self.stage.subscribe();
        loop {
            if let Stage::Listening(sockets) = &*stages.borrow_and_update() {
                return Arc::clone(sockets);
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
    /// The database servers, and who may read all this.
    pub credentials: Credentials,
    /// The policy with its catalogue.
    pub policies: Policies,
    /// The configuration in force.
    pub live: Live,
}

impl Admin {
    /// Answers `/metrics`, `/healthz`, `/readyz`, `/violations`, `/config` and the status page `/`
    /// until the task is dropped. `/healthz` and `/readyz` are for everybody: who asks for them has
    /// no token to show, and they say no more than yes or no without it.
    ///
    /// # Errors
    /// If the listener fails.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        let credentials = self.credentials.clone();
        let routes = Router::new()
            .route("/", get(status::page))
            .route("/status", get(status::status))
            .route("/metrics", get(metrics))
            .route("/violations", get(violations))
            .route("/config", get(config))
            .route_layer(middleware::from_fn_with_state(credentials.clone(), admit))
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
            .with_state(self);
        if credentials.current().access.is_encrypted() {
            axum::serve(TlsListener::new(listener, credentials), routes).await
        } else {
            axum::serve(listener, routes).await
        }
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
        let upstream = &self.live.current().config.upstream;
        match timeout(UPSTREAM_TIMEOUT, self.credentials.current().upstream.reach()).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(format!("upstream {upstream}: {error}")),
            Err(_) => Some(format!("upstream {upstream}: no answer")),
        }
    }
}

/// Lets a request with the token pass.
async fn admit(State(credentials): State<Credentials>, request: Request, next: Next) -> Response {
    if credentials.current().access.admits(request.headers()) {
        return next.run(request).await;
    }
    let wanted = [(header::WWW_AUTHENTICATE, "Bearer realm=\"orgguard\"")];
    (StatusCode::UNAUTHORIZED, wanted, "the token of admin_token_file is wanted\n").into_response()
}

async fn ready(State(admin): State<Admin>, headers: HeaderMap) -> Response {
    let told = admin.credentials.current().access.admits(&headers);
    match admin.not_ready().await {
        None => match admin.policies.health().age().filter(|_| told) {
            None => "ready\n".into_response(),
            // The last catalogue is in force, so traffic need not go elsewhere.
            Some(age) => {
                format!("ready\ncatalogue: stale, read {} s ago\n", age.as_secs()).into_response()
            }
        },
        Some(why) => {
            let why = if told { format!("not ready: {why}\n") } else { "not ready\n".to_owned() };
            (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
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
