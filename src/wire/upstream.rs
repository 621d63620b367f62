use std::io;
use std::sync::Arc;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::{TlsConnector, TlsStream};

use super::socket::Socket;
use super::stream::Stream;
use crate::config::Endpoint;

/// SSLRequest (PostgreSQL documentation, 55.7): length 8, code 80877103.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f];

/// The database servers and how they are spoken to.
#[derive(Clone)]
pub struct Upstream {
    endpoints: Arc<[Endpoint]>,
    encryption: Option<UpstreamEncryption>,
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
    /// These servers, the first of them that can be reached.
    #[must_use]
    pub fn new(endpoints: Arc<[Endpoint]>, encryption: Option<UpstreamEncryption>) -> Self {
        Self { endpoints, encryption }
    }

    /// Connects to the first server that can be reached.
    pub(super) async fn connect(&self) -> io::Result<Stream> {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for endpoint in self.endpoints.iter() {
            match self.connect_to(endpoint).await {
                Ok(stream) => return Ok(stream),
                Err(error) => {
                    tracing::debug!(%endpoint, %error, "not reached");
                    last = error;
                }
            }
        }
        Err(last)
    }

    /// Hands a cancel request to every server: only the one that made the key acts on it
    /// (PostgreSQL documentation, 55.2.8).
    pub(super) async fn cancel(&self, request: &[u8]) -> io::Result<()> {
        let mut reached = Err(io::Error::from(io::ErrorKind::NotFound));
        for endpoint in self.endpoints.iter() {
            match self.connect_to(endpoint).await {
                Ok(mut server) => {
                    // The server closes when it has dealt with the request.
                    server.write_all(request).await?;
                    server.flush().await?;
                    let mut ignored = tokio::io::sink();
                    reached = tokio::io::copy(&mut server, &mut ignored).await.map(drop);
                }
                Err(error) if reached.is_err() => reached = Err(error),
                Err(_) => {}
            }
        }
        reached
    }

    async fn connect_to(&self, endpoint: &Endpoint) -> io::Result<Stream> {
        let (host, socket) = match endpoint {
            Endpoint::Tcp { host, port } => (&**host, Socket::tcp(host, *port).await?),
            // PostgreSQL has no TLS there, nor does libpq ask for it (documentation, 34.19).
            Endpoint::Unix(path) => return Ok(Stream::Plain(Socket::unix(path).await?)),
        };
        match &self.encryption {
            None => Ok(Stream::Plain(socket)),
            Some(encryption) => encryption.begin(socket, host).await,
        }
    }
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
