mod draw;
mod input;
mod log;
mod sql;

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::process::ExitCode;

use super::arguments::{CheckArguments, Format, From};
use super::progress::Progress;
use super::sarif::{SarifResult, SarifRule, sarif};
use super::{COULD_NOT_RUN, could_not_run, print, say_error};
use crate::analyze::{Arguments, Effect, Outcome, Rule, SessionTenant, StatementPlan, Verdict};
use crate::policy::Policy;
use crate::session::Mode;

use draw::Drawn;
use input::Source;

/// A statement or a shape of statements, with its verdict, ready to be told.
#[derive(Debug)]
struct Judged {
    file: String,
    /// Where it starts in the file, from 1.
    line: usize,
    /// Its text: from a file of SQL as it is, from a log without its literals.
    statement: String,
    outcome: Outcome,
    violations: Vec<Flaw>,
    advice: Vec<Flaw>,
    /// How often it was found.
    count: u64,
    /// What it is sent as in rewrite mode, where it would not hold as it is.
    rewritten: Option<String>,
}

/// A violation or an advice.
#[derive(Debug)]
struct Flaw {
    rule: &'static str,
    table: Option<String>,
    /// Where in the file; the statement's line and 1 if the file is a log.
    line: usize,
    column: usize,
    /// Where in the statement as it was sent: characters, from 1.
    position: usize,
    detail: String,
    /// Empty for an advice.
    hint: String,
    /// The line concerned with carets under the place; only of a file of SQL.
    excerpt: Option<String>,
}

/// How many statements got which verdict.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    holds: u64,
    violates: u64,
    not_understood: u64,
    /// Violating, and mended in rewrite mode.
    rewritten: u64,
}

/// What is told at the end, and how.
#[derive(Debug)]
struct Teller {
    format: Format,
    tally: Tally,
    /// For SARIF, which is one document.
    results: Vec<SarifResult>,
}

/// Judges every statement of every file.
pub(super) fn run(arguments: &CheckArguments) -> ExitCode {
    let config = match arguments.config() {
        Ok(config) => config,
        Err(invalid) => return could_not_run(&invalid),
    };
    let mut teller =
        Teller { format: arguments.format, tally: Tally::default(), results: Vec::new() };
    let mut all_read = true;
    for path in &arguments.files {
        let rewrites = config.mode == Mode::Rewrite;
        if let Err(error) = judge(path, arguments.from, &config.policy, rewrites, &mut teller) {
            say_error(&format_args!("{}: {error}", path.display()));
            all_read = false;
        }
    }
    teller.end();
    let Tally { violates, not_understood, .. } = teller.tally;
    if !all_read {
        ExitCode::from(COULD_NOT_RUN)
    } else if violates == 0 && not_understood == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn judge(
    path: &Path,
    from: From,
    policy: &Policy,
    rewrites: bool,
    teller: &mut Teller,
) -> io::Result<()> {
    let name = path.display().to_string();
    let (reader, bytes): (Box<dyn Read>, u64) = if path == Path::new("-") {
        (Box::new(io::stdin()), 0)
    } else {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        (Box::new(file), bytes)
    };
    let mut reader = BufReader::new(reader);
    match Source::choose(from, path, &mut reader)? {
        Source::Sql => {
            let mut text = String::new();
            reader.read_to_string(&mut text)?;
            for judged in sql::judge(&name, &text, policy, rewrites) {
                teller.tell(&judged);
            }
        }
        Source::Log(kind) => {
            let progress = if bytes > 0 {
                Progress::bytes(name.clone(), bytes)
            } else {
                Progress::endless(name.clone())
            };
            let judged = log::judge(&name, kind, reader, policy, &mut teller.tally, &progress)?;
            drop(progress);
            for judged in &judged {
                teller.show(judged);
            }
        }
    }
    Ok(())
}

/// The verdict without a tenant and without values: whether some of them could make it hold.
pub(super) fn judge_statement(statement: &StatementPlan) -> Verdict {
    let mut verdict = statement.settle(SessionTenant::Any, Arguments::Unknown);
    // What is prepared runs when it is executed, and would be refused then.
    if let Effect::Prepare { name: _, types: _, statement } = statement.effect() {
        let prepared = statement.settle(SessionTenant::Any, Arguments::Unknown);
        verdict.violations.extend(prepared.violations);
        verdict.advice.extend(prepared.advice);
    }
    verdict
}

impl Teller {
    /// Counts a statement and shows it.
    fn tell(&mut self, judged: &Judged) {
        if judged.rewritten.is_some() {
            self.tally.rewritten = self.tally.rewritten.saturating_add(1);
        } else {
            self.tally.add(judged.outcome);
        }
        self.show(judged);
    }

    fn show(&mut self, judged: &Judged) {
        match self.format {
            Format::Text => print(&judged.text()),
            Format::Json => print(&judged.json()),
            Format::Github => print(&judged.github()),
            Format::Sarif => self.results.extend(judged.sarif()),
        }
    }

    fn end(&self) {
        match self.format {
            Format::Text => print(&self.tally.summary()),
            Format::Sarif => {
                let rules = Rule::ALL.map(|rule| SarifRule {
                    id: rule.name(),
                    summary: format!("{}: see docs/rules.md", rule.name()),
                });
                print(&sarif(&rules, &self.results));
            }
            Format::Json | Format::Github => {}
        }
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
}
