//! The wire: frames, the startup packet, TLS towards clients, and the relay between the sockets of
//! a session. It decodes what the session needs and leaves the rest as it is.

mod bell;
mod certificate;
mod connection;
mod conversation;
mod decode;
mod exchange;
mod frame;
mod greet;
mod login;
mod lookup;
mod options;
mod pace;
mod parting;
mod patience;
mod plans;
mod probe;
mod quota;
mod relay;
#[cfg(test)]
mod rewrite_scripts;
mod scram;
mod socket;
mod startup;
mod stream;
mod teller;
mod terms;
mod upstream;

#[cfg(test)]
mod mask_scripts;
#[cfg(test)]
mod plan_scripts;
#[cfg(test)]
mod script;
#[cfg(test)]
mod scripts;
#[cfg(test)]
mod tenant_scripts;

pub use connection::{Connection, Parted, refuse};
pub use exchange::{Exchange, startup_packet};
pub use greet::Encryption;
pub use login::{Known, Login, NoRandom, Roll};
pub use lookup::Lookup;
pub use parting::{Share, call};
pub use patience::Drain;
pub use plans::Plans;
pub use quota::{Counted, Quota};
pub use scram::Secret;
pub use socket::Socket;
pub use upstream::{Upstream, UpstreamEncryption};
