//! A text as tokens of our own, for those who edit it.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a token that is no word and no bracket is only a place to those who edit"
)]

use sqlparser::tokenizer::Token;

use super::token::tokenize;
use super::{NotUnderstood, Span};
use crate::policy::{ReadingLimits, cut_name};

/// A token that is neither space nor comment, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// What it is.
    pub kind: PieceKind,
    /// Where it stands.
    pub span: Span,
}

/// What a token is, as far as the structure of a text needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PieceKind {
    /// A keyword or an identifier without quotes, in lower case.
    Word(Box<str>),
    /// An identifier in quotes, cut to 63 bytes.
    Quoted(Box<str>),
    /// `$n`.
    Parameter(u16),
    /// `(` or `[`.
    Open,
    /// `)` or `]`.
    Close,
    /// `,`
    Comma,
    /// `.`
    Period,
    /// `*`
    Star,
    /// `;`
    Semicolon,
    /// Any other.
    Other,
}

/// The tokens of a text.
///
/// # Errors
/// If the first reading refuses the text.
pub fn pieces(text: &str, limits: &ReadingLimits) -> Result<Vec<Piece>, NotUnderstood> {
    let kind = |token: &Token| match token {
        Token::Word(word) if word.quote_style.is_none() => {
            PieceKind::Word(word.value.to_ascii_lowercase().into())
        }
        Token::Word(word) => PieceKind::Quoted(cut_name(&word.value).into()),
        Token::Placeholder(name) => {
            let number = name.strip_prefix('$').and_then(|digits| digits.parse().ok());
            number.map_or(PieceKind::Other, PieceKind::Parameter)
        }
        Token::LParen | Token::LBracket => PieceKind::Open,
        Token::RParen | Token::RBracket => PieceKind::Close,
        Token::Comma => PieceKind::Comma,
        Token::Period => PieceKind::Period,
        Token::Mul => PieceKind::Star,
        Token::SemiColon => PieceKind::Semicolon,
        _ => PieceKind::Other,
    };
    let lexemes = tokenize(text, limits)?;
    Ok(lexemes.iter().map(|it| Piece { kind: kind(&it.token), span: it.span }).collect())
}
