//! Login where it is not relayed as it comes: the guard authenticates the client itself and logs
//! in to the server in its place, or takes channel binding out of an offer that the client could
//! not use.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use postgres_protocol::authentication::md5_hash;
use ring::hmac;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::lookup::Lookup;
use super::scram::{self, ClientExchange, Credential, Failed, Secret, ServerExchange};
use super::stream::Stream;
use crate::session::fatal;
use crate::telemetry::{Peer, RefusedReason};

/// The largest authentication message (`PG_MAX_AUTH_TOKEN_LENGTH`, libpq/auth.h).
const MESSAGE_BYTES: usize = 65_535;

pub(super) const UNREACHED: &str = "orgguard: the database server cannot be reached";
pub(super) const TOO_LONG: &str = "orgguard: login took too long";

/// AuthenticationOk (PostgreSQL documentation, 55.7).
const OK: [u8; 9] = *b"R\0\0\0\x08\0\0\0\0";

/// How clients log in.
#[derive(Clone, Debug)]
pub enum Login {
    /// By what the server asks, relayed.
    Relay,
    /// By the guard itself, which logs in to the server afterwards.
    Guard(Arc<Roll>),
}

/// The roles that the guard lets in.
#[derive(Debug)]
pub struct Roll {
    roles: HashMap<Box<str>, Listed>,
    /// For roles that are not listed.
    lookup: Option<Lookup>,
    seed: hmac::Key,
}

/// A role of the list. The secret of a password is made once: made at each login, it would take time
/// by which a role that is there could be told from one that is not.
#[derive(Clone, Debug)]
struct Listed {
    secret: Secret,
    password: Option<Box<str>>,
}

/// What the guard knows of a role.
#[derive(Clone, Debug)]
pub enum Known {
    /// What the server keeps of the password.
    Secret(Secret),
    /// The password.
    Password(Box<str>),
}

/// No random bytes for the keys of roles that do not exist.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct NoRandom;

impl Roll {
    /// These roles, and those that are asked for. Taken up from the roll before, so that a role that
    /// does not exist still looks the same.
    ///
    /// # Errors
    /// If the system gives no random bytes.
    pub fn new(
        known: HashMap<Box<str>, Known>,
        lookup: Option<Lookup>,
        before: Option<&Self>,
    ) -> Result<Self, NoRandom> {
        let seed = match before {
            Some(before) => before.seed.clone(),
            None => scram::seed().map_err(|_| NoRandom)?,
        };
        let listed = |(name, known): (Box<str>, Known)| {
            let listed = match known {
                Known::Secret(secret) => Listed { secret, password: None },
                Known::Password(password) => Listed {
                    secret: Secret::of_password(&seed, &name, &password),
                    password: Some(password),
                },
            };
            (name, listed)
        };
        let roles = known.into_iter().map(listed).collect();
        Ok(Self { roles, lookup, seed })
    }

    /// What is known of a role; of one that does not exist, a secret that nobody knows.
    async fn find(&self, role: &str) -> Result<Listed, NotLoggedIn> {
        if let Some(listed) = self.roles.get(role) {
            return Ok(listed.clone());
        }
        let secret = match &self.lookup {
            Some(lookup) => lookup.secret(role).await.map_err(|_| NotLoggedIn::Unasked)?,
            None => None,
        };
        let secret = secret.unwrap_or_else(|| Secret::of_nobody(&self.seed, role));
        Ok(Listed { secret, password: None })
    }
}

/// A login that did not come about.
#[derive(Debug)]
pub(super) enum NotLoggedIn {
    /// The client did not prove who it is.
    Client(Failed),
    /// The server refused; its own words, to be handed on.
    Server(Vec<u8>),
    /// The server asks what the guard cannot answer.
    Unanswerable(&'static str),
    /// The database could not be asked for the role's secret.
    Unasked,
    /// It took too long.
    Late,
    /// The client has left.
    Left,
    /// The connection to the server failed.
    Io(io::Error),
}

impl NotLoggedIn {
    /// What it is counted as, and what the client is told; `None` if nobody is there to be told.
    pub(super) fn told(self, client: Peer, role: &str) -> Option<(RefusedReason, Vec<u8>)> {
        let mut bytes = Vec::new();
        let refused = match self {
            Self::Left => return None,
            // As the server says it: nothing tells a wrong password from a role that is not there.
            Self::Client(failed) => {
                tracing::info!(%client, ?failed, "login refused");
                let message = format!("password authentication failed for user \"{role}\"");
                fatal(&mut bytes, "28P01", &message, None);
                RefusedReason::Login
            }
            Self::Server(words) => {
                bytes = words;
                RefusedReason::Login
            }
            Self::Unanswerable(why) => {
                tracing::warn!(%client, role, why, "login failed");
                fatal(&mut bytes, "28000", &format!("orgguard: {why}"), None);
                RefusedReason::Login
            }
            Self::Unasked => {
                let why = "orgguard: the secrets of roles cannot be read now";
                fatal(&mut bytes, "08006", why, None);
                RefusedReason::Upstream
            }
            Self::Late => {
                fatal(&mut bytes, "08006", TOO_LONG, None);
                RefusedReason::LoginTimeout
            }
            Self::Io(error) => {
                tracing::debug!(%client, %error, "lost during login");
                fatal(&mut bytes, "08006", UNREACHED, None);
                RefusedReason::Upstream
            }
        };
        Some((refused, bytes))
    }

    /// Whether a secret that is not the role's any more would lead to this.
    const fn may_be_of_an_old_secret(&self) -> bool {
        match self {
            Self::Client(_) | Self::Server(_) | Self::Unanswerable(_) => true,
            Self::Unasked | Self::Late | Self::Left | Self::Io(_) => false,
        }
    }
}

impl From<io::Error> for NotLoggedIn {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Failed> for NotLoggedIn {
    fn from(failed: Failed) -> Self {
        Self::Client(failed)
    }
}

/// What a server asks for.
enum Request {
    Nothing,
    Cleartext,
    Md5([u8; 4]),
    Scram(Vec<u8>),
    Other,
}

/// Hands on the server's first words, without an offer of channel binding: the client's connection
/// is not encrypted, so it could not take it, and would hold the rest against the server.
pub(super) async fn relay_unbound(
    client: &mut Stream,
    server: &mut Stream,
) -> Result<(), NotLoggedIn> {
    match first_request(client, server).await? {
        (Request::Scram(body), _) => {
            let mut kept = Vec::new();
            for mechanism in mechanisms(&body).filter(|name| *name != scram::PLUS.as_bytes()) {
                kept.extend_from_slice(mechanism);
                kept.push(0);
            }
            kept.push(0);
            tell(client, &request(10, &kept)).await
        }
        (_, message) => tell(client, &message).await,
    }
}

/// Authenticates the client, then logs in to the server; the client is told that it is in.
/// `binding` is the hash of the guard's certificate where the client's connection is encrypted.
pub(super) async fn log_in(
    client: &mut Stream,
    server: &mut Stream,
    roll: &Roll,
    role: &str,
    binding: Option<&[u8]>,
) -> Result<(), NotLoggedIn> {
    let (asked, _) = first_request(client, server).await?;
    let listed = roll.find(role).await?;
    let done = answer(client, server, role, (asked, listed), binding).await;
    if let (Err(error), Some(lookup)) = (&done, &roll.lookup)
        && error.may_be_of_an_old_secret()
    {
        lookup.forget(role);
    }
    done
}

/// Authenticates the client by what is known of the role, and gives the server what it asked for.
async fn answer(
    client: &mut Stream,
    server: &mut Stream,
    role: &str,
    (asked, listed): (Request, Listed),
    binding: Option<&[u8]>,
) -> Result<(), NotLoggedIn> {
    let recovered = authenticate(client, listed.secret, binding).await?;
    let credential = listed.password.map_or(recovered, Credential::Password);
    let private = server.is_encrypted() || server.is_near();
    match (asked, &credential) {
        (Request::Nothing, _) => return tell(client, &OK).await,
        (Request::Cleartext | Request::Md5(_), _) if !private => {
            return Err(NotLoggedIn::Unanswerable(
                "the server asks for a password over a connection that is not encrypted",
            ));
        }
        (Request::Cleartext, Credential::Password(password)) => {
            server.write_all(&message(b'p', &[password.as_bytes(), b"\0"].concat())).await?;
        }
        (Request::Md5(salt), Credential::Password(password)) => {
            let hash = md5_hash(role.as_bytes(), password.as_bytes(), salt);
            server.write_all(&message(b'p', &[hash.as_bytes(), b"\0"].concat())).await?;
        }
        (Request::Cleartext | Request::Md5(_), Credential::Recovered(..)) => {
            return Err(NotLoggedIn::Unanswerable(
                "the server asks for a password, and the guard has only its SCRAM secret",
            ));
        }
        (Request::Scram(offered), credential) => prove(server, &offered, credential).await?,
        (Request::Other, _) => {
            return Err(NotLoggedIn::Unanswerable(
                "the server asks for a kind of authentication that the guard does not have",
            ));
        }
    }
    server.flush().await?;
    match read_request(server).await? {
        (Request::Nothing, _) => tell(client, &OK).await,
        (_, _) => Err(NotLoggedIn::Unanswerable("the server asks twice")),
    }
}

async fn tell(client: &mut Stream, bytes: &[u8]) -> Result<(), NotLoggedIn> {
    client.write_all(bytes).await.map_err(|_| NotLoggedIn::Left)?;
    client.flush().await.map_err(|_| NotLoggedIn::Left)
}

/// What the server asks for, and its message. What it says before that about the protocol's
/// version goes to the client.
async fn first_request(
    client: &mut Stream,
    server: &mut Stream,
) -> Result<(Request, Vec<u8>), NotLoggedIn> {
    loop {
        let (kind, body) = read(server).await?;
        if kind != b'v' {
            return understood(kind, &body);
        }
        tell(client, &message(kind, &body)).await?;
    }
}

async fn read_request(server: &mut Stream) -> Result<(Request, Vec<u8>), NotLoggedIn> {
    let (kind, body) = read(server).await?;
    understood(kind, &body)
}

fn understood(kind: u8, body: &[u8]) -> Result<(Request, Vec<u8>), NotLoggedIn> {
    let whole = message(kind, body);
    match (kind, body.split_first_chunk::<4>()) {
        (b'E', _) => Err(NotLoggedIn::Server(whole)),
        (b'R', Some((code, rest))) => {
            let request = match (u32::from_be_bytes(*code), rest) {
                (0, []) => Request::Nothing,
                (3, []) => Request::Cleartext,
                (5, rest) => rest.try_into().map_or(Request::Other, Request::Md5),
                (10, rest) => Request::Scram(rest.to_vec()),
                (_, _) => Request::Other,
            };
            Ok((request, whole))
        }
        (_, _) => Err(io::Error::from(io::ErrorKind::InvalidData).into()),
    }
}

/// The client proves that it knows the password of its role.
async fn authenticate(
    client: &mut Stream,
    secret: Secret,
    binding: Option<&[u8]>,
) -> Result<Credential, NotLoggedIn> {
    let mut offer = Vec::new();
    if binding.is_some() {
        offer.extend_from_slice(scram::PLUS.as_bytes());
        offer.push(0);
    }
    offer.extend_from_slice(scram::PLAIN.as_bytes());
    offer.extend_from_slice(b"\0\0");
    tell(client, &request(10, &offer)).await?;

    let initial = read_password(client).await?;
    let (mechanism, rest) = cut(&initial).ok_or(Failed::Malformed)?;
    let mechanism = std::str::from_utf8(mechanism).map_err(|_| Failed::Malformed)?;
    let (length, first) = rest.split_first_chunk::<4>().ok_or(Failed::Malformed)?;
    if usize::try_from(u32::from_be_bytes(*length)).ok() != Some(first.len()) {
        return Err(Failed::Malformed.into());
    }
    let exchange = ServerExchange::begin(mechanism, first, binding, secret)?;
    tell(client, &request(11, exchange.server_first.as_bytes())).await?;
    let (credential, last) = exchange.finish(&read_password(client).await?)?;
    tell(client, &request(12, last.as_bytes())).await?;
    Ok(credential)
}

/// The guard proves to the server that it knows the password.
async fn prove(
    server: &mut Stream,
    offered: &[u8],
    credential: &Credential,
) -> Result<(), NotLoggedIn> {
    const UNLIKE: NotLoggedIn = NotLoggedIn::Unanswerable(
        "the server does not take the secret that the guard has for this role",
    );
    if !mechanisms(offered).any(|name| name == scram::PLAIN.as_bytes()) {
        return Err(NotLoggedIn::Unanswerable("the server does not offer SCRAM-SHA-256"));
    }
    let (exchange, first) = ClientExchange::begin()?;
    let length = u32::try_from(first.len()).unwrap_or(u32::MAX).to_be_bytes();
    let initial = [scram::PLAIN.as_bytes(), b"\0", &length, first.as_bytes()].concat();
    server.write_all(&message(b'p', &initial)).await?;
    server.flush().await?;
    let server_first = read_sasl(server, 11).await?;
    let (proved, last) = exchange.prove(&server_first, credential).map_err(|_| UNLIKE)?;
    server.write_all(&message(b'p', last.as_bytes())).await?;
    server.flush().await?;
    let server_final = read_sasl(server, 12).await?;
    if proved.holds(&server_final) { Ok(()) } else { Err(UNLIKE) }
}

async fn read_sasl(server: &mut Stream, code: u32) -> Result<Vec<u8>, NotLoggedIn> {
    let (kind, body) = read(server).await?;
    match (kind, body.split_first_chunk::<4>()) {
        (b'E', _) => Err(NotLoggedIn::Server(message(kind, &body))),
        (b'R', Some((own, rest))) if u32::from_be_bytes(*own) == code => Ok(rest.to_vec()),
        (_, _) => Err(io::Error::from(io::ErrorKind::InvalidData).into()),
    }
}

async fn read_password(client: &mut Stream) -> Result<Vec<u8>, NotLoggedIn> {
    match read(client).await.map_err(|_| NotLoggedIn::Left)? {
        (b'p', body) => Ok(body),
        (_, _) => Err(Failed::Malformed.into()),
    }
}

/// Reads one message exactly; nothing that follows is taken along.
async fn read(stream: &mut Stream) -> io::Result<(u8, Vec<u8>)> {
    let kind = stream.read_u8().await?;
    let length = usize::try_from(stream.read_u32().await?).unwrap_or(usize::MAX);
    let body = length.checked_sub(4).filter(|body| *body <= MESSAGE_BYTES);
    let mut body = vec![0; body.ok_or(io::ErrorKind::InvalidData)?];
    stream.read_exact(&mut body).await?;
    Ok((kind, body))
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len().saturating_add(4)).unwrap_or(u32::MAX);
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

fn request(code: u32, body: &[u8]) -> Vec<u8> {
    message(b'R', &[&code.to_be_bytes()[..], body].concat())
}

/// The names of an AuthenticationSASL, which ends with an empty one.
fn mechanisms(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    body.split(|byte| *byte == 0).take_while(|name| !name.is_empty())
}

/// A string and what follows its end.
fn cut(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some((bytes.get(..end)?, bytes.get(end.checked_add(1)?..)?))
}
