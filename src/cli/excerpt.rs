use crate::sql::Span;

/// Characters shown of a long line, and how many of them stand before the span.
const WIDTH: usize = 100;
const BEFORE: usize = 40;

/// Stands for what is not shown.
const ELLIPSIS: char = '…';

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
        let source =
            text.get(line_start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let inside = text.get(start..end).and_then(|rest| rest.lines().next()).unwrap_or_default();
        Self {
            line: before.matches('\n').count().saturating_add(1),
            column: text
                .get(line_start..start)
                .map_or(0, |part| part.chars().count())
                .saturating_add(1),
            // A control character has no width or any width; the caret must stand right.
            source: source.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
            marked: inside.chars().count().max(1),
        }
    }

    /// The line, or the part of a long one around the span, with carets under it, indented.
    pub(super) fn draw(&self, indent: usize) -> String {
        let before = self.column.saturating_sub(1);
        let length = self.source.chars().count();
        let skipped = if length <= WIDTH { 0 } else { before.saturating_sub(BEFORE) };
        let mut source: String = self.source.chars().skip(skipped).take(WIDTH).collect();
        let mut column = before.saturating_sub(skipped);
        if skipped > 0 {
            source.insert(0, ELLIPSIS);
            column = column.saturating_add(1);
        }
        if length.saturating_sub(skipped) > WIDTH {
            source.push(ELLIPSIS);
        }
        let gap = indent.saturating_add(column);
        let carets = "^"
            .repeat(self.marked.min(WIDTH.saturating_sub(before.saturating_sub(skipped))).max(1));
        format!("{:indent$}{source}\n{:gap$}{carets}\n", "", "")
    }
}

/// A byte offset inside the text, between characters.
fn boundary(text: &str, offset: u32) -> usize {
    let mut at = usize::try_from(offset).unwrap_or(usize::MAX).min(text.len());
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
        let found = excerpt("SELECT 'é',\n\t* FROM org_products\nWHERE true", "org_products");
        assert_eq!((found.line, found.column), (2, 9));
        assert_eq!(found.draw(2), "   * FROM org_products\n          ^^^^^^^^^^^^\n");
    }

    #[test]
    fn a_long_line_is_shown_around_the_span() {
        let text = format!("{}here{}", "a".repeat(500), "b".repeat(500));
        let drawn = excerpt(&text, "here").draw(4);
        let (line, carets) = drawn.split_once('\n').unwrap();
        assert_eq!(line.chars().count(), 4 + 1 + WIDTH + 1);
        let shown = line.chars().position(|c| c == 'h');
        assert_eq!(shown, carets.chars().position(|c| c == '^'));
        assert!(line.starts_with("    …a") && line.ends_with("b…"), "{line}");
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
