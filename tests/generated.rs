//! The oracle over statements made at random: each that the guard admits must give under no
//! row-level security what it gives under it. `ORGGUARD_GENERATED` sets how many are made (2,000 by
//! default) and `ORGGUARD_SEED` where they start.
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
#[path = "support/truth.rs"]
mod truth;

use orgguard::analyze::{Arguments, SessionTenant, plan};
use orgguard::cli::Throwaway;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect(name))
}

#[test]
fn what_is_admitted_at_random_is_what_row_level_security_gives() {
    let server = Throwaway::start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (raw, rls) = truth::databases(&server).await;
        let policy = cases::standard_policy();
        let tenant = cases::tenant();
        let (count, seed) = (setting("ORGGUARD_GENERATED", 2_000), setting("ORGGUARD_SEED", 1));
        let (mut admitted, mut advised, mut ran, mut refused_alike) = (0, 0, 0, 0);
        for at in 0..count {
            let sql = generate::Generator::new(seed * 1_000_003 + at).statement();
            let plan = plan(&sql, &policy);
            let verdicts: Vec<_> = plan
                .statements()
                .iter()
                .map(|one| one.settle(SessionTenant::Known(&tenant), Arguments::Values(&[])))
                .collect();
            let holds = verdicts.iter().all(orgguard::analyze::Verdict::holds);
            if !holds {
                // One in fifty of the refused shows how often refusing was needed.
                if at % 50 == 0 {
                    let alike = truth::run(&raw, &sql).await.seen() == truth::run(&rls, &sql).await.seen();
                    refused_alike += u32::from(alike);
                }
                continue;
            }
            admitted += 1;
            let mine = truth::run(&raw, &sql).await;
            let truth = truth::run(&rls, &sql).await;
            ran += u32::from(mine.error.is_none());
            let random = sql.starts_with("INSERT");
            if verdicts.iter().any(|verdict| !verdict.advice.is_empty()) {
                advised += 1;
                continue;
            }
            let same = if random {
                (&mine.error, &mine.rows, &mine.tags) == (&truth.error, &truth.rows, &truth.tags)
            } else {
                mine.seen() == truth.seen()
            };
            assert!(
                same && !mine.foreign,
                "statement {at} of seed {seed}:\n{sql}\nwithout RLS {mine:?}\nwith RLS    {truth:?}"
            );
        }
        println!(
            "{count} made, {admitted} admitted, {advised} of them with an advice, {ran} ran without an error; \
             of {} refused ones tried, {refused_alike} would have been the same",
            (count - u64::from(admitted as u32)) / 50
        );
        assert!(ran * 10 > count as u32 / 10, "too few statements ran: the oracle has little to say");
    });
}
