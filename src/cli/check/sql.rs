use super::{Flaw, Judged, judge_statement};
use crate::analyze;
use crate::cli::excerpt::Excerpt;
use crate::policy::Policy;
use crate::rewrite;
use crate::sql::Span;

/// Columns before an excerpt.
const INDENT: usize = 4;

/// Judges a file of SQL.
pub(super) fn judge<'a>(
    file: &'a str,
    text: &'a str,
    policy: &Policy,
    rewrites: bool,
) -> impl Iterator<Item = Judged> + 'a {
    let plan = analyze::plan(text, policy);
    let mut proposals = Vec::new();
    if rewrites {
        proposals = rewrite::proposals(text, &plan, policy);
    }
    let proposals = proposals.into_iter().chain(std::iter::repeat(None));
    let judged: Vec<_> =
        plan.statements()
            .iter()
            .zip(proposals)
            .map(|(statement, rewritten)| {
                let verdict = judge_statement(statement);
                let (start, cut) = cut(text, statement.span());
                let before = text.get(..start).map_or(0, |before| before.chars().count());
                let flaw = |rule, table: Option<&str>, span: Span, detail: &str, hint: &str| {
                    let excerpt = Excerpt::new(text, span);
                    Flaw {
                        rule,
                        table: table.map(str::to_owned),
                        line: excerpt.line,
                        column: excerpt.column,
                        position: span.position(text).saturating_sub(before).max(1),
                        detail: detail.to_owned(),
                        hint: hint.to_owned(),
                        excerpt: Some(excerpt.draw(INDENT)),
                    }
                };
                let violations = verdict.violations.iter().map(|it| {
                    flaw(it.rule.name(), it.table.as_deref(), it.span, &it.detail, &it.hint)
                });
                let advice = verdict
                    .advice
                    .iter()
                    .map(|it| flaw(it.rule.name(), Some(&it.table), it.span, &it.detail, ""));
                Judged {
                    file: file.to_owned(),
                    line: Excerpt::new(text, statement.span()).line,
                    statement: cut.to_owned(),
                    outcome: verdict.outcome(),
                    violations: violations.collect(),
                    advice: advice.collect(),
                    count: 1,
                    rewritten,
                }
            })
            .collect();
    judged.into_iter()
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
