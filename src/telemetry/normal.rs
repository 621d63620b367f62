use crate::policy::NAME_BYTES;

/// Longer normal forms are cut, in bytes.
const TEXT_BYTES: usize = 4_096;

/// What stands for a part that was left out because it could not be told from a literal.
const DROPPED: &str = "…";

/// So much of a statement is shown and kept; its fingerprint is of all of it.
const SHOWN_BYTES: usize = 8 << 10;

/// A statement without its literals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Normal {
    /// The text: literals are `?`, lists of literals one `?`, comments are gone, and what cannot
    /// be told from a literal ends the text with `…`, as 8 KiB do.
    pub text: String,
    /// The same for statements of one shape; stable over versions.
    pub fingerprint: u64,
}

/// Removes every literal and comment from a statement.
///
/// This is no parser: it scans by PostgreSQL's lexical rules (documentation, 4.1) and gives up,
/// dropping the rest of the text, wherever a setting of the session could make the server read
/// the same bytes in another way.
#[must_use]
pub fn normalize(statement: &str) -> Normal {
    let mut scanner = Scanner { rest: statement, out: String::new() };
    if scanner.run().is_none() {
        scanner.space();
        scanner.out.push_str(DROPPED);
    }
    let mut text = scanner.out.trim_end().to_owned();
    let fingerprint = fnv1a(FNV_OFFSET, text.to_ascii_lowercase().as_bytes());
    if text.len() > SHOWN_BYTES {
        text.truncate(text.floor_char_boundary(SHOWN_BYTES));
        text.push_str(DROPPED);
        text.shrink_to_fit();
    }
    Normal { text, fingerprint }
}

/// The start of the 64-bit FNV-1a hash.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// The 64-bit FNV-1a hash: fingerprints must not change with the standard library's hasher.
pub(super) fn fnv1a(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

struct Scanner<'a> {
    rest: &'a str,
    out: String,
}

impl Scanner<'_> {
    /// Scans to the end; `None` where it is no longer sure.
    fn run(&mut self) -> Option<()> {
        // The first word of the current statement.
        let mut lead = String::new();
        while let Some(next) = self.peek() {
            if self.out.len() > TEXT_BYTES {
                return None;
            }
            match next {
                ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c' => self.skip_space(),
                '\'' => self.string(false)?,
                '"' => self.quoted_name()?,
                '$' => self.dollar()?,
                '0'..='9' => self.number(),
                '.' if self.second().is_some_and(|c| c.is_ascii_digit()) => self.number(),
                '-' if self.second() == Some('-') => self.line_comment(),
                '/' if self.second() == Some('*') => self.block_comment()?,
                ';' => {
                    // Copied data may follow.
                    if lead == "copy" {
                        return None;
                    }
                    lead.clear();
                    self.next();
                    self.punctuation(';');
                }
                '=' if lead == "set" => {
                    self.next();
                    self.punctuation('=');
                    return None;
                }
                '!' | '#' | '%' | '&' | '(' | ')' | '*' | '+' | ',' | '-' | '.' | '/' | ':'
                | '<' | '=' | '>' | '?' | '@' | '[' | ']' | '^' | '|' | '~' | '{' | '}' => {
                    self.next();
                    self.punctuation(next);
                }
                _ if is_name_start(next) => {
                    let word = self.word()?;
                    if value_follows(&lead, &word) {
                        return None;
                    }
                    if lead.is_empty() {
                        lead = word;
                    }
                }
                _ => return None,
            }
        }
        Some(())
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        self.next_if(|_| true)
    }

    fn next_if(&mut self, wanted: impl Fn(char) -> bool) -> Option<char> {
        let mut ahead = self.rest.chars();
        let next = ahead.next().filter(|c| wanted(*c))?;
        self.rest = ahead.as_str();
        Some(next)
    }

    fn skip(&mut self, wanted: char) -> bool {
        self.next_if(|c| c == wanted).is_some()
    }

    fn second(&self) -> Option<char> {
        self.rest.chars().nth(1)
    }

    fn space(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with(' ') {
            self.out.push(' ');
        }
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
        self.space();
    }

    fn punctuation(&mut self, sign: char) {
        // `a,b` and `a , b` are of one shape.
        if sign == ',' {
            self.out.truncate(self.out.trim_end().len());
            self.out.push_str(", ");
        } else {
            self.out.push(sign);
        }
    }

    fn literal(&mut self) {
        // A list of literals has one shape, however long it is.
        if let Some(before) = self.out.strip_suffix("?, ") {
            self.out.truncate(before.len());
        } else if self.out.ends_with(|last: char| is_name_part(last) || last == '?') {
            self.out.push(' ');
        }
        self.out.push('?');
    }

    /// A string in single quotes; the scanner stands on the opening one.
    fn string(&mut self, escapes: bool) -> Option<()> {
        self.next();
        let mut escaped = false;
        loop {
            let next = self.next()?;
            if next == '\'' {
                if escaped && !escapes {
                    // With standard_conforming_strings off, or in the continuation of an E
                    // string, this quote does not end the string.
                    return None;
                }
                if escaped {
                    escaped = false;
                } else if !self.skip('\'') {
                    break;
                }
            } else {
                escaped = next == '\\' && !(escapes && escaped);
            }
        }
        self.literal();
        Some(())
    }

    /// A quoted identifier. One that holds more than letters, digits and `_` could be a string to
    /// somebody who does not know PostgreSQL.
    fn quoted_name(&mut self) -> Option<()> {
        self.next();
        let mut name = String::new();
        loop {
            match self.next()? {
                '"' if self.skip('"') => name.push('"'),
                '"' => break,
                other => name.push(other),
            }
        }
        let plain = name.starts_with(is_name_start) && is_plain(&name);
        self.out.push('"');
        self.out.push_str(if plain { &name } else { "?" });
        self.out.push('"');
        Some(())
    }

    /// `$1`, or a dollar-quoted string.
    fn dollar(&mut self) -> Option<()> {
        self.next();
        let mut tag = String::new();
        while let Some(part) = self.next_if(|c| is_name_part(c) && c != '$') {
            tag.push(part);
        }
        if !self.skip('$') {
            let number = !tag.is_empty() && tag.len() <= 5;
            if !number || !tag.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            self.out.push('$');
            self.out.push_str(&tag);
            return Some(());
        }
        if tag.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let close = format!("${tag}$");
        let (_, after) = self.rest.split_once(&*close)?;
        self.rest = after;
        self.literal();
        Some(())
    }

    /// A number, with whatever letters are glued to it.
    fn number(&mut self) {
        let mut last = '0';
        while let Some(part) = self.next_if(|c| {
            is_name_part(c) || c == '.' || (matches!(c, '+' | '-') && matches!(last, 'e' | 'E'))
        }) {
            last = part;
        }
        self.literal();
    }

    fn line_comment(&mut self) {
        while self.next_if(|c| !matches!(c, '\n' | '\r')).is_some() {}
        self.space();
    }

    fn block_comment(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.next()? {
                '/' if self.skip('*') => depth = depth.checked_add(1)?,
                '*' if self.skip('/') => depth = depth.checked_sub(1)?,
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
        self.space();
        Some(())
    }

    /// A key word or name, or the prefix of a string; gives the word in lower case.
    fn word(&mut self) -> Option<String> {
        let mut word = String::new();
        while let Some(part) = self.next_if(is_name_part) {
            word.push(part);
        }
        let lower = word.to_ascii_lowercase();
        match (&*lower, self.peek()) {
            ("e", Some('\'')) => self.string(true)?,
            ("b" | "x" | "n", Some('\'')) => self.string(false)?,
            ("u", Some('&')) if matches!(self.second(), Some('\'' | '"')) => {
                self.next();
                if self.peek() == Some('\'') {
                    self.string(false)?;
                } else {
                    let from = self.out.len();
                    self.quoted_name()?;
                    self.out.truncate(from);
                    self.out.push_str("\"?\"");
                }
            }
            _ if word.len() > NAME_BYTES || !is_plain(&word) => self.literal(),
            _ => {
                if self.out.ends_with(['?', '"']) {
                    self.out.push(' ');
                }
                self.out.push_str(&word);
            }
        }
        Some(lower)
    }
}

/// Whether a value may follow this word without quotes: `SET x TO value`, `SET ROLE value`,
/// `ALTER ROLE r SET x = value`.
fn value_follows(lead: &str, word: &str) -> bool {
    const VALUED: [&str; 8] =
        ["to", "zone", "role", "authorization", "schema", "names", "option", "seed"];
    match lead {
        "set" => VALUED.contains(&word),
        "alter" | "create" => word == "set",
        _ => false,
    }
}

fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii()
}

fn is_name_part(c: char) -> bool {
    is_name_start(c) || c.is_ascii_digit() || c == '$'
}

/// Letters, digits and `_`, no longer than a name can be.
fn is_plain(name: &str) -> bool {
    name.len() <= NAME_BYTES && name.chars().all(|c| c.is_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(statement: &str) -> String {
        normalize(statement).text
    }

    #[test]
    fn honest_statements_keep_their_shape() {
        for (statement, normal) in [
            ("select 1", "select ?"),
            (
                "SELECT id, name FROM org_products WHERE organization_id = $1 AND x IN (1,2 ,3)",
                "SELECT id, name FROM org_products WHERE organization_id = $1 AND x IN (?)",
            ),
            (
                r#"select "id" from "org_products" where "org_products"."deleted_at" is null"#,
                r#"select "id" from "org_products" where "org_products"."deleted_at" is null"#,
            ),
            (
                "INSERT INTO t (a,b) VALUES ('x', 1.5e-10), (E'it\\'s', -0x1F)",
                "INSERT INTO t (a, b) VALUES (?), (?, -?)",
            ),
            ("a /* /* x */ 'y' */ b -- c 'd'\n e", "a b e"),
            ("SELECT 'a''b', .5, date'2020-01-01'::text", "SELECT ?, date ?::text"),
            ("UPDATE t SET a = 'b' WHERE c = 7", "UPDATE t SET a = ? WHERE c = ?"),
            ("SELECT a[1:2], b->>'c', d::numeric(1,2)", "SELECT a[?:?], b->>?, d::numeric(?)"),
        ] {
            assert_eq!(text(statement), normal, "{statement}");
        }
    }

    #[test]
    fn every_form_of_a_literal_is_removed() {
        for form in [
            "'secret'",
            "E'secret'",
            "e'a\\'secret'",
            "U&'secret'",
            "U&'a' UESCAPE 's' 'secret'",
            "N'secret'",
            "B'secret'",
            "X'secret'",
            "$$secret$$",
            "$tag$ $$ secret $tag$",
            "$é$secret$é$",
            "'a'\n'secret'",
            "E'a'\n'b\\'secret' secret",
            "'a\\' secret'",
            "'secret",
            "$a$secret",
            "/* secret",
            "\"a secret",
            "\"it is secret\"",
            "U&\"secret\"",
            "‘secret’",
            "12secret",
            "0xsecret",
            "$1secret",
            "\\ secret",
            "`secret`",
            "\u{1} secret",
            "-- secret",
            "secret$",
        ] {
            let statement = format!("SELECT {form}");
            let normal = text(&statement);
            assert!(normal.starts_with("SELECT"), "{statement} -> {normal}");
            assert!(!normal.contains("secret"), "{statement} -> {normal}");
        }
        for statement in [
            "SET app.organization_id = secret",
            "SET LOCAL app.organization_id TO secret",
            "SET SESSION app.organization_id TO secret, secret",
            "set role secret",
            "SET LOCAL TIME ZONE secret",
            "SET SESSION AUTHORIZATION secret",
            "ALTER ROLE a SET b TO secret",
            "COPY t FROM STDIN;\nsecret\tsecret",
            "SELECT 1; COPY t FROM STDIN; secret",
        ] {
            let normal = text(statement);
            assert!(!normal.contains("secret"), "{statement} -> {normal}");
        }
    }

    #[test]
    fn fingerprints_follow_the_shape() {
        let one = normalize("SELECT * FROM t WHERE id IN (1)").fingerprint;
        let two = normalize("select *  from t where id in ('a', 'b') -- x").fingerprint;
        assert_eq!(one, two);
        assert_ne!(one, normalize("SELECT * FROM u WHERE id IN (1)").fingerprint);
        // Known answer: fingerprints are kept in dashboards over versions.
        assert_eq!(fnv1a(FNV_OFFSET, b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn long_texts_are_cut() {
        let long = format!("SELECT {}", "a + ".repeat(10_000));
        let normal = text(&long);
        assert!(normal.len() < TEXT_BYTES + 100 && normal.ends_with(DROPPED), "{}", normal.len());
    }
}
