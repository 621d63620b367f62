use std::path::PathBuf;
use std::time::Duration;

use super::account::Account;
use super::problem::Place;
use super::section::Section;

/// How long a role's secret is remembered.
const CACHE: Duration = Duration::from_secs(10);

/// How clients log in (`[login]`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Login {
    /// By what the server asks, relayed as it comes.
    #[default]
    Relay,
    /// By the guard, with secrets that it knows; the guard logs in to the server afterwards.
    Guard(Box<Secrets>),
}

/// Where the guard learns the secrets of roles: at least one of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secrets {
    /// A file with lines of `"role" "secret"`, as PgBouncer's `auth_file`.
    pub file: Option<PathBuf>,
    /// A query, for roles that are not in the file.
    pub query: Option<AuthQuery>,
}

/// A query for the secret of one role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthQuery {
    /// Who asks.
    pub account: Account,
    /// The query; `$1` is the role's name.
    pub text: Box<str>,
    /// How long an answer is remembered.
    pub cache: Duration,
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
    let guard = mode == Some(true);
    let (secrets, mut sound) = convert_secrets(&mut section, guard);
    let same_certificate = section.flag("same_certificate").unwrap_or(false);
    if wanted && mode.is_none() {
        section.report(Place::File, "`mode` is missing in [login]");
        sound = false;
    }
    if !guard && client_tls && upstream_tls && !same_certificate {
        section.report(
            Place::File,
            "with [client_tls] and [upstream_tls] a SCRAM login cannot be relayed: the client \
             binds it to the guard's certificate, the server to its own. Write [login] mode = \
             \"guard\", or same_certificate = true if the guard has the server's certificate or \
             the server asks for no password",
        );
        sound = false;
    }
    if guard && same_certificate {
        section.report(Place::File, r#"`same_certificate` in [login] needs mode = "relay""#);
        sound = false;
    }
    section.finish();
    let login = if guard { Login::Guard(Box::new(secrets)) } else { Login::Relay };
    sound.then_some(login)
}

/// Where secrets come from, and whether that is sound.
fn convert_secrets(section: &mut Section<'_, '_>, guard: bool) -> (Secrets, bool) {
    let file = section.name("secrets");
    let dsn = section.text("auth_dsn");
    let text = section.name("auth_query");
    let written = section.has("auth_cache");
    let cache = section.duration("auth_cache").unwrap_or(CACHE);
    let mut sound = true;
    let mut wrong = |section: &Section<'_, '_>, place: Place, message: &str| {
        section.report(place, message);
        sound = false;
    };
    let given = [
        ("secrets", file.as_ref().map(|it| it.place)),
        ("auth_dsn", dsn.as_ref().map(|it| it.place)),
        ("auth_query", text.as_ref().map(|it| it.place)),
        ("auth_cache", written.then_some(Place::File)),
    ];
    if !guard {
        for (key, place) in given {
            if let Some(place) = place {
                wrong(section, place, &format!(r#"`{key}` in [login] needs mode = "guard""#));
            }
        }
    } else if file.is_none() && dsn.is_none() && text.is_none() {
        wrong(section, Place::File, "`secrets` or `auth_query` is missing in [login]");
    }
    let account = match dsn.as_ref().map(|dsn| Account::parse(&dsn.value)) {
        Some(Ok(account)) => Some(account),
        Some(Err(why)) => {
            wrong(section, dsn.map_or(Place::File, |it| it.place), &format!("`auth_dsn` {why}"));
            None
        }
        None => None,
    };
    let named = given.map(|(_, place)| place);
    let [_, asks, asked, _] = named;
    match (asks, asked) {
        (Some(_), Some(_)) | (None, None) => {}
        (Some(place), None) | (None, Some(place)) if guard => {
            wrong(section, place, "`auth_dsn` and `auth_query` go together in [login]");
        }
        // It has been said that none of it belongs here.
        (Some(_), None) | (None, Some(_)) => {}
    }
    if written && asked.is_none() && guard {
        wrong(section, Place::File, "`auth_cache` in [login] needs `auth_query`");
    }
    if let Some(text) = text.as_ref().filter(|text| !text.value.contains("$1")) {
        wrong(section, text.place, "`auth_query` must name the role as $1");
    }
    let query = match (account, text) {
        (Some(account), Some(text)) => Some(AuthQuery { account, text: text.value.into(), cache }),
        (_, _) => None,
    };
    let file = file.map(|name| PathBuf::from(name.value));
    (Secrets { file, query }, sound)
}
