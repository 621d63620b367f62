//! The first reading: bytes and tokens. It measures a text before any parser sees it, and refuses
//! every place where the tokenizer and PostgreSQL's lexer are known to part.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a token of any other kind is judged by the readings that follow"
)]

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::{Location, Span as ParserSpan, Token, Tokenizer, Whitespace};

use super::literal::Mark;
use super::{NotUnderstood, Span};
use crate::policy::{ReadingLimits, cut_name, fold};

/// A token that is neither space nor comment, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Lexeme {
    pub(crate) token: Token,
    pub(crate) place: ParserSpan,
    pub(crate) span: Span,
    /// Which literal of the text's shape it is, if that is kept account of.
    pub(crate) mark: Option<Mark>,
}

impl Lexeme {
    /// The word in lower case if it is an unquoted word: a keyword or an identifier.
    pub(crate) fn word(&self) -> Option<String> {
        match &self.token {
            Token::Word(word) if word.quote_style.is_none() => {
                Some(word.value.to_ascii_lowercase())
            }
            _ => None,
        }
    }

    /// Whether it is this keyword, unquoted.
    pub(crate) fn is(&self, keyword: &str) -> bool {
        matches!(&self.token, Token::Word(word)
            if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(keyword))
    }

    /// The name if it is an identifier, folded and cut as the server does.
    pub(crate) fn name(&self) -> Option<Box<str>> {
        match &self.token {
            Token::Word(word) if word.quote_style.is_none() => Some(fold(&word.value)),
            Token::Word(word) => Some(cut_name(&word.value).into()),
            _ => None,
        }
    }

    /// The text if it is a string constant.
    pub(crate) fn string(&self) -> Option<&str> {
        match &self.token {
            Token::SingleQuotedString(text) => Some(text),
            Token::EscapedStringLiteral(text) if !self.is_escaped() => Some(text),
            Token::DollarQuotedString(text) => Some(&text.value),
            _ => None,
        }
    }

    /// Whether it is a string constant with escapes in it: shorter when they are decoded.
    pub(crate) fn is_escaped(&self) -> bool {
        let written = self.span.end.saturating_sub(self.span.start);
        match &self.token {
            Token::EscapedStringLiteral(text) => {
                u32::try_from(text.len().saturating_add("E''".len())) != Ok(written)
            }
            _ => false,
        }
    }

    /// Whether it ends a statement.
    pub(crate) fn is_semicolon(&self) -> bool {
        self.token == Token::SemiColon
    }

    fn is_quoted_word(&self) -> bool {
        matches!(&self.token, Token::Word(word) if word.quote_style.is_some())
    }
}

/// Reads a text into tokens.
pub(crate) fn tokenize(text: &str, limits: &ReadingLimits) -> Result<Vec<Lexeme>, NotUnderstood> {
    let whole = Span { start: 0, end: u32::try_from(text.len()).unwrap_or(u32::MAX) };
    if text.len() > limits.bytes {
        return Err(NotUnderstood::new("the text is longer than the configured limit", whole));
    }
    if text.contains('\0') {
        return Err(NotUnderstood::new("the text holds a NUL byte", whole));
    }
    if comment_depth(text) > limits.comment_nesting {
        return Err(NotUnderstood::new("comments are nested too deeply", whole));
    }
    let dialect = PostgreSqlDialect {};
    let raw = Tokenizer::new(&dialect, text).tokenize_with_location().map_err(|_| {
        NotUnderstood::new("the text has no tokens that PostgreSQL would read", whole)
    })?;
    let mut places = Places::new(text);
    let mut lexemes = Vec::with_capacity(raw.len());
    for token in raw {
        let span = Span { start: places.byte(token.span.start), end: places.byte(token.span.end) };
        match token.token {
            Token::EOF => {}
            Token::Whitespace(Whitespace::Space | Whitespace::Newline | Whitespace::Tab) => {
                if !slice(text, span).bytes().all(is_space) {
                    return Err(NotUnderstood::new("a space that PostgreSQL does not know", span));
                }
            }
            Token::Whitespace(
                Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_),
            ) => {}
            token_kind => {
                lexemes.push(Lexeme { token: token_kind, place: token.span, span, mark: None });
            }
        }
    }
    let lexemes = joined(text, lexemes);
    measure(&lexemes, limits, whole)?;
    for pair in lexemes.windows(2) {
        if let [first, second] = pair {
            neighbours(text, first, second)?;
        }
    }
    for lexeme in &lexemes {
        alone(text, lexeme)?;
    }
    operator_runs(text, &lexemes)?;
    Ok(lexemes)
}

fn slice(text: &str, span: Span) -> &str {
    let (Ok(start), Ok(end)) = (usize::try_from(span.start), usize::try_from(span.end)) else {
        return "";
    };
    text.get(start..end).unwrap_or("")
}

/// PostgreSQL's lexer: `space` (`\v` since version 16).
const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// Turns the tokenizer's lines and columns (in characters) into bytes. Asked in rising order.
struct Places<'a> {
    rest: std::iter::Peekable<std::str::CharIndices<'a>>,
    line: u64,
    column: u64,
    end: u32,
}

impl<'a> Places<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            rest: text.char_indices().peekable(),
            line: 1,
            column: 1,
            end: u32::try_from(text.len()).unwrap_or(u32::MAX),
        }
    }

    fn byte(&mut self, place: Location) -> u32 {
        while (self.line, self.column) < (place.line, place.column) {
            match self.rest.next() {
                None => return self.end,
                Some((_, '\n')) => {
                    self.line = self.line.saturating_add(1);
                    self.column = 1;
                }
                Some(_) => self.column = self.column.saturating_add(1),
            }
        }
        self.rest.peek().map_or(self.end, |(at, _)| u32::try_from(*at).unwrap_or(u32::MAX))
    }
}

/// How many comments are open at once, at most; counts more rather than less (inside strings too).
fn comment_depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0_usize);
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match (byte, bytes.peek()) {
            (b'/', Some(b'*')) => {
                bytes.next();
                depth = depth.saturating_add(1);
                deepest = deepest.max(depth);
            }
            (b'*', Some(b'/')) => {
                bytes.next();
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
    }
    deepest
}

/// Counts tokens, open brackets, operators on one path of the tree, and set operations.
fn measure(lexemes: &[Lexeme], limits: &ReadingLimits, whole: Span) -> Result<(), NotUnderstood> {
    if lexemes.len() > limits.tokens {
        return Err(NotUnderstood::new(
            "the text has more tokens than the configured limit",
            whole,
        ));
    }
    let mut open: Vec<usize> = vec![0];
    let mut set_operations = 0_usize;
    for lexeme in lexemes {
        match &lexeme.token {
            Token::LParen | Token::LBracket => open.push(0),
            Token::RParen | Token::RBracket => {
                open.pop();
                if open.is_empty() {
                    open.push(0);
                }
            }
            Token::Comma => {
                if let Some(last) = open.last_mut() {
                    *last = 0;
                }
            }
            Token::SemiColon => {
                open = vec![0];
                set_operations = 0;
            }
            Token::Word(_)
                if lexeme.is("union") || lexeme.is("except") || lexeme.is("intersect") =>
            {
                set_operations = set_operations.saturating_add(1);
            }
            Token::Word(_)
                if [
                    "and", "or", "not", "is", "like", "ilike", "collate", "between", "in", "join",
                    "at", "isnull", "notnull", "overlaps", "similar", "escape",
                ]
                .iter()
                .any(|word| lexeme.is(word)) =>
            {
                count(&mut open);
            }
            // CASE … END is a level of its own, on which each branch starts anew.
            Token::Word(_) if lexeme.is("case") => open.push(0),
            Token::Word(_) if lexeme.is("end") && open.len() > 1 => {
                open.pop();
            }
            Token::Word(_) if ["when", "then", "else"].iter().any(|word| lexeme.is(word)) => {
                if let Some(last) = open.last_mut() {
                    *last = 0;
                }
            }
            token if is_operator(token) || matches!(token, Token::DoubleColon | Token::Period) => {
                count(&mut open);
            }
            _ => {}
        }
        if open.len() > limits.nesting {
            return Err(NotUnderstood::new("parentheses are nested too deeply", lexeme.span));
        }
        if open.iter().sum::<usize>() > limits.operators {
            return Err(NotUnderstood::new("an expression has too many operators", lexeme.span));
        }
        if set_operations > limits.set_operations {
            return Err(NotUnderstood::new("a query has too many set operations", lexeme.span));
        }
    }
    Ok(())
}

fn count(open: &mut [usize]) {
    if let Some(last) = open.last_mut() {
        *last = last.saturating_add(1);
    }
}

/// A token that PostgreSQL reads otherwise, whatever stands beside it.
fn alone(text: &str, lexeme: &Lexeme) -> Result<(), NotUnderstood> {
    let reason = match &lexeme.token {
        Token::Placeholder(name) => {
            let digits = name.strip_prefix('$').unwrap_or_default();
            if !digits.is_empty() && digits.len() <= 5 && digits.bytes().all(|b| b.is_ascii_digit())
            {
                return Ok(());
            }
            "a parameter that is not $ and a number"
        }
        Token::Word(word) => match word.quote_style {
            None | Some('"') if word.value.is_empty() => "an empty identifier",
            None if word.value.chars().any(char::is_whitespace) => "a space inside an identifier",
            None | Some('"') => return Ok(()),
            Some(_) => "an identifier in quotes that PostgreSQL does not know",
        },
        Token::HexStringLiteral(_) if !slice(text, lexeme.span).starts_with(['x', 'X']) => {
            "a hexadecimal number, which only some versions read"
        }
        Token::Char(_)
        | Token::Backslash
        | Token::LBrace
        | Token::RBrace
        | Token::DoubleEq
        | Token::Spaceship
        | Token::DoubleQuotedString(_)
        | Token::TripleSingleQuotedString(_)
        | Token::TripleDoubleQuotedString(_)
        | Token::DoubleQuotedByteStringLiteral(_)
        | Token::TripleSingleQuotedByteStringLiteral(_)
        | Token::TripleDoubleQuotedByteStringLiteral(_)
        | Token::SingleQuotedRawStringLiteral(_)
        | Token::DoubleQuotedRawStringLiteral(_)
        | Token::TripleSingleQuotedRawStringLiteral(_)
        | Token::TripleDoubleQuotedRawStringLiteral(_)
        | Token::QuoteDelimitedStringLiteral(_)
        | Token::NationalQuoteDelimitedStringLiteral(_) => "a token that PostgreSQL does not know",
        _ => return Ok(()),
    };
    Err(NotUnderstood::new(reason, lexeme.span))
}

/// Makes one constant of plain string constants with nothing between but space that holds a newline
/// (documentation, 4.1.2.1). Others stay apart, and are refused.
fn joined(text: &str, lexemes: Vec<Lexeme>) -> Vec<Lexeme> {
    let mut joined: Vec<Lexeme> = Vec::with_capacity(lexemes.len());
    for lexeme in lexemes {
        if let Token::SingleQuotedString(more) = &lexeme.token
            && let Some(Lexeme { token: Token::SingleQuotedString(first), place, span, mark: _ }) =
                joined.last_mut()
        {
            let between = slice(text, Span { start: span.end, end: lexeme.span.start });
            if between.contains(['\n', '\r']) && between.bytes().all(is_space) {
                first.push_str(more);
                place.end = lexeme.place.end;
                span.end = lexeme.span.end;
                continue;
            }
        }
        joined.push(lexeme);
    }
    joined
}

/// Two tokens that PostgreSQL reads otherwise because they stand beside each other.
fn neighbours(text: &str, first: &Lexeme, second: &Lexeme) -> Result<(), NotUnderstood> {
    let adjacent = first.span.end == second.span.start;
    let reason = if is_string(&first.token) && is_string(&second.token) {
        "string constants that PostgreSQL would join"
    } else if adjacent
        && matches!(first.token, Token::Number(..) | Token::Placeholder(_))
        && matches!(second.token, Token::Word(_) | Token::Number(..) | Token::Placeholder(_))
    {
        "a number with letters behind it"
    } else if adjacent && first.is("u") && second.token == Token::Ampersand {
        let after = usize::try_from(second.span.end).ok().and_then(|end| text.get(end..));
        if !after.is_some_and(|rest| rest.starts_with(['"', '\''])) {
            return Ok(());
        }
        "an identifier with Unicode escapes"
    } else if adjacent
        && first.word().is_some_and(|word| word.len() == 1)
        && (second.is_quoted_word() || is_string(&second.token))
    {
        // `date'…'` is a typed constant; one letter would be a prefix of the constant's form.
        "a letter with a quoted text behind it"
    } else if second.is("uescape") {
        "UESCAPE"
    } else {
        return Ok(());
    };
    Err(NotUnderstood::new(reason, second.span))
}

fn is_string(token: &Token) -> bool {
    matches!(
        token,
        Token::SingleQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::NationalStringLiteral(_)
            | Token::SingleQuotedByteStringLiteral(_)
            | Token::HexStringLiteral(_)
            | Token::DollarQuotedString(_)
    )
}

const OPERATOR_CHARACTERS: &str = "+-*/<>=~!@#%^&|`?";

fn is_operator(token: &Token) -> bool {
    let text = match token {
        Token::Word(_) | Token::Number(..) | Token::Placeholder(_) => return false,
        token if is_string(token) => return false,
        token => token.to_string(),
    };
    !text.is_empty() && text.chars().all(|c| OPERATOR_CHARACTERS.contains(c))
}

/// The longest run of operator characters that is taken apart: longer than any operator's name may
/// be (`NAMEDATALEN`, 64 bytes with its end).
const LONGEST_RUN: usize = 63;

/// PostgreSQL takes the longest run of operator characters, then gives back a trailing `+` or `-`
/// unless the operator has one of ``~!@#%^&|`?`` (documentation, 4.1.3). Where the tokenizer cut
/// a run otherwise, the trees differ: refused.
fn operator_runs(text: &str, lexemes: &[Lexeme]) -> Result<(), NotUnderstood> {
    let mut index = 0_usize;
    while let Some(first) = lexemes.get(index) {
        index = index.saturating_add(1);
        if !is_operator(&first.token) {
            continue;
        }
        let mut ends = vec![first.span.end];
        while let Some(next) = lexemes.get(index) {
            if !is_operator(&next.token) || ends.last() != Some(&next.span.start) {
                break;
            }
            ends.push(next.span.end);
            index = index.saturating_add(1);
        }
        let run =
            Span { start: first.span.start, end: ends.last().copied().unwrap_or(first.span.end) };
        // Taking it apart as the server does takes the third power of its length.
        if slice(text, run).len() > LONGEST_RUN {
            return Err(NotUnderstood::new("operators without a space between them", run));
        }
        if slice(text, run).len() > 1 && server_ends(slice(text, run), run.start) != ends {
            return Err(NotUnderstood::new("operators that PostgreSQL would split otherwise", run));
        }
    }
    Ok(())
}

fn server_ends(run: &str, start: u32) -> Vec<u32> {
    let mut ends = Vec::new();
    let mut at = start;
    let mut rest = run;
    while !rest.is_empty() {
        let mut length = rest.len();
        let mut operator = rest;
        while length > 1
            && operator.ends_with(['+', '-'])
            && !operator.contains(['~', '!', '@', '#', '%', '^', '&', '|', '`', '?'])
        {
            length = length.saturating_sub(1);
            operator = rest.get(..length).unwrap_or(rest);
        }
        at = at.saturating_add(u32::try_from(length).unwrap_or(u32::MAX));
        ends.push(at);
        rest = rest.get(length..).unwrap_or("");
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(text: &str) -> Option<&'static str> {
        tokenize(text, &ReadingLimits::default()).err().map(|e| e.reason)
    }

    #[test]
    fn spans_are_bytes_of_the_text() {
        let text = "SELECT 'é',\n  \"ü\" FROM t -- x\n WHERE a=$1";
        let lexemes = tokenize(text, &ReadingLimits::default()).unwrap();
        let parts: Vec<&str> = lexemes.iter().map(|l| slice(text, l.span)).collect();
        assert_eq!(parts, ["SELECT", "'é'", ",", "\"ü\"", "FROM", "t", "WHERE", "a", "=", "$1"]);
    }

    #[test]
    fn where_the_lexers_part() {
        for refused in [
            "SELECT a <>-1",
            "SELECT 1OR 2",
            "SELECT 0x1F",
            "SELECT 123abc",
            "SELECT $2FROM t",
            "SELECT id FROM U&\"org\\005Fproducts\"",
            "SELECT 'a' 'b'",
            "SELECT 'a' -- x\n'b'",
            "SELECT 'a'/*\n*/'b'",
            "SELECT E'a'\n'b'",
            "SELECT 'a'\nE'b'",
            "SELECT U&'a'\n'b'",
            "SELECT a == b",
            "SELECT *\u{a0}FROM t",
            "SELECT a \u{2003}",
            "SELECT 1e5x",
            "SELECT U&'d!0061' UESCAPE '!'",
        ] {
            assert!(reason(refused).is_some(), "{refused}");
        }
        for read in [
            "SELECT -1",
            "SELECT a=-1",
            "SELECT a->>'b'",
            "SELECT a::int",
            "SELECT count(*)*2",
            "SELECT 1.5e3",
            "SELECT a <> -1",
            "SELECT 'a' \n\t 'b'\r'c'",
        ] {
            assert_eq!(reason(read), None, "{read}");
        }
    }

    #[test]
    fn a_constant_goes_on_behind_a_newline() {
        let text = "SELECT 'a''b' \n 'c', 1";
        let lexemes = tokenize(text, &ReadingLimits::default()).unwrap();
        let parts: Vec<&str> = lexemes.iter().map(|l| slice(text, l.span)).collect();
        assert_eq!(parts, ["SELECT", "'a''b' \n 'c'", ",", "1"]);
        assert_eq!(lexemes.get(1).and_then(Lexeme::string), Some("a'bc"));
    }

    #[test]
    fn chains_and_nests_are_measured() {
        assert!(reason(&format!("SELECT {}1", "1+".repeat(5_000))).is_some());
        assert!(reason(&format!("SELECT {}1{}", "(".repeat(500), ")".repeat(500))).is_some());
        assert!(reason(&format!("SELECT {}1{}", "/*".repeat(500), "*/".repeat(500))).is_some());
        assert!(reason(&format!("SELECT 1{}", " UNION SELECT 1".repeat(500))).is_some());
        assert_eq!(reason(&format!("SELECT a IN ({}1)", "1,".repeat(5_000))), None);
    }
}
