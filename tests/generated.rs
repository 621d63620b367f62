//! The oracle over statements made at random: each that the guard admits must give under no
//! row-level security what it gives under it, and no soft-deleted row. A run tells how many of those
//! that are compliant by construction were refused, and of those that are not were admitted.
//!
//! ```text
//! ORGGUARD_GENERATED=50000 ORGGUARD_SEED=3 cargo test --profile oracle --test generated -- --nocapture
//! ```
//!
//! makes 50,000 statements (2,000 by default) from the third seed (the first). `ORGGUARD_WORKERS`
//! sets how many connections run them (2), `ORGGUARD_PG_BIN` the server's version.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/cases.rs"]
mod cases;
#[path = "support/generate/mod.rs"]
mod generate;
#[path = "support/truth.rs"]
mod truth;

use std::collections::BTreeMap;
use std::hash::RandomState;
use std::sync::Arc;

use generate::{Generator, Label, Made};
use orgguard::analyze::{Arguments, SessionTenant, Verdict, plan};
use orgguard::catalog::read;
use orgguard::cli::Throwaway;
use orgguard::policy::Policy;
use truth::{Outcome, Truth};

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect(name))
}

/// What a run has found.
#[derive(Default)]
struct Report {
    /// Made, admitted, ran without an error, for each label.
    compliant: [u64; 3],
    violating: [u64; 3],
    mixed: [u64; 3],
    /// Admitted with an advice.
    advised: u64,
    /// How often each form was used in a compliant statement, and how often one with it was refused.
    forms: BTreeMap<&'static str, (u64, u64)>,
    refused_compliant: Vec<String>,
    admitted_violating: Vec<String>,
    differences: Vec<String>,
}

impl Report {
    fn counts(&mut self, label: Label) -> &mut [u64; 3] {
        match label {
            Label::Compliant => &mut self.compliant,
            Label::Violating => &mut self.violating,
            Label::Mixed => &mut self.mixed,
        }
    }

    fn add(&mut self, other: Self) {
        for (own, more) in [
            (&mut self.compliant, other.compliant),
            (&mut self.violating, other.violating),
            (&mut self.mixed, other.mixed),
        ] {
            for (own, more) in own.iter_mut().zip(more) {
                *own += more;
            }
        }
        self.advised += other.advised;
        for (form, (used, refused)) in other.forms {
            let own = self.forms.entry(form).or_default();
            own.0 += used;
            own.1 += refused;
        }
        self.refused_compliant.extend(other.refused_compliant);
        self.admitted_violating.extend(other.admitted_violating);
        self.differences.extend(other.differences);
    }

    fn print(&self) {
        for (label, [made, admitted, ran]) in
            [("compliant", self.compliant), ("violating", self.violating), ("mixed", self.mixed)]
        {
            println!(
                "{label}: {made} made, {admitted} admitted, {ran} of them ran without an error"
            );
        }
        let [made, admitted, _] = self.compliant;
        let refused = made - admitted;
        let share = refused as f64 * 100.0 / made.max(1) as f64;
        println!("admitted with an advice: {}", self.advised);
        println!("compliant, refused: {refused} ({share:.3} %); by the forms in them:");
        for (form, (used, refused)) in self.forms.iter().filter(|(_, (_, refused))| *refused > 0) {
            println!("  {:6.2} % of {used} with {form}", *refused as f64 * 100.0 / *used as f64);
        }
        for (what, list) in [
            ("compliant, refused", &self.refused_compliant),
            ("violating, admitted", &self.admitted_violating),
            ("admitted, different", &self.differences),
        ] {
            println!("{what}: {}", list.len());
            for one in list.iter().take(12) {
                println!("  {one}");
            }
        }
    }
}

#[test]
fn what_is_admitted_at_random_is_what_row_level_security_gives() {
    let server = Throwaway::start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (policy, version) = runtime.block_on(async {
        truth::databases_with(&server, generate::VIEWS).await;
        let client = truth::client(&server, "raw").await;
        let mut policy = cases::standard_policy();
        let snapshot = read(&client, &policy.tables, &RandomState::new()).await.unwrap();
        policy.catalog = Some(Arc::new(snapshot.catalog));
        let version = client.query_one("SHOW server_version_num", &[]).await.unwrap();
        (policy, version.get::<_, &str>(0).parse::<u32>().unwrap())
    });
    let (count, seed) = (setting("ORGGUARD_GENERATED", 1_200), setting("ORGGUARD_SEED", 1));
    let workers = setting("ORGGUARD_WORKERS", 2);
    let mut report = Report::default();
    std::thread::scope(|scope| {
        let run = |worker| {
            let numbers = (0..count).filter(move |at| at % workers == worker);
            let (server, policy) = (&server, &policy);
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.unwrap().block_on(work(server, policy, numbers, seed, version >= 170_000))
            })
        };
        let threads: Vec<_> = (0..workers).map(run).collect();
        for thread in threads {
            report.add(thread.join().unwrap());
        }
    });
    println!("{count} statements of seed {seed} on PostgreSQL {version}");
    report.print();
    assert!(report.differences.is_empty(), "an admitted statement differs");
    assert!(report.admitted_violating.is_empty(), "a violating statement was admitted");
    let [made, admitted, ran] = report.compliant;
    assert!((made - admitted) * 100 < made, "too many compliant statements were refused");
    assert!(ran * 10 > made * 9, "too few statements ran: the oracle has little to say");
}

async fn work(
    server: &Throwaway,
    policy: &Policy,
    numbers: impl Iterator<Item = u64>,
    seed: u64,
    merge: bool,
) -> Report {
    let (raw, rls) = truth::pair(server).await;
    let mut report = Report::default();
    for at in numbers {
        let made = Generator::new(seed * 1_000_003 + at).statement(merge);
        one(&raw, &rls, policy, &made, &mut report).await;
    }
    report
}

async fn one(raw: &Truth, rls: &Truth, policy: &Policy, made: &Made, report: &mut Report) {
    let Made { sql, label, rules } = made;
    let verdicts = settle(sql, policy);
    let holds = verdicts.iter().all(Verdict::holds);
    report.counts(*label)[0] += 1;
    if *label == Label::Compliant {
        for form in rules {
            let (used, refused) = report.forms.entry(form).or_default();
            *used += 1;
            *refused += u64::from(!holds);
        }
    }
    if !holds {
        if *label == Label::Compliant {
            let words = cases::words(&verdicts);
            report.refused_compliant.push(format!("{words}: {rules:?}\n    {sql}"));
        }
        return;
    }
    report.counts(*label)[1] += 1;
    if *label == Label::Violating {
        report.admitted_violating.push(format!("{rules:?}\n    {sql}"));
    }
    let (mine, truth) = if writes(sql) {
        tokio::join!(raw.run(sql), rls.run(sql))
    } else {
        tokio::join!(raw.read(sql), rls.read(sql))
    };
    report.counts(*label)[2] += u64::from(mine.error.is_none());
    let advised = verdicts.iter().any(|verdict| !verdict.advice.is_empty());
    report.advised += u64::from(advised);
    if mine.foreign || gone(&mine) || (!advised && !same(sql, &mine, &truth)) {
        let told = format!("{sql}\n    without RLS {mine:?}\n    with RLS    {truth:?}");
        report.differences.push(told);
    }
}

fn settle(sql: &str, policy: &Policy) -> Vec<Verdict> {
    let tenant = cases::tenant();
    let settle = |one: &orgguard::analyze::StatementPlan| {
        one.settle(SessionTenant::Known(&tenant), Arguments::Values(&[]))
    };
    plan(sql, policy).statements().iter().map(settle).collect()
}

/// Whether a text may change something.
fn writes(sql: &str) -> bool {
    ["INSERT INTO", "UPDATE ", "DELETE FROM", "MERGE INTO"].iter().any(|word| sql.contains(word))
}

/// Rows with keys of their own made at random differ in them alone.
fn same(sql: &str, mine: &Outcome, truth: &Outcome) -> bool {
    // A NULL in the tenant column fails both: by the policy's check, or by NOT NULL behind it.
    if mine.error.as_deref() == Some("23502") && truth.error.as_deref() == Some("42501") {
        return mine.own == truth.own;
    }
    if sql.contains("gen_random_uuid()") {
        (&mine.error, &mine.rows, &mine.tags) == (&truth.error, &truth.rows, &truth.tags)
    } else {
        mine.seen() == truth.seen()
    }
}

/// A soft-deleted row comes out: its texts begin with this word.
fn gone(outcome: &Outcome) -> bool {
    outcome.rows.iter().any(|row| row.contains("gone "))
}
