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
