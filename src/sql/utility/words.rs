//! Utility statements that are judged by their words alone.

use sqlparser::tokenizer::Token;

use super::{contains, create, word};
use crate::sql::statement::Utility;
use crate::sql::token::Lexeme;

/// What is thought of a statement by its first word and those behind it. `docs/statements.md` has
/// the whole table, with the reasons.
pub(super) fn by_words(first: &str, rest: &[Lexeme]) -> Utility {
    match first {
        "vacuum" | "analyze" | "analyse" | "cluster" => maintenance(rest),
        "reindex" | "checkpoint" | "lock" | "comment" => Utility::Plain,
        "truncate" if contains(rest, "cascade") => {
            Utility::Ddl("TRUNCATE … CASCADE can reach guarded tables")
        }
        "truncate" => Utility::Plain,
        "grant" | "revoke" => privileges(rest),
        "drop" => drop(rest),
        "alter" => alter(rest),
        "reassign" => Utility::Ddl("the owner of every table of a role would change"),
        "security" => Utility::Ddl("a security label decides who sees what"),
        "refresh" => Utility::Opaque("the query of a materialized view is not seen"),
        "import" => Utility::Opaque("rows of another server, beside the guard"),
        "load" => Utility::Opaque("a library of the server runs as it likes"),
        "do" => Utility::Opaque("a routine's body is not read"),
        _ => Utility::Opaque("a statement that is not known to be harmless"),
    }
}

/// VACUUM, ANALYZE and CLUSTER. With VERBOSE and without a table they report the numbers of rows of
/// every table.
fn maintenance(rest: &[Lexeme]) -> Utility {
    let bare = ["verbose", "full", "freeze", "analyze", "analyse"];
    let is_list = rest.first().is_some_and(|lexeme| lexeme.token == Token::LParen);
    let options = if is_list {
        rest.iter().take_while(|lexeme| lexeme.token != Token::RParen).count().saturating_add(1)
    } else {
        rest.iter().take_while(|lexeme| bare.iter().any(|word| lexeme.is(word))).count()
    };
    let names_none = rest.len() <= options;
    if names_none && contains(rest, "verbose") {
        Utility::Ddl("VERBOSE reports the numbers of rows of every table")
    } else {
        Utility::Plain
    }
}

fn privileges(rest: &[Lexeme]) -> Utility {
    if !contains(rest, "on") {
        Utility::Escape("a role is granted or revoked")
    } else if contains(rest, "all") && contains(rest, "in") && contains(rest, "schema") {
        Utility::Ddl("privileges of every table of a schema")
    } else {
        Utility::Plain
    }
}

fn drop(rest: &[Lexeme]) -> Utility {
    match word(rest, 0).as_str() {
        "table" | "index" | "view" | "sequence" | "materialized" if !contains(rest, "cascade") => {
            Utility::Plain
        }
        "table" | "index" | "view" | "sequence" | "materialized" => {
            Utility::Ddl("DROP … CASCADE can reach guarded tables")
        }
        "role" | "group" => Utility::Escape("a role is dropped"),
        "user" if word(rest, 1) != "mapping" => Utility::Escape("a role is dropped"),
        _ => Utility::Ddl("DROP of an object that can hold or change guarded tables"),
    }
}

fn alter(rest: &[Lexeme]) -> Utility {
    let (kind, second) = (word(rest, 0), word(rest, 1));
    match (kind.as_str(), second.as_str()) {
        ("table" | "index" | "sequence", _) if contains(rest, "rename") => {
            Utility::Ddl("RENAME can give a relation another name")
        }
        ("table" | "index", "all") => Utility::Ddl("every table of a tablespace"),
        ("table", _) if !create::all_routines_known(rest) => {
            Utility::Opaque("a routine that is not known to be harmless")
        }
        ("table" | "index" | "sequence", _) => Utility::Plain,
        ("user", "mapping") => Utility::Opaque("rows of another server, beside the guard"),
        ("role" | "user" | "group" | "database" | "system", _) => {
            Utility::Escape("settings of a role, database or server")
        }
        ("default", _) => Utility::Ddl("privileges of tables that are yet to be made"),
        ("view" | "materialized" | "schema" | "policy" | "publication" | "statistics", _) => {
            Utility::Ddl("ALTER of an object that can hide, hold or show guarded rows")
        }
        (_, _) => Utility::Opaque("ALTER of an object that can change what statements mean"),
    }
}
