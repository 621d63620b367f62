//! The sockets on which clients connect: opened here, or by systemd.

use std::fs::{self, File, Metadata, Permissions, TryLockError};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::task::Poll;
use std::time::Duration;

use listenfd::ListenFd;
use socket2::{Domain, SockAddr, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::config::{Config, Listen};
use crate::telemetry::Peer;
use crate::wire::Socket;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1_024;

/// Attempts to be the only one that makes a socket in a directory, and the pause between them.
const ATTEMPTS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(20);

/// All sockets of a guard. Dropping them closes them and removes the files of Unix sockets.
pub(super) struct Sockets {
    listeners: Vec<Listener>,
    /// The one that is asked first, so that none is always behind the others.
    next: usize,
}

enum Listener {
    Tcp(TcpListener),
    /// With the file that was made for it, unless systemd has made it.
    Unix {
        listener: UnixListener,
        _file: Option<SocketFile>,
    },
}

/// A client that has connected; its socket belongs to no runtime yet.
pub(super) enum Accepted {
    Tcp(std::net::TcpStream, SocketAddr),
    Unix(std::os::unix::net::UnixStream),
}

impl Accepted {
    /// Where the client is.
    pub(super) const fn peer(&self) -> Peer {
        match self {
            Self::Tcp(_, address) => Peer::Network(*address),
            Self::Unix(_) => Peer::Local,
        }
    }

    /// The connection, in the runtime that this is called from.
    pub(super) fn into_socket(self) -> io::Result<Socket> {
        match self {
            Self::Tcp(stream, _) => Socket::of(TcpStream::from_std(stream)?),
            Self::Unix(stream) => Ok(Socket::Unix(UnixStream::from_std(stream)?)),
        }
    }
}

impl Sockets {
    /// Takes the sockets that systemd has opened for this process (`orgguard.socket`), else opens
    /// those of the configuration. The address that could not be listened on is in the error.
    pub(super) fn open(config: &Config) -> Result<Self, (String, io::Error)> {
        let listeners = match inherited().map_err(|error| ("LISTEN_FDS".to_owned(), error))? {
            inherited if !inherited.is_empty() => inherited,
            _ => {
                let opened = config.listen.iter().map(|listen| {
                    open(listen, config.unix_socket_permissions)
                        .map_err(|error| (listen.to_string(), error))
                });
                opened.collect::<Result<_, _>>()?
            }
        };
        Ok(Self { listeners, next: 0 })
    }

    /// Where clients connect.
    pub(super) fn addresses(&self) -> io::Result<Vec<Listen>> {
        let addresses = self.listeners.iter().map(|listener| match listener {
            Listener::Tcp(listener) => listener.local_addr().map(Listen::Tcp),
            Listener::Unix { listener, .. } => {
                let address = listener.local_addr()?;
                Ok(Listen::Unix(address.as_pathname().unwrap_or(Path::new("")).to_owned()))
            }
        });
        addresses.collect()
    }

    /// Waits for the next client.
    pub(super) async fn accept(&mut self) -> io::Result<Accepted> {
        let (turn, rest) = self.listeners.split_at(self.next.min(self.listeners.len()));
        let accepted = poll_fn(|context| {
            for (at, listener) in rest.iter().chain(turn).enumerate() {
                let ready = match listener {
                    Listener::Tcp(listener) => {
                        listener.poll_accept(context).map_ok(|(it, peer)| {
                            it.into_std().map(|stream| Accepted::Tcp(stream, peer))
                        })
                    }
                    Listener::Unix { listener, .. } => listener
                        .poll_accept(context)
                        .map_ok(|(it, _)| it.into_std().map(Accepted::Unix)),
                };
                if let Poll::Ready(accepted) = ready {
                    return Poll::Ready((at, accepted.flatten()));
                }
            }
            Poll::Pending
        });
        let (at, accepted) = accepted.await;
        let count = self.listeners.len().max(1);
        let behind = self.next.saturating_add(at).saturating_add(1);
        self.next = behind.checked_rem(count).unwrap_or_default();
        accepted
    }
}

fn open(listen: &Listen, permissions: u32) -> io::Result<Listener> {
    match listen {
        Listen::Tcp(address) => {
            let domain = Domain::for_address(*address);
            let socket = socket2::Socket::new(domain, Type::STREAM, None)?;
            socket.set_reuse_address(true)?;
            socket.bind(&(*address).into())?;
            socket.listen(BACKLOG)?;
            socket.set_nonblocking(true)?;
            TcpListener::from_std(socket.into()).map(Listener::Tcp)
        }
        Listen::Unix(path) => {
            let (socket, file) = open_unix(path, permissions)?;
            Ok(Listener::Unix { listener: UnixListener::from_std(socket)?, _file: Some(file) })
        }
    }
}

/// Makes a socket in the file system. Nobody can connect before it has its permissions.
fn open_unix(
    path: &Path,
    permissions: u32,
) -> io::Result<(std::os::unix::net::UnixListener, SocketFile)> {
    // Two guards that start at once must not take each other's socket for one that was left behind.
    let _turn = turn(path.parent().unwrap_or(Path::new("/")))?;
    remove_left_behind(path)?;
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let file = SocketFile { path: path.to_owned(), identity: identity(&fs::metadata(path)?) };
    fs::set_permissions(path, Permissions::from_mode(permissions))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok((socket.into(), file))
}

/// The lock of a directory, given back when the file is closed.
fn turn(directory: &Path) -> io::Result<File> {
    let directory = File::open(directory)?;
    for _ in 0..ATTEMPTS {
        match directory.try_lock() {
            Ok(()) => return Ok(directory),
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "another process holds a lock on the directory"))
}

/// Removes a socket at which nobody listens any more. Anything else stays where it is.
fn remove_left_behind(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file, and no socket"));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
    }
}

/// The file of a Unix socket, removed when this is dropped unless another has taken its place.
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let own = fs::metadata(&self.path).is_ok_and(|file| identity(&file) == self.identity);
        if own {
            // What is left is removed by who listens there next.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

fn inherited() -> io::Result<Vec<Listener>> {
    let mut given = ListenFd::from_env();
    let mut listeners = Vec::with_capacity(given.len());
    for at in 0..given.len() {
        // One of another kind is left where it is.
        if let Ok(Some(listener)) = given.take_tcp_listener(at) {
            listener.set_nonblocking(true)?;
            listeners.push(Listener::Tcp(TcpListener::from_std(listener)?));
        } else if let Some(listener) = given.take_unix_listener(at)? {
            listener.set_nonblocking(true)?;
            let listener = UnixListener::from_std(listener)?;
            listeners.push(Listener::Unix { listener, _file: None });
        }
    }
    Ok(listeners)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("orgguard-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn only_a_socket_that_was_left_behind_is_removed() {
        let folder = folder("sockets");
        let path = folder.join("s");
        let (listening, file) = open_unix(&path, 0o600).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let taken = open_unix(&path, 0o600).map(drop).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        // Its process ends without a word.
        drop(listening);
        std::mem::forget(file);
        let (again, file) = open_unix(&path, 0o660).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o660);
        // Another's file at its place stays.
        fs::remove_file(&path).unwrap();
        fs::write(&path, "mine").unwrap();
        drop((again, file));
        let refused = open_unix(&path, 0o600).map(drop).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_socket_takes_its_file_along() {
        let folder = folder("socket");
        let path = folder.join("s");
        drop(open_unix(&path, 0o600).unwrap());
        assert!(!path.exists());
        fs::remove_dir_all(&folder).unwrap();
    }
}
