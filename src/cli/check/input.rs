//! Where statements come from: files of SQL, and what servers and applications write down.

use std::io::{self, BufRead, Read};
use std::path::Path;

use crate::cli::arguments::From;
use crate::cli::progress::Progress;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Sql,
    Log(LogKind),
}

/// A log of statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogKind {
    /// `pg_stat_statements` exported with a heading, as by `\copy … WITH (FORMAT csv, HEADER)`.
    StatStatements,
    /// PostgreSQL's `log_destination = 'csvlog'` (documentation, 20.8.4).
    Csv,
    /// PostgreSQL's `log_destination = 'jsonlog'` (documentation, 20.8.5).
    Json,
    /// Drizzle's logger: `Query: … -- params: […]`.
    Drizzle,
}

/// A text that was sent.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) text: String,
    /// The line of the log that it is on, from 1.
    pub(super) line: usize,
    /// How often, as the log says.
    pub(super) times: u64,
    /// Whether lines at its end may be something else's: the log does not say where it ends.
    pub(super) open: bool,
}

/// The column of a CSV log that holds the message, from 0, and how many there are at least.
const MESSAGE: usize = 13;
const COLUMNS: usize = 23;

/// What `pg_stat_statements` shows a role that may not read the text.
const HIDDEN: &str = "<insufficient privilege>";

impl Source {
    /// What a file is said to hold, or what its name and beginning look like.
    pub(super) fn choose(from: From, path: &Path, reader: &mut impl BufRead) -> io::Result<Self> {
        Ok(match from {
            From::Sql => Self::Sql,
            From::StatStatements => Self::Log(LogKind::StatStatements),
            From::Csvlog => Self::Log(LogKind::Csv),
            From::Jsonlog => Self::Log(LogKind::Json),
            From::Drizzle => Self::Log(LogKind::Drizzle),
            From::Auto => {
                let extension = path.extension().and_then(|it| it.to_str()).unwrap_or_default();
                match &*extension.to_ascii_lowercase() {
                    "csv" => {
                        let start = reader.fill_buf()?;
                        let first = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
                        let first = String::from_utf8_lossy(first).to_ascii_lowercase();
                        let mut names = first.split(',').map(|it| it.trim().trim_matches('"'));
                        let heading = names.any(|name| name == "query");
                        Self::Log(if heading { LogKind::StatStatements } else { LogKind::Csv })
                    }
                    "json" | "jsonl" | "ndjson" => Self::Log(LogKind::Json),
                    "log" => Self::Log(LogKind::Drizzle),
                    _ => Self::Sql,
                }
            }
        })
    }
}

/// Reads a log to its end.
pub(super) fn read(
    kind: LogKind,
    reader: impl BufRead,
    progress: &Progress,
    mut take: impl FnMut(Sent),
) -> io::Result<()> {
    match kind {
        LogKind::StatStatements => stat_statements(reader, progress, &mut take),
        LogKind::Csv => csv_log(reader, progress, &mut take),
        LogKind::Json => json_log(reader, progress, &mut take),
        LogKind::Drizzle => drizzle(reader, progress, &mut take),
    }
}

fn field(record: &csv::ByteRecord, at: usize) -> String {
    String::from_utf8_lossy(record.get(at).unwrap_or_default()).into_owned()
}

fn line_of(record: &csv::ByteRecord) -> usize {
    record.position().map_or(1, |it| usize::try_from(it.line()).unwrap_or(usize::MAX))
}

fn invalid(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}

fn stat_statements(
    reader: impl Read,
    progress: &Progress,
    take: &mut impl FnMut(Sent),
) -> io::Result<()> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(reader);
    let heading = reader.byte_headers()?.clone();
    let column = |name: &[u8]| heading.iter().position(|own| own.eq_ignore_ascii_case(name));
    let query = column(b"query").ok_or_else(|| {
        invalid(
            "no column `query` in the first line: export pg_stat_statements with a heading, \
             \\copy (SELECT query, calls FROM pg_stat_statements) TO 'file.csv' CSV HEADER",
        )
    })?;
    let calls = column(b"calls");
    for record in reader.byte_records() {
        let record = record?;
        progress.reached(record.position().map_or(0, csv::Position::byte));
        let text = field(&record, query);
        let times = calls.and_then(|at| field(&record, at).trim().parse().ok()).unwrap_or(1);
        if text != HIDDEN && !text.trim().is_empty() {
            take(Sent { text, line: line_of(&record), times, open: false });
        }
    }
    Ok(())
}

fn csv_log(reader: impl Read, progress: &Progress, take: &mut impl FnMut(Sent)) -> io::Result<()> {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(reader);
    for record in reader.byte_records() {
        let record = record?;
        progress.reached(record.position().map_or(0, csv::Position::byte));
        let line = line_of(&record);
        if record.len() < COLUMNS {
            let found = record.len();
            return Err(invalid(format!(
                "line {line} has {found} columns: a CSV log of PostgreSQL has {COLUMNS} at least"
            )));
        }
        if let Some(text) = statement(&field(&record, MESSAGE)) {
            take(Sent { text: text.to_owned(), line, times: 1, open: false });
        }
    }
    Ok(())
}

fn json_log(
    mut reader: impl BufRead,
    progress: &Progress,
    take: &mut impl FnMut(Sent),
) -> io::Result<()> {
    #[derive(serde::Deserialize)]
    struct Entry {
        #[serde(default)]
        message: String,
    }
    lines(&mut reader, progress, |line, text| {
        if text.trim().is_empty() {
            return Ok(());
        }
        let entry: Entry = serde_json::from_str(text)
            .map_err(|error| invalid(format!("line {line} is no JSON object: {error}")))?;
        if let Some(text) = statement(&entry.message) {
            take(Sent { text: text.to_owned(), line, times: 1, open: false });
        }
        Ok(())
    })
}

/// Each line with its number.
fn lines(
    reader: &mut impl BufRead,
    progress: &Progress,
    mut take: impl FnMut(usize, &str) -> io::Result<()>,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    let mut line = 0_usize;
    let mut reached = 0_u64;
    loop {
        bytes.clear();
        let read = reader.read_until(b'\n', &mut bytes)?;
        if read == 0 {
            return Ok(());
        }
        line = line.saturating_add(1);
        reached = reached.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        progress.reached(reached);
        take(line, &String::from_utf8_lossy(&bytes))?;
    }
}

/// The statement that a message of PostgreSQL's log tells of (`log_statement`,
/// `log_min_duration_statement`, `log_duration`), with lc_messages in English.
///
/// What is parsed and bound is left out: what is executed comes again.
fn statement(message: &str) -> Option<&str> {
    let rest = match message.strip_prefix("duration: ") {
        // `duration: 1.234 ms  statement: …`
        Some(rest) => rest.split_once(" ms  ")?.1,
        None => message,
    };
    if let Some(text) = rest.strip_prefix("statement: ") {
        return Some(text);
    }
    // `execute <unnamed>: …`, `execute name/portal: …`, `execute fetch from name: …`
    let rest = rest.strip_prefix("execute ")?;
    if rest.starts_with("fetch from ") {
        return None;
    }
    rest.split_once(": ").map(|(_, text)| text)
}

/// What starts a query of Drizzle's default logger, and what comes behind it.
const QUERY: &str = "Query: ";
const PARAMS: &str = " -- params: [";

/// The lines that a query is looked for on.
const QUERY_LINES: usize = 200;

fn drizzle(
    mut reader: impl BufRead,
    progress: &Progress,
    take: &mut impl FnMut(Sent),
) -> io::Result<()> {
    let mut open: Option<(usize, String)> = None;
    lines(&mut reader, progress, |line, text| {
        if let Some((_, query)) = text.split_once(QUERY)
            && open.as_ref().is_none_or(|(_, open)| open.matches('\'').count().is_multiple_of(2))
        {
            end(&mut open, take);
            open = Some((line, query.to_owned()));
        } else if let Some((_, query)) = &mut open {
            query.push_str(text);
        }
        let complete = |(start, query): &(usize, String)| {
            query.contains(PARAMS) || line.saturating_sub(*start) >= QUERY_LINES
        };
        if open.as_ref().is_some_and(complete) {
            end(&mut open, take);
        }
        Ok(())
    })?;
    end(&mut open, take);
    Ok(())
}

fn end(open: &mut Option<(usize, String)>, take: &mut impl FnMut(Sent)) {
    if let Some((line, query)) = open.take() {
        // Parameters hold values: they are not looked at.
        let (text, open) = match query.split_once(PARAMS) {
            Some((text, _)) => (text, false),
            // Drizzle writes none where there are none.
            None => (&*query, true),
        };
        let text = text.trim().to_owned();
        if !text.is_empty() {
            take(Sent { text, line, times: 1, open });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(kind: LogKind, text: &str) -> Vec<(String, usize, u64)> {
        let mut found = Vec::new();
        let progress = Progress::endless("");
        read(kind, text.as_bytes(), &progress, |sent| {
            found.push((sent.text, sent.line, sent.times));
        })
        .unwrap();
        found
    }

    #[test]
    fn messages_of_the_server() {
        for (message, wanted) in [
            ("statement: SELECT 1", Some("SELECT 1")),
            ("duration: 0.051 ms  statement: SELECT ' ms  '", Some("SELECT ' ms  '")),
            ("execute <unnamed>: SELECT $1", Some("SELECT $1")),
            ("duration: 9 ms  execute s1/p1: SELECT ': '", Some("SELECT ': '")),
            ("duration: 9.1 ms  bind s1: SELECT 1", None),
            ("duration: 9.1 ms", None),
            ("parse <unnamed>: SELECT 1", None),
            ("execute fetch from c: SELECT 1", None),
            ("checkpoint starting: time", None),
        ] {
            assert_eq!(statement(message), wanted, "{message}");
        }
    }

    #[test]
    fn an_export_has_a_heading_and_counts() {
        let text = "calls,Query\n7,\"SELECT 'a\n,b'\"\n2,<insufficient privilege>\n1,SELECT 2\n";
        let found = all(LogKind::StatStatements, text);
        let wanted = [("SELECT 'a\n,b'".to_owned(), 2, 7), ("SELECT 2".to_owned(), 5, 1)];
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_query_of_drizzle_may_go_over_lines() {
        let text = "Query: select \"id\" from \"org_a\" where \"x\" = $1 -- params: [\"s -- ]\"]\n\
            GET /health 200\n\
            [db] Query: select 1\n  from \"org_b\" -- params: []\n\
            Query: select 2\n";
        let found = all(LogKind::Drizzle, text);
        let texts: Vec<_> = found.iter().map(|(text, line, _)| (&**text, *line)).collect();
        assert_eq!(
            texts,
            [
                ("select \"id\" from \"org_a\" where \"x\" = $1", 1),
                ("select 1\n  from \"org_b\"", 3),
                ("select 2", 5)
            ]
        );
    }
}
