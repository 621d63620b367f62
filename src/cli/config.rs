use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use super::arguments::{ConfigShowArguments, ShowFormat};
use super::fetch::{fetch, is_url};
use super::{could_not_run, print};
use crate::config::{self, Overrides};
use crate::serve::{ConfigState, ExemptionState, RolloutState};

/// The path under which the admin port tells the configuration in force.
const PATH: &str = "/config";

/// Shows the configuration of a file, or the one in force.
pub(super) fn show(arguments: &ConfigShowArguments) -> ExitCode {
    let state = match read(&arguments.source) {
        Ok(state) => state,
        Err(error) => return could_not_run(&error),
    };
    print(&match arguments.format {
        ShowFormat::Text => text(&state),
        // Strings and numbers always make JSON.
        ShowFormat::Json => {
            format!("{}\n", serde_json::to_string_pretty(&state).unwrap_or_default())
        }
    });
    ExitCode::SUCCESS
}

fn read(source: &str) -> Result<ConfigState, String> {
    if is_url(source) {
        let text = fetch(source, PATH).map_err(|error| format!("{source}: {error}"))?;
        return serde_json::from_str(&text)
            .map_err(|error| format!("{source}: not a configuration: {error}"));
    }
    // What is shown does not depend on where it is served.
    let config = config::load(Path::new(source), &Overrides::default());
    let config = config.map_err(|invalid| invalid.to_string())?;
    Ok(ConfigState::new(&config, None, SystemTime::now(), |_| None))
}

/// For people. Writing to a string does not fail, so its results are dropped.
fn text(state: &ConfigState) -> String {
    let mut text = format!("mode {}", state.mode);
    if let Some(since) = &state.since {
        let _ = write!(text, ", in force since {since}");
    }
    let soft_delete = state.soft_delete_column.as_deref().unwrap_or("no column");
    let _ = write!(
        text,
        "\nguarded: {}, by {} and {soft_delete}\nevaluation order: {}\ncatalogue: {}\n",
        state.tables.join(", "),
        state.tenant_column,
        state.evaluation_order,
        if state.catalog { "read" } else { "none, names alone decide" },
    );
    for rollout in &state.rollouts {
        text.push_str(&rollout_text(rollout));
    }
    for exemption in &state.exemptions {
        text.push_str(&exemption_text(exemption));
    }
    if !state.migrations.is_empty() {
        let _ = writeln!(text, "audited for migrations: {}", state.migrations.join(", "));
    }
    text
}

fn rollout_text(rollout: &RolloutState) -> String {
    let mut text = format!("rollout: {}", rollout.mode);
    let lists = [
        ("rules", &rollout.rules),
        ("tables", &rollout.tables),
        ("roles", &rollout.roles),
        ("databases", &rollout.databases),
        ("application names", &rollout.application_names),
    ];
    append(&mut text, &lists);
    if rollout.sessions_percent < 100 {
        let _ = write!(text, "; {} % of sessions", rollout.sessions_percent);
    }
    text.push('\n');
    text
}

fn exemption_text(exemption: &ExemptionState) -> String {
    let ends = if exemption.expired { "EXPIRED" } else { "until" };
    let mut text = format!("exemption {}: {ends} {}", exemption.name, exemption.expires);
    if let Some(uses) = exemption.uses {
        let _ = write!(text, ", used {uses} times");
    }
    let lists = [
        ("rules", &exemption.rules),
        ("tables", &exemption.tables),
        ("roles", &exemption.roles),
        ("databases", &exemption.databases),
        ("fingerprints", &exemption.fingerprints),
    ];
    append(&mut text, &lists);
    let _ = writeln!(text, "\n    {}", exemption.reason);
    text
}

fn append(text: &mut String, lists: &[(&str, &Vec<String>)]) {
    for (what, names) in lists {
        if !names.is_empty() {
            let _ = write!(text, "; {what} {}", names.join(", "));
        }
    }
}
