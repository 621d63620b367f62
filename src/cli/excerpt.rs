use crate::sql::Span;

/// The line of a text that a span starts on, and where on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    /// The line's number, from 1.
    pub(super) line: usize,
    /// The character on the line, from 1.
    pub(super) column: usize,
    source: String,
    marked: usize,
}

impl Excerpt {
    /// The excerpt of a text at a span.
    pub(super) fn new(text: &str, span: Span) -> Self {
        let start = boundary(text, span.start);
        let end = boundary(text, span.end).max(start);
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at.saturating_add(1));
        let source = text
            .get(line_start..)
            .and_then(|rest| rest.lines().next())
            .unwrap_or_default();
        let inside = text
            .get(start..end)
            .and_then(|rest| rest.lines().next())
            .unwrap_or_default();
        Self {
            line: before.matches('\n').count().saturating_add(1),
            column: text
                .get(line_start..start)
                .map_or(0, |part| part.chars().count())
                .saturating_add(1),
            // A control character has no width or any width; the caret must stand right.
            source: source
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect(),
            marked: inside.chars().count().max(1),
        }
    }

    /// The line with carets under the span, indented.
    pub(super) fn draw(&self, indent: usize) -> String {
        let gap = indent.saturating_add(self.column).saturating_sub(1);
        let carets = "^".repeat(self.marked);
        format!("{:indent$}{}\n{:gap$}{carets}\n", "", self.source, "")
    }
}

/// A byte offset inside the text, between characters.
fn boundary(text: &str, offset: u32) -> usize {
    let mut at = usize::try_from(offset)
        .unwrap_or(usize::MAX)
        .min(text.len());
    while !text.is_char_boundary(at) {
        at = at.saturating_sub(1);
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excerpt(text: &str, part: &str) -> Excerpt {
        let start = text.find(part).unwrap();
        let (start, end) = (start as u32, (start + part.len()) as u32);
        Excerpt::new(text, Span { start, end })
    }

    #[test]
    fn the_caret_stands_under_the_span() {
        let found = excerpt(
            "SELECT 'é',\n\t* FROM org_products\nWHERE true",
            "org_products",
        );
        assert_eq!((found.line, found.column), (2, 9));
        assert_eq!(
            found.draw(2),
            "   * FROM org_products\n          ^^^^^^^^^^^^\n"
        );
    }

    #[test]
    fn a_span_outside_of_the_text_is_at_its_end() {
        let found = Excerpt::new("é", Span { start: 9, end: 4 });
        assert_eq!((found.line, found.column), (1, 2));
        assert_eq!(found.draw(0), "é\n ^\n");
        let empty = Excerpt::new("", Span::default());
        assert_eq!(empty.draw(0), "\n^\n");
        assert_eq!(Excerpt::new("é", Span { start: 1, end: 2 }).column, 1);
    }
}
