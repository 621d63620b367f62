//! Reading SQL. The only room that names the SQL parser; what leaves it is our own model.
//!
//! A text is read twice here: as bytes and tokens, and as the parser's tree lowered into the
//! [`model`]. Each reading can refuse; neither asks the other to be right.

mod change;
mod comment;
mod keyword;
mod literal;
mod lower;
pub mod model;
mod not_understood;
mod piece;
#[cfg(feature = "postgres-grammar")]
mod postgres;
mod second;
mod shape;
mod span;
mod statement;
mod token;
mod trigger;
mod utility;

pub use change::schema_change;
pub use comment::{Comment, comment};
pub use literal::{Literal, Slot, Slots};
pub use not_understood::NotUnderstood;
pub use piece::{Piece, PieceKind, pieces};
pub use second::{
    HAS_SECOND_READING, Readings, Second, read_by_grammar, read_into, read_twice, read_twice_into,
};
pub use shape::Shape;
pub use span::Span;
pub use statement::{
    CopyFrom, Operand, Statement, StatementBody, TransactionControl, Utility, Wrapper, read,
};
pub use trigger::{TriggerBody, read_trigger};
