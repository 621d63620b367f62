use std::cell::OnceCell;

use super::normal::{Normal, normalize};
use crate::sql::Span;

/// A text of which several things may be told: a statement of it may break many rules, and a string
/// may have many statements. What takes time in proportion to the text is found out once, and only
/// if a line or an entry needs it.
#[derive(Debug)]
pub struct StatementText<'a> {
    text: &'a str,
    fingerprint: Option<u64>,
    normal: OnceCell<Normal>,
}

impl<'a> StatementText<'a> {
    /// A text, and its fingerprint if that is known.
    #[must_use]
    pub const fn new(text: &'a str, fingerprint: Option<u64>) -> Self {
        Self { text, fingerprint, normal: OnceCell::new() }
    }

    /// Without its literals.
    pub(super) fn normal(&self) -> &Normal {
        self.normal.get_or_init(|| normalize(self.text))
    }

    pub(super) fn fingerprint(&self) -> u64 {
        self.fingerprint.unwrap_or_else(|| self.normal().fingerprint)
    }

    /// Where a span begins: 1-based, in characters.
    pub(super) fn position(&self, span: Span) -> usize {
        span.position(self.text)
    }
}
