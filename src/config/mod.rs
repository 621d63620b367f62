//! The configuration file: read, checked as a whole, and turned into types without serde.

mod account;
mod admin;
mod catalog;
mod convert;
mod guard;
mod ledger;
mod listen;
mod login;
mod problem;
mod rewriting;
mod rollout;
mod section;
mod tenant;
mod upstream;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::policy::Policy;
use crate::session::{MaskErrors, Mode, TenantRules};

pub use account::Account;
pub use admin::Admin;
pub use convert::{Overrides, load, parse, standard};
pub use listen::Listen;
pub use login::{AuthQuery, Login, Secrets};
pub use problem::{Invalid, Place, Problem};
pub use rollout::{Exempted, Stages};
pub use upstream::{Endpoint, Probe, SessionAttrs, Target, Trust, Upstream, UpstreamTls};

/// A configuration that has been checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// What is done with verdicts; has no default.
    pub mode: Mode,
    /// Where it is another one: staged rollout, exemptions, migrations.
    pub stages: Stages,
    /// In rewrite mode: tell what would be rewritten, and refuse it.
    pub dry_run: bool,
    /// Where clients connect; never empty.
    pub listen: Arc<[Listen]>,
    /// Who may connect to a Unix socket of `listen`: the permissions of its file.
    pub unix_socket_permissions: u32,
    /// The database servers.
    pub upstream: Upstream,
    /// Metrics and health; `None` if there is no admin port.
    pub admin: Option<Admin>,
    /// What is guarded.
    pub policy: Arc<Policy>,
    /// How a session learns its tenant.
    pub tenant: TenantRules,
    /// How much of the server's errors a client is shown.
    pub mask_errors: MaskErrors,
    /// Limits on connections and messages.
    pub limits: Limits,
    /// TLS towards clients; `None` answers SSLRequest with `N`.
    pub client_tls: Option<ClientTls>,
    /// Threads that serve sessions.
    pub threads: usize,
    /// How clients log in.
    pub login: Login,
    /// Where the catalogue is read; `None` if names alone decide.
    pub catalog: Option<CatalogSource>,
    /// Where violations are kept over restarts; `None` if in memory alone.
    pub ledger: Option<PathBuf>,
}

/// Limits that hold in every mode (`[limits]`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Client connections at once.
    pub connections: usize,
    /// Client connections at once from one address; `None` for as many as there may be at all.
    pub connections_per_address: Option<usize>,
    /// Client connections at once of one role; `None` for as many as there may be at all.
    pub connections_per_role: Option<usize>,
    /// How long a session may be idle outside a transaction; `None` for ever.
    pub idle_timeout: Option<Duration>,
    /// How long a group of messages may take to be answered; `None` for ever.
    pub statement_timeout: Option<Duration>,
    /// From the TCP connection to the first ReadyForQuery.
    pub login_timeout: Duration,
    /// For reaching one of the database servers, TLS included.
    pub connect_timeout: Duration,
    /// The largest message a client may send after login, in bytes, COPY data excepted.
    pub message_bytes: usize,
    /// The largest startup packet, in bytes.
    pub startup_bytes: usize,
    /// Prepared statements and portals remembered for one session.
    pub statements_per_session: usize,
    /// Plans kept, over all sessions, in bytes of statement text.
    pub plan_cache_bytes: usize,
    /// From SIGTERM until sessions still open are ended.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1_000,
            connections_per_address: None,
            connections_per_role: None,
            idle_timeout: None,
            statement_timeout: None,
            login_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            message_bytes: 64 << 20,
            startup_bytes: 10_000,
            statements_per_session: 10_000,
            plan_cache_bytes: 32 << 20,
            drain: Duration::from_secs(30),
        }
    }
}

/// Certificate and key of the guard (`[client_tls]`), PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTls {
    /// The certificate chain.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Refuse clients that do not ask for TLS.
    pub required: bool,
    /// The certificates of authorities, by which clients' certificates are verified; without it
    /// none is asked for.
    pub client_ca: Option<PathBuf>,
    /// Refuse clients without a certificate.
    pub client_certificate_required: bool,
}

/// The connection over which the catalogue is read (`[catalog]`).
#[derive(Clone, Debug)]
pub struct CatalogSource {
    /// `dsn`. Its debug text leaves the password out.
    pub connection: tokio_postgres::Config,
    /// Its TLS.
    pub tls: Option<UpstreamTls>,
    /// The database it names: the catalogue is of this one alone.
    pub database: Box<str>,
    /// How often it is read when nothing tells of a change.
    pub refresh: Duration,
}
