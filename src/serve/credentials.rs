use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use ring::digest;

use super::access::{self, Access, NoAccess};
use super::roll::{self, NoRoll};
use super::tls::{self, NoTls};
use crate::config::{self, Config};
use crate::telemetry::CredentialsResult;
use crate::wire::{Encryption, Login, Upstream};

/// Certificates, keys and secrets that the configuration names files of: read at the start, and
/// again when they change. Cheap to clone; all clones are the same.
#[derive(Clone, Debug)]
pub struct Credentials {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: Arc<Config>,
    current: RwLock<Arc<Loaded>>,
    seen: Mutex<Seen>,
}

/// What the files were when they were looked at.
#[derive(Debug)]
struct Seen {
    /// When they were taken, or could not be.
    tried: Digests,
    /// At the last look.
    last: Digests,
}

/// The hash of each file; `None` of one that cannot be read.
type Digests = Vec<Option<[u8; 32]>>;

/// What new connections are served with.
#[derive(Debug)]
pub(super) struct Loaded {
    /// TLS towards clients, if there is any.
    pub(super) encryption: Option<Encryption>,
    /// The database servers.
    pub(super) upstream: Upstream,
    /// How clients log in.
    pub(super) login: Login,
    /// Who may read the admin port.
    pub(super) access: Access,
}

/// Certificates, keys or secrets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NoCredentials {
    /// TLS towards clients.
    #[error("client_tls: {0}")]
    ClientTls(NoTls),
    /// TLS towards the server.
    #[error("upstream_tls: {0}")]
    UpstreamTls(NoTls),
    /// The secrets of roles.
    #[error("login: {0}")]
    Login(#[from] NoRoll),
    /// The admin port.
    #[error("admin: {0}")]
    Admin(#[from] NoAccess),
}

impl Credentials {
    /// Reads what the configuration names.
    ///
    /// # Errors
    /// If any of it cannot be used.
    pub fn load(config: &Arc<Config>) -> Result<Self, NoCredentials> {
        let seen = digests(config);
        let loaded = load(config, None)?;
        Ok(Self {
            shared: Arc::new(Shared {
                config: Arc::clone(config),
                current: RwLock::new(Arc::new(loaded)),
                seen: Mutex::new(Seen { tried: seen.clone(), last: seen }),
            }),
        })
    }

    /// What a new connection is served with.
    pub(super) fn current(&self) -> Arc<Loaded> {
        Arc::clone(&self.shared.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks whether files have changed, and reads them anew if they have; `None` if not. A change
    /// is taken when it is seen a second time: a certificate and its key are seldom written at once.
    pub(super) fn look(&self) -> Option<CredentialsResult> {
        let now = digests(&self.shared.config);
        let mut seen = self.seen();
        let settled = now == seen.last;
        seen.last.clone_from(&now);
        if !settled || now == seen.tried {
            return None;
        }
        seen.tried = now;
        drop(seen);
        Some(self.read())
    }

    /// Reads the files anew, whatever has been seen of them.
    pub(super) fn renew(&self) -> CredentialsResult {
        let now = digests(&self.shared.config);
        let mut seen = self.seen();
        let same = now == seen.tried;
        seen.last.clone_from(&now);
        seen.tried = now;
        drop(seen);
        match self.read() {
            CredentialsResult::Changed if same => CredentialsResult::Unchanged,
            result @ (CredentialsResult::Changed
            | CredentialsResult::Unchanged
            | CredentialsResult::Invalid(_)) => result,
        }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> CredentialsResult {
        match load(&self.shared.config, Some(&self.current())) {
            Ok(loaded) => {
                let mut current =
                    self.shared.current.write().unwrap_or_else(PoisonError::into_inner);
                *current = Arc::new(loaded);
                CredentialsResult::Changed
            }
            Err(error) => CredentialsResult::Invalid(error.to_string()),
        }
    }
}

fn load(config: &Config, before: Option<&Loaded>) -> Result<Loaded, NoCredentials> {
    let encryption = config.client_tls.as_ref().map(tls::load).transpose();
    let timeout = config.limits.connect_timeout;
    let upstream = tls::upstream(&config.upstream, timeout).map_err(NoCredentials::UpstreamTls)?;
    let login = roll::load(&config.login, &upstream, before.map(|it| &it.login))?;
    let access = config.admin.as_ref().map(access::load).transpose()?.unwrap_or_default();
    Ok(Loaded {
        encryption: encryption.map_err(NoCredentials::ClientTls)?,
        upstream,
        login,
        access,
    })
}

/// The files that the configuration names.
fn files(config: &Config) -> impl Iterator<Item = &PathBuf> {
    let client = config.client_tls.iter().flat_map(|tls| {
        [Some(&tls.certificate), Some(&tls.key), tls.client_ca.as_ref()].into_iter().flatten()
    });
    let upstream = config.upstream.tls.iter().flat_map(|tls| {
        let identity = tls.identity.iter().flat_map(|(certificate, key)| [certificate, key]);
        tls.ca.iter().chain(identity)
    });
    let secrets = match &config.login {
        config::Login::Relay => None,
        config::Login::Guard(secrets) => secrets.file.as_ref(),
    };
    let admin = config.admin.iter().flat_map(|admin| {
        let identity = admin.tls.iter().flat_map(|(certificate, key)| [certificate, key]);
        admin.token.iter().chain(identity)
    });
    client.chain(upstream).chain(secrets).chain(admin)
}

fn digests(config: &Config) -> Digests {
    let digest = |file: &PathBuf| {
        let bytes = std::fs::read(file).ok()?;
        digest::digest(&digest::SHA256, &bytes).as_ref().try_into().ok()
    };
    files(config).map(digest).collect()
}
