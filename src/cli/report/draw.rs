//! A report for people, for a page, and for programs. Writing to a string does not fail, so its
//! results are dropped here.

use std::fmt::Write as _;

use serde_json::json;

use crate::telemetry::{Broken, Readiness, Report, Shape, Share};

/// The characters of a statement that are shown.
const STATEMENT: usize = 600;

/// For a terminal.
pub(super) fn text(report: &Report<'_>) -> String {
    let mut drawn = heading(report);
    for (at, shape) in report.statements.iter().enumerate() {
        let number = at.saturating_add(1);
        let _ = writeln!(
            drawn,
            "\n{number}. {}, {} to {}, fingerprint {}",
            count(shape.count, "attempt"),
            shape.first_seen,
            shape.last_seen,
            plain(&shape.fingerprint),
        );
        let _ = writeln!(drawn, "   {}", statement(shape));
        for broken in &shape.violations {
            let _ = writeln!(drawn, "   {}: {}", place(broken), plain(&broken.detail));
            let _ = writeln!(drawn, "     fix: {}", plain(fix(broken)));
        }
        let _ = writeln!(drawn, "   sent by {}", senders(shape));
    }
    let _ = writeln!(drawn, "\nready to enforce, by table:");
    let width = report.tables.iter().map(|(table, _)| name(*table).chars().count()).max();
    let width = width.unwrap_or_default();
    for (table, share) in &report.tables {
        let (name, ready) = (name(*table), share.readiness().name());
        let _ = writeln!(drawn, "  {name:<width$}  {ready:<9}  {}", said(share));
    }
    if report.tables.is_empty() {
        let _ = writeln!(drawn, "  no statement on a guarded table was seen");
    }
    let _ = writeln!(drawn, "\nready to enforce, by rule:");
    for (rule, share) in &report.rules {
        if share.shapes > 0 {
            let _ = writeln!(drawn, "  {rule:<19}  not ready  {}", said(share));
        }
    }
    let quiet: Vec<_> =
        report.rules.iter().filter(|(_, share)| share.shapes == 0).map(|(rule, _)| *rule).collect();
    let _ = writeln!(drawn, "  violated by nothing: {}", quiet.join(", "));
    let _ = writeln!(drawn, "\nverdict: {}", verdict(report));
    drawn
}

/// For a page.
pub(super) fn markdown(report: &Report<'_>) -> String {
    let mut drawn = format!("# orgguard: {}\n\n{}", verdict(report), heading(report));
    let _ = writeln!(drawn, "\n## By table\n\n| table | ready to enforce | why |\n|---|---|---|");
    for (table, share) in &report.tables {
        let (name, ready) = (cell(&name(*table)), share.readiness().name());
        let _ = writeln!(drawn, "| {name} | {ready} | {} |", cell(&said(share)));
    }
    let _ = writeln!(drawn, "\n## By rule\n\n| rule | ready to enforce | why |\n|---|---|---|");
    for (rule, share) in &report.rules {
        let ready = if share.shapes == 0 { Readiness::Ready } else { Readiness::NotReady };
        let _ = writeln!(drawn, "| {rule} | {} | {} |", ready.name(), cell(&said(share)));
    }
    if !report.statements.is_empty() {
        let _ = writeln!(drawn, "\n## Statements");
    }
    for (at, shape) in report.statements.iter().enumerate() {
        let number = at.saturating_add(1);
        let _ = writeln!(drawn, "\n### {number}. {}\n", count(shape.count, "attempt"));
        let _ = writeln!(drawn, "````sql\n{}\n````\n", statement(shape));
        for broken in &shape.violations {
            let _ = writeln!(drawn, "- {}: {}", cell(&place(broken)), cell(&broken.detail));
            let _ = writeln!(drawn, "  - fix: {}", cell(fix(broken)));
        }
        let _ = writeln!(
            drawn,
            "- sent by {}\n- {} to {}, fingerprint `{}`",
            cell(&senders(shape)),
            shape.first_seen,
            shape.last_seen,
            shape.fingerprint
        );
    }
    drawn
}

/// For programs.
pub(super) fn json(report: &Report<'_>) -> String {
    let share = |share: &Share<'_>| json!({ "shapes": share.shapes, "attempts": share.attempts, "with": share.others });
    let tables: Vec<_> = report
        .tables
        .iter()
        .map(|(table, own)| {
            json!({
                "table": table,
                "verdict": own.readiness().name(),
                "texts": own.texts,
                "last_text": own.last,
                "violations": share(own),
            })
        })
        .collect();
    let rules: Vec<_> = report
        .rules
        .iter()
        .map(|(rule, own)| {
            let ready = if own.shapes == 0 { Readiness::Ready } else { Readiness::NotReady };
            json!({ "rule": rule, "verdict": ready.name(), "violations": share(own) })
        })
        .collect();
    let document = json!({
        "verdict": report.readiness.name(),
        "since": report.since,
        "at": report.summary.at,
        "mode": report.summary.mode,
        "judged": report.summary.judged,
        "dropped": report.summary.dropped,
        "earlier": report.earlier,
        "tables": tables,
        "rules": rules,
        "statements": report.statements,
    });
    format!("{document:#}\n")
}

fn heading(report: &Report<'_>) -> String {
    let judged = report.summary.judged;
    let all = judged.holds.saturating_add(judged.violates).saturating_add(judged.not_understood);
    let mut heading = format!(
        "{} to {}, mode {}: {} judged since the guard started\n",
        report.since,
        report.summary.at,
        plain(&report.summary.mode),
        count(all, "statement"),
    );
    let shapes = u64::try_from(report.statements.len()).unwrap_or(u64::MAX);
    let _ = writeln!(
        heading,
        "enforce mode would refuse {} ({})",
        count(shapes, "statement shape"),
        count(report.attempts(), "attempt"),
    );
    if report.earlier > 0 {
        let _ = writeln!(heading, "{} more were last seen before that time", report.earlier);
    }
    if report.summary.dropped > 0 {
        let dropped = count(report.summary.dropped, "shape");
        let _ = writeln!(heading, "{dropped} left out: the ledger was full");
    }
    heading
}

fn verdict(report: &Report<'_>) -> &'static str {
    match report.readiness {
        Readiness::Ready => "ready to enforce: nothing that was seen would be refused",
        Readiness::NotReady => "not ready to enforce: mend the statements above first",
        Readiness::Unseen => "not known: no statement was judged",
    }
}

fn said(share: &Share<'_>) -> String {
    let shapes = u64::try_from(share.shapes).unwrap_or(u64::MAX);
    if shapes > 0 {
        let (shapes, attempts) = (count(shapes, "shape"), count(share.attempts, "attempt"));
        return plain(&format!("{shapes}, {attempts}: {}", share.others.join(", ")));
    }
    match share.last {
        Some(last) => format!("{} read, the last one {last}", count(share.texts, "text")),
        None => String::new(),
    }
}

fn name(table: Option<&str>) -> String {
    table.map_or_else(|| "(no table)".to_owned(), plain)
}

fn statement(shape: &Shape) -> String {
    if shape.statement.is_empty() {
        return "(startup packet)".to_owned();
    }
    let mut shown: String = plain(&shape.statement).chars().take(STATEMENT).collect();
    if shape.statement.chars().nth(STATEMENT).is_some() {
        shown.push('…');
    }
    shown
}

fn place(broken: &Broken) -> String {
    match &broken.table {
        Some(table) => {
            format!("{} on {} at character {}", broken.rule, plain(table), broken.position)
        }
        None => format!("{} at character {}", broken.rule, broken.position),
    }
}

fn fix(broken: &Broken) -> &str {
    if broken.hint.is_empty() { "see docs/rules.md" } else { &broken.hint }
}

fn senders(shape: &Shape) -> String {
    let list = |what: &str, names: &[String]| {
        (!names.is_empty()).then(|| format!("{what} {}", plain(&names.join(", "))))
    };
    let parts = [
        list("role", &shape.roles),
        list("database", &shape.databases),
        list("application", &shape.application_names),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn count(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// Names are chosen by clients: nothing of them may steer a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Text inside a line of Markdown.
fn cell(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in plain(text).chars() {
        if matches!(c, '|' | '`' | '*' | '_' | '<' | '>' | '[' | ']' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
