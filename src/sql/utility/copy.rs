//! COPY.

use sqlparser::tokenizer::Token;

use super::{Read, contains, query};
use crate::sql::Span;
use crate::sql::statement::{CopyFrom, Cursor, StatementBody, Utility, Wrapper};
use crate::sql::token::Lexeme;

/// COPY (query) TO STDOUT, COPY table FROM STDIN, COPY table TO STDOUT.
pub(super) fn copy(cursor: &mut Cursor<'_>) -> Read {
    let opaque = |reason| Ok(StatementBody::Utility(Utility::Opaque(reason)));
    if cursor.peek().is_some_and(|lexeme| lexeme.token == Token::LParen) {
        let start = cursor.at.saturating_add(1);
        let mut depth = 0_usize;
        let mut end = None;
        for (index, lexeme) in cursor.lexemes.iter().enumerate().skip(cursor.at) {
            match lexeme.token {
                Token::LParen => depth = depth.saturating_add(1),
                Token::RParen => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                end = Some(index);
                break;
            }
        }
        let Some(end) = end else {
            return Err(cursor.unread("COPY with an open parenthesis"));
        };
        let after = cursor.lexemes.get(end.saturating_add(1)..).unwrap_or_default();
        if !matches!(after, [to, stdout, ..] if to.is("to") && stdout.is("stdout")) {
            return opaque("COPY to a file or program of the server");
        }
        let inner = cursor.lexemes.get(start..end).unwrap_or_default();
        return Ok(StatementBody::Wrapped {
            wrapper: Wrapper::Copy,
            statement: query(inner, cursor)?,
        });
    }
    let client = cursor.rest().windows(2).any(|pair| {
        matches!(pair, [way, end] if (way.is("from") && end.is("stdin")) || (way.is("to") && end.is("stdout")))
    });
    if !client || contains(cursor.rest(), "program") || contains(cursor.rest(), "where") {
        return opaque("COPY from or to a file or program of the server, or with WHERE");
    }
    let read = copy_from(cursor.rest()).map(StatementBody::CopyFrom);
    Ok(read.unwrap_or(StatementBody::Utility(Utility::CopyTable)))
}

/// COPY table FROM STDIN, if everything that stands there is known.
fn copy_from(lexemes: &[Lexeme]) -> Option<CopyFrom> {
    let mut cursor = Cursor { lexemes, at: 0, span: Span::default(), named: Vec::new() };
    let mut table = cursor.name().ok()?;
    while cursor.take_token(&Token::Period) {
        table = cursor.name().ok()?;
    }
    let mut columns = Vec::new();
    if cursor.take_token(&Token::LParen) {
        columns.push(cursor.name().ok()?);
        while cursor.take_token(&Token::Comma) {
            columns.push(cursor.name().ok()?);
        }
        if !cursor.take_token(&Token::RParen) {
            return None;
        }
    }
    if !cursor.take("from") || !cursor.take("stdin") {
        return None;
    }
    cursor.take("with");
    let options = if cursor.take_token(&Token::LParen) {
        options(&mut cursor)?
    } else {
        old_options(&mut cursor)?
    };
    cursor.is_done().then_some(CopyFrom { table, columns, options })
}

type Options = Vec<(Box<str>, Option<Box<str>>)>;

/// `name value, …)`.
fn options(cursor: &mut Cursor<'_>) -> Option<Options> {
    let mut options = Vec::new();
    loop {
        let name = cursor.name().ok()?.text;
        let next = cursor.peek()?;
        let value = if matches!(next.token, Token::Comma | Token::RParen) {
            None
        } else {
            Some(value(cursor)?)
        };
        options.push((name, value));
        if cursor.take_token(&Token::RParen) {
            return Some(options);
        }
        if !cursor.take_token(&Token::Comma) {
            return None;
        }
    }
}

/// The form from before 9.0: `[BINARY] [DELIMITER [AS] 'x'] [NULL [AS] 'x'] [CSV …]`.
fn old_options(cursor: &mut Cursor<'_>) -> Option<Options> {
    let mut options: Options = Vec::new();
    while let Some(word) = cursor.next() {
        let word = word.word()?;
        match word.as_str() {
            "binary" | "csv" => options.push(("format".into(), Some(word.into()))),
            "header" | "freeze" => options.push((word.into(), None)),
            "delimiter" | "null" | "quote" | "escape" | "encoding" => {
                cursor.take("as");
                let value = value(cursor)?;
                options.push((word.into(), Some(value)));
            }
            _ => return None,
        }
    }
    Some(options)
}

/// A word, a string or a number. Of strings with escapes in them the two that everybody writes.
fn value(cursor: &mut Cursor<'_>) -> Option<Box<str>> {
    let lexeme = cursor.next()?;
    match &lexeme.token {
        Token::EscapedStringLiteral(text) if matches!(text.as_str(), "\t" | "\\N") => {
            Some(text.as_str().into())
        }
        Token::Number(digits, _) => Some(digits.as_str().into()),
        _ => lexeme.string().map(Into::into).or_else(|| lexeme.word().map(Into::into)),
    }
}
