//! SET and RESET, and the values that utility statements take.

use sqlparser::tokenizer::Token;

use super::Read;
use crate::sql::NotUnderstood;
use crate::sql::model::Name;
use crate::sql::statement::{Cursor, Operand, StatementBody, TransactionControl};

/// SET in all its forms (documentation, SET and SET TRANSACTION).
pub(super) fn set(cursor: &mut Cursor<'_>) -> Read {
    let local = cursor.take("local");
    if !local && cursor.peek().is_some_and(|l| l.is("session")) {
        let after = cursor.lexemes.get(cursor.at.saturating_add(1));
        if after.is_some_and(|l| l.is("characteristics")) {
            return Ok(StatementBody::Transaction(TransactionControl::Other));
        }
        let assigned = after.is_some_and(|l| l.token == Token::Eq || l.is("to"));
        if !assigned {
            cursor.take("session");
        }
    }
    if cursor.take_any(&["transaction", "constraints"]) {
        return Ok(StatementBody::Transaction(TransactionControl::Other));
    }
    let start = cursor.peek().map_or(cursor.span, |lexeme| lexeme.span);
    let special = |name: &str| Name { text: name.into(), span: start };
    let name = if cursor.take("time") {
        if !cursor.take("zone") {
            return Err(cursor.unread("SET TIME without ZONE"));
        }
        // SET TIME ZONE takes intervals too; none of its values matters to the guard.
        return Ok(StatementBody::Set { local, name: special("timezone"), values: Vec::new() });
    } else if cursor.take("names") {
        special("client_encoding")
    } else if cursor.take("schema") {
        special("search_path")
    } else if cursor.take("role") {
        special("role")
    } else if cursor.peek().is_some_and(|l| l.is("authorization")) {
        cursor.take("authorization");
        special("session_authorization")
    } else if cursor.lexemes.get(cursor.at.saturating_add(1)).is_some_and(|l| l.is("option"))
        && cursor.take("xml")
    {
        return Ok(StatementBody::Set { local, name: special("xmloption"), values: Vec::new() });
    } else {
        let name = setting_name(cursor)?;
        if !cursor.take_token(&Token::Eq) && !cursor.take("to") {
            return Err(cursor.unread("SET without a value"));
        }
        name
    };
    if cursor.peek().is_some_and(|l| l.is("default")) && cursor.rest().len() == 1 {
        return Ok(StatementBody::Set { local, name, values: Vec::new() });
    }
    let mut values = vec![operand(cursor)?];
    while cursor.take_token(&Token::Comma) {
        values.push(operand(cursor)?);
    }
    cursor.done()?;
    Ok(StatementBody::Set { local, name, values })
}

/// A setting's name, with its dots, in lower case: settings are compared without case.
fn setting_name(cursor: &mut Cursor<'_>) -> Result<Name, NotUnderstood> {
    let first = cursor.name()?;
    let mut text = first.text.to_lowercase();
    while cursor.take_token(&Token::Period) {
        text.push('.');
        text.push_str(&cursor.name()?.text.to_lowercase());
    }
    Ok(Name { text: text.into(), span: first.span })
}

pub(super) fn reset(cursor: &mut Cursor<'_>) -> Read {
    if cursor.take("all") {
        return Ok(StatementBody::Reset(None));
    }
    if cursor.take("time") {
        return Ok(StatementBody::Reset(Some(Name { text: "timezone".into(), span: cursor.span })));
    }
    if cursor.take("session") {
        return Ok(StatementBody::Reset(Some(Name {
            text: "session_authorization".into(),
            span: cursor.span,
        })));
    }
    if cursor.take("transaction") {
        return Ok(StatementBody::Transaction(TransactionControl::Other));
    }
    let name = setting_name(cursor)?;
    cursor.done()?;
    Ok(StatementBody::Reset(Some(name)))
}

/// A constant, a word, or a parameter, with an optional sign and casts that keep a text what it is.
pub(super) fn operand(cursor: &mut Cursor<'_>) -> Result<Operand, NotUnderstood> {
    let minus = cursor.take_token(&Token::Minus);
    let Some(lexeme) = cursor.next() else {
        return Err(cursor.unread("a value is missing"));
    };
    let operand = match &lexeme.token {
        Token::Number(digits, _) if minus => Operand::Text(format!("-{digits}").into()),
        _ if minus => return Err(cursor.unread("a sign before something that is not a number")),
        Token::Number(digits, _) => Operand::Text(digits.as_str().into()),
        Token::Placeholder(name) => match name.strip_prefix('$').and_then(|n| n.parse().ok()) {
            Some(number) if number > 0 => Operand::Parameter(number),
            Some(_) | None => return Err(cursor.unread("a parameter number out of range")),
        },
        _ if lexeme.is("null") => Operand::Null,
        _ => match (lexeme.string(), lexeme.name()) {
            (Some(text), _) => Operand::Text(text.into()),
            (None, Some(word)) => Operand::Text(word),
            (None, None) => return Err(cursor.unread("a value that is not a constant")),
        },
    };
    while cursor.take_token(&Token::DoubleColon) {
        let target = cursor.name()?;
        if !matches!(
            &*target.text,
            "uuid" | "text" | "int" | "int4" | "int8" | "bigint" | "integer"
        ) {
            return Err(cursor.unread("a value with a cast"));
        }
    }
    Ok(operand)
}
