use std::future::poll_fn;
use std::io;
use std::net;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::net::{RecvFlags, SendFlags, recv, send};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::coop;

/// Silence on a connection before its peer is asked whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Between such questions.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// A connection below TLS: TCP, or a socket of the file system.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix domain socket.
    Unix(UnixStream),
}

impl Socket {
    /// A connection over TCP. Messages are small and waited for, so none is held back; and a peer
    /// that is gone without a word is found out in about two minutes.
    ///
    /// # Errors
    /// If the socket takes none of that.
    pub fn of(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let keepalive = TcpKeepalive::new()
            .with_time(KEEPALIVE)
            .with_interval(KEEPALIVE_INTERVAL)
            .with_retries(6);
        SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
        Ok(Self::Tcp(stream))
    }

    /// Connects over TCP.
    pub(super) async fn tcp(host: &str, port: u16) -> io::Result<Self> {
        Self::of(TcpStream::connect((host, port)).await?)
    }

    /// Connects to a socket of the file system.
    pub(super) async fn unix(path: &Path) -> io::Result<Self> {
        Ok(Self::Unix(UnixStream::connect(path).await?))
    }

    /// The same connection, waited for by the runtime of the current thread.
    pub(super) fn again(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(stream) => {
                let own = net::TcpStream::from(stream.as_fd().try_clone_to_owned()?);
                Self::Tcp(TcpStream::from_std(own)?)
            }
            Self::Unix(stream) => {
                let own = unix::net::UnixStream::from(stream.as_fd().try_clone_to_owned()?);
                Self::Unix(UnixStream::from_std(own)?)
            }
        })
    }

    /// Reads what there is. Pending once bytes that come will wake the task, of which `awaited`
    /// takes note: as long as it stands and the runtime knows of nothing, nothing is asked.
    pub(super) fn poll_take(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
        awaited: &mut bool,
    ) -> Poll<io::Result<usize>> {
        loop {
            match self.try_take(buffer) {
                Tried::Nothing if *awaited => return Poll::Pending,
                Tried::Nothing | Tried::Blocked => *awaited = false,
                Tried::Took(taken) => {
                    *awaited = false;
                    return Poll::Ready(taken);
                }
            }
            let ready = match self {
                Self::Tcp(stream) => stream.poll_read_ready(context),
                Self::Unix(stream) => stream.poll_read_ready(context),
            };
            match ready {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    // A task that has had its turn is told so here, and waits for nothing.
                    *awaited = coop::has_budget_remaining();
                    return Poll::Pending;
                }
            }
        }
    }

    /// A read that does not fill the buffer has taken all there was: then the runtime is told that
    /// there is nothing, which saves a read to find that out. What comes meanwhile is not lost, as
    /// what it knows has a number by which it forgets only what was known before the read.
    /// The system is called directly: in libc, a thread can be cancelled where it reads or writes,
    /// and says so before and after (pthreads(7)).
    fn try_take(&self, buffer: &mut [u8]) -> Tried {
        let (mut asked, mut short) = (false, None);
        let mut read = |socket: BorrowedFd<'_>| {
            asked = true;
            let (count, _) = recv(socket, &mut *buffer, RecvFlags::empty())?;
            if count > 0 && count < buffer.len() {
                short = Some(count);
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok(count)
        };
        let tried = match self {
            Self::Tcp(stream) => stream.try_io(Interest::READABLE, || read(stream.as_fd())),
            Self::Unix(stream) => stream.try_io(Interest::READABLE, || read(stream.as_fd())),
        };
        match (tried, short) {
            (_, Some(count)) => Tried::Took(Ok(count)),
            (Err(error), None) if error.kind() == io::ErrorKind::WouldBlock => {
                if asked {
                    Tried::Blocked
                } else {
                    Tried::Nothing
                }
            }
            (tried, None) => Tried::Took(tried),
        }
    }

    /// Writes what there is room for.
    pub(super) fn poll_give(
        &self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // As the standard library does: a peer that is gone is told as an error.
        let write = |socket: BorrowedFd<'_>| Ok(send(socket, bytes, SendFlags::NOSIGNAL)?);
        loop {
            let tried = match self {
                Self::Tcp(stream) => stream.try_io(Interest::WRITABLE, || write(stream.as_fd())),
                Self::Unix(stream) => stream.try_io(Interest::WRITABLE, || write(stream.as_fd())),
            };
            match tried {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(_) | Err(_) => return Poll::Ready(tried),
            }
            ready!(match self {
                Self::Tcp(stream) => stream.poll_write_ready(context),
                Self::Unix(stream) => stream.poll_write_ready(context),
            })?;
        }
    }

    /// Whether more bytes are there already. Of a Unix socket this is never asked in earnest: it
    /// has no TLS here, so nothing sent in clear can pass for encrypted.
    pub(super) async fn has_more(&self) -> bool {
        let Self::Tcp(stream) = self else {
            return false;
        };
        let mut space = [0_u8; 1];
        let mut buffer = ReadBuf::new(&mut space);
        poll_fn(|context| {
            Poll::Ready(match stream.poll_peek(context, &mut buffer) {
                Poll::Ready(Ok(count)) => count > 0,
                Poll::Ready(Err(_)) | Poll::Pending => false,
            })
        })
        .await
    }

    /// The first byte that comes, left where it is. `None` at the end, and of a Unix socket, which
    /// has no TLS.
    pub(super) async fn first_byte(&self) -> io::Result<Option<u8>> {
        let Self::Tcp(stream) = self else {
            return Ok(None);
        };
        let mut byte = [0_u8; 1];
        let count = stream.peek(&mut byte).await?;
        let [byte] = byte;
        Ok((count > 0).then_some(byte))
    }

    /// Whether the peer is on the same machine.
    pub(super) fn is_near(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.peer_addr().is_ok_and(|peer| peer.ip().is_loopback()),
            Self::Unix(_) => true,
        }
    }

    /// Whether it is TCP. Only there may TLS be spoken (documentation of PostgreSQL, 19.9).
    pub(super) const fn is_tcp(&self) -> bool {
        match self {
            Self::Tcp(_) => true,
            Self::Unix(_) => false,
        }
    }
}

/// What came of a read.
enum Tried {
    /// The runtime knows of nothing: nobody was asked.
    Nothing,
    /// There is nothing, though the runtime thought so.
    Blocked,
    /// So much, the end, or an error.
    Took(io::Result<usize>),
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use tokio::task::yield_now;
    use tokio::time::timeout;

    use super::*;

    fn take(
        socket: &Socket,
        context: &mut Context<'_>,
        awaited: &mut bool,
    ) -> Poll<io::Result<Vec<u8>>> {
        let mut buffer = [0; 4];
        let taken = socket.poll_take(context, &mut buffer, awaited);
        taken.map_ok(|count| buffer[..count].to_vec())
    }

    #[tokio::test]
    async fn bytes_are_taken_as_they_come_and_then_the_end() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let (socket, mut awaited) = (Socket::Unix(near), false);
        far.write_all(b"sixteen bytes ..").await.unwrap();
        let mut taken = Vec::new();
        for _ in 0..4 {
            taken.extend(poll_fn(|context| take(&socket, context, &mut awaited)).await.unwrap());
        }
        assert_eq!(taken, b"sixteen bytes ..");
        for words in [&b"a"[..], b"bc"] {
            poll_fn(|context| {
                assert!(take(&socket, context, &mut awaited).is_pending() && awaited);
                Poll::Ready(())
            })
            .await;
            let (next, written) = tokio::join!(
                poll_fn(|context| take(&socket, context, &mut awaited)),
                far.write_all(words),
            );
            written.unwrap();
            assert_eq!(next.unwrap(), words);
        }
        drop(far);
        assert!(poll_fn(|context| take(&socket, context, &mut awaited)).await.unwrap().is_empty());
    }

    /// The runtime tells such a task to come again, and takes no note of what it waits for.
    #[tokio::test]
    async fn a_task_that_has_had_its_turn_does_not_wait_for_bytes() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let (socket, mut awaited) = (Socket::Unix(near), false);
        poll_fn(|context| {
            while let Poll::Ready(turn) = coop::poll_proceed(context) {
                turn.made_progress();
            }
            assert!(take(&socket, context, &mut awaited).is_pending() && !awaited);
            Poll::Ready(())
        })
        .await;
        yield_now().await;
        let own = tokio::spawn(async move {
            poll_fn(|context| take(&socket, context, &mut awaited)).await.unwrap()
        });
        yield_now().await;
        far.write_all(b"come").await.unwrap();
        let taken = timeout(Duration::from_secs(30), own).await.unwrap().unwrap();
        assert_eq!(taken, b"come");
    }
}
