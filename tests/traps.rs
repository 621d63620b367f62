//! The traps of reading, of proof and of the catalogue, each on a real server behind a running
//! guard: first what PostgreSQL alone gives away or does, then that the guard refuses it, then that
//! an honest statement of the same kind passes and gives what row-level security gives.
//!
//! `ORGGUARD_PG_BIN` chooses the server; what needs PostgreSQL 17 or later fetches 18 by itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    reason = "a test may stop at the first surprise"
)]

#[path = "traps/catalog.rs"]
mod catalog;
#[path = "traps/names.rs"]
mod names;
#[path = "support/postgres18.rs"]
mod postgres18;
#[path = "traps/proof.rs"]
mod proof;
#[path = "support/shop.rs"]
mod shop;

use shop::{A, Shop, rows};
use tokio_postgres::Client;

/// Runs a text in a transaction, then a question; nothing of it stays.
async fn after(client: &Client, sql: &str, question: &str) -> Vec<String> {
    client.batch_execute("BEGIN").await.unwrap();
    let done = rows(client, sql).await;
    let seen = match done {
        Ok(_) => rows(client, question).await.unwrap(),
        Err(error) => panic!("{sql}: {error}"),
    };
    client.batch_execute("ROLLBACK").await.unwrap();
    seen
}

/// PostgreSQL alone shows a row of organization B, and not where row-level security is on.
async fn assert_leaks(shop: &Shop, sql: &str) {
    let foreign = |rows: &[String]| rows.iter().any(|row| row.contains("B "));
    assert!(foreign(&rows(&shop.direct, sql).await.unwrap()), "no leak: {sql}");
    if let Ok(rows) = rows(&shop.twin, sql).await {
        assert!(!foreign(&rows), "a leak under row-level security: {sql}");
    }
}

/// The guard refuses it by one of these rules (joined with `|`), with a position.
async fn assert_refused(client: &Client, sql: &str, rules: &str) {
    let error = match rows(client, sql).await {
        Err(error) => error,
        Ok(rows) => panic!("admitted: {sql}\n{rows:?}"),
    };
    let detail = error.detail().unwrap_or_default();
    let code = if detail.starts_with("not-understood") { "0A000" } else { "42501" };
    assert_eq!(error.code().code(), code, "{sql}: {error:?}");
    assert!(error.position().is_some(), "{sql}: {error:?}");
    assert!(rules.split('|').any(|rule| detail.contains(rule)), "{sql}: {detail}");
}

/// Admitted, with the rows that row-level security gives, and at least one.
async fn assert_honest(shop: &Shop, client: &Client, sql: &str) {
    let (mut mine, mut twin) =
        (rows(client, sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}")), {
            rows(&shop.twin, sql).await.unwrap()
        });
    mine.sort();
    twin.sort();
    assert_eq!(mine, twin, "{sql}");
    assert!(!mine.is_empty(), "nothing to compare: {sql}");
}

/// Admitted, and it changes what it changes under row-level security, there and here for good.
async fn assert_honest_write(shop: &Shop, client: &Client, sql: &str, table: &str) {
    // The guarded session may not see the rows of others: they are looked at past the guard.
    let own = format!("SELECT * FROM {table} WHERE organization_id = '{A}' ORDER BY 1, 2, 3");
    let others = format!("SELECT * FROM {table} WHERE organization_id <> '{A}' ORDER BY 1, 2, 3");
    let before = rows(&shop.twin, &own).await.unwrap();
    let foreign = rows(&shop.direct, &others).await.unwrap();
    rows(&shop.twin, sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let twin = rows(&shop.twin, &own).await.unwrap();
    assert_ne!(twin, before, "nothing happens: {sql}");
    rows(client, sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    assert_eq!(rows(&shop.direct, &own).await.unwrap(), twin, "{sql}");
    assert_eq!(rows(&shop.direct, &others).await.unwrap(), foreign, "{sql}");
}
