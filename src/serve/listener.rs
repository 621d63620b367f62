use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use listenfd::ListenFd;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::admin::{Readiness, Stage};
use super::cache::PlanCache;
use super::live::Live;
use super::plans::SessionPlans;
use super::roll::{self, NoRoll};
use super::tls::{self, NoTls};
use super::workers::Workers;
use crate::catalog::{self, Policies};
use crate::config::Config;
use crate::session::{SessionModes, SessionRules};
use crate::telemetry::{
    CatalogAbsent, ConnectionOpened, ConnectionRefused, RefusedReason, Telemetry,
};
use crate::wire::{Connection, Encryption, Login, Quota, Socket, Upstream, refuse};

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
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The threads for sessions cannot be started.
    #[error("start threads: {0}")]
    Threads(io::Error),
    /// TLS towards clients cannot be used.
    #[error("client_tls: {0}")]
    ClientTls(NoTls),
    /// TLS towards the server cannot be used.
    #[error("upstream_tls: {0}")]
    UpstreamTls(NoTls),
    /// The secrets of roles cannot be used.
    #[error("login: {0}")]
    Login(#[from] NoRoll),
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
    let live = Live::of(&config);
    serve_live(live, telemetry, readiness, policies, shutdown).await
}

/// The same under a configuration that may change meanwhile.
///
/// # Errors
/// As [`serve`].
pub async fn serve_live(
    live: Live,
    telemetry: Telemetry,
    readiness: Readiness,
    policies: Policies,
    shutdown: impl Future<Output = ()>,
) -> Result<(), NotServed> {
    let config = Arc::clone(&live.current().config);
    let encryption =
        config.client_tls.as_ref().map(tls::load).transpose().map_err(NotServed::ClientTls)?;
    let upstream = tls::upstream(&config.upstream).map_err(NotServed::UpstreamTls)?;
    let login = roll::load(&config.login)?;
    let unable = |source| NotServed::Listen { address: config.listen, source };
    let listener = match inherited().map_err(unable)? {
        Some(listener) => listener,
        None => TcpListener::bind(config.listen).await.map_err(unable)?,
    };
    let address = listener.local_addr().map_err(unable)?;
    let (drain, drained) = watch::channel(false);
    let mut keeper = JoinSet::new();
    match &config.catalog {
        Some(source) => {
            keeper.spawn(catalog::keep(policies.clone(), source.clone(), telemetry.clone()));
        }
        None => CatalogAbsent.emit(),
    }
    let threads = config.threads;
    let workers = Workers::start(threads).map_err(NotServed::Threads)?;
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
        encryption,
        upstream,
        login,
        drained,
    };
    readiness.set(Stage::Listening(address));
    tracing::info!(%address, mode = server.config.mode.name(), "listening");
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, client)) => server.accept(stream, client),
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    readiness.set(Stage::Draining);
    drain.send_replace(true);
    tracing::info!(sessions = server.workers.open(), "draining");
    let left = server.workers.finish(server.config.limits.drain).await;
    if left > 0 {
        tracing::warn!(sessions = left, "ended sessions that were not idle in time");
    }
    Ok(())
}

/// The socket that systemd has opened for this process (`orgguard.socket`), if there is one.
fn inherited() -> io::Result<Option<TcpListener>> {
    let Some(listener) = ListenFd::from_env().take_tcp_listener(0)? else {
        return Ok(None);
    };
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener).map(Some)
}

/// What accepting a client needs.
struct Server {
    config: Arc<Config>,
    rules: Arc<SessionRules>,
    plans: Arc<PlanCache>,
    policies: Policies,
    live: Live,
    telemetry: Telemetry,
    encryption: Option<Encryption>,
    upstream: Upstream,
    login: Login,
    permits: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    addresses: Quota<IpAddr>,
    roles: Quota<Box<str>>,
    workers: Workers,
    drained: watch::Receiver<bool>,
}

impl Server {
    fn accept(&self, stream: TcpStream, client: SocketAddr) {
        // From here on the socket belongs to the runtime of a worker.
        let Ok(stream) = stream.into_std() else {
            return;
        };
        let own = move || Socket::of(TcpStream::from_std(stream)?);
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            ConnectionRefused { reason: RefusedReason::Limit, client }.emit(&self.telemetry);
            self.refuse(own, "orgguard: sorry, too many clients already");
            return;
        };
        let Some(counted) = self.addresses.take(&client.ip()) else {
            ConnectionRefused { reason: RefusedReason::LimitOfAddress, client }
                .emit(&self.telemetry);
            self.refuse(own, "orgguard: too many connections from this address");
            return;
        };
        let opened = ConnectionOpened { client }.emit(&self.telemetry);
        let connection = Connection {
            config: Arc::clone(&self.config),
            rules: Arc::clone(&self.rules),
            policies: self.policies.clone(),
            upstream: self.upstream.clone(),
            login: self.login.clone(),
            encryption: self.encryption.clone(),
            telemetry: self.telemetry.clone(),
            client,
            lot: Live::lot(),
            roles: self.roles.clone(),
            drain: self.drained.clone(),
        };
        let plans = SessionPlans::new(Arc::clone(&self.plans), self.live.clone());
        self.workers.give(move || async move {
            if let Ok(stream) = own() {
                connection.run(stream, &plans).await;
            }
            drop((opened, permit, counted));
        });
    }

    /// Tells a client why it is not served, unless many are being told already.
    fn refuse(
        &self,
        stream: impl FnOnce() -> io::Result<Socket> + Send + 'static,
        why: &'static str,
    ) {
        let Ok(refusal) = Arc::clone(&self.refusals).try_acquire_owned() else {
            return;
        };
        self.workers.give(move || async move {
            if let Ok(stream) = stream() {
                refuse(stream, "53300", why).await;
            }
            drop(refusal);
        });
    }
}
