//! The options of COPY FROM (PostgreSQL documentation, COPY; `ProcessCopyOptions`).

/// The form of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// FORMAT text.
    Text(Separators),
    /// FORMAT csv.
    Csv(Separators),
    /// FORMAT binary.
    Binary,
}

/// The longest NULL marker that is read.
const NULL_BYTES: usize = 32;

/// What separates fields and marks NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Separators {
    pub(super) delimiter: u8,
    null: ([u8; NULL_BYTES], usize),
    /// The first line is no row.
    pub(super) header: bool,
    /// Quote and escape of csv; `None` is text.
    pub(super) csv: Option<(u8, u8)>,
}

impl Separators {
    /// The text that stands for NULL.
    pub(super) fn null(&self) -> &[u8] {
        let (bytes, length) = &self.null;
        bytes.get(..*length).unwrap_or_default()
    }
}

type Options = [(Box<str>, Option<Box<str>>)];

/// Reads the options.
///
/// # Errors
/// If one is not known, given twice, or has a value with which rows may be read in two ways.
pub(super) fn read(options: &Options) -> Result<Format, &'static str> {
    const KNOWN: [&str; 8] =
        ["format", "delimiter", "null", "header", "quote", "escape", "freeze", "encoding"];
    for (at, (name, _)) in options.iter().enumerate() {
        if !KNOWN.contains(&&**name) {
            return Err("an option of COPY that the guard does not read");
        }
        if options.iter().take(at).any(|(other, _)| other == name) {
            return Err("an option of COPY is given twice");
        }
    }
    let value = |name: &str| {
        let found = options.iter().find(|(own, _)| **own == *name);
        found.map(|(_, value)| value.as_deref().unwrap_or_default())
    };
    if let Some(encoding) = value("encoding") {
        let plain: String = encoding.chars().filter(char::is_ascii_alphanumeric).collect();
        if !plain.eq_ignore_ascii_case("utf8") {
            return Err("COPY in another encoding than UTF8");
        }
    }
    let header = match value("header").map(str::to_ascii_lowercase).as_deref() {
        None | Some("false" | "off" | "0") => false,
        Some("" | "true" | "on" | "1" | "match") => true,
        Some(_) => return Err("a HEADER that the guard does not read"),
    };
    match value("format").unwrap_or("text").to_ascii_lowercase().as_str() {
        "text" => text(value, header),
        "csv" => csv(value, header),
        "binary" => {
            let other = ["delimiter", "null", "header", "quote", "escape"];
            if other.into_iter().any(|name| value(name).is_some()) {
                return Err("an option that binary data does not have");
            }
            Ok(Format::Binary)
        }
        _ => Err("a FORMAT that the guard does not read"),
    }
}

fn text<'a>(value: impl Fn(&str) -> Option<&'a str>, header: bool) -> Result<Format, &'static str> {
    if value("quote").is_some() || value("escape").is_some() {
        return Err("an option that text data does not have");
    }
    let delimiter = one(value("delimiter").unwrap_or("\t"))?;
    if delimiter.is_ascii_alphanumeric() || matches!(delimiter, b'\\' | b'.') {
        return Err("a DELIMITER that text data may not have");
    }
    let null = null(value("null").unwrap_or("\\N"), delimiter)?;
    Ok(Format::Text(Separators { delimiter, null, header, csv: None }))
}

fn csv<'a>(value: impl Fn(&str) -> Option<&'a str>, header: bool) -> Result<Format, &'static str> {
    let delimiter = one(value("delimiter").unwrap_or(","))?;
    let quote = one(value("quote").unwrap_or("\""))?;
    let escape = value("escape").map_or(Ok(quote), one)?;
    if delimiter == quote || delimiter == escape {
        return Err("DELIMITER and QUOTE of COPY are the same");
    }
    let null = null(value("null").unwrap_or(""), delimiter)?;
    let (bytes, length) = &null;
    if bytes.iter().take(*length).any(|byte| *byte == quote) {
        return Err("a NULL with the quote in it");
    }
    Ok(Format::Csv(Separators { delimiter, null, header, csv: Some((quote, escape)) }))
}

/// A single byte that is no end of a line.
fn one(text: &str) -> Result<u8, &'static str> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'\r' | b'\n' | 0) => Ok(*byte),
        _ => Err("a DELIMITER, QUOTE or ESCAPE of COPY that is not one byte"),
    }
}

fn null(text: &str, delimiter: u8) -> Result<([u8; NULL_BYTES], usize), &'static str> {
    let bad = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0) || *byte == delimiter;
    let mut bytes = [0; NULL_BYTES];
    let place = bytes.get_mut(..text.len()).filter(|_| !text.as_bytes().iter().any(bad));
    let Some(place) = place else {
        return Err("a NULL of COPY that is too long or holds what separates fields");
    };
    place.copy_from_slice(text.as_bytes());
    Ok((bytes, text.len()))
}
