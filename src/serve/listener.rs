use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::admin::{Readiness, Stage};
use super::cache::PlanCache;
use super::credentials::{Credentials, NoCredentials};
use super::live::Live;
use super::plans::SessionPlans;
use super::sockets::{Accepted, Sockets};
use super::workers::Workers;
use crate::catalog::{self, Policies};
use crate::config::Config;
use crate::session::{SessionModes, SessionRules};
use crate::telemetry::{
    CatalogAbsent, ConnectionOpened, ConnectionRefused, RefusedReason, Telemetry,
};
use crate::wire::{Connection, Drain, Quota, refuse};

/// Connections over the limit that are told so at once; more are closed without a word.
const REFUSALS: usize = 64;

/// After `accept` has failed, for example for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The guard could not serve.
#[derive(Debug, thiserror::Error)]
pub enum NotServed {
    /// The address for clients cannot be listened on.
    #[error("listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The threads for sessions cannot be started.
    #[error("start threads: {0}")]
    Threads(io::Error),
    /// Certificates, keys or secrets cannot be used.
    #[error(transparent)]
    Credentials(#[from] NoCredentials),
}

/// Serves clients until `shutdown` is done, then lets sessions end: idle ones at once, others as
/// soon as they are idle, all of them after `limits.drain`.
///
/// Statements are planned under `policies`, whose catalogue is kept up to date meanwhile if the
/// configuration has one.
///
/// Sessions run on threads of their own, `threads` of them.
///
/// # Errors
/// If the address cannot be listened on, or certificate and key cannot be used.
pub async fn serve(
    config: Arc<Config>,
    telemetry: Telemetry,
    readiness: Readiness,
    policies: Policies,
    shutdown: impl Future<Output = ()>,
) -> Result<(), NotServed> {
    let credentials = Credentials::load(&config)?;
    let live = Live::of(&config);
    serve_live((live, credentials), telemetry, readiness, policies, shutdown).await
}

/// The same under a configuration, certificates and secrets that may change meanwhile.
///
/// # Errors
/// As [`serve`].
pub async fn serve_live(
    (live, credentials): (Live, Credentials),
    telemetry: Telemetry,
    readiness: Readiness,
    policies: Policies,
    shutdown: impl Future<Output = ()>,
) -> Result<(), NotServed> {
    let config = Arc::clone(&live.current().config);
    let unable = |(address, source)| NotServed::Listen { address, source };
    let mut sockets = Sockets::open(&config).map_err(unable)?;
    let addresses = sockets.addresses().map_err(|source| unable((String::new(), source)))?;
    let (drain, drained) = watch::channel(Drain::No);
    let mut keeper = JoinSet::new();
    match &config.catalog {
        Some(source) => {
            keeper.spawn(catalog::keep(policies.clone(), source.clone(), telemetry.clone()));
        }
        None => CatalogAbsent.emit(),
    }
    let threads = config.threads;
    let workers = Workers::start(threads, &telemetry).map_err(NotServed::Threads)?;
    keeper.spawn(workers.balance());
    let server = Server {
        rules: Arc::new(SessionRules {
            mode: config.mode,
            modes: SessionModes::uniform(config.mode),
            tenant: config.tenant.clone(),
            tenant_type: config.policy.tenant_type,
            settings: config.policy.settings.clone(),
            statements: config.limits.statements_per_session,
            mask_errors: config.mask_errors,
            dry_run: config.dry_run,
        }),
        plans: Arc::new(PlanCache::new(
            policies.clone(),
            telemetry.clone(),
            config.limits.plan_cache_bytes,
            config.threads,
            config.mode,
        )),
        permits: Arc::new(Semaphore::new(config.limits.connections)),
        refusals: Arc::new(Semaphore::new(REFUSALS)),
        addresses: Quota::new(config.limits.connections_per_address),
        roles: Quota::new(config.limits.connections_per_role),
        workers,
        policies,
        live,
        config,
        telemetry,
        credentials,
        drained,
    };
    for address in &addresses {
        tracing::info!(%address, mode = server.config.mode.name(), "listening");
    }
    readiness.set(Stage::Listening(addresses.into()));
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = sockets.accept() => match accepted {
                Ok(accepted) => server.accept(accepted),
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(sockets);
    readiness.set(Stage::Draining);
    drain.send_replace(Drain::Idle);
    tracing::info!(sessions = server.workers.open(), "draining");
    let patience = server.config.limits.drain;
    let stop = || {
        drain.send_replace(Drain::Now);
    };
    let left = server.workers.finish(patience, stop).await;
    if left > 0 {
        tracing::warn!(sessions = left, "ended sessions that were not idle in time");
    }
    Ok(())
}

/// What accepting a client needs.
struct Server {
    config: Arc<Config>,
    rules: Arc<SessionRules>,
    plans: Arc<PlanCache>,
    policies: Policies,
    live: Live,
    telemetry: Telemetry,
    credentials: Credentials,
    permits: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    addresses: Quota<Option<IpAddr>>,
    roles: Quota<Box<str>>,
    workers: Workers,
    drained: watch::Receiver<Drain>,
}

impl Server {
    fn accept(&self, accepted: Accepted) {
        let client = accepted.peer();
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            ConnectionRefused { reason: RefusedReason::Limit, client }.emit(&self.telemetry);
            self.refuse(accepted, "orgguard: sorry, too many clients already");
            return;
        };
        let Some(counted) = self.addresses.take(&client.ip()) else {
            ConnectionRefused { reason: RefusedReason::LimitOfAddress, client }
                .emit(&self.telemetry);
            self.refuse(accepted, "orgguard: too many connections from this address");
            return;
        };
        let opened = ConnectionOpened { client }.emit(&self.telemetry);
        let loaded = self.credentials.current();
        let connection = Connection {
            config: Arc::clone(&self.config),
            rules: Arc::clone(&self.rules),
            policies: self.policies.clone(),
            upstream: loaded.upstream.clone(),
            login: loaded.login.clone(),
            encryption: loaded.encryption.clone(),
            telemetry: self.telemetry.clone(),
            client,
            lot: Live::lot(),
            roles: self.roles.clone(),
            drain: self.drained.clone(),
            held: Box::new((opened, permit, counted)),
        };
        let plans = SessionPlans::new(Arc::clone(&self.plans), self.live.clone());
        self.workers.give(move || {
            // From here on the socket belongs to the runtime of a worker.
            let stream = accepted.into_socket();
            stream.ok().map(|stream| connection.run(stream, Box::new(plans)))
        });
    }

    /// Tells a client why it is not served, unless many are being told already.
    fn refuse(&self, accepted: Accepted, why: &'static str) {
        let Ok(refusal) = Arc::clone(&self.refusals).try_acquire_owned() else {
            return;
        };
        self.workers.give(move || {
            let stream = accepted.into_socket().ok()?;
            Some(async move {
                refuse(stream, "53300", why).await;
                drop(refusal);
                None
            })
        });
    }
}
