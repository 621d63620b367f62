//! The oracle: PostgreSQL itself. Every statement of the case files that the guard admits is run
//! on a database without row-level security and on one where PostgreSQL binds every guarded table
//! to the tenant. Rows, tags, errors and what is in the tables afterwards must be the same, and no
//! soft-deleted row may come out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/cases.rs"]
mod cases;
#[path = "support/truth.rs"]
mod truth;

use std::fmt::Write as _;

use orgguard::analyze::{Kind, plan};
use orgguard::cli::Throwaway;

#[test]
fn what_is_admitted_is_what_row_level_security_gives() {
    let server = Throwaway::start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(compare(&server));
}

async fn compare(server: &Throwaway) {
    let (raw, rls) = truth::databases(server).await;
    let (mut compared, mut ran) = (0_usize, 0_usize);
    let mut differences = String::new();
    for case in cases::all() {
        let plan = plan(&case.sql, &cases::policy(&case));
        // Not COPY: it would leave the simple query protocol, and FROM STDIN waits for data.
        let comparable = plan.statements().iter().all(|statement| {
            matches!(
                statement.kind(),
                Kind::Select
                    | Kind::Insert
                    | Kind::Update
                    | Kind::Delete
                    | Kind::Merge
                    | Kind::Prepared
            )
        });
        if !comparable || case.unknown_tenant || plan.statements().is_empty() {
            continue;
        }
        let alternatives: Vec<Option<&[Option<String>]>> = if case.binds.is_empty() {
            vec![None]
        } else {
            case.binds.iter().map(|(values, _)| Some(values.as_slice())).collect()
        };
        for values in alternatives {
            let said = cases::judge(&case, &plan, values);
            if !said.starts_with("admit")
                || (values.is_none() && case.sql.contains('$') && has_parameter(&case.sql))
            {
                continue;
            }
            compared += 1;
            let text = executable(&case.sql, values);
            let mine = raw.run(&text).await;
            let truth = rls.run(&text).await;
            ran += usize::from(mine.error.is_none());
            let advised = said.starts_with("admit advice");
            let lost_only = advised && mine.rows.iter().all(|row| truth.rows.contains(row));
            // A cascade reaches other tenants' rows under row-level security too, where it is not seen.
            let cascades = case.note.as_deref().is_some_and(|note| note.contains("cascade"));
            let foreign = !cascades && mine.foreign;
            if foreign || (mine.seen() != truth.seen() && !advised && !lost_only) {
                let _ = writeln!(
                    differences,
                    "{}:{}: {}\n  {text}\n  without RLS {mine:?}\n  with RLS    {truth:?}",
                    case.file.display(),
                    case.line,
                    case.name
                );
            }
            if mine.rows.iter().any(|row| row.contains("gone ")) {
                let _ = writeln!(
                    differences,
                    "{}:{}: {}: a soft-deleted row comes out: {:?}",
                    case.file.display(),
                    case.line,
                    case.name,
                    mine.rows
                );
            }
        }
    }
    println!("{compared} admitted statements compared, {ran} of them without an error");
    assert!(differences.is_empty(), "{differences}");
    assert!(ran > 100, "only {ran} statements ran: the oracle has nothing to say");
}

fn has_parameter(sql: &str) -> bool {
    sql.as_bytes()
        .windows(2)
        .any(|pair| pair.first() == Some(&b'$') && pair.get(1).is_some_and(u8::is_ascii_digit))
}

/// The statement with its values, through PREPARE so that they have the types of parameters.
fn executable(sql: &str, values: Option<&[Option<String>]>) -> String {
    let Some(values) = values else {
        return sql.to_owned();
    };
    let values: Vec<String> = values
        .iter()
        .map(|value| {
            value
                .as_ref()
                .map_or("NULL".to_owned(), |text| format!("'{}'", text.replace('\'', "''")))
        })
        .collect();
    format!("PREPARE oracle AS {sql}; EXECUTE oracle({})", values.join(", "))
}
