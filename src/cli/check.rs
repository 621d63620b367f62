use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use super::arguments::{CheckArguments, Format};
use super::excerpt::Excerpt;
use super::{COULD_NOT_RUN, could_not_run, print, say_error};
use crate::analyze::{self, Arguments, Effect, Outcome, SessionTenant, StatementPlan, Verdict};
use crate::policy::Policy;
use crate::sql::Span;

/// What a statement in a file got.
#[derive(Debug)]
struct Judged<'a> {
    file: &'a str,
    /// The whole file, for the excerpts.
    text: &'a str,
    span: Span,
    verdict: Verdict,
}

/// How many statements got which verdict.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    holds: usize,
    violates: usize,
    not_understood: usize,
}

/// Judges every statement of every file.
pub(super) fn run(arguments: &CheckArguments) -> ExitCode {
    let config = match arguments.config() {
        Ok(config) => config,
        Err(invalid) => return could_not_run(&invalid),
    };
    let mut tally = Tally::default();
    let mut all_read = true;
    for path in &arguments.files {
        let file = path.display().to_string();
        match read(path) {
            Ok(text) => judge_file(&file, &text, &config.policy, arguments.format, &mut tally),
            Err(error) => {
                say_error(&format_args!("{file}: {error}"));
                all_read = false;
            }
        }
    }
    if arguments.format == Format::Text {
        print(&tally.summary());
    }
    if !all_read {
        return ExitCode::from(COULD_NOT_RUN);
    }
    if tally.violates == 0 && tally.not_understood == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn read(path: &Path) -> io::Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().lock().read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(path)
}

fn judge_file(file: &str, text: &str, policy: &Policy, format: Format, tally: &mut Tally) {
    for statement in analyze::plan(text, policy).statements() {
        let judged = Judged { file, text, span: statement.span(), verdict: judge(statement) };
        tally.add(judged.verdict.outcome());
        match format {
            Format::Text => print(&judged.draw()),
            Format::Json => print(&judged.json()),
        }
    }
}

/// The verdict without a tenant and without values: whether some of them could make it hold.
pub(super) fn judge(statement: &StatementPlan) -> Verdict {
    let mut verdict = statement.settle(SessionTenant::Any, Arguments::Unknown);
    // What is prepared runs when it is executed, and would be refused then.
    if let Effect::Prepare { name: _, types: _, statement } = statement.effect() {
        let prepared = statement.settle(SessionTenant::Any, Arguments::Unknown);
        verdict.violations.extend(prepared.violations);
        verdict.advice.extend(prepared.advice);
    }
    verdict
}

impl Judged<'_> {
    /// For people; nothing for a statement that holds without advice.
    fn draw(&self) -> String {
        let mut drawn = String::new();
        for violation in &self.verdict.violations {
            let rule = violation.rule.name();
            self.draw_flaw(&mut drawn, rule, violation.span, &violation.detail);
            // Writing to a string does not fail.
            let _ = writeln!(drawn, "    hint: {}\n", violation.hint);
        }
        for advice in &self.verdict.advice {
            let rule = format!("advice, {}", advice.rule.name());
            self.draw_flaw(&mut drawn, &rule, advice.span, &advice.detail);
            drawn.push('\n');
        }
        drawn
    }

    fn draw_flaw(&self, drawn: &mut String, rule: &str, span: Span, detail: &str) {
        let excerpt = Excerpt::new(self.text, span);
        let Excerpt { line, column, .. } = excerpt;
        let _ = writeln!(drawn, "{}:{line}:{column}: {rule}: {detail}", self.file);
        drawn.push_str(&excerpt.draw(4));
    }

    /// One line of JSON.
    fn json(&self) -> String {
        let (start, statement) = cut(self.text, self.span);
        let position = |span: Span| {
            let before = self.text.get(..start).map_or(0, |before| before.chars().count());
            span.position(self.text).saturating_sub(before).max(1)
        };
        let record = Record {
            file: self.file,
            line: Excerpt::new(self.text, self.span).line,
            statement,
            verdict: self.verdict.outcome().name(),
            violations: self
                .verdict
                .violations
                .iter()
                .map(|violation| RecordedViolation {
                    rule: violation.rule.name(),
                    table: violation.table.as_deref(),
                    position: position(violation.span),
                    detail: &violation.detail,
                    hint: &violation.hint,
                })
                .collect(),
            advice: self
                .verdict
                .advice
                .iter()
                .map(|advice| RecordedAdvice {
                    rule: advice.rule.name(),
                    table: &advice.table,
                    position: position(advice.span),
                    detail: &advice.detail,
                })
                .collect(),
        };
        // Strings and numbers always make JSON.
        let mut line = serde_json::to_string(&record).unwrap_or_default();
        line.push('\n');
        line
    }
}

/// The text of a span and where it really starts.
fn cut(text: &str, span: Span) -> (usize, &str) {
    let start = usize::try_from(span.start).unwrap_or(usize::MAX);
    let end = usize::try_from(span.end).unwrap_or(usize::MAX);
    match text.get(start..end.min(text.len())) {
        Some(statement) => (start, statement),
        None => (0, text),
    }
}

impl Tally {
    const fn add(&mut self, outcome: Outcome) {
        let count = match outcome {
            Outcome::Holds => &mut self.holds,
            Outcome::NotUnderstood => &mut self.not_understood,
            Outcome::Violates => &mut self.violates,
        };
        *count = count.saturating_add(1);
    }

    fn summary(self) -> String {
        let Self { holds, violates, not_understood } = self;
        let all = holds.saturating_add(violates).saturating_add(not_understood);
        let plural = if all == 1 { "" } else { "s" };
        let mut summary = format!("{all} statement{plural}: {holds} admitted");
        for (count, what) in [(violates, "violating"), (not_understood, "not understood")] {
            if count > 0 {
                let _ = write!(summary, ", {count} {what}");
            }
        }
        summary.push('\n');
        summary
    }
}

#[derive(Serialize)]
struct Record<'a> {
    file: &'a str,
    line: usize,
    statement: &'a str,
    verdict: &'a str,
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
