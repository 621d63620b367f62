use std::fmt::Write as _;
use std::process::ExitCode;

use super::arguments::ExplainArguments;
use super::check::judge_statement;
use super::diff::diff;
use super::excerpt::Excerpt;
use super::{could_not_run, print};
use crate::analyze::{self, Explained, Outcome, StatementPlan};
use crate::rewrite;
use crate::session::Mode;

/// Explains the verdict on each statement of a text; succeeds if all hold.
pub(super) fn run(arguments: &ExplainArguments) -> ExitCode {
    let config = match arguments.config() {
        Ok(config) => config,
        Err(invalid) => return could_not_run(&invalid),
    };
    let text = &arguments.sql;
    let plan = analyze::plan(text, &config.policy);
    let proposals = match config.mode {
        Mode::Rewrite => rewrite::proposals(text, &plan, &config.policy),
        Mode::Audit | Mode::Enforce => Vec::new(),
    };
    let mut explained = String::new();
    let mut all_hold = true;
    for (index, statement) in plan.statements().iter().enumerate() {
        if index > 0 {
            explained.push('\n');
        }
        let holds = explain(text, statement, &mut explained);
        let proposal = proposals.get(index).and_then(Option::as_ref);
        if let Some(sent) = proposal {
            let own = excerpt_text(text, statement);
            explained.push_str("\n  sent in rewrite mode\n");
            explained.push_str(&diff(own, sent));
        }
        all_hold &= holds || proposal.is_some();
    }
    if plan.statements().is_empty() {
        explained.push_str("no statement\n");
    }
    print(&explained);
    if all_hold { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The statement's own part of the text.
fn excerpt_text<'t>(text: &'t str, statement: &StatementPlan) -> &'t str {
    let span = statement.span();
    let place = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
    text.get(place(span.start)..place(span.end)).unwrap_or(text)
}

/// Writes what is known of one statement; says whether it holds. Writing to a string does not
/// fail, so its results are dropped here.
fn explain(text: &str, statement: &StatementPlan, explained: &mut String) -> bool {
    let verdict = judge_statement(statement);
    let Excerpt { line, .. } = Excerpt::new(text, statement.span());
    let said = match verdict.outcome() {
        Outcome::Holds => "holds",
        Outcome::NotUnderstood => "not understood",
        Outcome::Violates => "violates",
    };
    let _ = writeln!(explained, "line {line}, {}: {said}", statement.kind().name());
    references(text, &statement.explain(), explained);
    for violation in &verdict.violations {
        let rule = violation.rule.name();
        let _ = match &violation.table {
            Some(table) => writeln!(explained, "\n  {rule} on {table}: {}", violation.detail),
            None => writeln!(explained, "\n  {rule}: {}", violation.detail),
        };
        explained.push_str(&Excerpt::new(text, violation.span).draw(4));
        let _ = writeln!(explained, "    hint: {}", violation.hint);
    }
    for advice in &verdict.advice {
        let (rule, table) = (advice.rule.name(), &advice.table);
        let _ = writeln!(explained, "\n  advice, {rule} on {table}: {}", advice.detail);
        explained.push_str(&Excerpt::new(text, advice.span).draw(4));
    }
    verdict.holds()
}

/// Each guarded reference once, with all that it owes.
fn references(text: &str, owed: &[Explained], explained: &mut String) {
    let mut seen = Vec::new();
    for Explained { table, span, .. } in owed {
        if seen.contains(&(table, span)) {
            continue;
        }
        seen.push((table, span));
        let _ = writeln!(explained, "\n  {table}");
        explained.push_str(&Excerpt::new(text, *span).draw(4));
        for one in owed.iter().filter(|one| one.table == *table && one.span == *span) {
            let proved = if one.provable { "proved" } else { "NOT PROVED" };
            let _ = writeln!(explained, "    {proved:<10}  {}: {}", one.owes, one.because);
        }
    }
    if owed.is_empty() {
        explained.push_str("\n  no guarded table\n");
    }
}
