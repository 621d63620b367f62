//! Statements that are not queries, from their tokens.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever is not known by its words is refused"
)]

use sqlparser::tokenizer::Token;

use super::NotUnderstood;
use super::model::Name;
use super::statement::{
    Cursor, Statement, StatementBody, TransactionControl, Utility, Wrapper, is_query_start,
    statement,
};
use super::token::Lexeme;

mod copy;
mod create;
mod setting;
mod words;

type Read = Result<StatementBody, NotUnderstood>;

/// The statement that starts with this word; the cursor stands behind it.
pub(super) fn body(first: &str, cursor: &mut Cursor<'_>) -> Read {
    match first {
        "begin" | "start" | "commit" | "end" | "rollback" | "abort" | "savepoint" | "release" => {
            transaction(first, cursor)
        }
        "set" => setting::set(cursor),
        "reset" => setting::reset(cursor),
        "show" => Ok(StatementBody::Show),
        "discard" => Ok(if cursor.take("all") {
            StatementBody::DiscardAll
        } else {
            StatementBody::Utility(Utility::Plain)
        }),
        "explain" => explain(cursor),
        "prepare" if cursor.peek().is_some_and(|l| l.is("transaction")) => {
            Ok(StatementBody::Transaction(TransactionControl::PrepareTransaction))
        }
        "prepare" => prepare(cursor),
        "execute" => execute(cursor),
        "deallocate" => {
            cursor.take("prepare");
            optional_name(cursor).map(StatementBody::Deallocate)
        }
        "declare" => declare(cursor),
        "fetch" | "move" => fetch(cursor),
        "close" => optional_name(cursor).map(StatementBody::Close),
        "copy" => copy::copy(cursor),
        "listen" | "unlisten" | "notify" => {
            cursor.named.push(cursor.at);
            Ok(StatementBody::Utility(Utility::Plain))
        }
        "create" => create::create(cursor),
        "call" => call(cursor),
        _ => Ok(StatementBody::Utility(words::by_words(first, cursor.rest()))),
    }
}

fn contains(lexemes: &[Lexeme], word: &str) -> bool {
    lexemes.iter().any(|lexeme| lexeme.is(word))
}

/// The unquoted word at a place, in lower case; empty if there is none.
fn word(lexemes: &[Lexeme], at: usize) -> String {
    lexemes.get(at).and_then(Lexeme::word).unwrap_or_default()
}

/// CALL routine(…): judged as SELECT routine(…) is. (Its arguments hold no subquery to PostgreSQL.)
fn call(cursor: &mut Cursor<'_>) -> Read {
    let Some(first) = cursor.lexemes.first() else {
        return Err(cursor.unread("CALL without a routine"));
    };
    let select = Lexeme {
        token: Token::make_keyword("SELECT"),
        place: first.place,
        span: first.span,
        mark: None,
    };
    let lexemes: Vec<Lexeme> =
        std::iter::once(select).chain(cursor.rest().iter().cloned()).collect();
    let statement = statement(&lexemes)?;
    Ok(StatementBody::Wrapped { wrapper: Wrapper::Call, statement: Box::new(statement) })
}

fn transaction(first: &str, cursor: &mut Cursor<'_>) -> Read {
    use TransactionControl as T;
    let control = match first {
        "begin" | "start" => T::Begin,
        "commit" | "rollback" if cursor.peek().is_some_and(|l| l.is("prepared")) => T::Other,
        "savepoint" => T::Savepoint(cursor.name()?.text),
        "release" => {
            cursor.take("savepoint");
            T::Release(cursor.name()?.text)
        }
        _ => {
            cursor.take_any(&["work", "transaction"]);
            if matches!(first, "rollback" | "abort") && cursor.take("to") {
                cursor.take("savepoint");
                T::RollbackTo(cursor.name()?.text)
            } else {
                let chain = cursor.take("and") && !cursor.take("no") && cursor.take("chain");
                if matches!(first, "commit" | "end") {
                    T::Commit(chain)
                } else {
                    T::Rollback(chain)
                }
            }
        }
    };
    Ok(StatementBody::Transaction(control))
}

/// EXPLAIN [ANALYZE] [VERBOSE] statement, EXPLAIN (options) statement.
fn explain(cursor: &mut Cursor<'_>) -> Read {
    let mut costs_off = false;
    let is_query = cursor.lexemes.get(cursor.at.saturating_add(1)).is_some_and(|lexeme| {
        lexeme.token == Token::LParen
            || ["select", "with", "values", "table"].iter().any(|word| lexeme.is(word))
    });
    if !is_query && cursor.take_token(&Token::LParen) {
        loop {
            let option = cursor.name()?.text;
            let value = match cursor.peek() {
                Some(lexeme) if lexeme.token != Token::Comma && lexeme.token != Token::RParen => {
                    cursor.next().map(|l| l.token.to_string().to_lowercase()).unwrap_or_default()
                }
                _ => "true".to_owned(),
            };
            if &*option == "costs" {
                costs_off = matches!(value.trim_matches('\''), "off" | "false" | "0");
            }
            if cursor.take_token(&Token::RParen) {
                break;
            }
            if !cursor.take_token(&Token::Comma) {
                return Err(cursor.unread("EXPLAIN with options that are not read"));
            }
        }
    } else {
        cursor.take_any(&["analyze", "analyse"]);
        cursor.take("verbose");
    }
    // Wrappers do not nest: what explains, prepares or declares is not explained itself.
    let rest = cursor.rest();
    let wraps =
        ["execute", "declare", "create"].iter().any(|w| rest.first().is_some_and(|f| f.is(w)));
    let inner = if wraps { Box::new(statement(rest)?) } else { query(rest, cursor)? };
    Ok(StatementBody::Explain { costs_off, statement: inner })
}

/// The query or write that these tokens are.
fn query(lexemes: &[Lexeme], cursor: &Cursor<'_>) -> Result<Box<Statement>, NotUnderstood> {
    if !is_query_start(lexemes) {
        return Err(cursor.unread("a query is expected here"));
    }
    statement(lexemes).map(Box::new)
}

fn prepare(cursor: &mut Cursor<'_>) -> Read {
    let name = cursor.name()?;
    let mut types = Vec::new();
    if cursor.take_token(&Token::LParen) {
        loop {
            types.push(parameter_type(cursor)?);
            if cursor.take_token(&Token::RParen) {
                break;
            }
            if !cursor.take_token(&Token::Comma) {
                return Err(cursor.unread("PREPARE with parameter types that are not read"));
            }
        }
    }
    if !cursor.take("as") {
        return Err(cursor.unread("PREPARE without AS"));
    }
    Ok(StatementBody::Prepare { name, types, statement: query(cursor.rest(), cursor)? })
}

/// A parameter's type, by its number in pg_type, of those that are known (`pg_type.dat`); an array
/// of one.
fn parameter_type(cursor: &mut Cursor<'_>) -> Result<u32, NotUnderstood> {
    let name = cursor.name()?;
    let found = PARAMETER_TYPES.iter().find(|(names, _, _)| names.contains(&&*name.text));
    let Some((_, scalar, array)) = found else {
        return Err(cursor.unread("PREPARE with parameter types that are not read"));
    };
    if cursor.take_token(&Token::LBracket) {
        if !cursor.take_token(&Token::RBracket) {
            return Err(cursor.unread("PREPARE with an array type that is not read"));
        }
        return Ok(*array);
    }
    Ok(*scalar)
}

/// Names, the type's number, and its array's.
const PARAMETER_TYPES: &[(&[&str], u32, u32)] = &[
    (&["bool", "boolean"], 16, 1000),
    (&["int8", "bigint"], 20, 1016),
    (&["int2", "smallint"], 21, 1005),
    (&["int4", "int", "integer"], 23, 1007),
    (&["text"], 25, 1009),
    (&["json"], 114, 199),
    (&["float4", "real"], 700, 1021),
    (&["float8"], 701, 1022),
    (&["varchar"], 1043, 1015),
    (&["date"], 1082, 1182),
    (&["timestamp"], 1114, 1115),
    (&["timestamptz"], 1184, 1185),
    (&["numeric", "decimal"], 1700, 1231),
    (&["uuid"], 2950, 2951),
    (&["jsonb"], 3802, 3807),
];

fn execute(cursor: &mut Cursor<'_>) -> Read {
    let name = cursor.name()?;
    let mut arguments = Vec::new();
    if cursor.take_token(&Token::LParen) {
        loop {
            // A word is a value of SET, but no constant here: `current_user` is computed.
            let is_word = cursor.peek().is_some_and(|lexeme| {
                lexeme.name().is_some() && !["true", "false", "null"].iter().any(|w| lexeme.is(w))
            });
            if is_word {
                return Err(cursor.unread("EXECUTE with an argument that is not a constant"));
            }
            arguments.push(setting::operand(cursor)?);
            if cursor.take_token(&Token::RParen) {
                break;
            }
            if !cursor.take_token(&Token::Comma) {
                return Err(cursor.unread("EXECUTE with an argument that is not a constant"));
            }
        }
    }
    cursor.done()?;
    Ok(StatementBody::Execute { name, arguments })
}

fn optional_name(cursor: &mut Cursor<'_>) -> Result<Option<Name>, NotUnderstood> {
    let name = if cursor.take("all") { None } else { Some(cursor.name()?) };
    cursor.done()?;
    Ok(name)
}

/// DECLARE name … CURSOR … FOR query.
fn declare(cursor: &mut Cursor<'_>) -> Read {
    let name = cursor.name()?;
    while cursor.take_any(&["binary", "asensitive", "insensitive", "scroll", "no"]) {}
    if !cursor.take("cursor") {
        return Err(cursor.unread("DECLARE without CURSOR"));
    }
    let hold = cursor.take("with");
    if (hold || cursor.take("without")) && !cursor.take("hold") {
        return Err(cursor.unread("DECLARE with an option that is not read"));
    }
    if !cursor.take("for") {
        return Err(cursor.unread("DECLARE without FOR"));
    }
    Ok(StatementBody::Declare { name, hold, statement: query(cursor.rest(), cursor)? })
}

/// FETCH and MOVE end with the cursor's name, whatever direction stands before it.
fn fetch(cursor: &mut Cursor<'_>) -> Read {
    cursor.at = cursor.lexemes.len().saturating_sub(1).max(1);
    cursor.name().map(StatementBody::Fetch)
}
