use std::net::SocketAddr;
use std::path::PathBuf;

use super::convert::Overrides;
use super::listen::{Listen, address};
use super::problem::Place;
use super::section::{Located, Section};

/// The admin port (`admin`, `admin_token_file`, `[admin_tls]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Where it listens.
    pub address: SocketAddr,
    /// A file with the bearer token that its pages want; without one they want none.
    pub token: Option<PathBuf>,
    /// Certificate and key, PEM files; without them it speaks in clear.
    pub tls: Option<(PathBuf, PathBuf)>,
}

/// The admin port, if there is one; its outer `None` is a problem.
pub(super) fn convert_admin(
    top: &mut Section<'_, '_>,
    overrides: &Overrides,
    listen: Option<&[Listen]>,
) -> Option<Option<Admin>> {
    let own = top.text("admin");
    let written = match &overrides.admin {
        Some(value) => Some(Located { value: value.clone(), place: Place::Option("--admin") }),
        None => own,
    };
    let found = written.as_ref().map(|text| (text, address(top, "admin", text)));
    if let Some((text, Some(address))) = found
        && address.port() != 0
        && listen.is_some_and(|all| all.iter().any(|it| it.tcp() == Some(address)))
    {
        top.report(text.place, "`admin` and `listen` must be different addresses");
    }
    let token = top.name("admin_token_file");
    let has_tls = top.has("admin_tls");
    let mut section = top.section("admin_tls");
    let certificate = section.name("certificate");
    let key = section.name("key");
    if has_tls && (certificate.is_none() || key.is_none()) {
        section.report(Place::File, "`certificate` and `key` go together in [admin_tls]");
    }
    section.finish();
    let Some((_, address)) = found else {
        if let Some(token) = token {
            top.report(token.place, "`admin_token_file` needs `admin`");
        }
        if has_tls {
            top.report(Place::File, "[admin_tls] needs `admin`");
        }
        return Some(None);
    };
    let tls = match (certificate, key) {
        (Some(certificate), Some(key)) => {
            Some((PathBuf::from(certificate.value), PathBuf::from(key.value)))
        }
        (_, _) => None,
    };
    let token = token.map(|name| PathBuf::from(name.value));
    Some(Some(Admin { address: address?, token, tls }))
}
