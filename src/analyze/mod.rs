//! The analysis: `plan(text, policy)` is tenant-free and may be cached; `settle` compares a plan's
//! operands with the session's tenant and gives a verdict that no mode has coloured.
//!
//! Obligations come first: every reference to a guarded table owes a proof before any predicate is
//! looked at, and only a positive proof clears it. A missed proof is a false alarm.

mod agree;
mod arguments;
mod array;
mod build;
mod copy;
mod effect;
mod explain;
mod expose;
mod gap;
mod graph;
mod has;
mod judge;
mod kind;
mod live;
mod memo;
mod plan;
mod push;
mod reader;
mod reuse;
mod settle;
mod shortcut;
mod solve;
mod statement;
mod touched;
mod twice;
mod verdict;

/// The stack that a thread needs to plan whatever the widest reading limits of a configuration let
/// through, in bytes: a chain of operators is a tree as deep as it is long (`tests/bombs.rs`).
pub const READER_STACK: usize = 32 << 20;

pub use agree::Difference;
pub use arguments::{Argument, Arguments, Form};
pub use copy::{CopyPlan, CopyReader, RowRefused};
pub use effect::{Effect, NewValue};
pub use explain::Explained;
pub use gap::{Gap, GapKind};
pub(crate) use has::is_system_column;
pub(crate) use judge::quoted;
pub use kind::Kind;
pub use plan::{Plan, SessionTenant, StatementPlan, plan};
pub use twice::Disagreement;
pub use verdict::{Advice, Outcome, Rule, Verdict, Violation};
