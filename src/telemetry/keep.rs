//! The ledger's file: written as a whole, so that a reader never sees half of it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::account::Account;
use super::ledger::FORM;
use super::metrics::Telemetry;

/// How often the file is written.
const INTERVAL: Duration = Duration::from_secs(10);

/// Takes up what an earlier process wrote, if the file is there.
///
/// # Errors
/// If it is there and cannot be read, or is no ledger: it is not to be overwritten then.
pub fn take_up(telemetry: &Telemetry, file: &Path) -> io::Result<()> {
    let text = match std::fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        read => read?,
    };
    let account = Account::from_text(&text)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
    if account.summary.ledger != FORM {
        let why =
            format!("a ledger of form {}, and this program knows {FORM}", account.summary.ledger);
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    telemetry.take_up(&account);
    Ok(())
}

/// Writes the ledger at every interval, until dropped.
pub async fn keep_ledger(telemetry: Telemetry, file: PathBuf) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        let (own, path) = (telemetry.clone(), file.clone());
        let written = tokio::task::spawn_blocking(move || write_ledger(&own, &path)).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(target: "orgguard::ledger", file = %file.display(), %error, "not written");
        }
    }
}

/// Writes the ledger now.
///
/// # Errors
/// If the file cannot be written; the one before stays as it was.
pub fn write_ledger(telemetry: &Telemetry, file: &Path) -> io::Result<()> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = file.with_file_name(name);
    std::fs::write(&new, telemetry.account().to_lines())?;
    std::fs::rename(&new, file)
}
