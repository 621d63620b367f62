//! The doctor: what in a database's own schema breaks the convention that the guard relies on.
//!
//! [`read`] asks `pg_catalog` over a connection of its own; [`inspect`] is a function of what was
//! read. Only names of objects are told, with what to write instead; no row is ever read.

mod finding;
mod inspect;
mod queries;
mod read;
mod schema;
mod sql;

pub use finding::{Finding, Flaw, Level};
pub use inspect::{Convention, inspect};
pub use read::{Unreadable, read};
pub use schema::{
    Column, ForeignKey, Index, Role, Routine, Schema, Table, TableKind, View, ViewKind,
};
