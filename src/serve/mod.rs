//! The listener, its limits, the drain, and the admin port.

mod admin;

pub use admin::{Admin, Readiness, Stage};
