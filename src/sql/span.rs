/// A half-open range of bytes in a statement's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The position PostgreSQL reports: 1-based, in characters (documentation, 55.8, field `P`).
    #[must_use]
    pub fn position(self, text: &str) -> usize {
        let end = usize::try_from(self.start).unwrap_or(usize::MAX).min(text.len());
        text.char_indices().take_while(|(at, _)| *at < end).count().saturating_add(1)
    }
}
