use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Where a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// At an address of a network.
    Network(SocketAddr),
    /// On this machine, at a Unix domain socket.
    Local,
}

impl Peer {
    /// Its address, without the port.
    #[must_use]
    pub const fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Network(address) => Some(address.ip()),
            Self::Local => None,
        }
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self::Network(address)
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(address) => address.fmt(f),
            // As PostgreSQL's log has it (documentation, 20.8.3).
            Self::Local => f.write_str("[local]"),
        }
    }
}
