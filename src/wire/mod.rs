//! The wire: frames, the startup packet, TLS towards clients, and the relay between the sockets of
//! a session. It decodes what the session needs and leaves the rest as it is.

mod connection;
mod conversation;
mod decode;
mod frame;
mod greet;
mod options;
mod plans;
mod relay;
mod startup;
mod stream;

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

pub use connection::{Connection, refuse};
pub use greet::Encryption;
pub use plans::Plans;
