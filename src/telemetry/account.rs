use std::fmt::Write as _;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// What the ledger says at one moment: `/violations`, the ledger's file, and what
/// `orgguard report` reads. Times are RFC 3339, in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// What is said once.
    #[serde(flatten)]
    pub summary: Summary,
    /// Statements that violate a rule, the most frequent first.
    pub statements: Vec<Shape>,
}

/// What an account says once: the first line of the ledger's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The form of this account; goes up when a field changes its meaning.
    pub ledger: u32,
    /// The guard's version.
    pub version: String,
    /// The mode of sessions for which nothing else is configured.
    pub mode: String,
    /// When the ledger was begun.
    pub since: String,
    /// When this was said.
    pub at: String,
    /// Statements judged since the process started, by verdict.
    pub judged: Judged,
    /// Statement shapes left out to keep the ledger small.
    pub dropped: u64,
    /// Guarded tables, by name.
    pub tables: Vec<TableSeen>,
}

/// How many statements got which verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// Every obligation had a proof.
    pub holds: u64,
    /// Some had none.
    pub violates: u64,
    /// Could not be read.
    pub not_understood: u64,
}

/// What was seen of one guarded table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSeen {
    /// Its name.
    pub table: String,
    /// Texts on it that were read. A text that the cache of plans had forgotten counts again.
    pub texts: u64,
    /// When the last of them was read; `None` if there was none.
    pub last: Option<String>,
}

/// Statements of one shape that violate a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// The same for statements of one shape; stable over versions.
    pub fingerprint: String,
    /// The statement without its literals; empty for a startup packet.
    pub statement: String,
    /// Attempts to run it that violated a rule.
    pub count: u64,
    /// The first of them.
    pub first_seen: String,
    /// The last of them.
    pub last_seen: String,
    /// The mode that the last of them was judged under.
    pub mode: String,
    /// Roles that sent it, up to a bound.
    pub roles: Vec<String>,
    /// Databases it was sent to, up to a bound.
    pub databases: Vec<String>,
    /// What their `application_name` was, up to a bound.
    pub application_names: Vec<String>,
    /// What it violates.
    pub violations: Vec<Broken>,
}

/// One rule that statements of a shape violate, on one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// The rule.
    pub rule: String,
    /// The guarded table, hidden relation, routine or setting, if it has a name.
    pub table: Option<String>,
    /// How often.
    pub count: u64,
    /// Where, in the last statement of the shape: 1-based, in characters.
    pub position: usize,
    /// What is wrong.
    pub detail: String,
    /// What to write instead.
    pub hint: String,
}

/// The lines of a ledger's file are no account.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {source}")]
pub struct NoAccount {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub source: serde_json::Error,
}

impl Account {
    /// The account as JSON lines: the summary, then one line for each shape.
    #[must_use]
    pub fn to_lines(&self) -> String {
        let mut lines = String::new();
        // Strings and numbers always make JSON, and writing to a string does not fail.
        let _ = writeln!(lines, "{}", serde_json::to_string(&self.summary).unwrap_or_default());
        for shape in &self.statements {
            let _ = writeln!(lines, "{}", serde_json::to_string(shape).unwrap_or_default());
        }
        lines
    }

    /// Reads JSON lines, or the one object that `/violations` gives.
    ///
    /// # Errors
    /// If a line is not what it should be.
    pub fn from_text(text: &str) -> Result<Self, NoAccount> {
        if let Ok(account) = serde_json::from_str(text) {
            return Ok(account);
        }
        let mut lines = text.lines().enumerate();
        let (_, first) = lines.next().unwrap_or_default();
        let summary =
            serde_json::from_str(first).map_err(|source| NoAccount { line: 1, source })?;
        let mut statements = Vec::new();
        for (at, line) in lines.filter(|(_, line)| !line.is_empty()) {
            let line_number = at.saturating_add(1);
            let wrong = |source| NoAccount { line: line_number, source };
            statements.push(serde_json::from_str(line).map_err(wrong)?);
        }
        Ok(Self { summary, statements })
    }
}

/// A time as accounts have it.
#[must_use]
pub fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}
