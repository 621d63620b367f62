//! Laws of the analysis, over generated statements and over the cases:
//!
//! * what is refused is refused inside a derived table, a CTE or a subquery too;
//! * what is admitted is admitted with one conjunct more, unless that conjunct breaks a rule itself:
//!   it calls what is not known to be harmless, has a side effect, or reads a guarded table unbound;
//! * every name of a guarded table that stands in the text as a relation owes a proof.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::string_slice,
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

use std::collections::BTreeSet;

use generate::{A, Generator};
use orgguard::analyze::{Arguments, Kind, SessionTenant, Verdict, plan};
use orgguard::policy::Policy;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect(name))
}

/// Generated statements, without those that read a view: nothing but the catalogue knows those.
fn generated() -> impl Iterator<Item = String> {
    let seed = setting("ORGGUARD_SEED", 1);
    (0..setting("ORGGUARD_GENERATED", 600))
        .map(move |at| Generator::new(seed * 1_000_003 + at).statement(true).sql)
        .filter(|sql| !sql.contains("_view"))
}

fn holds(sql: &str, policy: &Policy) -> bool {
    let tenant = cases::tenant();
    let settle = |one: &orgguard::analyze::StatementPlan| {
        one.settle(SessionTenant::Known(&tenant), Arguments::Unknown)
    };
    plan(sql, policy).statements().iter().map(settle).all(|verdict: Verdict| verdict.holds())
}

/// Whether a text is one query that can stand in parentheses.
fn is_query(sql: &str, policy: &Policy) -> bool {
    let plan = plan(sql, policy);
    let [statement] = plan.statements() else {
        return false;
    };
    let first = sql.trim_start_matches(['(', ' ', '\n']).get(..4).unwrap_or_default();
    statement.kind() == Kind::Select
        && ["sele", "with", "valu"].contains(&&*first.to_ascii_lowercase())
        && !writes(sql)
        // Nothing may follow these in parentheses, and a comment may swallow what follows.
        && !sql.contains("--")
        && !sql.contains(';')
}

fn writes(sql: &str) -> bool {
    let text = sql.to_ascii_uppercase();
    ["INSERT INTO", "UPDATE ", "DELETE FROM", "MERGE INTO", " INTO "]
        .iter()
        .any(|it| text.contains(it))
}

#[test]
fn wrapping_never_turns_refused_into_admitted() {
    let policy = cases::standard_policy();
    let texts = generated().chain(cases::all().into_iter().map(|case| case.sql));
    let any = cases::all().swap_remove(0);
    let mut tried = 0;
    for sql in texts.filter(|sql| is_query(sql, &policy) && !holds(sql, &policy)) {
        for wrapped in [
            format!("SELECT * FROM ({sql}) w"),
            format!("SELECT count(*) FROM ({sql}) w"),
            format!("WITH w AS ({sql}) SELECT * FROM w"),
            format!("WITH w AS MATERIALIZED ({sql}) SELECT * FROM w, w v"),
            format!("SELECT 1 WHERE EXISTS ({sql})"),
            format!("SELECT 1 FROM plans p LEFT JOIN LATERAL ({sql}) w ON true"),
            format!("SELECT (SELECT count(*) FROM ({sql}) w)"),
            format!("SELECT 1 UNION ALL SELECT count(*) FROM ({sql}) w"),
            format!("EXPLAIN (COSTS OFF) {sql}"),
            format!("PREPARE p AS {sql}"),
            format!("DECLARE c CURSOR FOR {sql}"),
            format!("COPY ({sql}) TO STDOUT"),
            format!("CREATE TEMP TABLE kept AS {sql}"),
            format!("INSERT INTO plans (id) SELECT 1 FROM ({sql}) w"),
        ] {
            // Preparing is judged when it runs, by its inner statement.
            let prepared = wrapped.starts_with("PREPARE");
            let admitted = if prepared {
                cases::judge(&any, &plan(&wrapped, &policy), None).starts_with("admit")
            } else {
                holds(&wrapped, &policy)
            };
            assert!(!admitted, "refused:\n{sql}\nadmitted:\n{wrapped}");
            tried += 1;
        }
    }
    println!("{tried} wrapped statements");
    assert!(tried > 1_000, "only {tried} tried");
}

/// `WHERE` and the column behind it, wherever they stand.
fn filters(sql: &str) -> Vec<(usize, String)> {
    let column = |rest: &str| {
        let end = rest.find(|it: char| !it.is_alphanumeric() && it != '_' && it != '.');
        let word = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        let (alias, name) = word.split_once('.')?;
        let is_alias = alias.len() > 1 && alias[1..].chars().all(|it| it.is_ascii_digit());
        (is_alias && alias.starts_with('t') && !name.is_empty()).then(|| word.to_owned())
    };
    sql.match_indices("WHERE ")
        .filter_map(|(at, word)| {
            let from = at + word.len();
            Some((from, column(&sql[from..])?))
        })
        .collect()
}

#[test]
fn a_conjunct_more_never_turns_admitted_into_refused() {
    let policy = cases::standard_policy();
    let mut tried = 0;
    for sql in generated().filter(|sql| holds(sql, &policy)) {
        // An OR without parentheses would bind less than the new AND.
        if sql.contains(") OR ") {
            continue;
        }
        for (at, column) in filters(&sql) {
            for more in [
                "true".to_owned(),
                "1 = 1".to_owned(),
                "NULL".to_owned(),
                format!("{column} IS NOT NULL"),
                format!("{column} IS NULL"),
                format!("{column} = {column}"),
                format!("NOT ({column} IS NULL)"),
                format!("({column} IS NULL OR true)"),
                format!("{column}::text <> 'zz'"),
                format!("{column} IN (SELECT NULL)")
                    .replace("(SELECT NULL)", &format!("({column})")),
                format!("CASE WHEN {column} IS NULL THEN true ELSE false END"),
                "EXISTS (SELECT 1 FROM plans)".to_owned(),
                "now() IS NOT NULL".to_owned(),
                "current_setting('app.organization_id') IS NOT NULL".to_owned(),
                format!(
                    "NOT EXISTS (SELECT 1 FROM org_tags tag WHERE tag.organization_id = '{A}' AND tag.deleted_at IS NULL)"
                ),
            ] {
                let changed = format!("{}{more} AND {}", &sql[..at], &sql[at..]);
                assert!(holds(&changed, &policy), "admitted:\n{sql}\nrefused:\n{changed}");
                tried += 1;
            }
            // The exceptions. FILTER sees no row that WHERE has not let through.
            if sql[..at].ends_with("FILTER (WHERE ") {
                continue;
            }
            for breaks in [
                format!("pg_notify('c', {column}::text) IS NOT NULL"),
                format!("nobody_knows({column})"),
                "EXISTS (SELECT 1 FROM org_tags)".to_owned(),
            ] {
                let changed = format!("{}{breaks} AND {}", &sql[..at], &sql[at..]);
                assert!(!holds(&changed, &policy), "admitted:\n{changed}");
            }
        }
    }
    println!("{tried} statements with a conjunct more");
    assert!(tried > 1_000, "only {tried} tried");
}

/// Where the name of a guarded table stands as a relation, found without a parser: behind a word
/// that a relation follows, or behind another relation's comma. Generated statements have no such
/// word in a string or a comment.
fn relations(sql: &str) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    for (at, _) in sql.match_indices("org_") {
        let before = sql[..at].trim_end_matches("public.").trim_end();
        let word = before.rsplit([' ', '(']).next().unwrap_or_default();
        let before_only = before.trim_end_matches("ONLY").trim_end();
        let before_only = before_only.rsplit([' ', '(']).next().unwrap_or_default();
        let is_relation = |word: &str| ["FROM", "JOIN", "INTO", "UPDATE", "USING"].contains(&word);
        if is_relation(word) || (word == "ONLY" && is_relation(before_only)) {
            found.insert(at as u32);
        }
    }
    found
}

#[test]
fn every_relation_owes_a_proof() {
    let policy = cases::standard_policy();
    let mut seen = 0;
    for sql in generated() {
        let plan = plan(&sql, &policy);
        let owing: BTreeSet<u32> = plan
            .statements()
            .iter()
            .flat_map(|statement| statement.explain())
            .map(|explained| explained.span.start)
            .collect();
        let blind = relations(&sql);
        assert_eq!(owing, blind, "{sql}");
        seen += blind.len();
    }
    println!("{seen} relations");
    assert!(seen > 1_000, "only {seen} relations");
}
