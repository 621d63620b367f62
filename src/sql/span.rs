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
        let before = text.as_bytes().get(..end).unwrap_or_default();
        // Every character has one byte that continues none.
        before.iter().filter(|byte| **byte & 0xc0 != 0x80).count().saturating_add(1)
    }
}
