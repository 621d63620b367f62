//! The guard as a whole: its listener and its admin port in one runtime.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::analyze;
use crate::catalog::Policies;
use crate::config::{Config, Invalid, Listen, Overrides};
use crate::serve::{self, Admin, Credentials, Live, NoCredentials, Readiness, Reload};
use crate::telemetry::{Telemetry, keep_history, keep_ledger, take_up, write_ledger};

/// The guard could not be started, or stopped with an error.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotServed {
    #[error("{0}")]
    Config(#[from] Invalid),
    #[error("could not listen on the admin address {address}: {source}")]
    Admin { address: SocketAddr, source: io::Error },
    #[error("the ledger's file {}: {source}", file.display())]
    Ledger { file: PathBuf, source: io::Error },
    #[error("{0}")]
    Credentials(#[from] NoCredentials),
    #[error("could not register the metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error("{0}")]
    Serve(String),
    #[error("could not start: {0}")]
    System(#[from] io::Error),
}

/// A guard that runs.
#[derive(Debug)]
pub(super) struct Guard {
    task: JoinHandle<Result<(), NotServed>>,
    admin_task: Option<JoinHandle<io::Result<()>>>,
    reload_task: Option<JoinHandle<io::Result<()>>>,
    admin_address: Option<SocketAddr>,
    readiness: Readiness,
    shutdown: oneshot::Sender<()>,
}

/// A runtime whose threads can plan statements.
pub(super) fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("orgguard")
        .thread_stack_size(analyze::READER_STACK)
        .build()
}

impl Guard {
    /// Starts the admin port, then the listener.
    ///
    /// With a file the configuration is kept up to date.
    pub(super) async fn start(
        config: Config,
        file: Option<(PathBuf, Overrides)>,
    ) -> Result<Self, NotServed> {
        let config = Arc::new(config);
        let credentials = Credentials::load(&config)?;
        let live = Live::of(&config);
        let telemetry = Telemetry::new(config.mode, Arc::clone(&config.policy))?;
        if let Some(file) = &config.ledger {
            let unusable = |source| NotServed::Ledger { file: file.clone(), source };
            take_up(&telemetry, file).map_err(unusable)?;
            // Whether it can be written is known now, not after a day.
            write_ledger(&telemetry, file).map_err(unusable)?;
        }
        let readiness = Readiness::default();
        let policies = Policies::of(&config);
        let mut admin_task = None;
        let mut admin_address = None;
        if let Some(address) = config.admin.as_ref().map(|admin| admin.address) {
            let not_bound = |source| NotServed::Admin { address, source };
            let listener = TcpListener::bind(address).await.map_err(not_bound)?;
            admin_address = Some(listener.local_addr().map_err(not_bound)?);
            let admin = Admin {
                telemetry: telemetry.clone(),
                readiness: readiness.clone(),
                credentials: credentials.clone(),
                policies: policies.clone(),
                live: live.clone(),
            };
            let telemetry = telemetry.clone();
            admin_task = Some(tokio::spawn(async move {
                tokio::select! {
                    served = admin.serve(listener) => served,
                    () = keep_history(telemetry) => Ok(()),
                }
            }));
        }
        let reload_task = file.map(|(file, overrides)| {
            let reload = Reload {
                file,
                overrides,
                live: live.clone(),
                credentials: credentials.clone(),
                policies: policies.clone(),
                telemetry: telemetry.clone(),
            };
            tokio::spawn(reload.keep())
        });
        let (shutdown, told) = oneshot::channel();
        let stop = async {
            // A dropped guard stops too.
            let _ = told.await;
        };
        let ledger = config.ledger.clone();
        let in_force = (live, credentials);
        let serving =
            serve::serve_live(in_force, telemetry.clone(), readiness.clone(), policies, stop);
        let task = tokio::spawn(async move {
            let Some(file) = ledger else {
                return serving.await.map_err(|error| NotServed::Serve(error.to_string()));
            };
            let served = tokio::select! {
                served = serving => served.map_err(|error| NotServed::Serve(error.to_string())),
                () = keep_ledger(telemetry.clone(), file.clone()) => Ok(()),
            };
            let written = write_ledger(&telemetry, &file);
            served.and(written.map_err(|source| NotServed::Ledger { file, source }))
        });
        Ok(Self { task, admin_task, reload_task, admin_address, readiness, shutdown })
    }

    /// Where clients connect over TCP, as soon as they can.
    pub(super) async fn address(&mut self) -> Result<SocketAddr, NotServed> {
        let sockets = self.sockets().await?;
        let address = sockets.iter().find_map(Listen::tcp);
        address.ok_or_else(|| NotServed::Serve("there is no TCP address for clients".to_owned()))
    }

    /// Where clients connect, as soon as they can.
    pub(super) async fn sockets(&mut self) -> Result<Arc<[Listen]>, NotServed> {
        tokio::select! {
            sockets = self.readiness.sockets() => Ok(sockets),
            ended = &mut self.task => match flatten(ended) {
                Ok(()) => Err(NotServed::Serve("the listener ended".to_owned())),
                Err(error) => Err(error),
            },
        }
    }

    /// Where the admin port is.
    pub(super) const fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// Waits until the guard ends by itself.
    pub(super) async fn ended(&mut self) -> Result<(), NotServed> {
        flatten((&mut self.task).await)
    }

    /// Drains and stops.
    pub(super) async fn stop(self) -> Result<(), NotServed> {
        // If it is not received, the guard has ended already.
        let _ = self.shutdown.send(());
        let ended = flatten(self.task.await);
        for task in [self.admin_task, self.reload_task].into_iter().flatten() {
            task.abort();
        }
        ended
    }
}

fn flatten(ended: Result<Result<(), NotServed>, tokio::task::JoinError>) -> Result<(), NotServed> {
    match ended {
        Ok(result) => result,
        Err(error) => Err(NotServed::Serve(error.to_string())),
    }
}

/// Waits for SIGTERM or SIGINT.
pub(super) async fn interrupted() {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        // Without signals the process ends by its default action.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
