//! What the database says of its relations and routines: read over a connection of its own, kept
//! up to date, and published to the sessions as part of the policy they plan under.
//!
//! A connection that is lost leaves the last catalogue in force; a catalogue that was never read
//! knows no relation, so that enforce refuses.

mod join;
mod keep;
mod published;
mod queries;
mod read;

pub use keep::keep;
pub use published::{Health, Policies, Published};
pub use read::{NotRead, Snapshot, read};
