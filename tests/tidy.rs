//! Rules of the repository: the direction of the rooms, the size of files, the purity of the pure
//! rooms, and a case for every rule.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    reason = "a test may stop at the first surprise"
)]

use std::path::{Path, PathBuf};

/// For each room, the rooms it may name.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("tenant", &[]),
    ("policy", &["tenant"]),
    ("sql", &["policy"]),
    ("analyze", &["tenant", "policy", "sql"]),
    ("rewrite", &["tenant", "policy", "sql", "analyze"]),
    ("session", &["tenant", "policy", "sql", "analyze", "rewrite"]),
    ("config", &["tenant", "policy", "sql", "analyze", "rewrite", "session"]),
    ("telemetry", &["tenant", "policy", "sql", "analyze", "rewrite", "session"]),
    ("database", &["config"]),
    ("catalog", &["tenant", "policy", "config", "telemetry", "database"]),
    ("doctor", &["tenant", "policy"]),
    (
        "wire",
        &[
            "tenant",
            "policy",
            "sql",
            "analyze",
            "rewrite",
            "session",
            "config",
            "telemetry",
            "catalog",
            "database",
        ],
    ),
    (
        "serve",
        &[
            "tenant",
            "policy",
            "sql",
            "analyze",
            "rewrite",
            "session",
            "config",
            "telemetry",
            "catalog",
            "database",
            "wire",
        ],
    ),
    (
        "cli",
        &[
            "tenant",
            "policy",
            "sql",
            "analyze",
            "rewrite",
            "session",
            "config",
            "telemetry",
            "catalog",
            "database",
            "wire",
            "serve",
            "doctor",
        ],
    ),
];

/// Rooms without I/O, and what would be I/O.
const PURE: &[&str] = &["tenant", "policy", "sql", "analyze", "rewrite", "session"];
const IMPURE: &[&str] = &[
    "tokio::",
    "async fn",
    ".await",
    "tracing::",
    "std::net",
    "std::fs",
    "std::io",
    "std::env",
    "Instant::now",
    "SystemTime",
    "println!",
    "eprintln!",
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The code of a file: its tests, comments and empty lines left out.
fn code(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    text[..end]
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with("//"))
        .map(str::to_owned)
        .collect()
}

fn room(path: &Path) -> Option<String> {
    let inside = path.strip_prefix(source()).unwrap();
    let first = inside.components().next()?.as_os_str().to_string_lossy().into_owned();
    (inside.components().count() > 1).then_some(first)
}

#[test]
fn rooms_name_only_the_rooms_below_them() {
    let mut broken = Vec::new();
    for path in files(&source()) {
        let Some(room) = room(&path) else { continue };
        let allowed = MAY_NAME
            .iter()
            .find(|(name, _)| *name == room)
            .unwrap_or_else(|| panic!("the room {room} has no place in the order"))
            .1;
        for line in code(&path) {
            for (other, _) in MAY_NAME {
                if *other != room
                    && !allowed.contains(other)
                    && line.contains(&format!("crate::{other}"))
                {
                    broken.push(format!("{}: {}", path.display(), line.trim()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn pure_rooms_do_no_io() {
    let mut broken = Vec::new();
    for path in files(&source()) {
        if !room(&path).is_some_and(|room| PURE.contains(&room.as_str())) {
            continue;
        }
        for line in code(&path) {
            let line = line.replace(".awaits", "");
            if IMPURE.iter().any(|word| line.contains(word)) {
                broken.push(format!("{}: {}", path.display(), line.trim()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn only_the_sql_room_names_the_parser() {
    for path in files(&source()) {
        if room(&path).as_deref() == Some("sql") {
            continue;
        }
        assert!(
            !code(&path)
                .iter()
                .any(|line| line.contains("sqlparser") || line.contains("pg_raw_parse")),
            "{} names the parser",
            path.display()
        );
    }
}

#[test]
fn files_stay_readable() {
    let long: Vec<String> = files(&source())
        .into_iter()
        .map(|path| (code(&path).len(), path))
        .filter(|(lines, _)| *lines > 420)
        .map(|(lines, path)| format!("{}: {lines} code lines", path.display()))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn every_rule_has_cases_and_a_heading() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let cases: String = std::fs::read_dir(root.join("tests/cases"))
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    let catalogue = std::fs::read_to_string(root.join("tests/hidden.rs")).unwrap();
    let rules = std::fs::read_to_string(root.join("docs/rules.md")).unwrap();
    for rule in orgguard::analyze::Rule::ALL {
        let name = rule.name();
        // Relations hide rows only where there is a catalogue: those cases are in a test of their own.
        let refused = cases.lines().chain(catalogue.lines()).any(|line| {
            (line.starts_with("--@ verdict: refuse")
                || line.starts_with("--@ bind:")
                || !line.starts_with("--"))
                && line.contains(name)
        });
        assert!(refused, "no case is refused for {name}");
        assert!(rules.contains(&format!("## {name}")), "docs/rules.md has no heading for {name}");
    }
}
