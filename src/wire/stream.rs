use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsStream;

use super::socket::Socket;

/// One side of a session.
#[derive(Debug)]
pub(super) enum Stream {
    /// In clear.
    Plain(Socket),
    /// In TLS, ended here.
    Tls(Box<TlsStream<Socket>>),
}

impl Stream {
    /// Whether what is said on it is read by the peer alone.
    pub(super) const fn is_encrypted(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(_) => true,
        }
    }

    /// Makes the current thread's runtime the one that waits for it; where that cannot be, the one
    /// before goes on waiting.
    pub(super) fn come_along(&mut self) {
        let socket = match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.get_mut().0,
        };
        if let Ok(here) = socket.again() {
            *socket = here;
        }
    }

    /// Whether what is written may wait for a flush.
    pub(super) const fn keeps_back(&self) -> bool {
        self.is_encrypted()
    }

    /// Reads what there is; see [`Socket::poll_take`]. TLS keeps bytes of its own, so it is always
    /// asked.
    pub(super) fn poll_take(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
        awaited: &mut bool,
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => socket.poll_take(context, buffer, awaited),
            Self::Tls(stream) => {
                let read = poll_decrypt(stream, context, buffer);
                *awaited = read.is_pending();
                read
            }
        }
    }

    /// Writes what there is room for.
    pub(super) fn poll_give(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => socket.poll_give(context, bytes),
            Self::Tls(stream) => poll_encrypt(stream, context, bytes),
        }
    }

    /// Whether much can come while nobody reads: a Unix socket holds little, and a read of TLS does
    /// not tell whether that was all.
    pub(super) const fn has_room(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_tcp(),
            Self::Tls(_) => false,
        }
    }

    /// The certificate that the peer has shown, which the handshake has verified.
    pub(super) fn certificate(&self) -> Option<&CertificateDer<'static>> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => stream.get_ref().1.peer_certificates()?.first(),
        }
    }

    /// Whether the peer is on the same machine.
    pub(super) fn is_near(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_near(),
            Self::Tls(stream) => stream.get_ref().0.is_near(),
        }
    }
}

// Not where the bytes in clear pass: much code is in the way there.

#[inline(never)]
fn poll_decrypt(
    stream: &mut TlsStream<Socket>,
    context: &mut Context<'_>,
    buffer: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut space = ReadBuf::new(buffer);
    let read = Pin::new(stream).poll_read(context, &mut space);
    read.map_ok(|()| space.filled().len())
}

#[inline(never)]
fn poll_encrypt(
    stream: &mut TlsStream<Socket>,
    context: &mut Context<'_>,
    bytes: &[u8],
) -> Poll<io::Result<usize>> {
    Pin::new(stream).poll_write(context, bytes)
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(context),
        }
    }
}
