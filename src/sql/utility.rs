//! Statements that are not queries, from their tokens.

use sqlparser::tokenizer::Token;

use super::NotUnderstood;
use super::model::Name;
use super::statement::{
    Cursor, Operand, StatementBody, TransactionControl, Utility, statement,
};
use super::token::Lexeme;

type Read = Result<StatementBody, NotUnderstood>;

/// The statement that starts with this word; the cursor stands behind it.
pub(super) fn body(first: &str, cursor: &mut Cursor<'_>) -> Read {
    match first {
        "begin" | "start" | "commit" | "end" | "rollback" | "abort" | "savepoint" | "release" => {
            transaction(first, cursor)
        }
        "set" => set(cursor),
        "reset" => reset(cursor),
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
        "copy" => copy(cursor),
        "listen" | "unlisten" | "notify" => {
            cursor.channel = Some(cursor.at);
            Ok(StatementBody::Utility(Utility::Plain))
        }
        "create" => create(cursor),
        _ => Ok(StatementBody::Utility(by_first_word(first, cursor))),
    }
}

fn contains(lexemes: &[Lexeme], word: &str) -> bool {
    lexemes.iter().any(|lexeme| lexeme.is(word))
}

fn by_first_word(first: &str, cursor: &Cursor<'_>) -> Utility {
    let rest = cursor.rest();
    let second = rest.first().and_then(Lexeme::word).unwrap_or_default();
    match first {
        "vacuum" | "analyze" | "analyse" | "cluster" | "reindex" | "checkpoint" | "lock" => Utility::Plain,
        "truncate" if contains(rest, "cascade") => Utility::Ddl("TRUNCATE … CASCADE can reach guarded tables"),
        "truncate" => Utility::Plain,
        "comment" => Utility::Plain,
        "grant" | "revoke" if !contains(rest, "on") => Utility::Escape("a role is granted or revoked"),
        "grant" | "revoke" if contains(rest, "all") && contains(rest, "in") && contains(rest, "schema") => {
            Utility::Ddl("privileges of every table of a schema")
        }
        "grant" | "revoke" => Utility::Plain,
        "drop" => match second.as_str() {
            "table" | "index" | "view" | "sequence" | "materialized" if !contains(rest, "cascade") => Utility::Plain,
            "table" | "index" | "view" | "sequence" | "materialized" => {
                Utility::Ddl("DROP … CASCADE can reach guarded tables")
            }
            _ => Utility::Ddl("DROP of an object that can hold or change guarded tables"),
        },
        "alter" => match second.as_str() {
            "table" | "index" | "sequence" if contains(rest, "rename") => {
                Utility::Ddl("RENAME can give a relation another name")
            }
            "table" if !all_routines_known(rest) => Utility::Opaque("a routine that is not known to be harmless"),
            "table" | "index" | "sequence" => Utility::Plain,
            "role" | "user" | "database" | "system" => Utility::Escape("settings of a role, database or server"),
            _ => Utility::Opaque("ALTER of an object that the guard does not follow"),
        },
        "do" | "call" => Utility::Opaque("a routine's body is not read"),
        "merge" => Utility::Opaque("MERGE is not read yet"),
        _ => Utility::Opaque("a statement that is not known to be harmless"),
    }
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
                if matches!(first, "commit" | "end") { T::Commit(chain) } else { T::Rollback(chain) }
            }
        }
    };
    Ok(StatementBody::Transaction(control))
}

/// SET in all its forms (documentation, SET and SET TRANSACTION).
fn set(cursor: &mut Cursor<'_>) -> Read {
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
    } else if cursor.take("xml") {
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

fn reset(cursor: &mut Cursor<'_>) -> Read {
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
fn operand(cursor: &mut Cursor<'_>) -> Result<Operand, NotUnderstood> {
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
        if !matches!(&*target.text, "uuid" | "text" | "int" | "int4" | "int8" | "bigint" | "integer") {
            return Err(cursor.unread("a value with a cast"));
        }
    }
    Ok(operand)
}

/// EXPLAIN [ANALYZE] [VERBOSE] statement, EXPLAIN (options) statement.
fn explain(cursor: &mut Cursor<'_>) -> Read {
    let mut costs_off = false;
    let is_query = cursor.lexemes.get(cursor.at.saturating_add(1)).is_some_and(|lexeme| {
        lexeme.token == Token::LParen || ["select", "with", "values", "table"].iter().any(|word| lexeme.is(word))
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
    let inner = statement(cursor.rest())?;
    match inner.body {
        StatementBody::Query(_) | StatementBody::Execute { .. } | StatementBody::Declare { .. } => {
            Ok(StatementBody::Explain { costs_off, statement: Box::new(inner) })
        }
        _ => Err(cursor.unread("EXPLAIN of a statement that is not a query")),
    }
}

fn query(cursor: &Cursor<'_>) -> Result<Box<super::Statement>, NotUnderstood> {
    let inner = statement(cursor.rest())?;
    match inner.body {
        StatementBody::Query(_) => Ok(Box::new(inner)),
        _ => Err(cursor.unread("a query is expected here")),
    }
}

fn prepare(cursor: &mut Cursor<'_>) -> Read {
    let name = cursor.name()?;
    if cursor.take_token(&Token::LParen) {
        while !cursor.take_token(&Token::RParen) {
            let plain = cursor.next().is_some_and(|lexeme| {
                matches!(lexeme.token, Token::Comma | Token::LBracket | Token::RBracket)
                    || lexeme.name().is_some_and(|name| {
                        matches!(
                            &*name,
                            "uuid" | "text" | "int" | "int4" | "int8" | "bigint" | "integer" | "bool"
                                | "boolean" | "numeric" | "date" | "timestamptz" | "timestamp"
                                | "json" | "jsonb" | "smallint" | "int2" | "float8" | "float4"
                        )
                    })
            });
            if !plain {
                return Err(cursor.unread("PREPARE with parameter types that are not read"));
            }
        }
    }
    if !cursor.take("as") {
        return Err(cursor.unread("PREPARE without AS"));
    }
    Ok(StatementBody::Prepare { name, statement: query(cursor)? })
}

fn execute(cursor: &mut Cursor<'_>) -> Read {
    let name = cursor.name()?;
    let mut arguments = Vec::new();
    if cursor.take_token(&Token::LParen) {
        loop {
            arguments.push(operand(cursor)?);
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
    Ok(StatementBody::Declare { name, hold, statement: query(cursor)? })
}

/// FETCH and MOVE end with the cursor's name, whatever direction stands before it.
fn fetch(cursor: &mut Cursor<'_>) -> Read {
    let last = cursor.lexemes.last();
    let name = last.and_then(|lexeme| Some(Name { text: lexeme.name()?, span: lexeme.span }));
    name.map(StatementBody::Fetch).ok_or_else(|| cursor.unread("FETCH without a cursor"))
}

/// COPY (query) TO STDOUT, COPY table FROM STDIN, COPY table TO STDOUT.
fn copy(cursor: &mut Cursor<'_>) -> Read {
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
        let inner = statement(cursor.lexemes.get(start..end).unwrap_or_default())?;
        return match inner.body {
            StatementBody::Query(_) => Ok(StatementBody::Wrapped { copy: true, statement: Box::new(inner) }),
            _ => Err(cursor.unread("COPY of something that is not a query")),
        };
    }
    let client = cursor.rest().windows(2).any(|pair| {
        matches!(pair, [way, end] if (way.is("from") && end.is("stdin")) || (way.is("to") && end.is("stdout")))
    });
    if !client || contains(cursor.rest(), "program") || contains(cursor.rest(), "where") {
        return opaque("COPY from or to a file or program of the server, or with WHERE");
    }
    Ok(StatementBody::Utility(Utility::CopyTable))
}

/// CREATE, as far as it cannot make anything that runs or hides guarded rows.
fn create(cursor: &mut Cursor<'_>) -> Read {
    let rest = cursor.rest();
    let mut at = 0_usize;
    while rest.get(at).is_some_and(|l| {
        ["global", "local", "temp", "temporary", "unlogged", "unique"].iter().any(|word| l.is(word))
    }) {
        at = at.saturating_add(1);
    }
    let kind = rest.get(at).and_then(Lexeme::word).unwrap_or_default();
    let utility = match kind.as_str() {
        "table" => {
            let as_query = rest.iter().enumerate().find_map(|(index, lexeme)| {
                let next = rest.get(index.saturating_add(1))?;
                let starts = ["select", "with", "values", "table", "execute"].iter().any(|word| next.is(word))
                    || next.token == Token::LParen;
                (lexeme.is("as") && starts && !generated(rest, index)).then_some(index)
            });
            if let Some(index) = as_query {
                cursor.at = cursor.at.saturating_add(index).saturating_add(1);
                let mut end = cursor.lexemes.len();
                if let [.., with, data] = cursor.lexemes
                    && with.is("with")
                    && data.is("data")
                {
                    end = end.saturating_sub(2);
                }
                let inner = statement(cursor.lexemes.get(cursor.at..end).unwrap_or_default())?;
                return match inner.body {
                    StatementBody::Query(_) => {
                        Ok(StatementBody::Wrapped { copy: false, statement: Box::new(inner) })
                    }
                    _ => Err(cursor.unread("CREATE TABLE AS something that is not a query")),
                };
            }
            if all_routines_known(rest) { Utility::Plain } else { Utility::Opaque("a routine that is not known to be harmless") }
        }
        "index" if all_routines_known(rest) => Utility::Plain,
        "index" => Utility::Opaque("a routine that is not known to be harmless"),
        "sequence" => Utility::Plain,
        "schema" if rest.len() <= at.saturating_add(7) && !contains(rest, "create") => Utility::Plain,
        "function" | "procedure" | "or" | "trigger" | "rule" | "constraint" | "event" | "aggregate" => {
            Utility::Opaque("a routine, trigger, rule or view whose body is not read")
        }
        "view" | "materialized" | "recursive" => Utility::Opaque("a view can hide guarded rows"),
        _ => Utility::Opaque("an object that can change what statements mean"),
    };
    Ok(StatementBody::Utility(utility))
}

/// Whether the AS at `index` belongs to `GENERATED … AS (…)` or a cast.
fn generated(rest: &[Lexeme], index: usize) -> bool {
    index.checked_sub(1).and_then(|before| rest.get(before)).is_some_and(|before| {
        before.is("always") || before.is("default")
    })
}

/// Whether every word before a parenthesis is a keyword, a type, the statement's own object, or a
/// routine that is known to be harmless (a DEFAULT or CHECK runs later, unseen).
fn all_routines_known(rest: &[Lexeme]) -> bool {
    rest.iter().enumerate().all(|(index, lexeme)| {
        let opens = rest.get(index.saturating_add(1)).is_some_and(|next| next.token == Token::LParen);
        if !opens || !matches!(lexeme.token, Token::Word(_)) {
            return true;
        }
        let before = index.checked_sub(1).and_then(|before| rest.get(before));
        let names_object = before.is_some_and(|before| {
            before.token == Token::Period
                || ["table", "exists", "references", "on", "index", "constraint", "column", "as", "only"]
                    .iter()
                    .any(|word| before.is(word))
        });
        let word = lexeme.name().unwrap_or_default();
        names_object || DDL_WORDS.contains(&&*word) || crate::policy::is_harmless_routine(&word)
    })
}

/// Words that stand before a parenthesis in CREATE TABLE, CREATE INDEX and ALTER TABLE.
const DDL_WORDS: &[&str] = &[
    "add", "all", "and", "any", "array", "as", "bit", "btree", "char", "character", "check", "column",
    "columns", "decimal", "default", "exclude", "float", "for", "from", "gin", "gist", "brin", "hash", "identity", "in", "include", "interval",
    "key", "list", "not", "null", "numeric", "or", "partition", "range", "set", "spgist", "stored", "time",
    "timestamp", "to", "unique", "using", "values", "varbit", "varchar", "varying", "with", "where",
];
