//! The status page: one HTML page without any other file, and what it shows as JSON.

use std::time::SystemTime;

use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use serde::Serialize;

use super::admin::{Admin, json};
use super::state::ConfigState;
use crate::catalog::Health;
use crate::telemetry::{Judged, Readiness, Report, Sample, Shape};

const PAGE: &str = include_str!("status.html");

/// The page asks this port alone, and nothing that it shows can run.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// Shapes that the page shows.
const SHAPES: usize = 50;

/// What the page shows.
#[derive(Serialize)]
struct Status<'a> {
    version: &'a str,
    at: String,
    /// Why clients could not work now, if they could not.
    not_ready: Option<String>,
    connections: i64,
    judged: Judged,
    history: Vec<Sample>,
    verdict: &'a str,
    ledger_since: &'a str,
    shapes: usize,
    attempts: u64,
    dropped: u64,
    tables: Vec<Table<'a>>,
    rules: Vec<BrokenRule<'a>>,
    statements: Vec<&'a Shape>,
    catalog: &'a str,
    catalog_age_seconds: Option<u64>,
    config: ConfigState,
}

/// Whether one table could be enforced.
#[derive(Serialize)]
struct Table<'a> {
    table: Option<&'a str>,
    verdict: &'a str,
    texts: u64,
    last: Option<&'a str>,
    shapes: usize,
    attempts: u64,
    rules: Vec<&'a str>,
}

/// A rule that something violates.
#[derive(Serialize)]
struct BrokenRule<'a> {
    rule: &'a str,
    shapes: usize,
    attempts: u64,
}

pub(super) async fn page() -> Response {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, Html(PAGE)).into_response()
}

pub(super) async fn status(State(admin): State<Admin>) -> Response {
    let not_ready = admin.not_ready().await;
    admin.telemetry.sample();
    let account = admin.telemetry.account();
    let report = Report::new(&account, None);
    let current = admin.live.current();
    let health = admin.policies.health();
    let uses = |name: &str| Some(admin.telemetry.exempted(name));
    let tables = report.tables.iter().map(|(table, share)| Table {
        table: *table,
        verdict: share.readiness().name(),
        texts: share.texts,
        last: share.last,
        shapes: share.shapes,
        attempts: share.attempts,
        rules: share.others.clone(),
    });
    let rules = report.rules.iter().filter(|(_, share)| share.shapes > 0);
    let rules = rules.map(|(rule, share)| BrokenRule {
        rule,
        shapes: share.shapes,
        attempts: share.attempts,
    });
    json(&Status {
        version: env!("CARGO_PKG_VERSION"),
        at: account.summary.at.clone(),
        not_ready,
        connections: admin.telemetry.connections(),
        judged: account.summary.judged,
        history: admin.telemetry.history(),
        verdict: Readiness::name(report.readiness),
        ledger_since: &account.summary.since,
        shapes: report.statements.len(),
        attempts: report.attempts(),
        dropped: account.summary.dropped,
        tables: tables.collect(),
        rules: rules.collect(),
        statements: report.statements.iter().take(SHAPES).copied().collect(),
        catalog: match health {
            Health::Absent => "none: names alone decide",
            Health::Unread => "not read yet",
            Health::Fresh => "up to date",
            Health::Stale(_) => "stale",
        },
        catalog_age_seconds: health.age().map(|age| age.as_secs()),
        config: ConfigState::new(&current.config, Some(current.since), SystemTime::now(), uses),
    })
}
