//! A text's tokens with their brackets matched.

use crate::sql::{Piece, PieceKind, Span};

/// The tokens of a text.
#[derive(Debug)]
pub(super) struct Tokens {
    pieces: Vec<Piece>,
    /// For each bracket, where its partner is.
    partners: Vec<Option<usize>>,
}

impl Tokens {
    pub(super) fn new(pieces: Vec<Piece>) -> Self {
        let mut partners = vec![None; pieces.len()];
        let mut open = Vec::new();
        for (at, piece) in pieces.iter().enumerate() {
            match piece.kind {
                PieceKind::Open => open.push(at),
                PieceKind::Close => {
                    if let Some(start) = open.pop() {
                        for (from, to) in [(start, at), (at, start)] {
                            if let Some(partner) = partners.get_mut(from) {
                                *partner = Some(to);
                            }
                        }
                    }
                }
                PieceKind::Word(_)
                | PieceKind::Quoted(_)
                | PieceKind::Parameter(_)
                | PieceKind::Comma
                | PieceKind::Period
                | PieceKind::Star
                | PieceKind::Semicolon
                | PieceKind::Other => {}
            }
        }
        Self { pieces, partners }
    }

    pub(super) const fn len(&self) -> usize {
        self.pieces.len()
    }

    pub(super) fn kind(&self, at: usize) -> Option<&PieceKind> {
        self.pieces.get(at).map(|piece| &piece.kind)
    }

    pub(super) fn span(&self, at: usize) -> Span {
        self.pieces.get(at).map(|piece| piece.span).unwrap_or_default()
    }

    /// The word here; empty if there is none.
    pub(super) fn word(&self, at: usize) -> &str {
        match self.kind(at) {
            Some(PieceKind::Word(word)) => word,
            Some(
                PieceKind::Quoted(_)
                | PieceKind::Parameter(_)
                | PieceKind::Open
                | PieceKind::Close
                | PieceKind::Comma
                | PieceKind::Period
                | PieceKind::Star
                | PieceKind::Semicolon
                | PieceKind::Other,
            )
            | None => "",
        }
    }

    pub(super) fn is(&self, at: usize, kind: &PieceKind) -> bool {
        self.kind(at) == Some(kind)
    }

    /// Whether these words stand here, one behind the other.
    pub(super) fn are(&self, at: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(offset, word)| self.word(at.saturating_add(offset)) == *word)
    }

    /// The bracket that closes the one here.
    pub(super) fn close(&self, at: usize) -> Option<usize> {
        if self.is(at, &PieceKind::Open) { self.partners.get(at).copied().flatten() } else { None }
    }

    /// Whether an identifier, or a word that may be one, stands here.
    pub(super) fn is_name(&self, at: usize) -> bool {
        matches!(self.kind(at), Some(PieceKind::Word(_) | PieceKind::Quoted(_)))
    }

    /// Whether a word here can only be a name: behind a dot or AS.
    pub(super) fn is_label(&self, at: usize) -> bool {
        at.checked_sub(1)
            .is_some_and(|before| self.is(before, &PieceKind::Period) || self.word(before) == "as")
    }

    /// Behind the token here, or behind the brackets that open here.
    pub(super) fn step(&self, at: usize) -> usize {
        self.close(at).unwrap_or(at).saturating_add(1)
    }

    /// The first place from `at` on, outside brackets, of which this is true.
    pub(super) fn find(
        &self,
        at: usize,
        end: usize,
        wanted: &dyn Fn(usize) -> bool,
    ) -> Option<usize> {
        let mut at = at;
        while at < end {
            if wanted(at) {
                return Some(at);
            }
            at = self.step(at);
        }
        None
    }

    /// The first place of the keyword from `at` on, outside brackets.
    pub(super) fn find_word(&self, at: usize, end: usize, word: &str) -> Option<usize> {
        self.find(at, end, &|at| self.word(at) == word && !self.is_label(at))
    }

    /// Whether the FROM here belongs to IS DISTINCT FROM.
    pub(super) fn is_distinct_from(&self, at: usize) -> bool {
        let before = |offset: usize| at.checked_sub(offset).map_or("", |at| self.word(at));
        before(1) == "distinct" && matches!(before(2), "is" | "not")
    }

    /// Whether a query, and nothing else, stands in the brackets that open here.
    pub(super) fn is_query(&self, open: usize) -> bool {
        let Some(close) = self.close(open) else {
            return false;
        };
        let first = open.saturating_add(1);
        if is_query_word(self.word(first)) {
            return true;
        }
        let Some(inner) = self.close(first) else {
            return false;
        };
        let after = inner.saturating_add(1);
        let goes_on = after == close
            || matches!(
                self.word(after),
                "union" | "intersect" | "except" | "order" | "limit" | "offset" | "fetch" | "for"
            );
        goes_on && self.is_query(first)
    }

    /// The tokens within a span: the first, and the one behind the last.
    pub(super) fn within(&self, span: Span) -> (usize, usize) {
        let start = self.pieces.partition_point(|piece| piece.span.start < span.start);
        let end = self.pieces.partition_point(|piece| piece.span.start < span.end);
        (start, end)
    }

    /// The greatest number of a parameter from `start` to `end`.
    pub(super) fn parameters(&self, start: usize, end: usize) -> u16 {
        let pieces = self.pieces.get(start..end).unwrap_or_default();
        let number = |piece: &Piece| match piece.kind {
            PieceKind::Parameter(number) => number,
            PieceKind::Word(_)
            | PieceKind::Quoted(_)
            | PieceKind::Open
            | PieceKind::Close
            | PieceKind::Comma
            | PieceKind::Period
            | PieceKind::Star
            | PieceKind::Semicolon
            | PieceKind::Other => 0,
        };
        pieces.iter().map(number).max().unwrap_or_default()
    }
}

pub(super) fn is_query_word(word: &str) -> bool {
    matches!(
        word,
        "select" | "with" | "values" | "table" | "insert" | "update" | "delete" | "merge"
    )
}
