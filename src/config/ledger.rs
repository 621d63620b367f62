use std::path::PathBuf;

use super::section::Section;

/// `[ledger]`: the file that violations are kept in, if there is one.
pub(super) fn convert_ledger(mut ledger: Section<'_, '_>) -> Option<PathBuf> {
    let file = ledger.text("file");
    if let Some(file) = &file
        && file.value.is_empty()
    {
        ledger.report(file.place, "`file` is empty: leave it out, or name a file");
    }
    ledger.finish();
    file.map(|file| PathBuf::from(file.value))
}
