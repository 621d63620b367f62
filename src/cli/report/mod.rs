mod draw;

use std::process::ExitCode;
use std::time::SystemTime;

use super::arguments::{ReportArguments, ReportFormat};
use super::fetch::{fetch, is_url};
use super::{could_not_run, print};
use crate::telemetry::{Account, NoAccount, Readiness, Report};

use draw::{json, markdown, text};

/// The path under which the admin port gives the ledger.
const PATH: &str = "/violations";

/// The ledger could not be summed up.
#[derive(Debug, thiserror::Error)]
enum NotSummed {
    #[error("{source_name}: {error}")]
    Unreadable { source_name: String, error: String },
    #[error("{source_name}: not a ledger: {error}")]
    NoLedger { source_name: String, error: NoAccount },
    #[error("--since {0}: write a time such as 2026-11-25T08:00:00Z, or how long ago, such as 2h")]
    Since(String),
}

/// Sums a ledger up.
pub(super) fn run(arguments: &ReportArguments) -> ExitCode {
    let (account, since) = match read(arguments) {
        Ok(read) => read,
        Err(error) => return could_not_run(&error),
    };
    let report = Report::new(&account, since);
    print(&match arguments.format {
        ReportFormat::Text => text(&report),
        ReportFormat::Markdown => markdown(&report),
        ReportFormat::Json => json(&report),
    });
    match report.readiness {
        Readiness::Ready => ExitCode::SUCCESS,
        Readiness::NotReady | Readiness::Unseen => ExitCode::FAILURE,
    }
}

fn read(arguments: &ReportArguments) -> Result<(Account, Option<SystemTime>), NotSummed> {
    let source_name = arguments.source.clone();
    let text = if is_url(&source_name) {
        fetch(&source_name, PATH)
    } else {
        std::fs::read_to_string(&source_name).map_err(|error| error.to_string())
    };
    let text =
        text.map_err(|error| NotSummed::Unreadable { source_name: source_name.clone(), error })?;
    let account =
        Account::from_text(&text).map_err(|error| NotSummed::NoLedger { source_name, error })?;
    let since = arguments.since.as_deref().map(|text| since(text, &account)).transpose()?;
    Ok((account, since))
}

/// A time, or how long before the ledger was written.
fn since(text: &str, account: &Account) -> Result<SystemTime, NotSummed> {
    if let Ok(time) = humantime::parse_rfc3339_weak(text) {
        return Ok(time);
    }
    let ago = humantime::parse_duration(text).ok();
    let written = humantime::parse_rfc3339(&account.summary.at).ok();
    let since = ago.zip(written).and_then(|(ago, written)| written.checked_sub(ago));
    since.ok_or_else(|| NotSummed::Since(text.to_owned()))
}
