//! Runs a corpus of statements through both readings and prints, by source and by kind, how many
//! are understood and on how many the readings disagree.
//!
//!   cargo run --features postgres-grammar --example corpus -- DIR [--show]
//!
//! DIR holds files `*.jsonl` or `*.jsonl.gz` (for which `gzip` must be installed) with one
//! `{"source": …, "sql": …}` a line. Statements that PostgreSQL's grammar rejects are left out.
//! *Understood* is read and planned, whatever the verdict. A *disagreement* is a text that the first
//! reading alone would admit for some tenant, and of which PostgreSQL's grammar sees another plan; it
//! is looked for twice, with the tables `org_*` guarded and with every table guarded. With --show
//! every disagreement and every text that is not understood is printed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    reason = "a tool that may stop at the first surprise"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use orgguard::analyze::{Arguments, SessionTenant};
use orgguard::analyze::{Disagreement, Kind, Plan, Rule, plan};
use orgguard::config::{Overrides, parse};
use orgguard::policy::{Pattern, Policy, SecondReading};
use orgguard::sql::{HAS_SECOND_READING, Second, read_twice};

const CONFIG: &str = "mode = \"enforce\"\nlisten = \"127.0.0.1:1\"\nupstream = \"127.0.0.1:2\"\n\
                      admin = \"127.0.0.1:3\"\n[guard]\ntables = [\"org_*\"]\n";

/// The stack of a thread that reads SQL in the guard itself.
const STACK: usize = 16 << 20;

#[derive(Clone, Copy, Default)]
struct Row {
    statements: usize,
    alone: usize,
    both: usize,
    disagreements: usize,
    unread: usize,
}

struct Policies {
    alone: Policy,
    both: Policy,
    all_alone: Policy,
    all_both: Policy,
}

impl Policies {
    fn new() -> Self {
        let config = parse(CONFIG, &Overrides::default()).expect("the configuration is sound");
        let with = |second_reading, patterns: Option<Vec<Pattern>>| {
            let mut policy = Policy { second_reading, ..(*config.policy).clone() };
            if let Some(patterns) = patterns {
                policy.tables.patterns = patterns;
            }
            policy
        };
        let every: Vec<Pattern> = ('a'..='z')
            .chain("_0123456789".chars())
            .filter_map(|first| Pattern::parse(&format!("{first}*")))
            .collect();
        Self {
            alone: with(SecondReading::Off, None),
            both: with(SecondReading::Required, None),
            all_alone: with(SecondReading::Off, Some(every.clone())),
            all_both: with(SecondReading::Required, Some(every)),
        }
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(folder), true) = (arguments.next(), HAS_SECOND_READING) else {
        eprintln!("usage: cargo run --features postgres-grammar --example corpus -- DIR [--show]");
        return ExitCode::FAILURE;
    };
    let show = arguments.next().is_some();
    let policies = Arc::new(Policies::new());
    let worker = std::thread::Builder::new().stack_size(STACK);
    worker
        .spawn(move || run(Path::new(&folder), show, &policies))
        .expect("a thread")
        .join()
        .expect("no panic")
}

fn run(folder: &Path, show: bool, policies: &Policies) -> ExitCode {
    let mut by_source: BTreeMap<String, Row> = BTreeMap::new();
    let mut by_kind: BTreeMap<String, Row> = BTreeMap::new();
    let mut rejected = 0;
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        for line in text(&file).lines() {
            let entry: serde_json::Value = serde_json::from_str(line).expect("a JSON object");
            let sql = entry["sql"].as_str().expect("a statement");
            let source = entry["source"].as_str().unwrap_or("?");
            let source = source.split([':', '/']).next().unwrap_or(source).to_owned();
            match judge(sql, policies, show) {
                Some((kind, row)) => {
                    add(by_source.entry(source.clone()).or_default(), row);
                    add(by_kind.entry(format!("{} {kind}", family(&source))).or_default(), row);
                }
                None => rejected += 1,
            }
        }
    }
    print("source", &by_source);
    print("kind", &by_kind);
    println!("left out: {rejected} that PostgreSQL's grammar rejects");
    let sum = |field: fn(&Row) -> usize| by_source.values().map(field).sum::<usize>();
    if sum(|row| row.disagreements) == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn family(source: &str) -> &str {
    if ["django", "sqlalchemy", "drizzle"].contains(&source) { "orm" } else { source }
}

fn text(file: &Path) -> String {
    if file.extension().is_some_and(|extension| extension == "gz") {
        let output = Command::new("gzip").arg("-dc").arg(file).output().expect("gzip");
        return String::from_utf8(output.stdout).expect("UTF-8");
    }
    std::fs::read_to_string(file).expect("a text")
}

fn add(sum: &mut Row, row: Row) {
    sum.statements += row.statements;
    sum.alone += row.alone;
    sum.both += row.both;
    sum.disagreements += row.disagreements;
    sum.unread += row.unread;
}

fn print(title: &str, rows: &BTreeMap<String, Row>) {
    println!(
        "{title:<28} {:>10} {:>17} {:>17} {:>13} {:>7}",
        "statements", "first alone", "with grammar", "disagreements", "unread"
    );
    let mut total = Row::default();
    for (name, row) in rows {
        add(&mut total, *row);
        line(name, *row);
    }
    line("total", total);
    println!();
}

fn line(name: &str, row: Row) {
    let share = |part: usize| {
        let thousandths = part * 100_000 / row.statements.max(1);
        format!("{part} {}.{:03}%", thousandths / 1000, thousandths % 1000)
    };
    let (alone, both) = (share(row.alone), share(row.both));
    println!(
        "{name:<28} {:>10} {alone:>17} {both:>17} {:>13} {:>7}",
        row.statements, row.disagreements, row.unread
    );
}

/// What becomes of one text; `None` if PostgreSQL's grammar rejects it.
fn judge(sql: &str, policies: &Policies, show: bool) -> Option<(&'static str, Row)> {
    let readings = read_twice(sql, &policies.both.limits);
    if matches!(readings.second, Second::Rejected(_)) {
        return None;
    }
    let (alone, both) = (plan(sql, &policies.alone), plan(sql, &policies.both));
    let all_alone = plan(sql, &policies.all_alone);
    let all_both = plan(sql, &policies.all_both);
    let differs = disagrees(&alone, &both) || disagrees(&all_alone, &all_both);
    // Where the first reading refuses nothing is lost, but the readings are worth a look.
    let looks = [&both, &all_both]
        .iter()
        .any(|plan| matches!(plan.disagreement(), Some(Disagreement::Differs(_))));
    let row = Row {
        statements: 1,
        alone: usize::from(understood(&alone)),
        both: usize::from(understood(&both)),
        disagreements: usize::from(differs),
        unread: usize::from(matches!(both.disagreement(), Some(Disagreement::Unread))),
    };
    if show && (row.both == 0 || differs || looks) {
        let why: Vec<String> = [&both, &all_both]
            .iter()
            .flat_map(|plan| plan.statements())
            .flat_map(|statement| {
                statement.settle(SessionTenant::Any, Arguments::Unknown).violations
            })
            .filter(|violation| violation.rule == Rule::NotUnderstood)
            .map(|violation| format!("{}@{}", violation.detail, violation.span.start))
            .collect();
        let why = why.first().cloned().unwrap_or_default();
        let second = match readings.second {
            Second::Read(_) => String::new(),
            Second::Rejected(refused) | Second::Unread(refused) => refused.reason.to_owned(),
        };
        println!("-- {:?} {why} | {second}\n{sql}\n", all_both.disagreement());
    }
    Some((kind(sql, &both), row))
}

fn disagrees(alone: &Plan, both: &Plan) -> bool {
    let admitted = alone.statements().iter().all(|statement| {
        statement.settle(SessionTenant::Any, Arguments::Unknown).violations.is_empty()
    });
    admitted && matches!(both.disagreement(), Some(Disagreement::Differs(_)))
}

fn understood(plan: &Plan) -> bool {
    plan.statements().iter().all(|statement| {
        statement.kind() != Kind::NotUnderstood
            && !statement
                .settle(SessionTenant::Any, Arguments::Unknown)
                .violations
                .iter()
                .any(|violation| violation.rule == Rule::NotUnderstood)
    })
}

/// The kind by the first word, and of WITH by the plan.
fn kind(sql: &str, plan: &Plan) -> &'static str {
    let code: String = sql
        .lines()
        .filter(|line| !line.trim_start().starts_with("--"))
        .collect::<Vec<_>>()
        .join(" ");
    let first = code
        .trim_start_matches(|c: char| c.is_whitespace() || c == '(')
        .split(|c: char| !c.is_ascii_alphabetic())
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    match first.as_str() {
        "select" | "values" | "table" => "dml SELECT",
        "insert" => "dml INSERT",
        "update" => "dml UPDATE",
        "delete" => "dml DELETE",
        "merge" => "dml MERGE",
        "with" => match plan.statements().first().map(orgguard::analyze::StatementPlan::kind) {
            Some(Kind::Insert) => "dml INSERT",
            Some(Kind::Update) => "dml UPDATE",
            Some(Kind::Delete) => "dml DELETE",
            _ => "dml SELECT",
        },
        "copy" => "copy",
        "explain" => "explain",
        "declare" | "fetch" | "move" | "close" => "cursor",
        "prepare" | "execute" | "deallocate" => "prepared",
        "begin" | "start" | "commit" | "end" | "rollback" | "abort" | "savepoint" | "release" => {
            "transaction"
        }
        "set" | "reset" | "show" | "discard" => "setting",
        "create" => "create",
        "alter" | "drop" => "alter, drop",
        _ => "other utility",
    }
}
