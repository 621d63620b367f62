//! Rewrite mode against PostgreSQL's own row-level security: a statement that is sent, changed or
//! not, gives what the client's own statement gives where PostgreSQL binds every guarded table to
//! the tenant's live rows. `ORGGUARD_GENERATED` sets how many statements are made at random and
//! `ORGGUARD_SEED` where they start.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/cases.rs"]
mod cases;
#[path = "support/generate.rs"]
mod generate;
#[path = "support/rewriting.rs"]
mod rewriting;
#[path = "support/truth.rs"]
mod truth;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use orgguard::analyze::{Arguments, SessionTenant, plan};
use orgguard::cli::Throwaway;
use rewriting::{Sent, send};

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect(name))
}

#[test]
fn what_is_sent_at_random_is_what_row_level_security_gives() {
    let server = Throwaway::start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (raw, strict) = truth::rewriting_databases(&server).await;
        let policy = cases::standard_policy();
        let (count, seed) = (setting("ORGGUARD_GENERATED", 1_000), setting("ORGGUARD_SEED", 1));
        let (mut unchanged, mut changed, mut ran, mut lost) = (0_u64, 0_u64, 0_u64, 0_u64);
        let mut refused: BTreeMap<String, u64> = BTreeMap::new();
        for at in 0..count {
            let sql = generate::Generator::new(seed * 1_000_003 + at).statement();
            let sent = match send(&sql, &policy) {
                Sent::Unchanged => {
                    unchanged += 1;
                    continue;
                }
                Sent::Refused => {
                    *refused.entry(reasons(&sql, &policy)).or_default() += 1;
                    continue;
                }
                Sent::Changed(text) => text,
            };
            changed += 1;
            let random = sql.starts_with("INSERT");
            let mine = truth::run_live(&raw, &sent).await;
            let truth = truth::run_live(&strict, &sql).await;
            ran += u64::from(truth.error.is_none());
            lost += u64::from(mine.error.is_some() && truth.error.is_none());
            let same = if random {
                (&mine.error, &mine.rows, &mine.tags) == (&truth.error, &truth.rows, &truth.tags)
            } else {
                mine.seen() == truth.seen()
            };
            assert!(
                same && !mine.foreign,
                "statement {at} of seed {seed}:\n{sql}\nsent as\n{sent}\nsent     {mine:?}\nwith RLS {truth:?}"
            );
        }
        println!(
            "{count} made: {unchanged} sent as they are, {changed} changed ({ran} of those ran under \
             row-level security, {lost} were lost), refused: {refused:?}"
        );
        assert!(changed * 10 > count, "too few statements were changed: the oracle has little to say");
    });
}

/// Each case with a `--@ rewrite:` line is sent so; what a case admits is sent as it is; and
/// whatever is sent gives what row-level security gives.
#[test]
fn what_is_sent_of_the_cases_is_what_row_level_security_gives() {
    let server = Throwaway::start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (raw, strict) = truth::rewriting_databases(&server).await;
        let mut problems = String::new();
        let mut mended: BTreeMap<String, (u32, u32)> = BTreeMap::new();
        let (mut expected, mut compared) = (0, 0);
        for case in cases::all() {
            if case.unknown_tenant || !case.binds.is_empty() {
                continue;
            }
            let place = format!("{}:{}: {}", case.file.display(), case.line, case.name);
            let policy = cases::policy(&case);
            let sent = send(&case.sql, &policy);
            let admitted = case.verdict.1.starts_with("admit");
            if admitted
                && sent != Sent::Unchanged
                && !case.sql.contains("PREPARE")
                && !case.sql.contains('$')
            {
                let _ = writeln!(problems, "{place}: admitted, and sent as {sent:?}");
            }
            if let Some(rewrite) = &case.rewrite {
                expected += 1;
                let text = match &sent {
                    Sent::Unchanged => "unchanged",
                    Sent::Refused => "refuse",
                    Sent::Changed(text) => text,
                };
                let typed = format!("'{}'::pg_catalog.uuid", cases::TENANT);
                if text != rewrite.replace("{A}", &typed) {
                    let text = text.replace(&typed, "{A}");
                    let _ = writeln!(problems, "{place}: sent as\n--@ rewrite: {text}");
                }
            }
            let class = case.file.file_stem().unwrap().to_string_lossy().into_owned();
            if !admitted {
                let counted = mended.entry(class).or_default();
                counted.1 += 1;
                counted.0 += u32::from(matches!(sent, Sent::Changed(_)));
            }
            // Not COPY: it would leave the simple query protocol.
            let Sent::Changed(text) = sent else { continue };
            let upper = case.sql.to_uppercase();
            if case.sql.contains('$') || upper.contains("COPY") || upper.contains("EXPLAIN") {
                continue;
            }
            compared += 1;
            let mut mine = truth::run_live(&raw, &text).await;
            // The session says what PostgreSQL says of a hidden row.
            if mine.error.as_deref() == Some("42704") && text.contains("orgguard.hidden_row") {
                mine.error = Some("42501".to_owned());
            }
            let truth = truth::run_live(&strict, &case.sql).await;
            let cascades = case.note.as_deref().is_some_and(|note| note.contains("cascade"));
            let moves = case.note.as_deref().is_some_and(|note| note.contains("differs from RLS"));
            if (mine.seen() != truth.seen() && !moves) || (mine.foreign && !cascades) {
                let _ = writeln!(
                    problems,
                    "{place}\n  {}\n  {text}\n  sent     {mine:?}\n  with RLS {truth:?}",
                    case.sql
                );
            }
        }
        println!("{expected} texts as expected, {compared} compared");
        for (class, (safe, all)) in mended {
            println!("{class}: {safe} of {all} violating cases made safe");
        }
        assert!(problems.is_empty(), "{problems}");
        assert!(compared > 100, "only {compared} were compared: the oracle has little to say");
    });
}

/// The rules for which a text is refused.
fn reasons(sql: &str, policy: &orgguard::policy::Policy) -> String {
    let tenant = cases::tenant();
    let plan = plan(sql, policy);
    let verdicts: Vec<_> = plan
        .statements()
        .iter()
        .map(|one| one.settle(SessionTenant::Known(&tenant), Arguments::Values(&[])))
        .collect();
    cases::words(&verdicts)
}
