use super::Span;

/// Why a text was not read. In enforce mode it is refused for this reason alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotUnderstood {
    /// What could not be read, in words of ours: never text of the statement.
    pub reason: &'static str,
    /// Where.
    pub span: Span,
}

impl NotUnderstood {
    pub(crate) const fn new(reason: &'static str, span: Span) -> Self {
        Self { reason, span }
    }
}
