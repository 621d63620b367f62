//! Reading SQL. The only room that names the SQL parser.

mod span;

pub use span::Span;
