use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinHandle;
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres::{Client, Config, Socket};
use tokio_rustls::TlsConnector;

use super::trust::{self, NoTls, trusting};
use crate::config::{Trust, UpstreamTls};

/// The task that moves a connection's bytes.
pub type Driver = JoinHandle<Result<(), tokio_postgres::Error>>;

/// There is no connection.
#[derive(Debug, thiserror::Error)]
pub enum NotConnected {
    /// Certificates or keys cannot be used.
    #[error("upstream_tls: {0}")]
    Tls(#[from] NoTls),
    /// The server, or the way to it.
    #[error(transparent)]
    Database(#[from] tokio_postgres::Error),
}

/// Connects, with this TLS whatever `connection` says of it; `None` speaks in clear. TLS that does not
/// come about is an error under `prefer` too, as it is for sessions: clear is for servers without TLS.
///
/// # Errors
/// If the server cannot be reached, is not whom it must be, or refuses.
pub async fn connect(
    connection: &Config,
    tls: Option<&UpstreamTls>,
) -> Result<(Client, Driver), NotConnected> {
    let mut connection = connection.clone();
    connection.ssl_negotiation(SslNegotiation::Postgres);
    let Some(tls) = tls else {
        connection.ssl_mode(SslMode::Disable);
        return Ok(begin(&connection, tokio_postgres::NoTls).await?);
    };
    let connector = Connector(TlsConnector::from(Arc::new(trusting(tls)?)));
    connection.ssl_mode(match tls.trust {
        Trust::Prefer => SslMode::Prefer,
        Trust::Require | Trust::VerifyCa | Trust::VerifyFull => SslMode::Require,
    });
    if tls.direct {
        connection.ssl_negotiation(SslNegotiation::Direct);
    }
    // As libpq: an address that has no name is verified itself (documentation, 34.19.1).
    if connection.get_hosts().is_empty() {
        for address in connection.get_hostaddrs().to_vec() {
            connection.host(address.to_string());
        }
    }
    Ok(begin(&connection, connector).await?)
}

async fn begin<T>(connection: &Config, tls: T) -> Result<(Client, Driver), tokio_postgres::Error>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
{
    let (client, driver) = connection.connect(tls).await?;
    Ok((client, tokio::spawn(driver)))
}

/// TLS for the driver.
struct Connector(TlsConnector);

/// The same for a server of this name.
struct Named(TlsConnector, ServerName<'static>);

impl MakeTlsConnect<Socket> for Connector {
    type Stream = Encrypted;
    type TlsConnect = Named;
    type Error = rustls_pki_types::InvalidDnsNameError;

    fn make_tls_connect(&mut self, host: &str) -> Result<Named, Self::Error> {
        // The driver asks before it knows whether there will be TLS, and has no name for a Unix
        // socket; it begins no handshake without one.
        let host = if host.is_empty() { "localhost" } else { host };
        Ok(Named(self.0.clone(), ServerName::try_from(host.to_owned())?))
    }
}

impl TlsConnect<Socket> for Named {
    type Stream = Encrypted;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted>> + Send>>;

    fn connect(self, socket: Socket) -> Self::Future {
        Box::pin(async move { Ok(Encrypted(self.0.connect(self.1, socket).await?)) })
    }
}

struct Encrypted(tokio_rustls::client::TlsStream<Socket>);

impl TlsStream for Encrypted {
    fn channel_binding(&self) -> ChannelBinding {
        let certificates = self.0.get_ref().1.peer_certificates();
        let hash = certificates.and_then(<[_]>::first).and_then(trust::defined_binding);
        hash.map_or_else(ChannelBinding::none, |hash| {
            ChannelBinding::tls_server_end_point(hash.to_vec())
        })
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
