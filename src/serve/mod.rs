//! The listener, its limits, the drain, and the admin port.

mod admin;
mod cache;
mod listener;
mod plans;
mod roll;
mod tls;
mod workers;

pub use admin::{Admin, Readiness, Stage};
pub use listener::{NotServed, serve};
pub use roll::NoRoll;
pub use tls::NoTls;
