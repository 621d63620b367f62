//! The listener, its limits, the drain, and the admin port.

mod admin;
mod cache;
mod kept;
mod listener;
mod live;
mod plans;
mod reload;
mod roll;
mod state;
mod status;
mod tls;
mod workers;

pub use admin::{Admin, Readiness, Stage};
pub use listener::{NotServed, serve, serve_live};
pub use live::{InForce, Live};
pub use reload::Reload;
pub use roll::NoRoll;
pub use state::{ConfigState, ExemptionState, RolloutState};
pub use tls::NoTls;
