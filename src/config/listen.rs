use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::sync::Arc;

use super::admin::{Admin, convert_admin};
use super::convert::Overrides;
use super::problem::Place;
use super::section::{Located, Section};
use super::upstream::Upstream;

/// The port of this project's examples; PgBouncer's too.
const LISTEN: &str = "127.0.0.1:6432";

/// The longest path of a Unix domain socket, in bytes (Linux, `unix(7)`: 108 with the final NUL).
const PATH_BYTES: usize = 107;

/// Who may connect to a Unix domain socket if the file says nothing: its owner and their group.
const PERMISSIONS: u32 = 0o660;

/// Where clients connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A TCP port.
    Tcp(SocketAddr),
    /// A Unix domain socket.
    Unix(PathBuf),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

impl Listen {
    /// The address of a TCP port.
    #[must_use]
    pub const fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

/// What the guard listens on.
pub(super) struct Sockets {
    pub(super) listen: Arc<[Listen]>,
    pub(super) permissions: u32,
    pub(super) admin: Option<Admin>,
}

/// `listen`, `unix_socket_permissions` and the admin port; `None` is a problem.
pub(super) fn convert_sockets(
    top: &mut Section<'_, '_>,
    overrides: &Overrides,
    upstream: &Located<Upstream>,
) -> Option<Sockets> {
    let written = given(top, "listen", overrides);
    let listen: Option<Vec<Listen>> =
        written.value.iter().map(|text| one(top, "listen", text)).collect();
    if written.value.is_empty() {
        top.report(written.place, "`listen` names no address");
    }
    for (at, text) in written.value.iter().enumerate() {
        if written.value.iter().take(at).any(|other| other.value == text.value) {
            top.report(text.place, format!("`listen` names {:?} twice", text.value));
        }
        if upstream.value.endpoints.iter().any(|endpoint| endpoint.to_string() == text.value) {
            top.report(upstream.place, "`upstream` is the guard itself (`listen`)");
        }
    }
    let permissions = convert_permissions(top, listen.as_deref());
    let admin = convert_admin(top, overrides, listen.as_deref());
    let listen = listen.filter(|listen| !listen.is_empty())?;
    Some(Sockets { listen: listen.into(), permissions: permissions?, admin: admin? })
}

/// `listen` as it is written, on the command line or in the file.
fn given(
    top: &mut Section<'_, '_>,
    key: &'static str,
    overrides: &Overrides,
) -> Located<Vec<Located<String>>> {
    let own = top.text_or_list(key);
    let single = |value: &str, place| Located {
        value: vec![Located { value: value.to_owned(), place }],
        place,
    };
    match (&overrides.listen, own) {
        (Some(text), _) => single(text, Place::Option("--listen")),
        (None, Some(own)) => own,
        (None, None) => single(LISTEN, Place::File),
    }
}

fn one(top: &Section<'_, '_>, key: &str, text: &Located<String>) -> Option<Listen> {
    if !text.value.starts_with('/') {
        return address(top, key, text).map(Listen::Tcp);
    }
    if text.value.len() > PATH_BYTES || text.value.ends_with('/') {
        let message = format!(
            "`{key}` must be the path of a Unix socket, at most {PATH_BYTES} bytes long, such as \
             \"/run/orgguard/.s.PGSQL.6432\""
        );
        top.report(text.place, message);
        return None;
    }
    Some(Listen::Unix(PathBuf::from(&text.value)))
}

/// An address to listen on; a host name is looked up.
pub(super) fn address(
    top: &Section<'_, '_>,
    key: &str,
    text: &Located<String>,
) -> Option<SocketAddr> {
    let found = text.value.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
    if found.is_none() {
        top.report(text.place, format!("`{key}` must be HOST:PORT, not {:?}", text.value));
    }
    found
}

/// `unix_socket_permissions`, in octal as in PostgreSQL's configuration.
fn convert_permissions(top: &mut Section<'_, '_>, listen: Option<&[Listen]>) -> Option<u32> {
    let Some(text) = top.text("unix_socket_permissions") else {
        return Some(PERMISSIONS);
    };
    let bits = u32::from_str_radix(&text.value, 8).ok().filter(|bits| *bits <= 0o777);
    if bits.is_none() {
        top.report(
            text.place,
            "`unix_socket_permissions` must be permissions in octal such as \"0660\"",
        );
    }
    let has_unix = listen.is_none_or(|all| all.iter().any(|it| matches!(it, Listen::Unix(_))));
    if !has_unix {
        top.report(text.place, "`unix_socket_permissions` needs a Unix socket in `listen`");
    }
    bits
}
