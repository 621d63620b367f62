//! The configuration in force, for people: what is guarded, which mode holds where, and which holes
//! were made on purpose. No connection string and no path is in it.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::config::{Config, Exempted};
use crate::policy::{EvaluationOrder, Pattern};
use crate::session::{Mode, Rollout};
use crate::telemetry::rfc3339;

/// What `/config` and `orgguard config show` tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigState {
    /// The mode for what nothing below matches.
    pub mode: String,
    /// Since when it is in force; `None` of a file.
    pub since: Option<String>,
    /// Patterns of guarded tables.
    pub tables: Vec<String>,
    /// The column that holds the tenant.
    pub tenant_column: String,
    /// The column that is set when a row is deleted.
    pub soft_delete_column: Option<String>,
    /// What is thought of early evaluation.
    pub evaluation_order: String,
    /// Whether the catalogue is read.
    pub catalog: bool,
    /// Where the mode is another one.
    pub rollouts: Vec<RolloutState>,
    /// Holes that were made on purpose.
    pub exemptions: Vec<ExemptionState>,
    /// Roles whose sessions are audited.
    pub migrations: Vec<String>,
}

/// One `[[rollout]]`. An empty list stands for all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutState {
    /// The mode.
    pub mode: String,
    /// The rules violated.
    pub rules: Vec<String>,
    /// The tables they are violated on.
    pub tables: Vec<String>,
    /// Database roles.
    pub roles: Vec<String>,
    /// Databases.
    pub databases: Vec<String>,
    /// What clients call themselves.
    pub application_names: Vec<String>,
    /// Of a hundred sessions, so many.
    pub sessions_percent: u8,
}

/// One `[[exemption]]`. An empty list stands for all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExemptionState {
    /// Its name.
    pub name: String,
    /// Why it was made.
    pub reason: String,
    /// When it stops working.
    pub expires: String,
    /// Whether it has stopped.
    pub expired: bool,
    /// How many violations it has let pass; `None` of a file.
    pub uses: Option<u64>,
    /// The rules violated.
    pub rules: Vec<String>,
    /// The tables they are violated on.
    pub tables: Vec<String>,
    /// Database roles.
    pub roles: Vec<String>,
    /// Databases.
    pub databases: Vec<String>,
    /// The shapes of the statements.
    pub fingerprints: Vec<String>,
}

impl ConfigState {
    /// What a configuration says at a time. `uses` counts what an exemption let pass.
    #[must_use]
    pub fn new(
        config: &Config,
        since: Option<SystemTime>,
        now: SystemTime,
        uses: impl Fn(&str) -> Option<u64>,
    ) -> Self {
        let tables = &config.policy.tables;
        let mut patterns = patterns(&tables.patterns);
        patterns.extend(tables.overrides.iter().map(|table| table.name.to_string()));
        let evaluation_order = match config.policy.evaluation_order {
            EvaluationOrder::Ignore => "ignore",
            EvaluationOrder::Advise => "advise",
            EvaluationOrder::Refuse => "refuse",
        };
        let stages = &config.stages;
        Self {
            mode: config.mode.name().to_owned(),
            since: since.map(rfc3339),
            tables: patterns,
            tenant_column: tables.tenant_column.to_string(),
            soft_delete_column: tables.soft_delete_column.as_deref().map(str::to_owned),
            evaluation_order: evaluation_order.to_owned(),
            catalog: config.catalog.is_some(),
            rollouts: stages.rollouts.iter().map(rollout).collect(),
            exemptions: stages
                .exemptions
                .iter()
                .map(|exempted| exemption(exempted, now, &uses))
                .collect(),
            migrations: strings(&stages.migrations),
        }
    }
}

fn rollout(rollout: &Rollout) -> RolloutState {
    let Rollout { mode, rules, tables, roles, databases, application_names, percent } = rollout;
    RolloutState {
        mode: Mode::name(*mode).to_owned(),
        rules: rules.iter().map(|rule| rule.name().to_owned()).collect(),
        tables: patterns(tables),
        roles: strings(roles),
        databases: strings(databases),
        application_names: strings(application_names),
        sessions_percent: *percent,
    }
}

fn exemption(
    exempted: &Exempted,
    now: SystemTime,
    uses: &impl Fn(&str) -> Option<u64>,
) -> ExemptionState {
    let own = &exempted.exemption;
    ExemptionState {
        name: own.name.to_string(),
        reason: exempted.reason.clone(),
        expires: rfc3339(exempted.expires),
        expired: exempted.expires <= now,
        uses: uses(&own.name),
        rules: own.rules.iter().map(|rule| rule.name().to_owned()).collect(),
        tables: patterns(&own.tables),
        roles: strings(&own.roles),
        databases: strings(&own.databases),
        fingerprints: own.fingerprints.iter().map(|it| format!("{it:016x}")).collect(),
    }
}

fn patterns(patterns: &[Pattern]) -> Vec<String> {
    let written = |pattern: &Pattern| match pattern {
        Pattern::Exact(name) => name.to_string(),
        Pattern::Prefix(prefix) => format!("{prefix}*"),
    };
    patterns.iter().map(written).collect()
}

fn strings(names: &[Box<str>]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}
