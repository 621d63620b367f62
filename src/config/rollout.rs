//! `[[rollout]]`, `[[exemption]]` and `[migrations]`.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::problem::Place;
use super::section::{Located, Section};
use crate::analyze::Rule;
use crate::policy::Pattern;
use crate::session::{Exemption, Mode, Modes, Rollout};

/// Exemptions at once: each has a metric of its own.
const EXEMPTIONS: usize = 200;

const DAY: Duration = Duration::from_secs(86_400);

/// An exemption as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exempted {
    /// What it covers.
    pub exemption: Arc<Exemption>,
    /// Why it was made.
    pub reason: String,
    /// When it stops working.
    pub expires: SystemTime,
}

/// What is done with verdicts, beside `mode`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stages {
    /// `[[rollout]]`.
    pub rollouts: Vec<Rollout>,
    /// `[[exemption]]`, expired ones included.
    pub exemptions: Vec<Exempted>,
    /// `[migrations] roles`.
    pub migrations: Vec<Box<str>>,
}

impl Stages {
    /// The modes at a time: what has expired is left out.
    #[must_use]
    pub fn modes(&self, base: Mode, now: SystemTime) -> Modes {
        let live = self.exemptions.iter().filter(|exempted| exempted.expires > now);
        Modes {
            base,
            rollouts: self.rollouts.clone(),
            exemptions: live.map(|exempted| Arc::clone(&exempted.exemption)).collect(),
            migrations: self.migrations.clone(),
        }
    }

    /// When the next exemption expires.
    #[must_use]
    pub fn next_expiry(&self, now: SystemTime) -> Option<SystemTime> {
        self.exemptions.iter().map(|it| it.expires).filter(|expires| *expires > now).min()
    }
}

pub(super) fn convert_stages(top: &mut Section<'_, '_>, base: Option<Mode>) -> Stages {
    let mut stages = Stages::default();
    for Located { value: mut section, place } in top.sections("rollout") {
        let rollout = convert_rollout(&mut section, place, base);
        section.finish();
        stages.rollouts.extend(rollout);
    }
    for Located { value: mut section, place } in top.sections("exemption") {
        let exempted = convert_exemption(&mut section, place);
        section.finish();
        if let Some(exempted) = exempted {
            let name = &exempted.exemption.name;
            if stages.exemptions.iter().any(|other| other.exemption.name == *name) {
                top.report(place, format!("{name:?} has two [[exemption]]"));
            }
            stages.exemptions.push(exempted);
        }
        if stages.exemptions.len() > EXEMPTIONS {
            top.report(place, format!("more than {EXEMPTIONS} [[exemption]]"));
        }
    }
    let mut migrations = top.section("migrations");
    stages.migrations = names(&mut migrations, "roles");
    migrations.finish();
    stages
}

fn convert_rollout(
    section: &mut Section<'_, '_>,
    place: Place,
    base: Option<Mode>,
) -> Option<Rollout> {
    let words = [("audit", Mode::Audit), ("enforce", Mode::Enforce), ("rewrite", Mode::Rewrite)];
    let written = section.has("mode");
    let mode = section.choice("mode", &words);
    if !written {
        section.report(place, "`mode` is missing in [[rollout]]");
    }
    if mode == Some(Mode::Rewrite) && base.is_some_and(|base| base != Mode::Rewrite) {
        let message = r#"mode "rewrite" is for all or nothing: write it as the top-level `mode`"#;
        section.report(place, message);
    }
    let rollout = Rollout {
        mode: mode.unwrap_or(Mode::Audit),
        rules: rules(section),
        tables: patterns(section),
        roles: names(section, "roles"),
        databases: names(section, "databases"),
        application_names: names(section, "application_names"),
        percent: section
            .number("sessions_percent", 1..=100)
            .and_then(|percent| u8::try_from(percent).ok())
            .unwrap_or(100),
    };
    if !rollout.application_names.is_empty() && mode == Some(Mode::Audit) {
        let message = "a client chooses its `application_names`: they may make a mode stricter, \
             so `mode` must not be \"audit\" with them";
        section.report(place, message);
    }
    let Rollout { mode: _, rules, tables, roles, databases, application_names, percent } = &rollout;
    let is_all = rules.is_empty()
        && tables.is_empty()
        && roles.is_empty()
        && databases.is_empty()
        && application_names.is_empty()
        && *percent == 100;
    if is_all {
        let message = "this [[rollout]] is for everything: write its mode as the top-level `mode`";
        section.report(place, message);
    }
    Some(rollout)
}

fn convert_exemption(section: &mut Section<'_, '_>, place: Place) -> Option<Exempted> {
    for key in ["name", "reason", "expires"] {
        if !section.has(key) {
            section.report(place, format!("`{key}` is missing in [[exemption]]"));
        }
    }
    let name = section.name("name");
    let reason = section.name("reason");
    let expires = section.text_or_date("expires");
    let expires = expires.and_then(|expires| {
        let time = expiry(&expires.value);
        if time.is_none() {
            let message = "`expires` must be a day such as 2026-12-31, its end included, or a \
                 time such as 2026-12-31T12:00:00Z";
            section.report(expires.place, message);
        }
        time
    });
    if let Some(name) = &name
        && *name.value == *Exemption::MIGRATIONS
    {
        section.report(name.place, "this name is that of [migrations]");
    }
    let written = section.has("rules") || section.has("fingerprints");
    let exemption = Exemption {
        name: name.as_ref().map_or("", |name| &name.value).into(),
        rules: rules(section),
        tables: patterns(section),
        roles: names(section, "roles"),
        databases: names(section, "databases"),
        fingerprints: fingerprints(section),
    };
    if !written {
        let message =
            "an [[exemption]] needs `rules` or `fingerprints`: it is never for everything";
        section.report(place, message);
    }
    if exemption.rules.contains(&Rule::SessionEscape) {
        let message =
            "session-escape cannot be exempt: no verdict of the session could be believed";
        section.report(place, message);
    }
    Some(Exempted {
        exemption: Arc::new(exemption),
        reason: reason?.value,
        expires: name.and(expires)?,
    })
}

/// The end of a day, or a time.
fn expiry(text: &str) -> Option<SystemTime> {
    if let Ok(time) = humantime::parse_rfc3339(text) {
        return Some(time);
    }
    humantime::parse_rfc3339(&format!("{text}T00:00:00Z")).ok()?.checked_add(DAY)
}

fn rules(section: &mut Section<'_, '_>) -> Vec<Rule> {
    let mut rules = Vec::new();
    for name in section.list("rules").map(|list| list.value).unwrap_or_default() {
        match Rule::ALL.into_iter().find(|rule| *rule.name() == *name.value) {
            Some(rule) => rules.push(rule),
            None => {
                let known = Rule::ALL.map(Rule::name).join(", ");
                section.report(name.place, format!("no rule {:?}; known: {known}", name.value));
            }
        }
    }
    rules
}

fn patterns(section: &mut Section<'_, '_>) -> Vec<Pattern> {
    let mut patterns = Vec::new();
    for name in section.list("tables").map(|list| list.value).unwrap_or_default() {
        match Pattern::parse(&name.value) {
            Some(pattern) => patterns.push(pattern),
            None => section.report(name.place, format!("{:?} is no table pattern", name.value)),
        }
    }
    patterns
}

fn names(section: &mut Section<'_, '_>, key: &'static str) -> Vec<Box<str>> {
    let list = section.list(key).map(|list| list.value).unwrap_or_default();
    list.into_iter().map(|name| name.value.into()).collect()
}

fn fingerprints(section: &mut Section<'_, '_>) -> Vec<u64> {
    let mut fingerprints = Vec::new();
    for text in section.list("fingerprints").map(|list| list.value).unwrap_or_default() {
        match u64::from_str_radix(&text.value, 16) {
            Ok(fingerprint) if text.value.len() == 16 => fingerprints.push(fingerprint),
            Ok(_) | Err(_) => section.report(
                text.place,
                format!("{:?} is no fingerprint: 16 hexadecimal digits, as logged", text.value),
            ),
        }
    }
    fingerprints
}
