//! The differential gate: texts that the first reading admits are read as PostgreSQL reads them.
//!
//! PostgreSQL's own grammar is the judge, in two ways: by the plan made from its parse tree, and,
//! for the relations, by the names in that tree as the crate itself prints it, without any code of
//! ours between. What the first reading refuses is no matter here.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::print_stderr,
    clippy::wildcard_enum_match_arm,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/cases.rs"]
mod cases;
#[path = "support/generate/mod.rs"]
mod generate;
#[path = "support/truth.rs"]
mod truth;

use std::collections::HashSet;
use std::thread;

use generate::Generator;
use orgguard::analyze::{
    Arguments, Disagreement, Effect, Kind, Plan, READER_STACK, SessionTenant, Violation, plan,
};
use orgguard::cli::Throwaway;
use orgguard::policy::{Policy, ReadingLimits, SecondReading};
use orgguard::sql::{Second, read_by_grammar, read_twice};
use orgguard::tenant::TenantType;

fn with_reading(policy: &Policy, second_reading: SecondReading) -> Policy {
    Policy { second_reading, ..policy.clone() }
}

fn admits(plan: &Plan) -> bool {
    plan.statements().iter().all(|statement| {
        statement.settle(SessionTenant::Any, Arguments::Unknown).violations.is_empty()
    })
}

/// What is wrong with a text, if anything is.
fn unrefused(text: &str, policy: &Policy) -> Option<String> {
    let alone = plan(text, &with_reading(policy, SecondReading::Off));
    if !admits(&alone) {
        return None;
    }
    let both = plan(text, &with_reading(policy, SecondReading::Required));
    if let Some(difference @ (Disagreement::Differs(_) | Disagreement::Unread)) =
        both.disagreement()
    {
        return Some(format!("{difference:?}"));
    }
    let guarded = alone.statements().iter().any(|statement| match statement.effect() {
        Effect::Prepare { statement, .. } => statement.is_guarded(),
        _ => statement.is_guarded(),
    });
    let tree = format!("{:?}", pg_raw_parse::parse(text).ok()?);
    // A name of WITH's own is no table, and FOR UPDATE OF names an alias.
    let names = tree.contains("relname: Some(\"org_")
        && !tree.contains("ctename: Some(\"org_")
        && !tree.contains("LockingClause {");
    (names && !guarded).then(|| "PostgreSQL's tree names a guarded table".to_owned())
}

/// Looks at many texts, on as many threads as there are processors.
fn gate(what: &str, texts: &[String]) {
    let workers = thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let policy = cases::standard_policy();
    let found: Vec<String> = thread::scope(|scope| {
        let handles: Vec<_> = texts
            .chunks(texts.len().div_ceil(workers).max(1))
            .map(|part| {
                let policy = &policy;
                let run = move || {
                    part.iter()
                        .filter_map(|text| Some(format!("{}: {text}", unrefused(text, policy)?)))
                        .collect::<Vec<_>>()
                };
                thread::Builder::new().stack_size(READER_STACK).spawn_scoped(scope, run).unwrap()
            })
            .collect();
        handles.into_iter().flat_map(|handle| handle.join().unwrap()).collect()
    });
    eprintln!("{what}: {} texts, {} unrefused disagreements", texts.len(), found.len());
    let shown = found.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
    assert!(found.is_empty(), "{what}: {} of {}:\n{shown}", found.len(), texts.len());
}

/// A pseudo-random sequence; the same seed gives the same one.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// How many times more texts are tried than in the short run (`READINGS_SCALE`), and the seed of the
/// random ones (`READINGS_SEED`).
fn number(variable: &str, standard: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(standard)
}

/// PostgreSQL's keywords with their kinds, then those that only the first parser knows.
fn keywords() -> (Vec<&'static str>, Vec<&'static str>) {
    let list = include_str!("readings/keywords.txt");
    let mut reserved = Vec::new();
    let mut others = Vec::new();
    for line in list.lines() {
        let (word, kind) = line.split_once(' ').unwrap();
        if kind == "reserved_keyword" || kind == "type_func_name_keyword" {
            reserved.push(word);
        } else {
            others.push(word);
        }
    }
    let known: HashSet<String> =
        reserved.iter().chain(&others).map(|word| (*word).to_owned()).collect();
    others.extend(
        sqlparser::keywords::ALL_KEYWORDS
            .iter()
            .copied()
            .filter(|word| !known.contains(&word.to_lowercase())),
    );
    (reserved, others)
}

/// Every keyword in every place where one might be taken for something else.
#[test]
fn keywords_hide_nothing() {
    let (reserved, others) = keywords();
    let templates: Vec<&str> = include_str!("readings/templates.txt").lines().collect();
    let mut texts = Vec::new();
    for template in &templates {
        texts.extend(reserved.iter().map(|word| template.replace("{k}", word)));
    }
    // Of the other words, a part that the seed decides; all of them with READINGS_SCALE=8.
    let share = 8_usize.saturating_sub(usize::try_from(number("READINGS_SCALE", 1)).unwrap() - 1);
    let mut random = Random::new(number("READINGS_SEED", 1));
    for template in &templates {
        for word in &others {
            if share <= 1 || random.below(share) == 0 {
                texts.push(template.replace("{k}", word));
            }
        }
    }
    gate("keywords", &texts);
}

/// The words, numbers, texts, operators and spaces of a statement, roughly.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut quote = None;
    let mut last = ' ';
    for c in text.chars() {
        let word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
        let goes_on = quote.is_some() || (word(c) && word(last));
        if goes_on && !pieces.is_empty() {
            pieces.last_mut().unwrap().push(c);
        } else {
            pieces.push(c.to_string());
        }
        match quote {
            Some(open) if open == c => quote = None,
            None if c == '\'' || c == '"' => quote = Some(c),
            Some(_) | None => {}
        }
        last = if quote.is_none() && (c == '\'' || c == '"') { ' ' } else { c };
    }
    pieces
}

/// A statement changed in a few places.
fn mutate(text: &str, others: &[Vec<String>], words: &[&str], random: &mut Random) -> String {
    const COMMENTS: &[&str] =
        &["/**/", "/* x */", "--\n", "-- x\r", "/* /* */ */", " ", "\n", "\t", ";", "(", ")", ","];
    let mut pieces = pieces(text);
    for _ in 0..=random.below(2) {
        let at = random.below(pieces.len());
        match random.below(7) {
            0 if !pieces.is_empty() => {
                pieces.remove(at);
            }
            1 if !pieces.is_empty() => {
                let other = random.below(pieces.len());
                pieces.swap(at, other);
            }
            2 if !pieces.is_empty() => {
                let piece = pieces[at].clone();
                pieces.insert(at, piece);
            }
            3 => pieces.insert(at, format!(" {} ", random.pick(words))),
            4 => pieces.insert(at, (*random.pick(COMMENTS)).to_owned()),
            5 if !pieces.is_empty() => {
                (*random.pick(words)).clone_into(&mut pieces[at]);
            }
            _ => {
                let donor = random.pick(others);
                let from = random.below(donor.len());
                let upto = (from + 1 + random.below(6)).min(donor.len());
                for (offset, piece) in donor[from..upto].iter().enumerate() {
                    pieces.insert(at + offset, piece.clone());
                }
            }
        }
    }
    pieces.concat()
}

#[test]
fn mutations_of_the_cases_hide_nothing() {
    let all = cases::all();
    let others: Vec<Vec<String>> =
        all.iter().map(|case| pieces(&case.sql)).filter(|pieces| !pieces.is_empty()).collect();
    let (reserved, rest) = keywords();
    let words: Vec<&str> = reserved.into_iter().chain(rest).collect();
    let mut random = Random::new(number("READINGS_SEED", 1).wrapping_add(77));
    let mut texts = Vec::new();
    for _ in 0..number("READINGS_SCALE", 1) * 16 {
        for case in &all {
            texts.push(mutate(&case.sql, &others, &words, &mut random));
        }
    }
    gate("mutations", &texts);
}

/// With the second reading a case has the verdict that it has without it, unless the first reading
/// does not understand the statement.
#[test]
fn the_cases_are_read_alike() {
    let mut wrong = Vec::new();
    let mut only_by_grammar = 0;
    for case in cases::all() {
        let policy = cases::policy(&case);
        let alone = plan(&case.sql, &with_reading(&policy, SecondReading::Off));
        let both = plan(&case.sql, &with_reading(&policy, SecondReading::Required));
        let (said, now) = (cases::judge(&case, &alone, None), cases::judge(&case, &both, None));
        if said == now {
            continue;
        }
        if said.contains("not-understood") {
            only_by_grammar += 1;
        } else if !(said.starts_with("refuse") && now.starts_with("refuse")) {
            let place = format!("{}:{}", case.file.display(), case.line);
            wrong.push(format!("{place}: {said} alone, {now} with PostgreSQL's grammar"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(only_by_grammar > 10, "{only_by_grammar}");
}

/// A case written so that only PostgreSQL's grammar reads it has the verdict that the first reading
/// gives it: `ISNULL` is `IS NULL`.
#[test]
fn the_grammar_alone_says_the_same() {
    let mut compared = 0;
    let mut wrong = Vec::new();
    for case in cases::all() {
        let policy = cases::policy(&case);
        let text = case.sql.replace(" IS NULL", " ISNULL");
        let off = with_reading(&policy, SecondReading::Off);
        let unreadable = plan(&text, &off)
            .statements()
            .iter()
            .any(|statement| statement.kind() == Kind::NotUnderstood);
        let said = cases::judge(&case, &plan(&case.sql, &off), None);
        if text == case.sql || !unreadable || said.contains("not-understood") {
            continue;
        }
        compared += 1;
        let now = cases::judge(&case, &plan(&text, &policy), None);
        if said != now {
            let place = format!("{}:{}", case.file.display(), case.line);
            wrong.push(format!("{place}: {said}; by the grammar alone {now}"));
        }
    }
    eprintln!("by the grammar alone: {compared} cases");
    assert!(wrong.is_empty(), "{} of {compared}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 300, "{compared}");
}

/// Statements made at random have the same verdict by the first reading, by both, and by the
/// grammar alone.
#[test]
fn generated_statements_are_read_alike() {
    let policy = cases::standard_policy();
    let off = with_reading(&policy, SecondReading::Off);
    let words = |plan: &Plan| {
        let mut rules: Vec<_> =
            refusals(plan).into_iter().map(|it| (it.rule.name(), it.table)).collect();
        rules.sort();
        rules
    };
    let (mut alone, mut wrong) = (0, Vec::new());
    let count = 250 * number("READINGS_SCALE", 1);
    for at in 0..count {
        let made = Generator::new(number("READINGS_SEED", 1) * 7_000_003 + at).statement(true);
        let said = words(&plan(&made.sql, &off));
        let both = plan(&made.sql, &policy);
        let by_grammar = made.sql.replace(" IS NULL", " ISNULL");
        if both.disagreement().is_some() || said != words(&both) {
            wrong.push(format!("{:?} {said:?}: {}", both.disagreement(), made.sql));
        }
        let unreadable = plan(&by_grammar, &off)
            .statements()
            .iter()
            .any(|statement| statement.kind() == Kind::NotUnderstood);
        if unreadable && by_grammar != made.sql {
            alone += 1;
            let now = words(&plan(&by_grammar, &policy));
            if said != now {
                wrong.push(format!("{said:?}, by the grammar alone {now:?}: {by_grammar}"));
            }
        }
    }
    eprintln!("generated: {count}, {alone} of them by the grammar alone too");
    let shown = wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{}:\n{shown}", wrong.len());
    assert!(alone > count / 3, "{alone}");
}

/// The differences between the first parser and PostgreSQL that were found before this guard was
/// made: each is refused, or read as PostgreSQL reads it.
#[test]
fn known_differences() {
    let policy = cases::standard_policy();
    let tenant = TenantType::Uuid.parse(cases::TENANT).unwrap();
    let mut wrong = Vec::new();
    for line in include_str!("readings/differentials.tsv").lines() {
        let (name, text) = line.split_once('\t').unwrap();
        let text = text.replace("\\n", "\n").replace("\\r", "\r").replace("\\u00a0", "\u{a0}");
        if let Some(difference) = unrefused(&text, &policy) {
            wrong.push(format!("{name}: {difference}"));
        }
        // A table `replace` under the alias `org_products` is no guarded table.
        let leaks = text.contains("org_") && !text.contains(cases::TENANT) && name != "UPD-REPLACE";
        for second in [SecondReading::Off, SecondReading::Required] {
            let plan = plan(&text, &with_reading(&policy, second));
            let admitted = plan.statements().iter().all(|statement| {
                let verdict = statement.settle(SessionTenant::Known(&tenant), Arguments::Unknown);
                verdict.violations.is_empty()
            });
            if leaks && admitted {
                wrong.push(format!("{name}: admitted with the second reading {second:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Statements with a semicolon at the end of their line.
fn list(text: &str) -> Vec<&str> {
    text.split(";\n").map(str::trim).filter(|statement| !statement.is_empty()).collect()
}

/// Predicates that bind a table under the alias `p`, for `:bound` in a form.
fn bound() -> String {
    format!("p.organization_id = '{}' AND p.deleted_at IS NULL", cases::TENANT)
}

fn refusals(plan: &Plan) -> Vec<Violation> {
    let tenant = TenantType::Uuid.parse(cases::TENANT).unwrap();
    plan.statements()
        .iter()
        .flat_map(|statement| {
            statement.settle(SessionTenant::Known(&tenant), Arguments::Unknown).violations
        })
        .collect()
}

/// What only PostgreSQL's grammar reads is planned from that reading, in all of its parts.
#[test]
fn forms_that_only_the_grammar_reads() {
    let policy = cases::standard_policy();
    let mut wrong = Vec::new();
    for form in list(include_str!("readings/forms.sql")) {
        for (filter, holds) in [(bound(), true), ("p.id IS NOT NULL".to_owned(), false)] {
            let text = form.replace(":bound", &filter);
            let plan = plan(&text, &policy);
            let refused = refusals(&plan);
            let understood =
                plan.statements().iter().all(|statement| statement.kind() != Kind::NotUnderstood);
            if !understood || refused.is_empty() != holds {
                wrong.push(format!("{text}\n    {refused:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What looks bound in such a form, and is not.
#[test]
fn forms_that_bind_nothing() {
    let policy = cases::standard_policy();
    for form in list(include_str!("readings/traps.sql")) {
        let text = form.replace(":bound", &bound());
        assert!(!refusals(&plan(&text, &policy)).is_empty(), "{text}");
    }
}

/// The forms give what row-level security gives. (Some are younger than the server may be: both
/// databases refuse those alike.)
#[test]
fn forms_on_a_real_server() {
    const SCRIPT: &str = "ALTER TABLE org_products ADD words text[] NOT NULL DEFAULT '{}'; \
         CREATE TABLE scratch (id int GENERATED ALWAYS AS IDENTITY, name text); \
         CREATE UNIQUE INDEX ON scratch (lower(name)) WHERE id > 0;";
    let server = Throwaway::start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (raw, rls) = truth::databases_with(&server, SCRIPT).await;
        let mut ran = 0;
        for form in list(include_str!("readings/forms.sql")) {
            let text = form.replace(":bound", &bound());
            let (mine, truth) = (raw.run(&text).await, rls.run(&text).await);
            ran += usize::from(mine.error.is_none());
            assert!(mine.seen() == truth.seen() && !mine.foreign, "{text}\n{mine:?}\n{truth:?}");
            let gone = mine.rows.iter().any(|row| row.contains("gone "));
            assert!(!gone, "{text}: a soft-deleted row comes out: {:?}", mine.rows);
        }
        eprintln!("forms: {ran} ran");
        assert!(ran >= 20, "only {ran} forms ran");
    });
}

/// The sweep holds over PostgreSQL's reading too: a token that names a guarded table, and of which
/// the lowering makes nothing, refuses.
#[test]
fn every_token_of_the_grammar_s_reading_is_accounted_for() {
    let limits = ReadingLimits::default();
    for (text, left) in [
        ("SELECT a org_products FROM ROWS FROM (f(1)) AS org_notes (org_tags)", 0),
        ("SELECT * FROM org_products * WHERE a ISNULL", 0),
        ("CREATE VIEW org_products AS SELECT 1 WHERE 1 ISNULL", 1),
        ("SELECT 1 org_products INTO org_products WHERE 1 ISNULL", 1),
    ] {
        let statements = read_by_grammar(text, &limits).unwrap();
        let found: usize = statements
            .iter()
            .map(|it| it.unaccounted.iter().filter(|name| name.text.starts_with("org_")).count())
            .sum();
        assert_eq!(found, left, "{text}");
    }
}

/// Texts as deep and as long as the configuration allows at most are read by PostgreSQL's grammar on
/// the guard's own stack, and those beyond are refused before its parser sees them.
#[test]
fn bombs_neither_abort_nor_pass() {
    let most = ReadingLimits {
        operators: 2_000,
        nesting: 200,
        set_operations: 200,
        ..ReadingLimits::default()
    };
    let deep = |open: &str, times: usize, inside: &str, close: &str| {
        format!("SELECT {}{inside}{}", open.repeat(times), close.repeat(times))
    };
    let within = vec![
        deep("(SELECT ", 190, "1", ")"),
        deep("(", 190, "1", ")"),
        deep("f(", 190, "1", ")"),
        deep("ARRAY[", 190, "1", "]"),
        deep("EXISTS(SELECT 1 WHERE ", 190, "true", ")"),
        deep("CASE WHEN true THEN ", 190, "1", " END"),
        format!("SELECT 1{}", " UNION SELECT 1".repeat(199)),
        format!("SELECT {}1", "1+".repeat(1_990)),
        format!("SELECT {}1", "- ".repeat(1_990)),
        format!("SELECT {}true", "NOT ".repeat(1_990)),
        format!("SELECT 1{}", "::int".repeat(1_990)),
        format!("SELECT a{}", " COLLATE \"C\"".repeat(1_990)),
        format!("SELECT 1 WHERE a{}", " AND a".repeat(1_990)),
        format!("SELECT 1 WHERE a{}", " OR a".repeat(1_990)),
        format!("SELECT 1 FROM a{}", " JOIN a ON true".repeat(1_990)),
        format!("SELECT a IN ({}1)", "1,".repeat(50_000)),
        format!("INSERT INTO scratch VALUES (1){}", ",(1)".repeat(20_000)),
        format!("SELECT * FROM {}a{}", "(".repeat(190), " CROSS JOIN a)".repeat(190)),
        format!("WITH {}z AS (SELECT 1) SELECT 1", "a AS (SELECT 1), ".repeat(5_000)),
    ];
    let beyond = vec![
        deep("(SELECT ", 2_000, "1", ")"),
        format!("SELECT 1{}", " UNION SELECT 1".repeat(20_000)),
        format!("SELECT {}1", "1+".repeat(10_000)),
        format!("SELECT 1 WHERE a{}", " AND a".repeat(50_000)),
        format!("SELECT 1 {}{}", "/*".repeat(30_000), "*/".repeat(30_000)),
        deep("CASE WHEN true THEN ", 5_000, "1", " END"),
    ];
    let work = move || {
        for text in within {
            let begin: String = text.chars().take(60).collect();
            let read = read_by_grammar(&text, &most);
            assert!(read.is_ok(), "{begin}: {read:?}");
        }
        for text in beyond {
            let readings = read_twice(&text, &most);
            assert!(readings.first.is_err() && matches!(readings.second, Second::Unread(_)));
        }
    };
    thread::Builder::new().stack_size(READER_STACK).spawn(work).unwrap().join().unwrap();
}
