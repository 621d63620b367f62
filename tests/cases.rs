//! Each case of `tests/cases/*.sql` is a test of its own. `UPDATE_CASES=1` writes the verdict
//! lines anew; the diff then shows each changed verdict beside its SQL.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/cases.rs"]
mod cases;

use libtest_mimic::{Arguments, Failed, Trial};
use orgguard::analyze::plan;
use orgguard::policy::{Policy, SecondReading};

fn main() {
    let arguments = Arguments::from_args();
    let all = cases::all();
    if std::env::var_os("UPDATE_CASES").is_some() {
        update(&all);
    }
    let trials = all
        .into_iter()
        .map(|case| {
            let file = case.file.file_stem().unwrap().to_string_lossy().into_owned();
            let name = format!("{file}: {}", case.name);
            Trial::test(name, move || run(&case))
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit();
}

/// The verdict lines speak of the first reading alone; tests/readings.rs holds the second against it.
fn policy(case: &cases::Case) -> Policy {
    Policy { second_reading: SecondReading::Off, ..cases::policy(case) }
}

fn run(case: &cases::Case) -> Result<(), Failed> {
    let plan = plan(&case.sql, &policy(case));
    let place = format!("{}:{}", case.file.display(), case.line);
    let said = cases::judge(case, &plan, None);
    if said != cases::normal(&case.verdict.1) {
        return Err(format!("{place}: expected {}, the guard says {said}", case.verdict.1).into());
    }
    for (values, expected) in &case.binds {
        let said = cases::judge(case, &plan, Some(values));
        if said != cases::normal(expected) {
            return Err(format!(
                "{place}: bound to {values:?}: expected {expected}, the guard says {said}"
            )
            .into());
        }
    }
    Ok(())
}

/// Writes every verdict line anew.
fn update(all: &[cases::Case]) {
    let mut files: Vec<_> = all.iter().map(|case| case.file.clone()).collect();
    files.dedup();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for case in all.iter().filter(|case| case.file == file) {
            let said = cases::judge(case, &plan(&case.sql, &policy(case)), None);
            if said != cases::normal(&case.verdict.1) {
                lines[case.verdict.0 - 1] = format!("--@ verdict: {said}");
            }
        }
        std::fs::write(&file, lines.join("\n") + "\n").unwrap();
    }
}
