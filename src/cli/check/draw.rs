//! What is shown of a statement. Writing to a string does not fail, so its results are dropped.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Flaw, Judged, Tally};
use crate::cli::diff::diff;
use crate::cli::sarif::{SarifPlace, SarifResult};
use crate::telemetry::normalize;

/// The ways of showing a statement.
pub(super) trait Drawn {
    /// For people; nothing for a statement that holds without advice.
    fn text(&self) -> String;
    /// One line of JSON.
    fn json(&self) -> String;
    /// Annotations: GitHub's workflow commands.
    fn github(&self) -> String;
    /// Results of SARIF.
    fn sarif(&self) -> Vec<SarifResult>;
}

impl Drawn for Judged {
    fn text(&self) -> String {
        let mut drawn = String::new();
        if let Some(rewritten) = &self.rewritten {
            let _ = writeln!(drawn, "{}:{}: rewritten", self.file, self.line);
            drawn.push_str(&diff(&self.statement, rewritten));
            drawn.push('\n');
            return drawn;
        }
        for flaw in &self.violations {
            let rule = flaw.rule;
            let _ =
                writeln!(drawn, "{}: {rule}: {}{}", flaw.place(self), flaw.detail, self.times());
            self.draw_statement(flaw, &mut drawn);
            let _ = writeln!(drawn, "    hint: {}\n", flaw.hint);
        }
        for flaw in &self.advice {
            let rule = flaw.rule;
            let _ = writeln!(
                drawn,
                "{}: advice, {rule}: {}{}",
                flaw.place(self),
                flaw.detail,
                self.times()
            );
            self.draw_statement(flaw, &mut drawn);
            drawn.push('\n');
        }
        drawn
    }

    fn json(&self) -> String {
        let record = Record {
            file: &self.file,
            line: self.line,
            statement: &self.statement,
            verdict: self.outcome.name(),
            count: self.count,
            rewritten: self.rewritten.as_deref(),
            violations: self
                .violations
                .iter()
                .map(|flaw| RecordedViolation {
                    rule: flaw.rule,
                    table: flaw.table.as_deref(),
                    position: flaw.position,
                    detail: &flaw.detail,
                    hint: &flaw.hint,
                })
                .collect(),
            advice: self
                .advice
                .iter()
                .map(|flaw| RecordedAdvice {
                    rule: flaw.rule,
                    table: flaw.table.as_deref().unwrap_or_default(),
                    position: flaw.position,
                    detail: &flaw.detail,
                })
                .collect(),
        };
        // Strings and numbers always make JSON.
        let mut line = serde_json::to_string(&record).unwrap_or_default();
        line.push('\n');
        line
    }

    fn github(&self) -> String {
        let mut drawn = String::new();
        let level = if self.rewritten.is_some() { "warning" } else { "error" };
        let flaws = self.violations.iter().map(|flaw| (level, flaw));
        for (command, flaw) in flaws.chain(self.advice.iter().map(|flaw| ("warning", flaw))) {
            let _ = writeln!(
                drawn,
                "::{command} file={},line={},col={},title={}::{}",
                property(&self.file),
                flaw.line,
                flaw.column,
                property(&format!("orgguard: {}", flaw.rule)),
                data(&self.message(flaw)),
            );
        }
        drawn
    }

    fn sarif(&self) -> Vec<SarifResult> {
        let level = if self.rewritten.is_some() { "warning" } else { "error" };
        let flaws = self.violations.iter().map(|flaw| (level, flaw));
        flaws
            .chain(self.advice.iter().map(|flaw| ("warning", flaw)))
            .map(|(level, flaw)| {
                let fingerprint = normalize(&self.statement).fingerprint;
                let table = flaw.table.as_deref().unwrap_or_default();
                SarifResult {
                    rule: flaw.rule,
                    level,
                    message: self.message(flaw),
                    place: SarifPlace::File {
                        file: self.file.clone(),
                        line: flaw.line,
                        column: flaw.column,
                    },
                    fingerprint: Some(format!("{fingerprint:016x}:{}:{table}", flaw.rule)),
                }
            })
            .collect()
    }
}

impl Judged {
    fn times(&self) -> String {
        if self.count > 1 { format!(" ({} times)", self.count) } else { String::new() }
    }

    fn draw_statement(&self, flaw: &Flaw, drawn: &mut String) {
        match &flaw.excerpt {
            Some(excerpt) => drawn.push_str(excerpt),
            None => {
                let _ = writeln!(drawn, "    {}", plain(&self.statement));
            }
        }
    }

    fn message(&self, flaw: &Flaw) -> String {
        let mut message = format!("{}.", flaw.detail);
        if !flaw.hint.is_empty() {
            let _ = write!(message, " Hint: {}.", flaw.hint);
        }
        if flaw.excerpt.is_none() {
            let _ = write!(message, " Statement{}: {}", self.times(), plain(&self.statement));
        }
        message
    }
}

impl Flaw {
    /// File and line, and the column where there is one.
    fn place(&self, judged: &Judged) -> String {
        if self.excerpt.is_some() {
            format!("{}:{}:{}", judged.file, self.line, self.column)
        } else {
            format!("{}:{}", judged.file, self.line)
        }
    }
}

impl Tally {
    /// All in one line.
    pub(super) fn summary(self) -> String {
        let Self { holds, violates, not_understood, rewritten } = self;
        let all =
            [violates, not_understood, rewritten].into_iter().fold(holds, u64::saturating_add);
        let plural = if all == 1 { "" } else { "s" };
        let mut summary = format!("{all} statement{plural}: {holds} admitted");
        for (count, what) in
            [(rewritten, "rewritten"), (violates, "violating"), (not_understood, "not understood")]
        {
            if count > 0 {
                let _ = write!(summary, ", {count} {what}");
            }
        }
        summary.push('\n');
        summary
    }
}

/// A log is written by others: nothing of it may steer a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The message of a workflow command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a workflow command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[derive(Serialize)]
struct Record<'a> {
    file: &'a str,
    line: usize,
    statement: &'a str,
    verdict: &'a str,
    count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rewritten: Option<&'a str>,
    violations: Vec<RecordedViolation<'a>>,
    advice: Vec<RecordedAdvice<'a>>,
}

#[derive(Serialize)]
struct RecordedViolation<'a> {
    rule: &'a str,
    table: Option<&'a str>,
    position: usize,
    detail: &'a str,
    hint: &'a str,
}

#[derive(Serialize)]
struct RecordedAdvice<'a> {
    rule: &'a str,
    table: &'a str,
    position: usize,
    detail: &'a str,
}
