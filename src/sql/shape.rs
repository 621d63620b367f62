//! The shape of a text: what is left of it when its literals are taken out. Applications that write
//! their values into the text send few shapes and countless texts.
//!
//! This is no reading: it only finds where literals might stand. A literal counts for nothing but
//! its own value where both readings have a token with just its span and make a constant of it
//! ([`Slots`]); before that token they have read the same bytes in every text of the shape, and
//! behind it they go on with the same byte.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};

use super::Span;

/// A text longer than this has no shape.
const TEXT_BYTES: usize = 16 << 10;

/// Digits that every version of PostgreSQL, and a `bigint`, takes.
const DIGITS: usize = 18;

/// Literals for which there is room at once.
const FEW: usize = 8;

/// The literals of a text, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    literals: Vec<Place>,
}

/// A literal and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) class: Class,
    pub(crate) span: Span,
}

/// Literals that the readings cannot tell apart but for their value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    /// `'…'` without a backslash.
    Text,
    /// Digits, no more than a `bigint` has room for.
    Integer,
    /// Digits, a point, digits.
    Decimal,
}

impl Shape {
    /// The shape of a text; `None` if it has something in it of which that cannot be told.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        if text.len() > TEXT_BYTES {
            return None;
        }
        let mut scanner = Scanner { bytes: text.as_bytes(), at: 0, literals: Vec::new() };
        scanner.run()?;
        Some(Self { literals: scanner.literals })
    }

    /// Whether there is any literal.
    #[must_use]
    pub fn has_literals(&self) -> bool {
        !self.literals.is_empty()
    }

    pub(crate) fn literals(&self) -> &[Place] {
        &self.literals
    }

    /// Feeds a hasher with all of a text but its literals.
    pub fn hash<H: Hasher>(&self, text: &str, hasher: &mut H) {
        for part in self.between(text) {
            hasher.write(part);
            hasher.write_u8(0xff);
        }
        for literal in &self.literals {
            literal.class.hash(hasher);
        }
    }

    /// Whether two texts are the same but for the values of those literals that are `free`.
    pub(crate) fn is_of_same_shape(
        &self,
        text: &str,
        (other, other_text): (&Self, &str),
        free: &[bool],
    ) -> bool {
        self.literals.len() == other.literals.len()
            && self.between(text).eq(other.between(other_text))
            && self.literals.iter().zip(&other.literals).zip(free).all(|((own, other), free)| {
                own.class == other.class
                    && (*free || slice(text, own.span) == slice(other_text, other.span))
            })
            && free.len() == self.literals.len()
    }

    /// What stands before, between and behind the literals.
    fn between<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let starts = std::iter::once(0).chain(self.literals.iter().map(|it| it.span.end));
        let whole = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let ends = self.literals.iter().map(|it| it.span.start).chain(std::iter::once(whole));
        starts.zip(ends).map(|(start, end)| slice(text, Span { start, end }).as_bytes())
    }

    /// The value of a literal: of a text in quotes what they hold.
    pub(crate) fn value<'a>(&self, text: &'a str, index: usize) -> Option<Cow<'a, str>> {
        let Place { class, span } = *self.literals.get(index)?;
        let written = slice(text, span);
        Some(match class {
            Class::Integer | Class::Decimal => Cow::Borrowed(written),
            Class::Text => {
                let inside = written.strip_prefix('\'')?.strip_suffix('\'')?;
                if inside.contains('\'') {
                    Cow::Owned(inside.replace("''", "'"))
                } else {
                    Cow::Borrowed(inside)
                }
            }
        })
    }

    /// Where a byte of one text stands in another one of the same shape.
    pub(crate) fn moved(&self, other: &Self, at: u32) -> u32 {
        // Only whole tokens have a place, so nothing stands inside a literal.
        let before = self.literals.partition_point(|it| it.span.end <= at);
        match before.checked_sub(1) {
            None => at,
            Some(last) => match (self.literals.get(last), other.literals.get(last)) {
                (Some(own), Some(other)) => {
                    other.span.end.saturating_add(at.saturating_sub(own.span.end))
                }
                (_, _) => at,
            },
        }
    }
}

fn slice(text: &str, span: Span) -> &str {
    let (Ok(start), Ok(end)) = (usize::try_from(span.start), usize::try_from(span.end)) else {
        return "";
    };
    text.get(start..end).unwrap_or("")
}

/// Walks over a text by PostgreSQL's lexical rules (documentation, 4.1), as far as literals need it.
struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    literals: Vec<Place>,
}

impl Scanner<'_> {
    /// `None` where it cannot tell what follows.
    fn run(&mut self) -> Option<()> {
        while let Some(byte) = self.peek(0) {
            match byte {
                b'\'' => self.string()?,
                b'"' => self.quoted_name()?,
                b'0'..=b'9' => self.number(),
                b'$' => self.parameter()?,
                b'-' if self.peek(1) == Some(b'-') => self.line_comment(),
                b'/' if self.peek(1) == Some(b'*') => self.block_comment()?,
                b'\\' | b'\0' => return None,
                byte if is_name(byte) => self.skip_name(),
                _ => self.skip(1),
            }
        }
        Some(())
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at.checked_add(ahead)?).copied()
    }

    fn before(&self) -> Option<u8> {
        self.bytes.get(self.at.checked_sub(1)?).copied()
    }

    fn skip(&mut self, count: usize) {
        self.at = self.at.saturating_add(count);
    }

    fn skip_name(&mut self) {
        while self.peek(0).is_some_and(|byte| is_name(byte) || byte == b'.') {
            self.skip(1);
        }
    }

    fn place(&mut self, class: Class, start: usize) -> Option<()> {
        let start = u32::try_from(start).ok()?;
        let end = u32::try_from(self.at).ok()?;
        if self.literals.capacity() == 0 {
            self.literals.reserve(FEW);
        }
        self.literals.push(Place { class, span: Span { start, end } });
        Some(())
    }

    /// A string without a prefix (`E'…'`) or escapes.
    fn string(&mut self) -> Option<()> {
        let start = self.at;
        if self.before().is_some_and(|byte| is_name(byte) || byte == b'&' || byte == b'\'') {
            return None;
        }
        self.skip(1);
        loop {
            match (self.peek(0)?, self.peek(1)) {
                (b'\'', Some(b'\'')) => self.skip(2),
                (b'\'', _) => break,
                // An escape where standard_conforming_strings is off, and what the measure of
                // comments counts wherever it stands.
                (b'\\' | b'\0', _) | (b'/', Some(b'*')) | (b'*', Some(b'/')) => return None,
                (_, _) => self.skip(1),
            }
        }
        self.skip(1);
        // One that another string follows, or that follows one, might be a part of it.
        let space = |byte: &&u8| byte.is_ascii_whitespace() || **byte == 0x0b;
        let mut rest = self.bytes.get(self.at..).unwrap_or_default().iter();
        if rest.find(|byte| !space(byte)) == Some(&b'\'') {
            return None;
        }
        self.place(Class::Text, start)
    }

    fn quoted_name(&mut self) -> Option<()> {
        if self.before() == Some(b'&') {
            return None;
        }
        self.skip(1);
        loop {
            match (self.peek(0)?, self.peek(1)) {
                (b'"', Some(b'"')) => self.skip(2),
                (b'"', _) => break,
                (b'\0', _) => return None,
                (_, _) => self.skip(1),
            }
        }
        self.skip(1);
        Some(())
    }

    /// A number; one in any other form than plain digits is left to stand.
    fn number(&mut self) {
        let (start, before) = (self.at, self.before());
        self.digits();
        let mut class = Class::Integer;
        if self.peek(0) == Some(b'.') && self.peek(1).is_some_and(|byte| byte.is_ascii_digit()) {
            class = Class::Decimal;
            self.skip(1);
            self.digits();
        }
        let odd = |byte: Option<u8>| {
            byte.is_some_and(|byte| is_name(byte) || matches!(byte, b'.' | b'\'' | b'"'))
        };
        if odd(before) || odd(self.peek(0)) || self.at.saturating_sub(start) > DIGITS {
            self.skip_name();
        } else {
            // Places beyond four gigabytes do not come up: the text is short.
            let _ = self.place(class, start);
        }
    }

    fn digits(&mut self) {
        while self.peek(0).is_some_and(|byte| byte.is_ascii_digit()) {
            self.skip(1);
        }
    }

    /// `$1`; a string in dollars has no shape.
    fn parameter(&mut self) -> Option<()> {
        if !self.peek(1).is_some_and(|byte| byte.is_ascii_digit()) {
            return None;
        }
        self.skip(1);
        self.skip_name();
        Some(())
    }

    fn line_comment(&mut self) {
        while self.peek(0).is_some_and(|byte| !matches!(byte, b'\n' | b'\r')) {
            self.skip(1);
        }
    }

    fn block_comment(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match (self.peek(0)?, self.peek(1)) {
                (b'/', Some(b'*')) => {
                    depth = depth.checked_add(1)?;
                    self.skip(2);
                }
                (b'*', Some(b'/')) => {
                    depth = depth.checked_sub(1)?;
                    self.skip(2);
                    if depth == 0 {
                        return Some(());
                    }
                }
                (_, _) => self.skip(1),
            }
        }
    }
}

/// Whether a byte may be in an identifier, `$` included.
const fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literals(text: &str) -> Option<Vec<&str>> {
        let shape = Shape::of(text)?;
        Some(shape.literals.iter().map(|it| slice(text, it.span)).collect())
    }

    #[test]
    fn only_plain_literals_are_found() {
        for (text, found) in [
            ("SELECT 1, 'a', 2.50, 'it''s', $1", vec!["1", "'a'", "2.50", "'it''s'"]),
            ("a1 = 7 AND t.b2=-8", vec!["7", "8"]),
            ("SELECT \"a 'x' 1\", 'b'", vec!["'b'"]),
            ("SELECT 1 -- it's 2\n, 3 /* '4' /* 5 */ */", vec!["1", "3"]),
            ("x IN (1,2,'é')", vec!["1", "2", "'é'"]),
            ("SELECT 1e5, .5, 1_000, 0x1F, 12a, t.1, 1..2", vec![]),
            ("SELECT 9999999999999999999, 999999999999999999", vec!["999999999999999999"]),
            ("SELECT $1, $23 + 4", vec!["4"]),
            ("", vec![]),
        ] {
            assert_eq!(literals(text), Some(found), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_told_has_no_shape() {
        for text in [
            "E'a'",
            "SELECT date'2020-01-01'",
            "U&'a'",
            "U&\"a\"",
            "$$a$$",
            "$a$ 1 $a$",
            "'a\\'",
            "'a' 'b'",
            "'a'\n'b'",
            "'a",
            "\"a",
            "/* a",
            "'/*'",
            "'*/'",
            "\\",
        ] {
            assert_eq!(literals(text), None, "{text}");
        }
    }

    #[test]
    fn places_move_with_the_literals_before_them() {
        let (one, other) = ("SELECT 1, a, 'b' FROM t", "SELECT 100, a, '' FROM t");
        let (own, shape) = (Shape::of(one).unwrap(), Shape::of(other).unwrap());
        for word in ["SELECT", "a", "FROM", "t"] {
            let at = |text: &str| u32::try_from(text.rfind(word).unwrap()).unwrap();
            assert_eq!(own.moved(&shape, at(one)), at(other), "{word}");
        }
        assert_eq!(own.moved(&shape, 23), 24);
        assert!(own.is_of_same_shape(one, (&shape, other), &[true, true]));
        assert!(!own.is_of_same_shape(one, (&shape, other), &[true, false]));
        let third = "SELECT 'x', a, '' FROM t";
        assert!(!own.is_of_same_shape(one, (&Shape::of(third).unwrap(), third), &[true, true]));
    }
}
