//! Rows in text and csv (`CopyReadLineText`, `CopyReadAttributesText`, `CopyReadAttributesCSV`).

use super::options::Separators;
use super::{Field, RowRefused};

/// What ends the lines of this data; the first line decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineEnd {
    Unknown,
    Newline,
    ReturnNewline,
}

/// Lines of text or csv, as their bytes come.
#[derive(Debug)]
pub(super) struct Lines {
    options: Separators,
    /// The most bytes of a line.
    limit: usize,
    line: Vec<u8>,
    end: LineEnd,
    /// Text: the byte before was a backslash that takes this one.
    taken: bool,
    /// Csv: within quotes.
    quoted: bool,
    /// Csv: the byte before was an escape that takes a quote.
    escaping: bool,
    /// The byte before was a carriage return that may end the line.
    returned: bool,
    /// The header is still to come.
    header: bool,
    /// `\.` has come: nothing may follow.
    over: bool,
}

type Judge<'j> = &'j mut dyn FnMut(&[Field]) -> Result<(), RowRefused>;

const ENDS_DIFFER: RowRefused = RowRefused::Unread("lines of COPY data that end in different ways");

impl Lines {
    pub(super) const fn new(options: Separators, limit: usize) -> Self {
        Self {
            options,
            limit,
            line: Vec::new(),
            end: LineEnd::Unknown,
            taken: false,
            quoted: false,
            escaping: false,
            returned: false,
            header: options.header,
            over: false,
        }
    }

    pub(super) fn take(&mut self, bytes: &[u8], judge: Judge<'_>) -> Result<(), RowRefused> {
        for byte in bytes {
            if self.over {
                return Err(RowRefused::Unread("COPY data behind its end"));
            }
            self.byte(*byte, judge)?;
        }
        Ok(())
    }

    fn byte(&mut self, byte: u8, judge: Judge<'_>) -> Result<(), RowRefused> {
        if self.returned && byte != b'\n' {
            return Err(RowRefused::Unread("a carriage return in COPY data"));
        }
        let ends = match self.options.csv {
            Some((quote, escape)) => self.csv_byte(byte, quote, escape),
            None => self.text_byte(byte),
        };
        if ends && byte == b'\r' {
            self.returned = true;
            return Ok(());
        }
        if ends && byte == b'\n' {
            let own = if self.returned { LineEnd::ReturnNewline } else { LineEnd::Newline };
            if self.end != LineEnd::Unknown && self.end != own {
                return Err(ENDS_DIFFER);
            }
            self.end = own;
            self.returned = false;
            return self.line(judge);
        }
        if self.line.len() >= self.limit {
            return Err(RowRefused::Unread("a row of COPY data is longer than the limit"));
        }
        self.line.push(byte);
        Ok(())
    }

    /// Whether this byte may end a line: none does behind a backslash.
    const fn text_byte(&mut self, byte: u8) -> bool {
        if self.taken {
            self.taken = false;
            return false;
        }
        self.taken = byte == b'\\';
        true
    }

    /// Whether this byte may end a line: none does within quotes.
    const fn csv_byte(&mut self, byte: u8, quote: u8, escape: u8) -> bool {
        // An escape that is the quote needs nothing of its own: quotes come in pairs.
        let escapes = escape != quote && byte == escape;
        if self.quoted && escapes {
            self.escaping = !self.escaping;
        }
        if byte == quote && !self.escaping {
            self.quoted = !self.quoted;
        }
        if !escapes {
            self.escaping = false;
        }
        !self.quoted
    }

    /// A line is whole.
    fn line(&mut self, judge: Judge<'_>) -> Result<(), RowRefused> {
        let line = std::mem::take(&mut self.line);
        if line == b"\\." {
            // In csv, the server's version decides whether it is the end or a row.
            self.over = true;
            return match self.options.csv {
                Some(_) => Err(RowRefused::Unread("an end mark in csv data")),
                None => Ok(()),
            };
        }
        if std::mem::take(&mut self.header) {
            return Ok(());
        }
        let fields = match self.options.csv {
            Some((quote, escape)) => csv_fields(&line, &self.options, quote, escape)?,
            None => text_fields(&line, &self.options)?,
        };
        judge(&fields)?;
        // The room of the line is used again.
        self.line = line;
        self.line.clear();
        Ok(())
    }

    pub(super) fn finish(&mut self, judge: Judge<'_>) -> Result<(), RowRefused> {
        if self.quoted || self.taken || self.returned {
            return Err(RowRefused::Unread("the last row of COPY data is not whole"));
        }
        if self.line.is_empty() || self.over { Ok(()) } else { self.line(judge) }
    }
}

fn text_fields(line: &[u8], options: &Separators) -> Result<Vec<Field>, RowRefused> {
    let mut fields = Vec::new();
    let mut raw = Vec::new();
    let mut bytes = line.iter().copied();
    loop {
        match bytes.next() {
            Some(b'\\') => {
                raw.push(b'\\');
                let next = bytes.next();
                if next == Some(b'.') {
                    return Err(RowRefused::Unread("an end mark inside a row of COPY data"));
                }
                raw.extend(next);
            }
            Some(byte) if byte != options.delimiter => raw.push(byte),
            ended => {
                let field = std::mem::take(&mut raw);
                fields.push((field != options.null()).then(|| unescaped(&field)));
                if ended.is_none() {
                    return Ok(fields);
                }
            }
        }
    }
}

/// A field without its escapes.
fn unescaped(raw: &[u8]) -> Vec<u8> {
    let mut field = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            field.push(byte);
            continue;
        }
        let Some(escaped) = bytes.next() else { break };
        match escaped {
            b'0'..=b'7' => {
                let mut value = u32::from(escaped & 7);
                for _ in 0..2 {
                    let Some(digit) = bytes.next_if(|byte| matches!(byte, b'0'..=b'7')) else {
                        break;
                    };
                    value = (value << 3) | u32::from(digit & 7);
                }
                field.extend(value.to_le_bytes().first());
            }
            b'x' => {
                let hex = |byte: &u8| byte.is_ascii_hexdigit();
                let mut value = None;
                for _ in 0..2 {
                    let Some(digit) = bytes.next_if(hex) else { break };
                    let digit = char::from(digit).to_digit(16).unwrap_or_default();
                    value = Some((value.unwrap_or(0) << 4) | digit);
                }
                match value {
                    Some(value) => field.extend(value.to_le_bytes().first()),
                    None => field.push(b'x'),
                }
            }
            b'b' => field.push(0x08),
            b'f' => field.push(0x0c),
            b'n' => field.push(b'\n'),
            b'r' => field.push(b'\r'),
            b't' => field.push(b'\t'),
            b'v' => field.push(0x0b),
            other => field.push(other),
        }
    }
    field
}

fn csv_fields(
    line: &[u8],
    options: &Separators,
    quote: u8,
    escape: u8,
) -> Result<Vec<Field>, RowRefused> {
    let mut fields = Vec::new();
    let mut bytes = line.iter().copied().peekable();
    let (mut field, mut saw_quote, mut raw_is_field) = (Vec::new(), false, true);
    let mut quoted = false;
    loop {
        let byte = bytes.next();
        match byte {
            Some(byte) if quoted => {
                let takes = byte == escape;
                if let Some(taken) =
                    bytes.next_if(|next| takes && (*next == quote || *next == escape))
                {
                    field.push(taken);
                } else if byte == quote {
                    quoted = false;
                } else {
                    field.push(byte);
                }
            }
            Some(byte) if byte == quote => {
                (quoted, saw_quote, raw_is_field) = (true, true, false);
            }
            Some(byte) if byte != options.delimiter => field.push(byte),
            ended => {
                if quoted {
                    return Err(RowRefused::Unread("a quote of csv data is not closed"));
                }
                let field = std::mem::take(&mut field);
                let is_null = !saw_quote && raw_is_field && field == options.null();
                fields.push((!is_null).then_some(field));
                (saw_quote, raw_is_field) = (false, true);
                if ended.is_none() {
                    return Ok(fields);
                }
            }
        }
    }
}
