use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::catalog::convert_catalog;
use super::guard::{convert_mask, convert_reading, convert_tables, lower};
use super::ledger::convert_ledger;
use super::listen::convert_sockets;
use super::login::convert_login;
use super::problem::{Invalid, Place, Problem};
use super::rewriting::convert_rewrite;
use super::rollout::convert_stages;
use super::section::{Located, Section, Source};
use super::tenant::convert_tenant;
use super::upstream::convert_upstream;
use super::{ClientTls, Config, Limits};
use crate::policy::{EvaluationOrder, Policy, Routines, SecondReading, Settings};
use crate::session::Mode;
use crate::sql::HAS_SECOND_READING;
use crate::tenant::TenantType;

/// The largest length a message can announce (PostgreSQL documentation, 55.7: Int32).
const MESSAGE_BYTES_MAX: usize = 0x7fff_ffff;

/// Options of the command line that take the place of the file's values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--mode`.
    pub mode: Option<String>,
    /// `--listen`.
    pub listen: Option<String>,
    /// `--upstream`.
    pub upstream: Option<String>,
    /// `--admin`.
    pub admin: Option<String>,
}

/// Reads a configuration file.
///
/// # Errors
/// With everything that is wrong with it, or that it could not be read.
pub fn load(file: &Path, overrides: &Overrides) -> Result<Config, Invalid> {
    let problems = match std::fs::read_to_string(file) {
        Ok(text) => match parse(&text, overrides) {
            Ok(config) => return Ok(config),
            Err(problems) => problems,
        },
        Err(error) => {
            vec![Problem { place: Place::File, message: format!("could not be read: {error}") }]
        }
    };
    Err(Invalid { file: file.to_owned(), problems })
}

/// The configuration that `check` and `explain` use without a file: the conventions of the guarded
/// applications, in enforce mode unless another is given.
///
/// # Errors
/// If the overrides are wrong.
pub fn standard(overrides: &Overrides) -> Result<Config, Invalid> {
    let mut overrides = overrides.clone();
    overrides.mode.get_or_insert_with(|| Mode::Enforce.name().to_owned());
    parse("", &overrides).map_err(|problems| Invalid { file: PathBuf::from("(no file)"), problems })
}

/// Reads the text of a configuration file.
///
/// # Errors
/// With everything that is wrong with it, by line.
pub fn parse(text: &str, overrides: &Overrides) -> Result<Config, Vec<Problem>> {
    let source = Source::new(text);
    let (mut top, sound) = source.read();
    let config = convert(&mut top, overrides);
    top.finish();
    let mut problems = source.into_problems();
    if !sound {
        // What could not be read may look missing, or be half a value.
        let broken: Vec<_> = problems.iter().filter(|p| is_syntax(p)).map(|p| p.place).collect();
        problems.retain(|p| is_syntax(p) || p.place != Place::File && !broken.contains(&p.place));
    }
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        Some(_) => Err(problems),
        None if problems.is_empty() => {
            // Every `None` above comes with a report; should one be forgotten, still refuse.
            Err(vec![Problem { place: Place::File, message: "not understood".to_owned() }])
        }
        None => Err(problems),
    }
}

fn is_syntax(problem: &Problem) -> bool {
    problem.message.starts_with("not TOML")
}

/// Converts every section, so that each reports its problems, before giving up.
fn convert(top: &mut Section<'_, '_>, overrides: &Overrides) -> Option<Config> {
    let mode = convert_mode(top, overrides);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let threads = top.number("threads", 1..=1_024).unwrap_or(cores);
    let (upstream, upstream_sound) = convert_upstream(top, overrides);
    let sockets = convert_sockets(top, overrides, &upstream);

    let mut guard = top.section("guard");
    let tables = convert_tables(&mut guard);
    let tenant_type = guard
        .choice(
            "tenant_type",
            &[
                ("uuid", TenantType::Uuid),
                ("bigint", TenantType::Bigint),
                ("text", TenantType::Text),
            ],
        )
        .unwrap_or(TenantType::Uuid);
    let mask_errors = convert_mask(&mut guard);
    let evaluation_order = evaluation_order(&mut guard);
    let copy_from =
        guard.choice("copy_from", &[("refuse", false), ("judge", true)]).unwrap_or(false);
    let reading = convert_reading(guard.section("reading"));
    guard.finish();
    let client_tls = convert_tls(top);
    let has_client_ca = match &client_tls {
        Some(Some(tls)) => tls.client_ca.is_some(),
        Some(None) => false,
        // What is wrong with it has been said.
        None => true,
    };
    let tenant = convert_tenant(top.section("tenant"), tenant_type, has_client_ca);
    let (settings, routines) = convert_lists(top);
    let second_reading = convert_second_reading(top.section("reading"));
    let limits = convert_limits(top.section("limits"));
    let login = convert_login(
        top,
        matches!(client_tls, Some(Some(_))),
        upstream.value.tls.is_some() && upstream.value.has_tcp(),
    );
    let catalog = convert_catalog(top, &upstream.value);
    let ledger = convert_ledger(top.section("ledger"));
    let stages = convert_stages(top, mode);

    let rewriting = convert_rewrite(top, overrides, mode, evaluation_order);

    let (tenant, sockets) = (tenant?, sockets?);
    Some(Config {
        mode: mode?,
        stages,
        dry_run: rewriting.dry_run,
        listen: sockets.listen,
        unix_socket_permissions: sockets.permissions,
        upstream: upstream_sound.then_some(upstream.value)?,
        admin: sockets.admin,
        policy: Arc::new(Policy {
            tables: tables?,
            tenant_type,
            tenant_setting: tenant.rules.setting.clone(),
            tenant_setters: tenant.setters,
            tenant_comment: tenant.comment,
            copy_from,
            settings,
            routines,
            limits: reading,
            second_reading,
            catalog: None,
            overlay: Arc::default(),
            evaluation_order,
            soft_deletes: rewriting.soft_deletes,
            fences: rewriting.fences,
        }),
        tenant: tenant.rules,
        mask_errors,
        limits,
        client_tls: client_tls?,
        threads,
        login: login?,
        catalog: catalog?,
        ledger,
    })
}

fn convert_mode(top: &mut Section<'_, '_>, overrides: &Overrides) -> Option<Mode> {
    let written = top.has("mode");
    let Some(text) = given(top, "mode", "--mode", overrides.mode.as_ref()) else {
        if !written {
            top.report(
                Place::File,
                r#"`mode` is missing: write mode = "audit" (log only) mode = "enforce" (refuse) or mode = "rewrite" (repair, or refuse)"#,
            );
        }
        return None;
    };
    let words = [("audit", Mode::Audit), ("enforce", Mode::Enforce), ("rewrite", Mode::Rewrite)];
    let mode = top.choose("mode", &text, &words)?;
    Some(mode)
}

/// The option of the command line if it was given, else the file's value.
fn given(
    top: &mut Section<'_, '_>,
    key: &'static str,
    option: &'static str,
    value: Option<&String>,
) -> Option<Located<String>> {
    let own = top.text(key);
    match value {
        Some(value) => Some(Located { value: value.clone(), place: Place::Option(option) }),
        None => own,
    }
}

fn evaluation_order(guard: &mut Section<'_, '_>) -> EvaluationOrder {
    guard
        .choice(
            "evaluation_order",
            &[
                ("ignore", EvaluationOrder::Ignore),
                ("advise", EvaluationOrder::Advise),
                ("refuse", EvaluationOrder::Refuse),
            ],
        )
        .unwrap_or_default()
}

fn convert_lists(top: &mut Section<'_, '_>) -> (Settings, Routines) {
    let mut session = top.section("session");
    let allowed = lower(session.list("settings"));
    let mut search_path = lower(session.list("search_path"));
    // PostgreSQL's own default, behind what the application puts before it.
    for schema in ["$user", "public"] {
        if !search_path.iter().any(|own| **own == *schema) {
            search_path.push(schema.into());
        }
    }
    let words = [("none", false), ("session", true)];
    let pooled = top.choice("upstream_pooling", &words).unwrap_or(false);
    let settings = Settings { allowed, search_path, pooled };
    session.finish();
    let mut routines = top.section("routines");
    let allowed = lower(routines.list("allow")).into_iter().collect();
    let rules = lower(routines.list("rules")).into_iter().collect();
    routines.finish();
    (settings, Routines { allowed, rules })
}

/// `[reading] second`. A binary without PostgreSQL's grammar cannot promise what it would give.
fn convert_second_reading(mut reading: Section<'_, '_>) -> SecondReading {
    let words = [("off", SecondReading::Off), ("required", SecondReading::Required)];
    let standard = if HAS_SECOND_READING { SecondReading::Required } else { SecondReading::Off };
    let text = reading.text("second");
    let chosen = text.as_ref().and_then(|text| reading.choose("second", text, &words));
    if let (Some(SecondReading::Required), Some(text), false) = (chosen, &text, HAS_SECOND_READING)
    {
        reading.report(
            text.place,
            "`second` is \"required\", but this binary was built without PostgreSQL's grammar: \
             build it with --features postgres-grammar, or say \"off\"",
        );
    }
    reading.finish();
    chosen.unwrap_or(standard)
}

fn convert_limits(mut limits: Section<'_, '_>) -> Limits {
    let standard = Limits::default();
    let sizes = 1_024..=MESSAGE_BYTES_MAX;
    let converted = Limits {
        connections: limits.number("connections", 1..=1_000_000).unwrap_or(standard.connections),
        connections_per_address: limits.number("connections_per_address", 1..=1_000_000),
        connections_per_role: limits.number("connections_per_role", 1..=1_000_000),
        idle_timeout: limits.duration("idle_timeout"),
        statement_timeout: limits.duration("statement_timeout"),
        login_timeout: limits.duration("login_timeout").unwrap_or(standard.login_timeout),
        connect_timeout: limits.duration("connect_timeout").unwrap_or(standard.connect_timeout),
        message_bytes: limits.number("message_bytes", sizes).unwrap_or(standard.message_bytes),
        startup_bytes: limits
            .number("startup_bytes", 128..=1 << 20)
            .unwrap_or(standard.startup_bytes),
        statements_per_session: limits
            .number("statements_per_session", 1..=1_000_000)
            .unwrap_or(standard.statements_per_session),
        plan_cache_bytes: limits
            .number("plan_cache_bytes", 0..=1 << 40)
            .unwrap_or(standard.plan_cache_bytes),
        drain: limits.duration("drain").unwrap_or(standard.drain),
    };
    limits.finish();
    converted
}

/// The outer `None` is a problem, the inner one a configuration without TLS.
fn convert_tls(top: &mut Section<'_, '_>) -> Option<Option<ClientTls>> {
    if !top.has("client_tls") {
        // Asked for all the same, so that the list of known keys is whole.
        top.section("client_tls").finish();
        return Some(None);
    }
    let mut tls = top.section("client_tls");
    let mut path = |key: &'static str| {
        let written = tls.has(key);
        let name = tls.name(key);
        if !written {
            tls.report(Place::File, format!("`{key}` is missing in [client_tls]"));
        }
        name.map(|name| PathBuf::from(name.value))
    };
    let certificate = path("certificate");
    let key = path("key");
    let required = tls.flag("required").unwrap_or(false);
    let client_ca = tls.name("client_ca").map(|name| PathBuf::from(name.value));
    let certificate_required = tls.flag("client_certificate_required");
    if certificate_required.is_some() && client_ca.is_none() {
        let message = "`client_certificate_required` needs `client_ca`, which would verify it";
        tls.report(Place::File, message);
    }
    tls.finish();
    Some(Some(ClientTls {
        certificate: certificate?,
        key: key?,
        required,
        client_ca,
        client_certificate_required: certificate_required.unwrap_or(false),
    }))
}
