//! Connections of the guard's own to the database, and what it asks of a server's certificate there
//! and on the way of its clients.

mod connect;
mod trust;

pub use connect::{Driver, NotConnected, connect};
pub use trust::{ALPN, Identity, NoTls, binding, certificates, identity, provider, trusting};
