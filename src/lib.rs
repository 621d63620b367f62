//! orgguard: a PostgreSQL wire-protocol proxy that stands between applications and the database
//! and proves, for every statement, that it stays inside one tenant.
//!
//! The rooms and the direction of their dependencies are described in `docs/architecture.md` and
//! kept by `tests/tidy.rs`:
//!
//! * pure rooms (no await, no log, no clock, no socket): [`tenant`], [`policy`], [`sql`],
//!   [`analyze`], [`mod@rewrite`], [`session`];
//! * rooms with I/O: [`wire`], [`serve`], [`catalog`], [`database`], [`doctor`],
//!   [`telemetry`], [`config`], [`cli`].
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a test may stop at the first surprise"
    )
)]

pub mod analyze;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod database;
pub mod doctor;
pub mod policy;
pub mod rewrite;
pub mod serve;
pub mod session;
pub mod sql;
pub mod telemetry;
pub mod tenant;
pub mod wire;
