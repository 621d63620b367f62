use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, BufRead};

use super::input::{LogKind, Sent, read};
use super::{Flaw, Judged, Tally, judge_statement};
use crate::analyze::{self, Kind, Plan, Rule, StatementPlan, Verdict};
use crate::cli::progress::Progress;
use crate::policy::Policy;
use crate::sql::Span;
use crate::telemetry::normalize;

/// Texts whose verdict is remembered; then all are forgotten and judged again.
const TEXTS: usize = 200_000;

/// Shapes that are told of one file.
const SHAPES: usize = 10_000;

/// What was found of a text.
#[derive(Clone, Debug, Default)]
struct Known {
    tally: Tally,
    /// The shapes that it has something to tell of.
    shapes: Vec<u64>,
}

/// Judges the statements of a log: each shape with something to tell comes once, the most frequent
/// first, without literals.
pub(super) fn judge(
    file: &str,
    kind: LogKind,
    reader: impl BufRead,
    policy: &Policy,
    tally: &mut Tally,
    progress: &Progress,
) -> io::Result<Vec<Judged>> {
    let hasher = RandomState::new();
    let mut texts: HashMap<u64, Known> = HashMap::new();
    let mut shapes: HashMap<u64, Judged> = HashMap::new();
    read(kind, reader, progress, |sent| {
        let key = hasher.hash_one(&sent.text);
        if texts.len() >= TEXTS && !texts.contains_key(&key) {
            texts.clear();
        }
        let known = texts.entry(key).or_insert_with(|| look(file, &sent, policy, &mut shapes));
        tally.merge(known.tally, sent.times);
        for shape in &known.shapes {
            if let Some(judged) = shapes.get_mut(shape) {
                judged.count = judged.count.saturating_add(sent.times);
            }
        }
    })?;
    let mut found: Vec<Judged> = shapes.into_values().collect();
    found.sort_by(|one, other| other.count.cmp(&one.count).then(one.line.cmp(&other.line)));
    Ok(found)
}

/// Judges a text that was not seen before.
fn look(file: &str, sent: &Sent, policy: &Policy, shapes: &mut HashMap<u64, Judged>) -> Known {
    let (text, plan) = plan(sent, policy);
    let mut known = Known::default();
    let mut seen = HashSet::new();
    for statement in plan.statements() {
        let verdict = judge_statement(statement);
        known.tally.add(verdict.outcome());
        if verdict.violations.is_empty() && verdict.advice.is_empty() {
            continue;
        }
        let part = text_of(&plan, statement, text);
        let normal = normalize(part);
        let is_new = !shapes.contains_key(&normal.fingerprint);
        if is_new && shapes.len() < SHAPES {
            let judged = judged(file, sent, (text, part), normal.text, &verdict, statement.span());
            shapes.insert(normal.fingerprint, judged);
        }
        if seen.insert(normal.fingerprint) {
            known.shapes.push(normal.fingerprint);
        }
    }
    known
}

/// The plan of a text, and the text: where its end is not known, the last lines go until it is
/// understood.
fn plan<'a>(sent: &'a Sent, policy: &Policy) -> (&'a str, Plan) {
    let whole = analyze::plan(&sent.text, policy);
    if !sent.open {
        return (&sent.text, whole);
    }
    let is_unread = |plan: &Plan| {
        plan.statements().iter().any(|statement| statement.kind() == Kind::NotUnderstood)
    };
    let (mut text, mut plan) = (&*sent.text, whole);
    while is_unread(&plan) {
        let Some((shorter, _)) = text.rsplit_once('\n') else {
            return (&sent.text, plan);
        };
        text = shorter;
        plan = analyze::plan(text, policy);
    }
    (text, plan)
}

/// A statement alone, or the whole text if it is the only one: a span leaves comments out.
fn text_of<'a>(plan: &Plan, statement: &StatementPlan, whole: &'a str) -> &'a str {
    if plan.statements().len() == 1 {
        return whole;
    }
    let Span { start, end } = statement.span();
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    range.and_then(|(start, end)| whole.get(start..end)).unwrap_or(whole)
}

fn judged(
    file: &str,
    sent: &Sent,
    (whole, part): (&str, &str),
    normal: String,
    verdict: &Verdict,
    span: Span,
) -> Judged {
    // How far the statement is into what was sent.
    let offset = if part.len() == whole.len() { 0 } else { span.position(whole).saturating_sub(1) };
    let flaw = |rule: Rule, table: Option<&str>, span: Span, detail: &str, hint: &str| Flaw {
        rule: rule.name(),
        table: table.map(str::to_owned),
        line: sent.line,
        column: 1,
        position: span.position(whole).saturating_sub(offset).max(1),
        detail: detail.to_owned(),
        hint: hint.to_owned(),
        excerpt: None,
    };
    let violations = verdict
        .violations
        .iter()
        .map(|it| flaw(it.rule, it.table.as_deref(), it.span, &it.detail, &it.hint));
    let advice =
        verdict.advice.iter().map(|it| flaw(it.rule, Some(&it.table), it.span, &it.detail, ""));
    Judged {
        file: file.to_owned(),
        line: sent.line,
        statement: normal,
        outcome: verdict.outcome(),
        violations: violations.collect(),
        advice: advice.collect(),
        count: 0,
        rewritten: None,
    }
}

impl Tally {
    fn merge(&mut self, other: Self, times: u64) {
        for (count, more) in [
            (&mut self.holds, other.holds),
            (&mut self.violates, other.violates),
            (&mut self.not_understood, other.not_understood),
        ] {
            *count = count.saturating_add(more.saturating_mul(times));
        }
    }
}
