use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, TlsStream};

use super::probe::Probes;
use super::socket::Socket;
use super::stream::Stream;
use crate::config::{Account, Endpoint, SessionAttrs, Target};

/// SSLRequest (PostgreSQL documentation, 55.7): length 8, code 80877103.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f];

/// The database servers and how they are spoken to.
#[derive(Clone)]
pub struct Upstream {
    endpoints: Arc<[Endpoint]>,
    encryption: Option<UpstreamEncryption>,
    /// For reaching one of them.
    connect_timeout: Duration,
    /// What they must be, and what they are.
    target: Option<(SessionAttrs, Arc<Probes>)>,
}

/// TLS towards the server.
#[derive(Clone)]
pub struct UpstreamEncryption {
    connector: TlsConnector,
    /// Give up where the server has no TLS, instead of going on in clear.
    required: bool,
    /// Begin with the handshake instead of asking for it (PostgreSQL 17 and later).
    direct: bool,
}

/// What is tried with a server.
#[derive(Clone, Copy, Debug)]
enum Attempt {
    /// A connection for a session.
    Session,
    /// Whether there would be one.
    Look,
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for UpstreamEncryption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpstreamEncryption")
            .field("required", &self.required)
            .finish_non_exhaustive()
    }
}

impl UpstreamEncryption {
    /// TLS by this configuration: required or where the server has it, asked for or begun at once.
    #[must_use]
    pub fn new(config: Arc<rustls::ClientConfig>, required: bool, direct: bool) -> Self {
        Self { connector: TlsConnector::from(config), required, direct }
    }
}

impl Upstream {
    /// These servers, the first of them that can be reached and is what it must be.
    #[must_use]
    pub fn new(
        endpoints: Arc<[Endpoint]>,
        encryption: Option<UpstreamEncryption>,
        target: &Target,
        connect_timeout: Duration,
    ) -> Self {
        let target = match target {
            Target::Any => None,
            Target::Only(attrs, probe) => {
                Some((*attrs, Arc::new(Probes::new(probe, endpoints.len()))))
            }
        };
        Self { endpoints, encryption, connect_timeout, target }
    }

    /// The servers that an account names, or these ones, whatever they are; spoken to as these.
    #[must_use]
    pub fn of(&self, account: &Account) -> Self {
        let endpoints = account.endpoints.as_ref().unwrap_or(&self.endpoints);
        Self { endpoints: Arc::clone(endpoints), target: None, ..self.clone() }
    }

    /// Whether a session would find a server now.
    ///
    /// # Errors
    /// Why it would not.
    pub async fn reach(&self) -> io::Result<()> {
        self.find(Attempt::Look).await.map(drop)
    }

    /// Connects to the first server that can be reached and is what it must be.
    pub(super) async fn connect(&self) -> io::Result<Stream> {
        self.find(Attempt::Session).await?.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Tries servers of the right kind, one after the other.
    async fn find(&self, attempt: Attempt) -> io::Result<Option<Stream>> {
        let mut last = io::Error::new(
            io::ErrorKind::NotConnected,
            "no server can be reached that is what target_session_attrs asks for",
        );
        for wanted in self.passes() {
            for (at, endpoint) in self.endpoints.iter().enumerate() {
                if let (Some(wanted), Some((_, probes))) = (wanted, &self.target) {
                    let suits = probes.suits(at, wanted, || self.connect_to(endpoint)).await;
                    if let Err(error) = suits {
                        tracing::debug!(%endpoint, %error, "not taken");
                        last = error;
                        continue;
                    }
                }
                let done = match attempt {
                    Attempt::Session => self.connect_to(endpoint).await.map(Some),
                    // It has answered a question just now, or lately.
                    Attempt::Look if self.target.is_some() => Ok(None),
                    Attempt::Look => {
                        timely(self.connect_timeout, open(endpoint)).await.map(|_| None)
                    }
                };
                match done {
                    Ok(done) => return Ok(done),
                    Err(error) => {
                        tracing::debug!(%endpoint, %error, "not reached");
                        last = error;
                    }
                }
            }
        }
        Err(last)
    }

    /// What servers must be, in the order in which that is tried.
    fn passes(&self) -> impl Iterator<Item = Option<SessionAttrs>> {
        let (first, second) = match self.target {
            None => (None, None),
            Some((SessionAttrs::PreferStandby, _)) => (Some(SessionAttrs::Standby), Some(None)),
            Some((
                attrs @ (SessionAttrs::ReadWrite
                | SessionAttrs::ReadOnly
                | SessionAttrs::Primary
                | SessionAttrs::Standby),
                _,
            )) => (Some(attrs), None),
        };
        std::iter::once(first).chain(second)
    }

    /// Hands a cancel request to every server: only the one that made the key acts on it
    /// (PostgreSQL documentation, 55.2.8).
    pub(super) async fn cancel(&self, request: &[u8]) -> io::Result<()> {
        let mut asked = JoinSet::new();
        for endpoint in self.endpoints.iter() {
            let (own, endpoint, request) = (self.clone(), endpoint.clone(), request.to_vec());
            asked.spawn(async move {
                let mut server = own.connect_to(&endpoint).await?;
                server.write_all(&request).await?;
                server.flush().await?;
                // The server closes when it has dealt with the request.
                let mut ignored = tokio::io::sink();
                tokio::io::copy(&mut server, &mut ignored).await.map(drop)
            });
        }
        let mut reached = Err(io::Error::from(io::ErrorKind::NotFound));
        while let Some(done) = asked.join_next().await {
            let done = done.map_err(io::Error::other).flatten();
            if reached.is_err() {
                reached = done;
            }
        }
        reached
    }

    async fn connect_to(&self, endpoint: &Endpoint) -> io::Result<Stream> {
        timely(self.connect_timeout, async {
            let socket = open(endpoint).await?;
            match (endpoint, &self.encryption) {
                (Endpoint::Tcp { host, .. }, Some(encryption)) => {
                    encryption.begin(socket, host).await
                }
                // PostgreSQL has no TLS on Unix sockets, nor does libpq ask for it (documentation,
                // 34.19).
                (Endpoint::Tcp { .. } | Endpoint::Unix(_), _) => Ok(Stream::Plain(socket)),
            }
        })
        .await
    }
}

async fn open(endpoint: &Endpoint) -> io::Result<Socket> {
    match endpoint {
        Endpoint::Tcp { host, port } => Socket::tcp(host, *port).await,
        Endpoint::Unix(path) => Socket::unix(path).await,
    }
}

async fn timely<T>(limit: Duration, attempt: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(limit, attempt).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

impl UpstreamEncryption {
    async fn begin(&self, mut socket: Socket, host: &str) -> io::Result<Stream> {
        if !self.direct {
            socket.write_all(&SSL_REQUEST).await?;
            let mut answer = [0_u8; 1];
            socket.read_exact(&mut answer).await?;
            match answer {
                [b'S'] => {}
                [b'N'] if !self.required => return Ok(Stream::Plain(socket)),
                [b'N'] => {
                    return Err(io::Error::new(
                        io::ErrorKind::ConnectionRefused,
                        "the server has no TLS, and upstream_tls requires it",
                    ));
                }
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
            // What came in clear behind the answer would pass for encrypted (CVE-2021-23222).
            if socket.has_more().await {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let tls = self.connector.connect(name, socket).await?;
        Ok(Stream::Tls(Box::new(TlsStream::Client(tls))))
    }
}
