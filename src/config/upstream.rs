use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::config::{Host, SslMode};

use super::account::Account;
use super::convert::Overrides;
use super::problem::Place;
use super::section::{Located, Section};

const UPSTREAM: &str = "127.0.0.1:5432";

/// How long what a server is for is remembered.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// The database servers (`upstream`, `[upstream_tls]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// In the order in which they are tried; never empty.
    pub endpoints: Arc<[Endpoint]>,
    /// TLS towards them; `None` speaks in clear.
    pub tls: Option<UpstreamTls>,
    /// Which of them sessions go to.
    pub target: Target,
}

/// Which of several servers sessions go to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// The first that can be reached.
    #[default]
    Any,
    /// The first that is of this kind.
    Only(SessionAttrs, Box<Probe>),
}

/// What a server must be (libpq's `target_session_attrs`; documentation, 34.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionAttrs {
    /// Transactions may write by default.
    ReadWrite,
    /// Transactions may not write by default.
    ReadOnly,
    /// Not in recovery.
    Primary,
    /// In recovery.
    Standby,
    /// In recovery, or any if none is.
    PreferStandby,
}

/// How servers are asked what they are (`[upstream_probe]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Who asks.
    pub account: Account,
    /// How long an answer is remembered.
    pub interval: Duration,
}

/// Where a database server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A TCP port.
    Tcp {
        /// A name or an address, without brackets.
        host: Box<str>,
        /// The port.
        port: u16,
    },
    /// A Unix domain socket.
    Unix(PathBuf),
}

impl Upstream {
    /// The TLS of a connection of the guard's own that a connection string describes: what
    /// `[upstream_tls]` asks of a server, and no less than the string's `sslmode`. `None` speaks in
    /// clear: the string says so, or names Unix sockets alone, where PostgreSQL has no TLS.
    #[must_use]
    pub fn tls_of(&self, connection: &tokio_postgres::Config) -> Option<UpstreamTls> {
        let hosts = connection.get_hosts();
        let near = !hosts.is_empty() && hosts.iter().all(|host| matches!(host, Host::Unix(_)));
        let mode = connection.get_ssl_mode();
        if mode == SslMode::Disable || (near && connection.get_hostaddrs().is_empty()) {
            return None;
        }
        let mut tls = self.tls.clone().unwrap_or(UpstreamTls {
            trust: Trust::Prefer,
            ca: None,
            identity: None,
            direct: false,
        });
        if mode == SslMode::Require && tls.trust == Trust::Prefer {
            tls.trust = Trust::Require;
        }
        Some(tls)
    }

    /// Whether any server is spoken to over TCP, where there may be TLS.
    #[must_use]
    pub fn has_tcp(&self) -> bool {
        self.endpoints.iter().any(|endpoint| matches!(endpoint, Endpoint::Tcp { .. }))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            endpoint.fmt(f)?;
        }
        Ok(())
    }
}

/// TLS towards the server (`[upstream_tls]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamTls {
    /// How much is asked of the server.
    pub trust: Trust,
    /// The certificates that are trusted, a PEM file.
    pub ca: Option<PathBuf>,
    /// Certificate and key of the guard, PEM files.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Whether the handshake is begun without asking (PostgreSQL 17 and later).
    pub direct: bool,
}

/// How much is asked of a server: libpq's `sslmode` (documentation, 34.19.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// TLS if it has it.
    Prefer,
    /// TLS, whoever it is.
    Require,
    /// A certificate of a trusted authority.
    VerifyCa,
    /// And in its own name.
    VerifyFull,
}

/// `upstream`: a server, or several in the order in which they are tried.
pub(super) fn convert_upstream(
    top: &mut Section<'_, '_>,
    overrides: &Overrides,
) -> (Located<Upstream>, bool) {
    let written = top.text_or_list("upstream");
    let located = match (&overrides.upstream, written) {
        (Some(text), _) => Located {
            value: vec![Located { value: text.clone(), place: Place::Option("--upstream") }],
            place: Place::Option("--upstream"),
        },
        (None, Some(written)) => written,
        (None, None) => Located {
            value: vec![Located { value: UPSTREAM.to_owned(), place: Place::File }],
            place: Place::File,
        },
    };
    let mut endpoints = Vec::new();
    for text in &located.value {
        match endpoint(&text.value) {
            Some(endpoint) => endpoints.push(endpoint),
            None => top.report(
                text.place,
                "`upstream` must be HOST:PORT, the path of a Unix socket, or a list of these",
            ),
        }
    }
    let sound = !endpoints.is_empty() && endpoints.len() == located.value.len();
    if located.value.is_empty() {
        top.report(located.place, "`upstream` names no server");
    }
    let (tls, tls_sound) = convert_upstream_tls(top);
    let target = convert_target(top);
    let sound = sound && tls_sound && target.is_some();
    let value = Upstream { endpoints: endpoints.into(), tls, target: target.unwrap_or_default() };
    (Located { value, place: located.place }, sound)
}

/// `target_session_attrs` and `[upstream_probe]`.
fn convert_target(top: &mut Section<'_, '_>) -> Option<Target> {
    let attrs = top.choice(
        "target_session_attrs",
        &[
            ("any", None),
            ("read-write", Some(SessionAttrs::ReadWrite)),
            ("read-only", Some(SessionAttrs::ReadOnly)),
            ("primary", Some(SessionAttrs::Primary)),
            ("standby", Some(SessionAttrs::Standby)),
            ("prefer-standby", Some(SessionAttrs::PreferStandby)),
        ],
    );
    let wanted = top.has("upstream_probe");
    let mut section = top.section("upstream_probe");
    let dsn = section.text("dsn");
    let interval = section.duration("interval").unwrap_or(PROBE_INTERVAL);
    let attrs = attrs.flatten();
    let mut account = None;
    match dsn.as_ref().map(|dsn| (dsn.place, Account::parse(&dsn.value))) {
        Some((place, Ok(Account { endpoints: Some(_), .. }))) => {
            section.report(place, "`dsn` must not name hosts: it is used for those of `upstream`");
        }
        Some((_, Ok(parsed))) => account = Some(parsed),
        Some((place, Err(why))) => section.report(place, format!("`dsn` {why}")),
        None if wanted => section.report(Place::File, "`dsn` is missing in [upstream_probe]"),
        None => {}
    }
    if attrs.is_some() && !wanted {
        let message = "`target_session_attrs` needs [upstream_probe]: as whom are servers asked?";
        section.report(Place::File, message);
    }
    if attrs.is_none() && wanted {
        let message = "[upstream_probe] needs `target_session_attrs` other than \"any\"";
        section.report(Place::File, message);
    }
    section.finish();
    match (attrs, wanted, account) {
        (None, false, _) => Some(Target::Any),
        (Some(attrs), _, Some(account)) => {
            Some(Target::Only(attrs, Box::new(Probe { account, interval })))
        }
        (_, _, _) => None,
    }
}

fn endpoint(text: &str) -> Option<Endpoint> {
    if text.starts_with('/') {
        return Some(Endpoint::Unix(PathBuf::from(text)));
    }
    let (host, port) = text.rsplit_once(':')?;
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let host = match bare {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok().then_some(address)?,
        None if host.is_empty() || host.contains([':', '/', '@', ' ', '[', ']']) => return None,
        None => host,
    };
    let port = port.parse::<u16>().ok().filter(|port| *port != 0)?;
    Some(Endpoint::Tcp { host: host.into(), port })
}

/// `[upstream_tls]`, and whether it is sound.
fn convert_upstream_tls(top: &mut Section<'_, '_>) -> (Option<UpstreamTls>, bool) {
    let wanted = top.has("upstream_tls");
    let mut tls = top.section("upstream_tls");
    let mode = tls.choice(
        "mode",
        &[
            ("off", None),
            ("prefer", Some(Trust::Prefer)),
            ("require", Some(Trust::Require)),
            ("verify-ca", Some(Trust::VerifyCa)),
            ("verify-full", Some(Trust::VerifyFull)),
        ],
    );
    let ca = tls.name("ca").map(|name| PathBuf::from(name.value));
    let certificate = tls.name("certificate");
    let key = tls.name("key");
    let direct = tls.flag("direct").unwrap_or(false);
    let mut sound = true;
    let mut wrong = |tls: &Section<'_, '_>, place: Place, message: &str| {
        tls.report(place, message);
        sound = false;
    };
    let identity = match (certificate, key) {
        (Some(certificate), Some(key)) => {
            Some((PathBuf::from(certificate.value), PathBuf::from(key.value)))
        }
        (None, None) => None,
        (Some(lone), None) | (None, Some(lone)) => {
            wrong(&tls, lone.place, "`certificate` and `key` go together in [upstream_tls]");
            None
        }
    };
    if wanted && mode.is_none() {
        wrong(&tls, Place::File, "`mode` is missing in [upstream_tls]");
    }
    let trust = mode.flatten();
    if matches!(trust, Some(Trust::VerifyCa | Trust::VerifyFull)) && ca.is_none() {
        let message = "`ca` is missing in [upstream_tls]: against what is the server verified?";
        wrong(&tls, Place::File, message);
    }
    if direct && trust.is_none_or(|trust| trust == Trust::Prefer) {
        let message = "`direct` in [upstream_tls] needs a mode that requires TLS";
        wrong(&tls, Place::File, message);
    }
    tls.finish();
    (trust.map(|trust| UpstreamTls { trust, ca, identity, direct }), sound)
}
