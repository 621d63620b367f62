use std::collections::HashMap;

use pg_raw_parse::Node;

use crate::sql::Span;
use crate::sql::model::Name;
use crate::sql::token::Lexeme;

/// Where names stand, and which identifier tokens the lowering has made something of.
///
/// The grammar gives the first byte of most names and nothing of labels and aliases. A name with a
/// place accounts for the token there; one without accounts for one token of its text, wherever.
#[derive(Debug)]
pub(super) struct Places<'a> {
    lexemes: &'a [Lexeme],
    by_start: HashMap<u32, usize>,
    accounted: Vec<bool>,
    loose: HashMap<Box<str>, usize>,
}

impl<'a> Places<'a> {
    pub(super) fn new(lexemes: &'a [Lexeme]) -> Self {
        let by_start =
            lexemes.iter().enumerate().map(|(index, lexeme)| (lexeme.span.start, index)).collect();
        let accounted = vec![false; lexemes.len()];
        Self { lexemes, by_start, accounted, loose: HashMap::new() }
    }

    /// The statement's tokens.
    pub(super) const fn lexemes(&self) -> &'a [Lexeme] {
        self.lexemes
    }

    /// The tokens from here on, for which another statement answers.
    pub(super) fn take_from(&mut self, start: usize) -> Option<&'a [Lexeme]> {
        for place in self.accounted.iter_mut().skip(start) {
            *place = true;
        }
        self.lexemes.get(start..)
    }

    fn index(&self, location: i32) -> Option<usize> {
        self.by_start.get(&u32::try_from(location).ok()?).copied()
    }

    /// The token that starts at this byte.
    pub(super) fn at(&self, location: i32) -> Option<&'a Lexeme> {
        self.lexemes.get(self.index(location)?)
    }

    /// The token behind the one that starts at this byte.
    pub(super) fn behind(&self, location: i32) -> Option<&'a Lexeme> {
        self.lexemes.get(self.index(location)?.checked_add(1)?)
    }

    /// A name whose parts stand one behind the other, with dots between.
    pub(super) fn dotted(&mut self, parts: &[&str], location: i32) -> Vec<Name> {
        let mut index = self.index(location);
        let mut names = Vec::with_capacity(parts.len());
        for part in parts {
            let found = index
                .and_then(|index| self.lexemes.get(index))
                .filter(|lexeme| lexeme.name().as_deref() == Some(*part));
            if let (Some(_), Some(place)) =
                (found, index.and_then(|index| self.accounted.get_mut(index)))
            {
                *place = true;
            }
            let span = found.map_or(Span::default(), |lexeme| lexeme.span);
            names.push(Name { text: (*part).into(), span });
            // Behind the name a dot, behind the dot the next name.
            index = index.and_then(|index| index.checked_add(2));
        }
        names
    }

    /// A name in one part.
    pub(super) fn one(&mut self, text: &str, location: i32) -> Name {
        self.dotted(&[text], location)
            .pop()
            .unwrap_or_else(|| Name { text: text.into(), span: Span::default() })
    }

    /// A name whose place the grammar does not give.
    pub(super) fn loose(&mut self, text: &str) -> Name {
        let count = self.loose.entry(text.into()).or_default();
        *count = count.saturating_add(1);
        Name { text: text.into(), span: Span::default() }
    }

    /// Every identifier token that nothing accounts for.
    pub(super) fn unaccounted(&mut self) -> Vec<Name> {
        let mut left = Vec::new();
        for (lexeme, accounted) in self.lexemes.iter().zip(&self.accounted) {
            let Some(text) = lexeme.name().filter(|_| !accounted) else {
                continue;
            };
            match self.loose.get_mut(&text) {
                Some(count) if *count > 0 => *count = count.saturating_sub(1),
                Some(_) | None => left.push(Name { text, span: lexeme.span }),
            }
        }
        left
    }
}

/// The texts of a list of names.
pub(super) fn texts<'t>(list: impl IntoIterator<Item = Node<'t>>) -> Option<Vec<&'t str>> {
    list.into_iter().map(|node| node.as_str()).collect()
}
