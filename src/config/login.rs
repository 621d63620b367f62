use std::path::PathBuf;

use super::problem::Place;
use super::section::Section;

/// How clients log in (`[login]`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Login {
    /// By what the server asks, relayed as it comes.
    #[default]
    Relay,
    /// By the guard, with the secrets of this file; the guard logs in to the server afterwards.
    Guard {
        /// Lines of `"role" "secret"`, as PgBouncer's `auth_file`.
        secrets: PathBuf,
    },
}

/// `[login]`, and whether a login is possible with TLS on both legs.
pub(super) fn convert_login(
    top: &mut Section<'_, '_>,
    client_tls: bool,
    upstream_tls: bool,
) -> Option<Login> {
    let wanted = top.has("login");
    let mut section = top.section("login");
    let mode = section.choice("mode", &[("relay", false), ("guard", true)]);
    let secrets = section.name("secrets");
    let same_certificate = section.flag("same_certificate").unwrap_or(false);
    let mut sound = true;
    if wanted && mode.is_none() {
        section.report(Place::File, "`mode` is missing in [login]");
        sound = false;
    }
    let login = match (mode, secrets) {
        (Some(true), Some(secrets)) => Login::Guard { secrets: PathBuf::from(secrets.value) },
        (Some(true), None) => {
            section.report(Place::File, "`secrets` is missing in [login]");
            sound = false;
            Login::Relay
        }
        (Some(false) | None, Some(secrets)) => {
            section.report(secrets.place, r#"`secrets` in [login] needs mode = "guard""#);
            sound = false;
            Login::Relay
        }
        (Some(false) | None, None) => Login::Relay,
    };
    if login == Login::Relay && client_tls && upstream_tls && !same_certificate {
        section.report(
            Place::File,
            "with [client_tls] and [upstream_tls] a SCRAM login cannot be relayed: the client \
             binds it to the guard's certificate, the server to its own. Write [login] mode = \
             \"guard\", or same_certificate = true if the guard has the server's certificate or \
             the server asks for no password",
        );
        sound = false;
    }
    section.finish();
    sound.then_some(login)
}
