//! The comments of a text, as sqlcommenter writes them: `/*key='value',other='value'*/`, keys and
//! values percent-encoded.

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::{Token, Tokenizer, Whitespace};

/// What a text's comments say for one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Comment {
    /// Nothing.
    #[default]
    None,
    /// This value, decoded.
    Value(Box<str>),
    /// Several values, or one that cannot be decoded.
    Unclear,
}

/// The value of a key in the comments of a text.
#[must_use]
pub fn comment(text: &str, key: &str) -> Comment {
    let dialect = PostgreSqlDialect {};
    let Ok(tokens) = Tokenizer::new(&dialect, text).tokenize() else {
        return Comment::None;
    };
    let mut found = Comment::None;
    for token in tokens {
        let Token::Whitespace(Whitespace::MultiLineComment(body)) = token else {
            continue;
        };
        for (own, value) in pairs(&body) {
            if decoded(own).is_none_or(|own| own != key) {
                continue;
            }
            let value = decoded(value).map_or(Comment::Unclear, |it| Comment::Value(it.into()));
            found = match found {
                Comment::None => value,
                same if same == value => same,
                Comment::Value(_) | Comment::Unclear => Comment::Unclear,
            };
        }
    }
    found
}

/// The pairs of a comment that is nothing but pairs.
fn pairs(body: &str) -> Vec<(&str, &str)> {
    let mut pairs = Vec::new();
    let mut rest = body.trim();
    while let Some((key, after)) = rest.split_once("='") {
        // A quote in a value is written \'.
        let end = after.match_indices('\'').map(|(at, _)| at).find(|at| {
            let before = after.get(..*at).unwrap_or_default();
            !before.ends_with('\\')
        });
        let Some((value, tail)) = end.and_then(|end| after.split_at_checked(end)) else {
            return Vec::new();
        };
        pairs.push((key.trim(), value));
        let tail = tail.get(1..).unwrap_or_default().trim_start();
        match tail.strip_prefix(',') {
            Some(more) => rest = more,
            None if tail.is_empty() => return pairs,
            None => return Vec::new(),
        }
    }
    Vec::new()
}

/// Without the escapes: `%2D` and `\'`.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                bytes.push(u8::try_from(high.checked_mul(16)?.checked_add(low)?).ok()?);
            }
            b'\\' => bytes.push(rest.next()?),
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_or_none() {
        let value = |text: &str| Comment::Value(text.into());
        for (text, expected) in [
            ("SELECT 1", Comment::None),
            ("SELECT 1 /*organization_id='7'*/", value("7")),
            ("/*app='web',organization_id='a%2Db'*/ SELECT 1;", value("a-b")),
            ("SELECT 1 /* organization_id='7' , app='x' */", value("7")),
            ("SELECT '/*organization_id=''7''*/'", Comment::None),
            ("SELECT 1 -- organization_id='7'", Comment::None),
            ("SELECT 1 /*organization_id=7*/", Comment::None),
            ("SELECT 1 /*note: organization_id='7' was here*/", Comment::None),
            ("SELECT 1 /*organization_id='7'*/ /*organization_id='7'*/", value("7")),
            ("SELECT 1 /*organization_id='7'*/ /*organization_id='8'*/", Comment::Unclear),
            ("SELECT 1 /*organization_id='7',organization_id='8'*/", Comment::Unclear),
            ("SELECT 1 /*organization_id='%zz'*/", Comment::Unclear),
            ("SELECT 1 /*a='it\\'s',organization_id='7'*/", value("7")),
            ("SELECT 1 /*organization%5Fid='7'*/", value("7")),
        ] {
            assert_eq!(comment(text, "organization_id"), expected, "{text}");
        }
    }
}
