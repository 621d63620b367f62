//! Who may read the admin port: a bearer token (RFC 6750) and TLS, both if the configuration says so.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, header};
use axum::serve::Listener;
use ring::digest;
use subtle::ConstantTimeEq as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::credentials::Credentials;
use super::tls::{self, NoTls};
use crate::config;

/// A shorter token could be guessed.
const TOKEN_BYTES: usize = 16;

/// For a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Handshakes at once; more clients wait to be accepted.
const HANDSHAKES: usize = 64;

/// After `accept` has failed, for example for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Token or certificate of the admin port cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NoAccess {
    /// The token's file cannot be read.
    #[error("{}: {source}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds no token.
    #[error("{}: the token must be one line of {TOKEN_BYTES} characters or more, without white space", .0.display())]
    Token(PathBuf),
    /// TLS cannot be used.
    #[error(transparent)]
    Tls(#[from] NoTls),
}

/// What the admin port asks of a client.
#[derive(Clone, Default)]
pub(super) struct Access {
    /// The hash of the token: two hashes are of one length, so that comparing them tells nothing of
    /// the token's.
    token: Option<[u8; 32]>,
    acceptor: Option<TlsAcceptor>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

/// Reads token and certificate.
pub(super) fn load(admin: &config::Admin) -> Result<Access, NoAccess> {
    let token = match &admin.token {
        None => None,
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .map_err(|source| NoAccess::File { file: file.clone(), source })?;
            let text = text.trim_end_matches(['\r', '\n']);
            let sound =
                text.len() >= TOKEN_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic());
            Some(sound.then(|| hash(text.as_bytes())).ok_or(NoAccess::Token(file.clone()))?)
        }
    };
    let acceptor = match &admin.tls {
        None => None,
        Some((certificate, key)) => {
            Some(TlsAcceptor::from(Arc::new(tls::pages(certificate, key)?)))
        }
    };
    Ok(Access { token, acceptor })
}

impl Access {
    /// Whether it is behind TLS.
    pub(super) const fn is_encrypted(&self) -> bool {
        self.acceptor.is_some()
    }

    /// Whether a request comes with the token, if there is one.
    pub(super) fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else {
            return true;
        };
        let given = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
        let given = given.and_then(|value| value.split_at_checked(7));
        given.is_some_and(|(scheme, given)| {
            scheme.eq_ignore_ascii_case(b"bearer ") && bool::from(hash(given).ct_eq(token))
        })
    }
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    digest::digest(&digest::SHA256, bytes).as_ref().try_into().unwrap_or_default()
}

/// The admin port behind TLS. Each handshake takes its own time: a client that says nothing holds
/// nobody up.
pub(super) struct TlsListener {
    listener: TcpListener,
    credentials: Credentials,
    handshakes: JoinSet<Option<(TlsStream<TcpStream>, SocketAddr)>>,
}

impl TlsListener {
    pub(super) fn new(listener: TcpListener, credentials: Credentials) -> Self {
        Self { listener, credentials, handshakes: JoinSet::new() }
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if self.handshakes.len() < HANDSHAKES => {
                    match accepted {
                        Ok((stream, client)) => {
                            // Read anew for each, so that a changed certificate is shown.
                            let Some(acceptor) = self.credentials.current().access.acceptor.clone()
                            else {
                                continue;
                            };
                            self.handshakes.spawn(async move {
                                let tls = timeout(HANDSHAKE, acceptor.accept(stream)).await;
                                Some((tls.ok()?.ok()?, client))
                            });
                        }
                        Err(error) => {
                            tracing::warn!(%error, "accept on the admin port failed");
                            sleep(ACCEPT_PAUSE).await;
                        }
                    }
                }
                Some(done) = self.handshakes.join_next() => {
                    if let Ok(Some(accepted)) = done {
                        return accepted;
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
