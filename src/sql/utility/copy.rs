//! COPY.

use sqlparser::tokenizer::Token;

use super::{Read, contains, query};
use crate::sql::statement::{Cursor, StatementBody, Utility, Wrapper};

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
    Ok(StatementBody::Utility(Utility::CopyTable))
}
