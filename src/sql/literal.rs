//! Literals whose readers are kept account of.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::Shape;
use super::token::Lexeme;

/// The text of a constant. Whoever reads it makes it a part of what the plan depends on; what only
/// compares it with the tenant, anew for each text, does not read it.
///
/// It can be neither printed nor compared.
pub struct Literal {
    text: Box<str>,
    negated: bool,
    mark: Option<Mark>,
}

/// Which literal of a text's shape a constant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its place among the literals.
    pub(crate) index: usize,
    /// A minus stands before it.
    pub(crate) negated: bool,
}

impl Literal {
    /// A constant that is none of the text's own literals, or may be one, as its token has it.
    pub(super) fn new(text: impl Into<Box<str>>, lexeme: Option<&Lexeme>) -> Self {
        let mark = lexeme.and_then(|lexeme| lexeme.mark.clone());
        if let Some(Mark { slots, index }) = &mark
            && let Some(slot) = slots.each.get(*index)
        {
            slot.placed.fetch_add(1, Ordering::Relaxed);
        }
        Self { text: text.into(), negated: false, mark }
    }

    /// Whether a minus stands before the digits. That is no part of a literal, so it is the same
    /// for all texts of a shape.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.text.starts_with('-')
    }

    /// The same number with a minus before it.
    #[must_use]
    pub fn negated(self) -> Self {
        Self { text: format!("-{}", self.text).into(), negated: true, mark: self.mark }
    }

    /// The text. What is made of it holds for this text alone.
    #[must_use]
    pub fn read(&self) -> &str {
        self.pin();
        &self.text
    }

    /// Lets what is planned hold for this text alone.
    pub fn pin(&self) {
        if let Some(Mark { slots, index }) = &self.mark
            && let Some(slot) = slots.each.get(*index)
        {
            slot.read.store(true, Ordering::Relaxed);
        }
    }

    /// What a function makes of the text that is applied again to every other text of the shape,
    /// and which literal of the shape that is.
    pub(crate) fn settled<T>(&self, value: impl FnOnce(&str) -> T) -> (T, Option<Slot>) {
        let slot = self.mark.as_ref().map(|it| Slot { index: it.index, negated: self.negated });
        (value(&self.text), slot)
    }
}

impl fmt::Debug for Literal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Literal").finish_non_exhaustive()
    }
}

/// What became of the literals of one text while it was planned.
#[derive(Debug)]
pub struct Slots {
    shape: Shape,
    each: Vec<Fate>,
}

#[derive(Debug, Default)]
struct Fate {
    /// How many constants the readings have made of it.
    placed: AtomicUsize,
    /// Somebody has read its text.
    read: AtomicBool,
}

/// A token that is a literal of the shape.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    slots: Arc<Slots>,
    index: usize,
}

impl Slots {
    /// Of a text of this shape.
    #[must_use]
    pub fn of(shape: Shape) -> Arc<Self> {
        let each = std::iter::repeat_with(Fate::default).take(shape.literals().len()).collect();
        Arc::new(Self { shape, each })
    }

    /// The shape whose literals they are.
    pub(crate) const fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Marks the tokens that are literals of the shape.
    pub(super) fn mark(self: &Arc<Self>, lexemes: &mut [Lexeme]) {
        let mut literals = self.shape.literals().iter().enumerate().peekable();
        for lexeme in lexemes {
            while literals.next_if(|(_, it)| it.span.start < lexeme.span.start).is_some() {}
            if let Some((index, _)) = literals.next_if(|(_, it)| it.span == lexeme.span) {
                lexeme.mark = Some(Mark { slots: Arc::clone(self), index });
            }
        }
    }

    /// For each literal, whether another value of it would have been planned in the same way: each
    /// of so many readings has made one constant of it, and nobody has read that.
    pub(crate) fn free(&self, readings: usize) -> Vec<bool> {
        self.each
            .iter()
            .map(|fate| {
                fate.placed.load(Ordering::Relaxed) == readings
                    && !fate.read.load(Ordering::Relaxed)
            })
            .collect()
    }
}
