//! The body of a trigger's routine in PL/pgSQL, as far as it is simple.

use sqlparser::tokenizer::Token;

use super::NotUnderstood;
use super::Span;
use super::token::{Lexeme, tokenize};
use crate::policy::ReadingLimits;

/// What the body of a trigger's routine does.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TriggerBody {
    /// Columns of NEW that it sets.
    pub assigned: Vec<Box<str>>,
    /// Its expressions, each as a SELECT, and its statements.
    pub texts: Vec<String>,
}

/// Reads a body of assignments to columns of NEW, IF, RAISE, RETURN, PERFORM and plain writes
/// (documentation, chapter 43).
///
/// # Errors
/// If there is anything else in it: DECLARE, a loop, EXECUTE, an exception, another variable.
pub fn read_trigger(body: &str, limits: &ReadingLimits) -> Result<TriggerBody, NotUnderstood> {
    let lexemes = tokenize(body, limits)?;
    let mut reader = Reader { body, lexemes: &lexemes, at: 0, read: TriggerBody::default() };
    reader.expect("begin")?;
    reader.statements()?;
    reader.expect("end")?;
    reader.take_token(&Token::SemiColon);
    if reader.at < lexemes.len() { Err(reader.unread()) } else { Ok(reader.read) }
}

struct Reader<'a> {
    body: &'a str,
    lexemes: &'a [Lexeme],
    at: usize,
    read: TriggerBody,
}

impl<'a> Reader<'a> {
    fn unread(&self) -> NotUnderstood {
        let span = self.lexemes.get(self.at).map_or_else(Span::default, |lexeme| lexeme.span);
        NotUnderstood::new("a trigger's routine that is not simple", span)
    }

    fn is(&self, word: &str) -> bool {
        self.lexemes.get(self.at).is_some_and(|lexeme| lexeme.is(word))
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.is(word);
        self.at = self.at.saturating_add(usize::from(found));
        found
    }

    fn take_token(&mut self, token: &Token) -> bool {
        let found = self.lexemes.get(self.at).is_some_and(|lexeme| lexeme.token == *token);
        self.at = self.at.saturating_add(usize::from(found));
        found
    }

    fn expect(&mut self, word: &str) -> Result<(), NotUnderstood> {
        if self.take(word) { Ok(()) } else { Err(self.unread()) }
    }

    /// The text up to a token of this kind that stands outside parentheses; the token is taken.
    fn text(&mut self, ends: impl Fn(&Lexeme) -> bool) -> Result<&'a str, NotUnderstood> {
        let start = self.at;
        let mut depth = 0_usize;
        while let Some(lexeme) = self.lexemes.get(self.at) {
            if lexeme.token == Token::LParen {
                depth = depth.saturating_add(1);
            } else if lexeme.token == Token::RParen {
                depth = depth.saturating_sub(1);
            } else if lexeme.is("case") {
                // THEN and ELSE of a CASE are others than those of an IF.
                return Err(self.unread());
            } else if depth == 0 && ends(lexeme) {
                let first = self.lexemes.get(start).filter(|_| start < self.at);
                let first = first.ok_or_else(|| self.unread())?.span.start;
                let text = slice(self.body, first, lexeme.span.start);
                self.at = self.at.saturating_add(1);
                return text.ok_or_else(|| self.unread());
            }
            self.at = self.at.saturating_add(1);
        }
        Err(self.unread())
    }

    fn expression(&mut self, ends: impl Fn(&Lexeme) -> bool) -> Result<(), NotUnderstood> {
        let text = self.text(ends)?;
        self.read.texts.push(format!("SELECT {text}"));
        Ok(())
    }

    fn statements(&mut self) -> Result<(), NotUnderstood> {
        while !["end", "else", "elsif", "elseif"].iter().any(|word| self.is(word)) {
            self.statement()?;
        }
        Ok(())
    }

    fn statement(&mut self) -> Result<(), NotUnderstood> {
        if self.take("if") {
            return self.branches();
        }
        if self.take("return") {
            let known = self.take("new") || self.take("old") || self.take("null");
            return if known { self.end() } else { Err(self.unread()) };
        }
        if self.take("null") {
            return self.end();
        }
        if self.take("raise") {
            return self.raise();
        }
        if self.take("perform") {
            return self.expression(is_end);
        }
        if ["insert", "update", "delete"].iter().any(|word| self.is(word)) {
            let text = self.text(is_end)?.to_owned();
            self.read.texts.push(text);
            return Ok(());
        }
        self.expect("new")?;
        if !self.take_token(&Token::Period) {
            return Err(self.unread());
        }
        let column = self.lexemes.get(self.at).and_then(Lexeme::name);
        self.read.assigned.push(column.ok_or_else(|| self.unread())?);
        self.at = self.at.saturating_add(1);
        if self.take_token(&Token::Assignment) || self.take_token(&Token::Eq) {
            return self.expression(is_end);
        }
        Err(self.unread())
    }

    fn end(&mut self) -> Result<(), NotUnderstood> {
        if self.take_token(&Token::SemiColon) { Ok(()) } else { Err(self.unread()) }
    }

    fn branches(&mut self) -> Result<(), NotUnderstood> {
        self.expression(|lexeme| lexeme.is("then"))?;
        self.statements()?;
        while self.take("elsif") || self.take("elseif") {
            self.expression(|lexeme| lexeme.is("then"))?;
            self.statements()?;
        }
        if self.take("else") {
            self.statements()?;
        }
        self.expect("end")?;
        self.expect("if")?;
        self.end()
    }

    /// RAISE level 'format', values USING option = value, …
    fn raise(&mut self) -> Result<(), NotUnderstood> {
        for level in ["debug", "log", "info", "notice", "warning", "exception"] {
            if self.take(level) {
                break;
            }
        }
        if self.lexemes.get(self.at).and_then(Lexeme::string).is_none() {
            return Err(self.unread());
        }
        self.at = self.at.saturating_add(1);
        if self.take_token(&Token::SemiColon) {
            return Ok(());
        }
        if self.take_token(&Token::Comma) || self.take("using") {
            // `option = value` reads as a comparison; its value is what matters.
            let text = self.text(is_end)?;
            let text = text.replacen(" USING ", ", ", 1).replacen(" using ", ", ", 1);
            self.read.texts.push(format!("SELECT {text}"));
            return Ok(());
        }
        Err(self.unread())
    }
}

fn slice(text: &str, start: u32, end: u32) -> Option<&str> {
    text.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
}

fn is_end(lexeme: &Lexeme) -> bool {
    lexeme.token == Token::SemiColon
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Option<TriggerBody> {
        read_trigger(body, &ReadingLimits::default()).ok()
    }

    #[test]
    fn assignments_and_branches() {
        let body = "BEGIN
            -- when
            IF NEW.name IS DISTINCT FROM OLD.name AND (TG_OP = 'UPDATE') THEN
              NEW.updated_at := now();
            ELSIF TG_OP = 'DELETE' THEN RETURN OLD;
            ELSE NEW.slug = lower(NEW.name);
            END IF;
            RAISE EXCEPTION 'no % here', NEW.id USING ERRCODE = 'P0001';
            RETURN NEW;
          END;";
        let TriggerBody { assigned, texts } = read(body).unwrap();
        assert_eq!(assigned.iter().map(|it| &**it).collect::<Vec<_>>(), ["updated_at", "slug"]);
        assert_eq!(
            texts.iter().map(|text| text.trim()).collect::<Vec<_>>(),
            [
                "SELECT NEW.name IS DISTINCT FROM OLD.name AND (TG_OP = 'UPDATE')",
                "SELECT now()",
                "SELECT TG_OP = 'DELETE'",
                "SELECT lower(NEW.name)",
                "SELECT NEW.id, ERRCODE = 'P0001'",
            ]
        );
        assert_eq!(read("BEGIN RETURN NEW; END").unwrap(), TriggerBody::default());
    }

    #[test]
    fn whatever_is_not_simple_is_not_read() {
        for body in [
            "",
            "BEGIN RETURN NEW;",
            "BEGIN RETURN NEW; END; x",
            "DECLARE x int; BEGIN RETURN NEW; END",
            "BEGIN EXECUTE 'DELETE FROM org_products'; RETURN NEW; END",
            "BEGIN NEW := OLD; RETURN NEW; END",
            "BEGIN OLD.name := 'x'; RETURN NEW; END",
            "BEGIN x := 1; RETURN NEW; END",
            "BEGIN FOR r IN SELECT 1 LOOP NULL; END LOOP; RETURN NEW; END",
            "BEGIN RETURN (SELECT p FROM org_products p LIMIT 1); END",
            "BEGIN SELECT name INTO NEW.name FROM org_products; RETURN NEW; END",
            "BEGIN IF true THEN RETURN NEW; END; END",
            "BEGIN IF CASE WHEN true THEN true END THEN RETURN NEW; END IF; END",
            "BEGIN RETURN NEW; EXCEPTION WHEN others THEN RETURN NULL; END",
            "BEGIN BEGIN RETURN NEW; END; END",
        ] {
            assert_eq!(read(body), None, "{body}");
        }
    }
}
