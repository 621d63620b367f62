//! Texts made to exhaust a reader: deep, flat, and such that the proof's search could explode. Each
//! is planned or refused on the stack that `serve` gives its readers, and none runs on for ever.
//! `--nocapture` shows what each took.
#![allow(
    clippy::too_many_lines,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::arithmetic_side_effects,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/cases.rs"]
mod cases;

use std::sync::mpsc;
use std::time::Duration;

use orgguard::analyze::READER_STACK;
use orgguard::analyze::{Arguments, SessionTenant, plan};
use orgguard::policy::{Policy, ReadingLimits};
use orgguard::telemetry::normalize;

/// A watchdog: it is for what never ends, not for what is slow on a machine that has other work.
const PATIENCE: Duration = Duration::from_secs(120);

fn repeat(unit: &str, count: usize, between: &str) -> String {
    vec![unit; count].join(between)
}

fn numbered(count: usize, between: &str, unit: impl Fn(usize) -> String) -> String {
    (1..=count).map(unit).collect::<Vec<_>>().join(between)
}

const BOUND: &str =
    "p.organization_id = '11111111-1111-4111-8111-111111111111' AND p.deleted_at IS NULL";

fn flat() -> Vec<(&'static str, String)> {
    let from = format!("SELECT p.id FROM org_products p WHERE {BOUND}");
    vec![
        ("3,000 AND terms", format!("{from} AND {}", repeat("p.stock = 1", 3_000, " AND "))),
        ("50,000 AND terms", format!("{from} AND {}", repeat("p.stock = 1", 50_000, " AND "))),
        ("50,000 OR terms", format!("{from} AND ({})", repeat("p.stock = 1", 50_000, " OR "))),
        ("10,000 +", format!("SELECT {}", repeat("1", 10_000, " + "))),
        ("900 + without a space", format!("SELECT c {} e", "+".repeat(900))),
        ("10,000 ||", format!("SELECT {}", repeat("'x'", 10_000, " || "))),
        ("20,000 casts", format!("SELECT 1{}", "::int".repeat(20_000))),
        ("20,000 subscripts", format!("SELECT x{}", "[1]".repeat(20_000))),
        ("1,000 UNION arms", repeat(&from, 1_000, " UNION ")),
        ("20,000 UNION arms", repeat("SELECT 1", 20_000, " UNION ALL ")),
        ("1,000 UNION arms, refused", repeat("SELECT id FROM org_products", 1_000, " UNION ")),
        (
            "5,000 joins",
            format!(
                "SELECT 1 FROM plans p0 {}",
                numbered(5_000, " ", |at| format!("JOIN plans p{at} ON p{at}.id = p0.id"))
            ),
        ),
        (
            "5,000 guarded comma joins",
            format!("SELECT 1 FROM {}", numbered(5_000, ", ", |at| format!("org_products p{at}"))),
        ),
        ("10,000 parameters", format!("SELECT {}", numbered(10_000, ", ", |at| format!("${at}")))),
        (
            "10,000 parameters in IN",
            format!("{from} AND p.id IN ({})", numbered(10_000, ", ", |at| format!("${at}"))),
        ),
        (
            "10,000 tenants in IN",
            format!(
                "SELECT p.id FROM org_products p WHERE p.deleted_at IS NULL AND p.organization_id IN ({})",
                numbered(10_000, ", ", |at| format!("${at}"))
            ),
        ),
        (
            "10,000 rows of VALUES",
            format!(
                "INSERT INTO org_notes (id, organization_id, body) VALUES {}",
                numbered(10_000, ", ", |at| format!("(gen_random_uuid(), $1, '{at}')"))
            ),
        ),
        ("5,000 statements", repeat(&from, 5_000, "; ")),
        ("5,000 columns", format!("SELECT {}", numbered(5_000, ", ", |at| format!("c{at}")))),
        (
            "2,000 CTEs",
            format!(
                "WITH c0 AS (SELECT 1 AS a), {} SELECT 1",
                numbered(2_000, ", ", |at| format!("c{at} AS (SELECT a FROM c{})", at - 1))
            ),
        ),
        ("a million bytes of name", format!("SELECT {}", "x".repeat(1_000_000))),
        ("a million bytes of string", format!("SELECT '{}'", "x''".repeat(330_000))),
        ("300,000 quotes", "'".repeat(300_000)),
        ("100,000 dollars", "$".repeat(100_000)),
    ]
}

fn deep() -> Vec<(&'static str, String)> {
    let nest = |open: &str, inner: &str, close: &str, count: usize| {
        format!("{}{inner}{}", open.repeat(count), close.repeat(count))
    };
    vec![
        ("100 KB of nested comments", format!("{}SELECT 1", nest("/*", "", "*/", 25_000))),
        ("100 KB of open comments", "/*".repeat(50_000)),
        ("10,000 parentheses", format!("SELECT {}", nest("(", "1", ")", 10_000))),
        ("100,000 open parentheses", format!("SELECT {}", "(".repeat(100_000))),
        ("10,000 NOT", format!("SELECT {} true", repeat("NOT", 10_000, " "))),
        ("10,000 minus", format!("SELECT {} 1", repeat("-", 10_000, " "))),
        ("2,000 derived tables", nest("SELECT * FROM (", "SELECT 1", ") q", 2_000)),
        ("90 derived tables", nest("SELECT * FROM (", "SELECT * FROM org_products", ") q", 90)),
        ("2,000 CASE", format!("SELECT {}", nest("CASE WHEN true THEN ", "1", " END", 2_000))),
        ("2,000 functions", format!("SELECT {}", nest("abs(", "1", ")", 2_000))),
        ("2,000 EXISTS", nest("SELECT 1 WHERE EXISTS (", "SELECT 1", ")", 2_000)),
        ("2,000 WITH", nest("WITH w AS (", "SELECT 1", ") SELECT * FROM w", 2_000)),
        (
            "2,000 join parentheses",
            format!("SELECT 1 FROM {}", nest("(", "plans", " JOIN plans ON true)", 2_000)),
        ),
        ("10,000 arrays", format!("SELECT {}", nest("ARRAY[", "1", "]", 10_000))),
        ("2,000 EXPLAIN", format!("{}SELECT 1", "EXPLAIN ".repeat(2_000))),
        ("2,000 PREPARE", format!("{}SELECT 1", "PREPARE p AS ".repeat(2_000))),
    ]
}

/// Where the proof itself has much to search.
fn hard() -> Vec<(&'static str, String)> {
    let tenants = |count: usize, of: &dyn Fn(usize) -> String| {
        format!(
            "SELECT 1 FROM {} WHERE {}",
            numbered(count, ", ", |at| format!("org_products p{at}")),
            numbered(count, " AND ", of)
        )
    };
    let chain = tenants(300, &|at| {
        format!(
            "p{at}.organization_id = p{}.organization_id AND p{at}.deleted_at IS NULL",
            if at == 300 { 300 } else { at + 1 }
        )
    });
    let arms = |count: usize| {
        format!(
            "SELECT p.id FROM org_products p WHERE {}",
            numbered(count, " AND ", |at| format!("(p.stock = {at} OR p.organization_id = $1)"))
        )
    };
    vec![
        ("a chain of 300 equalities without an end", chain),
        ("400 ORs under AND", arms(400)),
        (
            "an OR of 300 ANDs",
            format!(
                "SELECT p.id FROM org_products p WHERE {}",
                numbered(300, " OR ", |at| format!("({BOUND} AND p.stock = {at})"))
            ),
        ),
        (
            "200 LEFT JOINs, one upon the other",
            format!(
                "SELECT 1 FROM org_products p {} WHERE {BOUND}",
                numbered(200, " ", |at| format!(
                    "LEFT JOIN org_notes n{at} ON n{at}.organization_id = {}.organization_id AND n{at}.deleted_at IS NULL",
                    if at == 1 { "p".to_owned() } else { format!("n{}", at - 1) }
                ))
            ),
        ),
        (
            "100 FULL JOINs with everything in WHERE",
            format!(
                "SELECT 1 FROM org_products p {} WHERE {BOUND} AND {}",
                numbered(100, " ", |at| format!("FULL JOIN org_notes n{at} ON n{at}.id = p.id")),
                numbered(100, " AND ", |at| format!(
                    "n{at}.organization_id = '11111111-1111-4111-8111-111111111111' AND n{at}.deleted_at IS NULL"
                ))
            ),
        ),
        (
            "a CTE used 500 times",
            format!(
                "WITH c AS (SELECT * FROM org_products) SELECT 1 FROM {} WHERE {}",
                numbered(500, ", ", |at| format!("c c{at}")),
                numbered(500, " AND ", |at| format!(
                    "c{at}.organization_id = $1 AND c{at}.deleted_at IS NULL"
                ))
            ),
        ),
        (
            "CTEs that double",
            format!(
                "WITH c0 AS (SELECT * FROM org_products), {} SELECT 1 FROM c40 WHERE organization_id = $1 AND deleted_at IS NULL",
                numbered(40, ", ", |at| format!(
                    "c{at} AS (SELECT a.* FROM c{0} a, c{0} b)",
                    at - 1
                ))
            ),
        ),
        (
            "CTEs that double, name by name",
            format!(
                "WITH c0 AS (SELECT organization_id AS o, deleted_at AS d FROM org_products), {} \
                 SELECT 1 FROM c40 WHERE o = $1 AND d IS NULL",
                numbered(40, ", ", |at| format!(
                    "c{at} AS (SELECT o, d FROM c{0} a UNION ALL SELECT o, d FROM c{0} b)",
                    at - 1
                ))
            ),
        ),
        (
            "CTEs that double through every column",
            format!(
                "WITH c0 AS (SELECT * FROM org_products), {} \
                 SELECT organization_id FROM c40 WHERE organization_id = $1 AND deleted_at IS NULL",
                numbered(40, ", ", |at| format!("c{at} AS (SELECT * FROM c{0} a, c{0} b)", at - 1))
            ),
        ),
        (
            "2,000 CTEs over a guarded one",
            format!(
                "WITH c0 AS (SELECT * FROM org_products), {} \
                 SELECT 1 FROM c2000 WHERE organization_id = $1 AND deleted_at IS NULL",
                numbered(2_000, ", ", |at| format!("c{at} AS (SELECT * FROM c{})", at - 1))
            ),
        ),
        (
            "1,000 CTEs the other way round",
            format!(
                "WITH RECURSIVE {}, c1000 AS (SELECT * FROM org_products) \
                 SELECT 1 FROM c0 WHERE organization_id = $1 AND deleted_at IS NULL",
                numbered(1_000, ", ", |at| format!("c{} AS (SELECT * FROM c{at})", at - 1))
            ),
        ),
        (
            "50 EXISTS within each other, all bound outside",
            format!(
                "SELECT 1 FROM org_products p WHERE {BOUND} AND {}true{}",
                numbered(45, "", |at| format!(
                    "EXISTS (SELECT 1 FROM org_notes n{at} WHERE n{at}.organization_id = p.organization_id AND n{at}.deleted_at IS NULL AND "
                )),
                ")".repeat(45)
            ),
        ),
    ]
}

/// The widest limits that a configuration may have.
fn widest_policy() -> Policy {
    let limits = ReadingLimits {
        operators: 2_000,
        nesting: 125,
        set_operations: 200,
        ..ReadingLimits::default()
    };
    Policy { limits, ..cases::standard_policy() }
}

/// As long and deep as those let through: each is read, and needs the most stack of its kind.
fn at_the_limits() -> Vec<(&'static str, String)> {
    let limits = widest_policy().limits;
    let operators = limits.operators - 10;
    let of = |predicate: String| {
        format!("SELECT p.id FROM org_products p WHERE {BOUND} AND {predicate}")
    };
    let every = |unit: &str| unit.repeat(operators);
    let spread = |open: &str, inner: &str, close: &str| {
        let (levels, each) = (limits.nesting - 10, operators / limits.nesting - 1);
        format!(
            "{}{inner}{}",
            open.repeat(levels),
            format!("{close}{}", " + 1".repeat(each)).repeat(levels)
        )
    };
    vec![
        ("+", of(format!("p.stock = 1{}", every(" + 1")))),
        ("||", of(format!("p.name = 'x'{}", every(" || 'x'")))),
        ("an operator of anyone's", of(format!("p.name = 'x'{}", every(" <~> 'x'")))),
        ("::", of(format!("p.stock = 1{}", every("::int")))),
        ("NOT", of(format!("{} true", every("NOT ")))),
        ("-", of(format!("p.stock = {}1", every("- ")))),
        ("IS NULL", of(format!("p.stock{}", every(" IS NULL")))),
        ("IS TRUE", of(format!("true{}", every(" IS TRUE")))),
        ("COLLATE", of(format!("p.name{} = 'x'", every(" COLLATE \"C\"")))),
        ("=", of(format!("true{}", every(" = true")))),
        ("AND, OR", of(format!("(true{})", " AND true OR true".repeat(operators / 2)))),
        ("AT TIME ZONE", of(format!("now(){} > now()", every(" AT TIME ZONE 'UTC'")))),
        ("IN", of(format!("true{}", every(" IN (true)")))),
        ("LIKE", of(format!("'a'{}", every(" LIKE 'a'")))),
        (
            "JOIN",
            format!(
                "SELECT 1 FROM org_products p{} WHERE {BOUND}",
                numbered(operators / 3, "", |at| format!(" JOIN plans q{at} ON q{at}.id = 1"))
            ),
        ),
        ("parentheses", of(format!("p.stock = {}", spread("(", "1", ")")))),
        ("functions", of(format!("p.stock = {}", spread("abs(", "1", ")")))),
        ("queries", of(format!("p.stock = {}", spread("(SELECT ", "1", ")")))),
        ("CASE", of(format!("p.stock = {}", spread("CASE WHEN true THEN ", "1", " END")))),
        ("arrays", of(format!("p.tags = {}", spread("ARRAY[", "1", "]")))),
        ("set operations", repeat(&of("true".to_owned()), limits.set_operations, " UNION ALL ")),
        (
            "joins in parentheses",
            format!(
                "SELECT 1 FROM {}org_products p{} WHERE {BOUND}",
                "(".repeat(limits.nesting - 10),
                numbered(limits.nesting - 10, "", |at| format!(" JOIN plans q{at} ON true)"))
            ),
        ),
    ]
}

/// What this thread has spent on a processor (proc(5), schedstat: nanoseconds).
fn processor_time() -> Duration {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(spent.split(' ').next().and_then(|it| it.parse().ok()).unwrap_or(0))
}

fn defuse(policy: &Policy, bombs: Vec<(&'static str, String)>) {
    for (name, text) in bombs {
        let (tell, told) = mpsc::channel();
        let policy = policy.clone();
        let run = move || {
            let tenant = cases::tenant();
            let start = processor_time();
            let plan = plan(&text, &policy);
            let planned = processor_time().saturating_sub(start);
            let held = plan.statements().iter().all(|statement| {
                statement.settle(SessionTenant::Known(&tenant), Arguments::Unknown).holds()
            });
            let settled = processor_time().saturating_sub(start);
            let _ = normalize(&text);
            drop(plan);
            let _ = tell.send((
                text.len(),
                held,
                planned,
                settled,
                processor_time().saturating_sub(start),
            ));
        };
        std::thread::Builder::new().stack_size(READER_STACK).spawn(run).unwrap();
        let (length, held, planned, settled, all) =
            told.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{name}: no end, or no thread"));
        let said = if held { "admitted" } else { "refused" };
        println!(
            "{name} ({length} bytes): {said}; planned {planned:?}, settled {settled:?}, all {all:?}"
        );
    }
}

#[test]
fn flat_texts() {
    defuse(&cases::standard_policy(), flat());
}

#[test]
fn deep_texts() {
    defuse(&cases::standard_policy(), deep());
}

#[test]
fn texts_at_the_limits() {
    defuse(&widest_policy(), at_the_limits());
}

#[test]
fn texts_that_are_hard_to_prove() {
    defuse(&cases::standard_policy(), hard());
}
