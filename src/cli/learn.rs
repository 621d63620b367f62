//! A configuration proposed from what a database says and what a guard saw. A person reads, edits
//! and commits it. Writing to a string does not fail, so its results are dropped here.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use super::arguments::LearnArguments;
use super::doctor::read_schema;
use super::fetch::{fetch, is_url};
use super::{could_not_run, print};
use crate::analyze::Rule;
use crate::config::Config;
use crate::doctor::{Schema, Table};
use crate::telemetry::{Account, Shape};

/// Proposes a configuration.
pub(super) fn run(arguments: &LearnArguments) -> ExitCode {
    let config = match arguments.config() {
        Ok(config) => config,
        Err(invalid) => return could_not_run(&invalid),
    };
    let schema = match &arguments.dsn {
        None => None,
        Some(dsn) => match read_schema(dsn, &config) {
            Ok(schema) => Some(schema),
            Err(error) => return could_not_run(&error),
        },
    };
    let account = match arguments.source.as_deref().map(account).transpose() {
        Ok(account) => account,
        Err(error) => return could_not_run(&error),
    };
    if schema.is_none() && account.is_none() {
        return could_not_run(&"nothing to learn from: give a ledger, a --dsn, or both");
    }
    print(&propose(&config, schema.as_ref(), account.as_ref()));
    ExitCode::SUCCESS
}

fn account(source: &str) -> Result<Account, String> {
    let text = if is_url(source) {
        fetch(source, "/violations")
    } else {
        std::fs::read_to_string(source).map_err(|error| error.to_string())
    };
    let text = text.map_err(|error| format!("{source}: {error}"))?;
    Account::from_text(&text).map_err(|error| format!("{source}: not a ledger: {error}"))
}

fn propose(config: &Config, schema: Option<&Schema>, account: Option<&Account>) -> String {
    let mut text = String::from(
        "# Proposed by orgguard learn. Read it, edit it, commit it.\n\
         # Audit first; write \"enforce\" when orgguard report says that all is ready.\n\
         mode = \"audit\"\n\n",
    );
    guard(config, schema, &mut text);
    if let Some(account) = account {
        routines(account, &mut text);
        exemptions(account, &mut text);
    }
    text
}

/// A TOML string of one line.
fn quoted(name: &str) -> String {
    toml::Value::String(name.to_owned()).to_string()
}

/// Text inside a comment of one line.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn guard(config: &Config, schema: Option<&Schema>, text: &mut String) {
    let tables = &config.policy.tables;
    let tenant = &*tables.tenant_column;
    let all: &[Table] = schema.map_or(&[], |schema| &schema.tables);
    let prefix = tables.patterns.iter().map(|pattern| match pattern {
        crate::policy::Pattern::Exact(name) => name.to_string(),
        crate::policy::Pattern::Prefix(prefix) => format!("{prefix}*"),
    });
    let mut names: Vec<String> = prefix.collect();
    let by_column = all
        .iter()
        .filter(|table| table.column(tenant).is_some() && tables.guard(&table.name).is_none());
    let _ = writeln!(text, "[guard]");
    for table in by_column {
        let name = table.name.to_lowercase();
        let _ = writeln!(
            text,
            "# {} has {tenant} and another name than the patterns cover.",
            plain(&table.name)
        );
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let list: Vec<_> = names.iter().map(|name| quoted(name)).collect();
    let _ = writeln!(text, "tables = [{}]", list.join(", "));
    let _ = writeln!(text, "tenant_column = {}", quoted(tenant));
    let soft_delete = tables.soft_delete_column.as_deref();
    if let Some(column) = soft_delete {
        let _ = writeln!(text, "soft_delete_column = {}", quoted(column));
    }
    let guarded = |table: &&Table| {
        tables.guard(&table.name).is_some() || names.contains(&table.name.to_lowercase())
    };
    let mut told = Vec::new();
    for table in all.iter().filter(guarded).filter(|table| !table.is_partition) {
        let name = table.name.to_lowercase();
        if table.column(tenant).is_none() {
            let _ = writeln!(
                text,
                "\n# {} is guarded by its name and has no {tenant}: every statement on it is refused.",
                plain(&table.name)
            );
        } else if soft_delete.is_some_and(|column| table.column(column).is_none())
            && !told.contains(&name)
        {
            let _ = write!(text, "\n[[guard.table]]\nname = {}\n", quoted(&name));
            let _ = writeln!(text, "soft_delete = false   # it has no such column");
            told.push(name);
        }
    }
}

/// Routines that statements called and the guard does not know.
fn routines(account: &Account, text: &mut String) {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for shape in &account.statements {
        for broken in shape.violations.iter().filter(|it| it.rule == Rule::OpaqueSql.name()) {
            if let Some(name) = &broken.table {
                let count = counts.entry(name).or_default();
                *count = count.saturating_add(broken.count);
            }
        }
    }
    if counts.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "\n# Called, and not known to be harmless. Take the # from those that run no SQL text and read\n\
         # no rows beside the guard.\n[routines]\nallow = ["
    );
    for (name, count) in counts {
        let _ = writeln!(text, "    # {},   # {count} times", plain(&quoted(name)));
    }
    let _ = writeln!(text, "]");
}

/// Shapes that violate: to mend, or to exempt.
fn exemptions(account: &Account, text: &mut String) {
    let is_only_opaque = |shape: &&Shape| {
        !shape.violations.iter().all(|broken| broken.rule == Rule::OpaqueSql.name())
    };
    let shapes: Vec<_> = account.statements.iter().filter(is_only_opaque).collect();
    if shapes.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "\n# What enforcement would refuse. Mend the statements; only what is meant to cross organizations\n\
         # gets an exemption, with a reason and an end."
    );
    for (at, shape) in shapes.iter().enumerate() {
        let number = at.saturating_add(1);
        let _ = writeln!(text, "\n# {}", plain(&shape.statement));
        let _ = writeln!(
            text,
            "# {} attempts, {} to {}; roles {}; applications {}",
            shape.count,
            shape.first_seen,
            shape.last_seen,
            plain(&shape.roles.join(", ")),
            plain(&shape.application_names.join(", ")),
        );
        for broken in &shape.violations {
            let _ = writeln!(text, "#   {}: {}", broken.rule, plain(&broken.hint));
        }
        let _ = writeln!(text, "# [[exemption]]\n# name = \"learned-{number}\"\n# reason = \"\"");
        let _ =
            writeln!(text, "# expires = \"\"\n# fingerprints = [{}]", quoted(&shape.fingerprint));
    }
}
