//! What a client says before its session: requests for encryption, a cancel request, or the
//! startup packet. Each is read exactly: nothing that follows is taken along.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsStream};

use super::socket::Socket;
use super::startup::Startup;
use super::stream::Stream;
use crate::database::ALPN;
use crate::session::fatal;

const CANCEL: u32 = 80_877_102;
const SSL: u32 = 80_877_103;
const GSSENC: u32 = 80_877_104;

/// The first byte of a TLS connection that begins without being asked for.
const TLS_HANDSHAKE: u8 = 0x16;

/// TLS towards clients.
#[derive(Clone)]
pub struct Encryption {
    acceptor: TlsAcceptor,
    required: bool,
    binding: Arc<[u8]>,
}

impl std::fmt::Debug for Encryption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encryption").field("required", &self.required).finish_non_exhaustive()
    }
}

impl Encryption {
    /// TLS by this configuration, required or on request.
    #[must_use]
    ///
    /// `binding` is the hash of the certificate (RFC 5929, 4.1), to which clients bind their logins.
    pub fn new(config: Arc<rustls::ServerConfig>, required: bool, binding: Arc<[u8]>) -> Self {
        Self { acceptor: TlsAcceptor::from(config), required, binding }
    }

    /// The hash of the certificate.
    pub(super) fn binding(&self) -> &[u8] {
        &self.binding
    }
}

/// What a client wants.
#[derive(Debug)]
pub(super) enum Greeting {
    /// A session.
    Startup(Stream, Startup),
    /// To cancel a statement of another session: the request, length included.
    Cancel(Stream, Vec<u8>),
    /// Nothing: it left.
    Gone,
}

/// Why there is no greeting.
#[derive(Debug)]
pub(super) enum Ungreeted {
    /// Bytes that are not the protocol; the client has been told.
    Protocol,
    /// The TLS handshake failed.
    Tls,
    /// The client did not ask for TLS; it has been told.
    TlsRequired,
    /// The connection failed.
    Io(io::Error),
}

impl From<io::Error> for Ungreeted {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads up to the startup packet or cancel request, and answers requests for encryption.
pub(super) async fn greet(
    stream: Socket,
    encryption: Option<&Encryption>,
    startup_bytes: usize,
) -> Result<Greeting, Ungreeted> {
    let mut stream = match encryption {
        Some(encryption) if stream.first_byte().await? == Some(TLS_HANDSHAKE) => {
            begin_tls(stream, encryption, true).await?
        }
        Some(_) | None => Stream::Plain(stream),
    };
    let (mut ssl_asked, mut gss_asked) = (false, false);
    loop {
        let Some(packet) = read_packet(&mut stream, startup_bytes).await? else {
            return Ok(Greeting::Gone);
        };
        let code = packet.get(4..).and_then(|rest| rest.first_chunk::<4>());
        let code = code.map_or(0, |code| u32::from_be_bytes(*code));
        match (code, stream) {
            (SSL, Stream::Plain(plain)) if !ssl_asked && packet.len() == 8 => {
                ssl_asked = true;
                stream = answer_ssl(plain, encryption).await?;
            }
            (GSSENC, Stream::Plain(mut plain)) if !gss_asked && packet.len() == 8 => {
                gss_asked = true;
                if plain.has_more().await {
                    return Err(tell(Stream::Plain(plain), UNENCRYPTED).await);
                }
                plain.write_all(b"N").await?;
                stream = Stream::Plain(plain);
            }
            (SSL | GSSENC, other) => {
                return Err(tell(other, "unexpected request for encryption").await);
            }
            (CANCEL, other) => return Ok(Greeting::Cancel(other, packet)),
            (_, Stream::Plain(plain))
                if plain.is_tcp() && encryption.is_some_and(|it| it.required) =>
            {
                let mut bytes = Vec::new();
                fatal(&mut bytes, "28000", "orgguard: TLS is required", None);
                say(&mut Stream::Plain(plain), &bytes).await;
                return Err(Ungreeted::TlsRequired);
            }
            (_, other) => return Ok(Greeting::Startup(other, Startup::read(packet))),
        }
    }
}

/// How long, and how much, is read on after the last words.
const FAREWELL: Duration = Duration::from_secs(1);
const FAREWELL_BYTES: u64 = 1 << 20;

const UNENCRYPTED: &str = "received unencrypted data after a request for encryption";

/// Reads one packet without a kind. `None` if the client leaves before it begins.
async fn read_packet(
    stream: &mut Stream,
    startup_bytes: usize,
) -> Result<Option<Vec<u8>>, Ungreeted> {
    let mut length = [0_u8; 4];
    let mut have = 0_usize;
    while let Some(rest) = length.get_mut(have..).filter(|rest| !rest.is_empty()) {
        match stream.read(rest).await {
            Ok(0) if have == 0 => return Ok(None),
            Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Ok(count) => have = have.saturating_add(count),
            Err(error) if have == 0 && error.kind() == io::ErrorKind::ConnectionReset => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        }
    }
    let total = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if total < 8 || total > startup_bytes {
        let mut bytes = Vec::new();
        fatal(&mut bytes, "08P01", "invalid length of startup packet", None);
        say(stream, &bytes).await;
        return Err(Ungreeted::Protocol);
    }
    let mut packet = vec![0; total];
    if let Some((head, body)) = packet.split_first_chunk_mut::<4>() {
        *head = length;
        stream.read_exact(body).await?;
    }
    Ok(Some(packet))
}

async fn answer_ssl(
    mut plain: Socket,
    encryption: Option<&Encryption>,
) -> Result<Stream, Ungreeted> {
    // Bytes sent in clear behind the request would pass for encrypted ones (CVE-2021-23214).
    if plain.has_more().await {
        return Err(tell(Stream::Plain(plain), UNENCRYPTED).await);
    }
    let Some(encryption) = encryption.filter(|_| plain.is_tcp()) else {
        plain.write_all(b"N").await?;
        return Ok(Stream::Plain(plain));
    };
    plain.write_all(b"S").await?;
    begin_tls(plain, encryption, false).await
}

/// The handshake, asked for or `direct`: then the client must have named the protocol, so that no
/// other one's bytes are taken for it (documentation, 55.2.11).
async fn begin_tls(
    socket: Socket,
    encryption: &Encryption,
    direct: bool,
) -> Result<Stream, Ungreeted> {
    let tls = encryption.acceptor.accept(socket).await.map_err(|_| Ungreeted::Tls)?;
    if direct && tls.get_ref().1.alpn_protocol() != Some(ALPN) {
        return Err(Ungreeted::Tls);
    }
    Ok(Stream::Tls(Box::new(TlsStream::Server(tls))))
}

async fn tell(mut stream: Stream, message: &str) -> Ungreeted {
    let mut bytes = Vec::new();
    fatal(&mut bytes, "08P01", message, None);
    say(&mut stream, &bytes).await;
    Ungreeted::Protocol
}

/// Writes last words; whether the client still hears them makes no difference.
pub(super) async fn say(stream: &mut Stream, bytes: &[u8]) {
    if stream.write_all(bytes).await.is_ok() {
        farewell(stream).await;
    }
}

/// Closes, and reads on for a moment: closing a socket with unread bytes resets the connection,
/// and the client may lose what it was told last.
pub(super) async fn farewell(stream: &mut Stream) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut unread = stream.take(FAREWELL_BYTES);
    let _ = timeout(FAREWELL, tokio::io::copy(&mut unread, &mut tokio::io::sink())).await;
}
