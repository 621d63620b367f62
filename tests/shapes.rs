//! A plan that is used for another text of the same shape is what planning that text gives: the same
//! statements, obligations, proofs and places, and so the same verdict for every tenant. Over the
//! cases and generated statements, with their literals changed at random.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/cases.rs"]
mod cases;
#[path = "support/generate/mod.rs"]
mod generate;

use generate::{A, B, Generator};
use orgguard::analyze::{Arguments, Plan, SessionTenant, plan};
use orgguard::policy::{EvaluationOrder, Policy, SecondReading};
use orgguard::sql::{HAS_SECOND_READING, Shape};
use orgguard::tenant::TenantType;

/// Pseudo-random numbers; the same seed gives the same ones.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// Other strings to write in the place of one.
const STRINGS: &[&str] = &[
    A,
    B,
    "{11111111-1111-4111-8111-111111111111}",
    "11111111111141118111111111111111",
    "",
    "NULL",
    "7",
    " -12 ",
    "it''s",
    "''",
    "''''",
    "é ü 組織",
    "a\nb",
    "org_products",
    "app.organization_id",
    "organization_id",
    "role",
    "SELECT 1; DELETE FROM org_products",
    "-- a",
    "{1,2}",
    "{11111111-1111-4111-8111-111111111111}",
    "\"x\"",
    "$1",
    "a much longer text than the one that stood here before, whatever that was",
];

/// Other numbers.
const NUMBERS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "7",
    "42",
    "007",
    "2147483647",
    "2147483648",
    "999999999999999999",
    "9999999999999999999",
    "1.5",
    "0.000",
    "12345678901234567890.1",
];

/// Literals and what stands between, by a scanner that shares nothing with the one it tests. A
/// text with anything in it that is not plain is left as it is.
fn parts(sql: &str) -> Vec<(bool, String)> {
    let mut parts: Vec<(bool, String)> = vec![(false, String::new())];
    let characters: Vec<char> = sql.chars().collect();
    let mut at = 0;
    let part_of_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '.');
    while at < characters.len() {
        let from = at;
        let before = from.checked_sub(1).map_or(' ', |before| characters[before]);
        match characters[at] {
            '\'' => {
                at += 1;
                while at < characters.len() && characters[at] != '\'' {
                    at += 1;
                }
                at += 1;
                let again = characters.get(at) == Some(&'\'') || before == '\'';
                if again || part_of_name(before) || at > characters.len() {
                    return vec![(false, sql.to_owned())];
                }
                parts.push((true, characters[from..at].iter().collect()));
                parts.push((false, String::new()));
                continue;
            }
            c if c.is_ascii_digit() && !part_of_name(before) => {
                while at < characters.len() && part_of_name(characters[at]) {
                    at += 1;
                }
                let word: String = characters[from..at].iter().collect();
                let plain = word.chars().all(|c| c.is_ascii_digit());
                if plain {
                    parts.push((true, word));
                    parts.push((false, String::new()));
                } else {
                    parts.last_mut().unwrap().1.push_str(&word);
                }
                continue;
            }
            _ => at += 1,
        }
        parts.last_mut().unwrap().1.push(characters[from]);
    }
    parts
}

fn changed(sql: &str, dice: &mut Dice) -> String {
    let parts = parts(sql);
    let literals = parts.iter().filter(|(is_literal, _)| *is_literal).count();
    // One alone as often as all of them.
    let only = (literals > 0 && dice.below(2) == 0).then(|| dice.below(literals));
    let mut number = 0;
    let mut text = String::new();
    for (is_literal, part) in parts {
        if !is_literal {
            text.push_str(&part);
            continue;
        }
        let changes = only.is_none_or(|only| only == number) && dice.below(5) > 0;
        number += 1;
        match (changes, part.starts_with('\'')) {
            (false, _) => text.push_str(&part),
            (true, true) => {
                text.push('\'');
                text.push_str(STRINGS[dice.below(STRINGS.len())]);
                text.push('\'');
            }
            (true, false) => text.push_str(NUMBERS[dice.below(NUMBERS.len())]),
        }
    }
    text
}

fn assert_same(text: &str, reused: &Plan, fresh: &Plan, policy: &Policy) {
    assert!(reused.says_the_same(fresh), "{text}\nreused {reused:#?}\nfresh {fresh:#?}");
    let tenants = [A, B, "7", "42", "", "NULL"].map(|text| policy.tenant_type.parse(text));
    for (one, other) in reused.statements().iter().zip(fresh.statements()) {
        let known = tenants.iter().flatten().map(SessionTenant::Known);
        for tenant in known.chain([SessionTenant::Any, SessionTenant::Required]) {
            for arguments in [Arguments::Unknown, Arguments::Values(&[])] {
                assert_eq!(
                    one.settle(tenant, arguments),
                    other.settle(tenant, arguments),
                    "{text}"
                );
            }
        }
        assert_eq!(one.gaps(), other.gaps(), "{text}");
        assert_eq!(one.span(), other.span(), "{text}");
    }
}

fn policies() -> Vec<Policy> {
    let standard = cases::standard_policy();
    let mut policies = vec![
        Policy { evaluation_order: EvaluationOrder::Advise, ..standard.clone() },
        Policy { tenant_type: TenantType::Text, ..standard.clone() },
        Policy { tenant_type: TenantType::Bigint, ..standard.clone() },
    ];
    if HAS_SECOND_READING {
        policies.push(Policy { second_reading: SecondReading::Required, ..standard.clone() });
    }
    policies.push(standard);
    policies
}

/// The tenant that all constants of a text name is kept with its plan: what names two is neither's,
/// whoever asks first.
#[test]
fn a_text_belongs_to_the_tenant_that_all_of_it_names() {
    let policy = cases::standard_policy();
    let tenants = [A, B].map(|text| policy.tenant_type.parse(text).unwrap());
    for (order, product) in [(A, A), (B, B), (A, B), (B, A)] {
        let text = format!(
            "SELECT p.name FROM org_orders o JOIN org_products p ON p.id = o.product_id \
             WHERE o.organization_id = '{order}' AND o.deleted_at IS NULL \
             AND p.organization_id = '{product}' AND p.deleted_at IS NULL"
        );
        let plan = plan(&text, &policy);
        for _ in 0..2 {
            let holders = tenants.each_ref().map(|tenant| {
                let known = SessionTenant::Known(tenant);
                plan.statements()[0].settle(known, Arguments::Values(&[])).holds()
            });
            let owners = [A, B].map(|tenant| order == tenant && product == tenant);
            assert_eq!(holders, owners, "{text}");
        }
    }
}

#[test]
fn a_plan_used_again_is_what_planning_gives() {
    let written = cases::all().into_iter().map(|case| case.sql);
    let made = (0..200).map(|seed| Generator::new(seed).statement(true).sql);
    let more = [
        "SELECT a FROM notes WHERE a = 1 AND b = -5 AND c = 'x' AND d = 1.50 LIMIT 10 OFFSET 20",
        "SELECT id FROM org_products WHERE organization_id = 7 AND deleted_at IS NULL",
        "SELECT id FROM org_products WHERE organization_id = -7 AND deleted_at IS NULL",
        "SELECT id FROM org_products WHERE organization_id IN ('7', '42') AND deleted_at IS NULL",
        "SELECT organization_id, count(*) FROM org_products GROUP BY 1 HAVING count(*) > 2",
        "SELECT x.n FROM (SELECT organization_id AS n, name FROM org_products GROUP BY 2, 1) x \
         WHERE x.n = '7'",
        "SELECT set_config('app.organization_id', '7', true)",
        "SELECT set_config('work_mem', '64', true), 7",
        "SELECT 1; SELECT id FROM org_products WHERE organization_id = '7'; SELECT 'b'",
        "UPDATE org_products SET name = 'a', price = 7 WHERE organization_id = '7' AND id = 3",
        "SELECT id FROM org_products WHERE organization_id = ANY ('{7}') AND id = 7",
        "SELECT interval '1 day', date '2020-01-01', 'x'::text, numeric '1'",
        "SELECT current_setting('app.organization_id') = '7', nullif('a', '') FROM org_products",
        "INSERT INTO org_products (organization_id, id, name) VALUES ('7', 1, 'a'), ('7', 2, 'b')",
        "SELECT 1 WHERE 2 = 3 /* 4 '5' */ -- 6",
    ];
    let texts: Vec<String> = written.chain(made).chain(more.map(str::to_owned)).collect();
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let (mut tried, mut used) = (0, 0);
    for policy in &policies() {
        for text in &texts {
            let own = plan(text, policy);
            for _ in 0..2 {
                let other = changed(text, &mut dice);
                tried += 1;
                let Some(reused) = Shape::of(&other).and_then(|it| own.reused(text, &other, &it))
                else {
                    continue;
                };
                used += 1;
                assert_same(&other, &reused, &plan(&other, policy), policy);
            }
        }
    }
    println!("{tried} texts, {used} of them by another one's plan");
    assert!(used * 3 > tried, "{used} of {tried}");
}

#[test]
fn what_a_plan_depends_on_is_not_changed() {
    let policy = cases::standard_policy();
    for (own, other) in [
        // The position of an item.
        ("SELECT a, b FROM notes GROUP BY 1", "SELECT a, b FROM notes GROUP BY 2"),
        // Names and values of settings.
        ("SELECT set_config('work_mem', '1', true)", "SELECT set_config('role', '1', true)"),
        (
            "SELECT current_setting('app.organization_id')::uuid = organization_id FROM notes \
             WHERE organization_id = current_setting('app.organization_id')::uuid",
            "SELECT current_setting('app.organization_id')::uuid = organization_id FROM notes \
             WHERE organization_id = current_setting('app.another')::uuid",
        ),
        // The elements of an array.
        (
            "SELECT 1 FROM org_products WHERE organization_id = ANY ('{1}')",
            "SELECT 1 FROM org_products WHERE organization_id = ANY ('{1,2}')",
        ),
        // A type's modifier, which is read as a token alone.
        ("SELECT a::varchar(2), 7 FROM notes", "SELECT a::varchar(3), 7 FROM notes"),
        // Another class of literals.
        ("SELECT 1 FROM notes WHERE a = 1", "SELECT 1 FROM notes WHERE a = '1'"),
        ("SELECT 1 FROM notes WHERE a = 1", "SELECT 1 FROM notes WHERE a = 1.5"),
        // Utility statements are read from their tokens.
        ("EXPLAIN SELECT 1", "EXPLAIN SELECT 2"),
        ("SET work_mem = '1MB'", "SET work_mem = '2MB'"),
    ] {
        let shape = Shape::of(other).unwrap();
        assert!(plan(own, &policy).reused(own, other, &shape).is_none(), "{other}");
    }
}
