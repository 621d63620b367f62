//! The listener, its limits, the drain, and the admin port.

mod access;
mod admin;
mod balance;
mod cache;
mod credentials;
mod kept;
mod listener;
mod live;
mod plans;
mod reload;
mod roll;
mod scheduling;
mod sockets;
mod state;
mod status;
mod tls;
mod workers;

pub use access::NoAccess;
pub use admin::{Admin, Readiness, Stage};
pub use credentials::{Credentials, NoCredentials};
pub use listener::{NotServed, serve, serve_live};
pub use live::{InForce, Live};
pub use reload::Reload;
pub use roll::NoRoll;
pub use state::{ConfigState, ExemptionState, RolloutState};
pub use tls::NoTls;
