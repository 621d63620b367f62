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
#[path = "support/generate/mod.rs"]
mod generate;
#[path = "support/live.rs"]
mod live;
#[path = "support/loose.rs"]
mod loose;
#[path = "support/rewriting.rs"]
mod rewriting;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use live::{Live, Outcome};
use orgguard::analyze::{Arguments, SessionTenant, plan};
use orgguard::cli::Throwaway;
use orgguard::policy::{EvaluationOrder, Policy};
use rewriting::{Sent, send};

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect(name))
}

/// What a run has found.
#[derive(Default)]
struct Report {
    /// Sent as they are, though a reference lacked a proof: none.
    unchanged: u64,
    /// Compliant by construction and changed all the same.
    needless: Vec<String>,
    changed: u64,
    /// Changed, and ran under row-level security.
    ran: u64,
    /// Changed, and failed where row-level security runs them.
    lost: u64,
    /// By their rules: refused, and those of them that row-level security runs.
    refused: BTreeMap<String, (u64, Vec<String>)>,
    differences: Vec<String>,
}

impl Report {
    fn add(&mut self, other: Self) {
        self.unchanged += other.unchanged;
        self.needless.extend(other.needless);
        self.changed += other.changed;
        self.ran += other.ran;
        self.lost += other.lost;
        for (rules, (refused, ran)) in other.refused {
            let own = self.refused.entry(rules).or_default();
            own.0 += refused;
            own.1.extend(ran);
        }
        self.differences.extend(other.differences);
    }
}

/// What no condition mends: one of these is in every refusal (docs/rewrite.md, "What is refused").
const FINAL: &[&str] =
    &["foreign-tenant", "mixed-tenants", "foreign-insert", "tenant-move", "early-evaluation"];

/// Half of them are statements of the labelled generator, half know nothing of tenants; a quarter
/// of these are judged by the order of evaluation and fenced.
#[test]
fn what_is_sent_at_random_is_what_row_level_security_gives() {
    let server = Throwaway::start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let policy = runtime.block_on(live::databases(&server, generate::VIEWS));
    let (count, seed) = (setting("ORGGUARD_GENERATED", 1_200), setting("ORGGUARD_SEED", 1));
    let workers = setting("ORGGUARD_WORKERS", 2);
    let mut report = Report::default();
    std::thread::scope(|scope| {
        let run = |worker| {
            let numbers = (0..count).filter(move |at| at % workers == worker);
            let (server, policy) = (&server, &policy);
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.unwrap().block_on(work(server, policy, numbers, seed))
            })
        };
        let threads: Vec<_> = (0..workers).map(run).collect();
        for thread in threads {
            report.add(thread.join().unwrap());
        }
    });
    let Report { unchanged, changed, ran, lost, .. } = report;
    println!(
        "{count} made: {unchanged} sent as they are, {changed} changed; {ran} of those ran under \
         row-level security, {lost} were lost; {} changed needlessly",
        report.needless.len()
    );
    for (rules, (refused, ran)) in &report.refused {
        println!("{rules}: {refused}, of which row-level security runs {}", ran.len());
        if let Some(shortest) = ran.iter().min_by_key(|sql| sql.len()) {
            println!("    {shortest}");
        }
    }
    println!("different: {}", report.differences.len());
    for one in report.differences.iter().chain(&report.needless).take(12) {
        println!("  {one}");
    }
    assert!(report.differences.is_empty(), "a statement gives something else");
    assert!(report.needless.is_empty(), "a compliant statement was changed");
    for rules in report.refused.keys() {
        let listed = FINAL.iter().any(|rule| rules.contains(rule));
        assert!(listed, "refused for want of a predicate alone: {rules}");
    }
    assert_eq!(lost, 0);
    assert!(ran * 3 > count, "too few statements ran: the oracle has little to say");
}

async fn work(
    server: &Throwaway,
    policy: &Policy,
    numbers: impl Iterator<Item = u64>,
    seed: u64,
) -> Report {
    let (raw, strict) = live::pair(server).await;
    let fenced =
        Policy { evaluation_order: EvaluationOrder::Refuse, fences: true, ..policy.clone() };
    let mut report = Report::default();
    for at in numbers {
        let number = seed * 1_000_003 + at;
        let policy = if at % 8 == 1 { &fenced } else { policy };
        let (sql, compliant) = if at % 8 == 1 {
            // A routine that may fail, as far as is known.
            (loose::Loose::new(number).statement().replace("length(", "ascii("), false)
        } else if at % 4 < 2 {
            (loose::Loose::new(number).statement(), false)
        } else {
            let made = generate::Generator::new(number).statement(false);
            (made.sql, made.label == generate::Label::Compliant)
        };
        one(&raw, &strict, policy, &sql, compliant, &mut report).await;
    }
    report
}

async fn one(
    raw: &Live,
    strict: &Live,
    policy: &Policy,
    sql: &str,
    compliant: bool,
    report: &mut Report,
) {
    let sent = match send(sql, policy) {
        Sent::Unchanged => {
            report.unchanged += 1;
            return;
        }
        Sent::Refused => {
            let truth = strict.run(sql).await;
            let counted = report.refused.entry(reasons(sql, policy)).or_default();
            counted.0 += 1;
            if truth.error.is_none() {
                counted.1.push(sql.to_owned());
            }
            return;
        }
        Sent::Changed(text) => text,
    };
    report.changed += 1;
    if compliant {
        report.needless.push(format!("{sql}\n    sent {sent}"));
    }
    let (mine, truth) = if writes(sql) {
        tokio::join!(raw.run(&sent), strict.run(sql))
    } else {
        tokio::join!(raw.read(&sent), strict.read(sql))
    };
    let mine = translated(mine, &truth, &sent);
    report.ran += u64::from(truth.error.is_none());
    report.lost += u64::from(mine.error.is_some() && truth.error.is_none());
    let random = sql.contains("gen_random_uuid()");
    let same = (&mine.columns, &mine.error, &mine.rows, &mine.tags)
        == (&truth.columns, &truth.error, &truth.rows, &truth.tags)
        && (random || mine.own == truth.own);
    if !same || mine.foreign {
        let told = format!("{sql}\n    sent     {sent}\n    {mine:?}\n    with RLS {truth:?}");
        report.differences.push(told);
    }
}

/// Whether a text may change something.
fn writes(sql: &str) -> bool {
    ["INSERT INTO", "UPDATE ", "DELETE FROM", "MERGE INTO"].iter().any(|word| sql.contains(word))
}

/// The session says what PostgreSQL says of a hidden row. A policy refuses a row without a tenant
/// before NOT NULL does.
fn translated(mut outcome: Outcome, truth: &Outcome, sent: &str) -> Outcome {
    let hidden = outcome.error.as_deref() == Some("42704") && sent.contains("orgguard.hidden_row");
    let null = outcome.error.as_deref() == Some("23502");
    if hidden || (null && truth.error.as_deref() == Some("42501")) {
        outcome.error = Some("42501".to_owned());
    }
    outcome
}

/// Each case with a `--@ rewrite:` line is sent so; what a case admits is sent as it is; and
/// whatever is sent gives what row-level security gives.
#[test]
fn what_is_sent_of_the_cases_is_what_row_level_security_gives() {
    let server = Throwaway::start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        live::databases(&server, "").await;
        let (raw, strict) = live::pair(&server).await;
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
            // A name of three parts has the database's.
            let own = case.sql.replace("raw.public.", "strict.public.");
            let truth = strict.run(&own).await;
            let mine = translated(raw.run(&text).await, &truth, &text);
            let cascades = case.note.as_deref().is_some_and(|note| note.contains("cascade"));
            let moves = case.note.as_deref().is_some_and(|note| note.contains("differs from RLS"));
            let seen =
                |it: &Outcome| (it.error.clone(), it.rows.clone(), it.tags.clone(), it.own.clone());
            if (seen(&mine) != seen(&truth) && !moves) || (mine.foreign && !cascades) {
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
fn reasons(sql: &str, policy: &Policy) -> String {
    let tenant = cases::tenant();
    let plan = plan(sql, policy);
    let verdicts: Vec<_> = plan
        .statements()
        .iter()
        .map(|one| one.settle(SessionTenant::Known(&tenant), Arguments::Values(&[])))
        .collect();
    cases::words(&verdicts)
}
