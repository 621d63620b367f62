use std::collections::HashSet;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;

use super::arguments::{DoctorArguments, ObjectFormat};
use super::guard::runtime;
use super::progress::Progress;
use super::sarif::{SarifPlace, SarifResult, SarifRule, sarif};
use super::{could_not_run, print};
use crate::config::{Config, UpstreamTls};
use crate::database::connect;
use crate::doctor::{self, Convention, Finding, Flaw, Level, Schema};

/// Until the server has taken the connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// The setting of the convention, where the configuration has no setting as a source of tenants.
const SETTING: &str = "app.organization_id";

/// The database could not be looked at.
#[derive(Debug, thiserror::Error)]
enum NotExamined {
    #[error("no DSN: give one, or a --config with [catalog] dsn")]
    NoDsn,
    /// Without its text, which may hold a password.
    #[error(
        r#"the DSN is not understood; write one such as "host=127.0.0.1 user=postgres dbname=shop" (of sslmode it knows disable, prefer and require; verify-full is asked for by [upstream_tls] of the --config)"#
    )]
    Dsn,
    #[error("--allow {0}: no such flaw; known are {known}", known = known_flaws())]
    Allow(String),
    #[error("--role {0}: the server has no such role")]
    Role(String),
    #[error("could not connect: {0}")]
    Connect(String),
    #[error("could not connect: no answer in time")]
    TooLate,
    #[error("could not read the catalogue: {0}")]
    Read(String),
    #[error("could not start: {0}")]
    System(#[from] std::io::Error),
}

/// A flaw that is meant, everywhere or at one object.
#[derive(Debug)]
struct Allowed {
    flaw: Flaw,
    object: Option<String>,
}

/// What was found, and where.
#[derive(Debug)]
struct Examined {
    schema: Schema,
    findings: Vec<Finding>,
    /// Findings left out because they are allowed.
    allowed: usize,
    /// The roles that were looked at.
    roles: Vec<String>,
}

/// Looks for flaws in a database's schema.
pub(super) fn run(arguments: &DoctorArguments) -> ExitCode {
    let config = match arguments.config() {
        Ok(config) => config,
        Err(invalid) => return could_not_run(&invalid),
    };
    let examined = match examine(arguments, &config) {
        Ok(examined) => examined,
        Err(error) => return could_not_run(&error),
    };
    print(&match arguments.format {
        ObjectFormat::Text if arguments.fix => examined.script(),
        ObjectFormat::Text => examined.text(),
        ObjectFormat::Json => examined.json(),
        ObjectFormat::Sarif => examined.sarif(),
    });
    let worst = examined.findings.iter().map(|finding| finding.flaw.level()).max();
    if worst.is_some_and(|worst| worst >= arguments.fail_on.level()) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn known_flaws() -> String {
    Flaw::ALL.map(Flaw::name).join(", ")
}

fn examine(arguments: &DoctorArguments, config: &Config) -> Result<Examined, NotExamined> {
    let allowed = arguments.allow.iter().map(|text| allow(text)).collect::<Result<Vec<_>, _>>()?;
    let connection = match (&arguments.dsn, &config.catalog) {
        (Some(dsn), _) => dsn.parse().map_err(|_| NotExamined::Dsn)?,
        (None, Some(catalog)) => catalog.connection.clone(),
        (None, None) => return Err(NotExamined::NoDsn),
    };
    let tls = config.upstream.tls_of(&connection);
    let schema = look(connection, tls.as_ref())?;
    let missing = |role: &&String| !schema.roles.iter().any(|known| known.name == **role);
    if let Some(role) = arguments.role.iter().find(missing) {
        return Err(NotExamined::Role(role.clone()));
    }
    let vouched: Vec<Box<str>> = config.policy.routines.allowed.iter().cloned().collect();
    let convention = Convention {
        tables: &config.policy.tables,
        tenant_type: config.policy.tenant_type,
        tenant_setting: config.tenant.setting.as_deref().unwrap_or(SETTING),
        vouched: &vouched,
        roles: &arguments.role,
    };
    let mut findings = doctor::inspect(&schema, convention);
    let all = findings.len();
    findings.retain(|finding| !allowed.iter().any(|allowed| allowed.covers(finding)));
    let allowed = all.saturating_sub(findings.len());
    let roles = if arguments.role.is_empty() { &schema.connected } else { &arguments.role };
    Ok(Examined { roles: roles.clone(), schema, findings, allowed })
}

/// What the database of a connection string says of its schema.
pub(super) fn read_schema(dsn: &str, config: &Config) -> Result<Schema, String> {
    let connection = dsn.parse().map_err(|_| NotExamined::Dsn.to_string())?;
    let tls = config.upstream.tls_of(&connection);
    look(connection, tls.as_ref()).map_err(|error| error.to_string())
}

fn look(
    mut connection: tokio_postgres::Config,
    tls: Option<&UpstreamTls>,
) -> Result<Schema, NotExamined> {
    if connection.get_password().is_none()
        && let Some(password) = std::env::var_os("PGPASSWORD")
    {
        connection.password(password.into_encoded_bytes());
    }
    connection.application_name("orgguard doctor");
    let progress = Progress::endless("reading the catalogue");
    let schema = runtime()?.block_on(read(&connection, tls))?;
    drop(progress);
    Ok(schema)
}

async fn read(
    connection: &tokio_postgres::Config,
    tls: Option<&UpstreamTls>,
) -> Result<Schema, NotExamined> {
    let connected = timeout(CONNECT_TIMEOUT, connect(connection, tls)).await;
    let connected = connected.map_err(|_| NotExamined::TooLate)?;
    let (client, driver) = connected.map_err(|error| NotExamined::Connect(chain(&error)))?;
    let schema = doctor::read(&client).await.map_err(|error| NotExamined::Read(chain(&error)));
    driver.abort();
    schema
}

/// An error and what it came from: the driver's own text leaves out what the server said.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let _ = write!(text, ": {cause}");
        next = cause.source();
    }
    text
}

/// `FLAW` or `FLAW:OBJECT`.
fn allow(text: &str) -> Result<Allowed, NotExamined> {
    let (name, object) = match text.split_once(':') {
        Some((name, object)) => (name, Some(object.to_owned())),
        None => (text, None),
    };
    let flaw = Flaw::ALL.into_iter().find(|flaw| flaw.name() == name);
    let flaw = flaw.ok_or_else(|| NotExamined::Allow(name.to_owned()))?;
    Ok(Allowed { flaw, object })
}

impl Allowed {
    /// The object may be named without its schema; a part of it, behind a slash.
    fn covers(&self, finding: &Finding) -> bool {
        let Some(object) = &self.object else {
            return finding.flaw == self.flaw;
        };
        let part = finding.part.as_deref().unwrap_or_default();
        let short = finding.object.split_once('.').map_or(&*finding.object, |(_, name)| name);
        let names = [finding.object.as_str(), short];
        finding.flaw == self.flaw
            && names.iter().any(|name| *object == **name || *object == format!("{name}/{part}"))
    }
}

impl Examined {
    /// For people.
    fn text(&self) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            let level = finding.flaw.level().name();
            // Writing to a string does not fail.
            let _ = writeln!(text, "{level}: {} on {}", finding.flaw.name(), place(finding));
            let _ = writeln!(text, "    {}\n    help: {}\n", finding.detail, finding.help);
        }
        text.push_str(&self.summary());
        text
    }

    /// SQL that a person reads and runs, with what was found as comments.
    fn script(&self) -> String {
        let mut script = String::from(
            "-- Read this before you run it, and run it outside of a transaction:\n\
             -- CREATE INDEX CONCURRENTLY takes none.\n\n",
        );
        let mut ordered: Vec<_> = self.findings.iter().collect();
        ordered.sort_by_key(|finding| order(finding.flaw));
        let mut written = HashSet::new();
        for finding in ordered {
            let _ = writeln!(script, "-- {} on {}", finding.flaw.name(), place(finding));
            let _ = writeln!(script, "--   {}", finding.detail);
            if finding.fix.is_empty() {
                let _ = writeln!(script, "--   no SQL for this: {}", finding.help);
            }
            for statement in &finding.fix {
                if written.insert(statement) {
                    let _ = writeln!(script, "{statement}");
                }
            }
            script.push('\n');
        }
        for line in self.summary().lines() {
            let _ = writeln!(script, "-- {line}");
        }
        script
    }

    fn summary(&self) -> String {
        let version = self.schema.server_version.checked_div(10_000).unwrap_or_default();
        let counts: Vec<_> = [Level::Error, Level::Warning, Level::Note]
            .into_iter()
            .map(|level| {
                let count = self.findings.iter().filter(|it| it.flaw.level() == level).count();
                let plural = if count == 1 { "" } else { "s" };
                format!("{count} {}{plural}", level.name())
            })
            .collect();
        let mut summary = format!(
            "{} in database {} of PostgreSQL {version}",
            counts.join(", "),
            self.schema.database
        );
        if self.allowed > 0 {
            let _ = write!(summary, "; {} more allowed", self.allowed);
        }
        match self.roles.as_slice() {
            [] => summary.push_str(
                "\nno role was looked at: none is connected, give --role with the application's\n",
            ),
            roles => {
                let _ = writeln!(summary, "\nroles looked at: {}", roles.join(", "));
            }
        }
        summary
    }

    fn json(&self) -> String {
        let findings: Vec<_> = self
            .findings
            .iter()
            .map(|finding| {
                json!({
                    "flaw": finding.flaw.name(),
                    "level": finding.flaw.level().name(),
                    "object": finding.object,
                    "part": finding.part,
                    "detail": finding.detail,
                    "help": finding.help,
                    "fix": finding.fix,
                })
            })
            .collect();
        let report = json!({
            "database": self.schema.database,
            "server_version": self.schema.server_version,
            "roles": self.roles,
            "allowed": self.allowed,
            "findings": findings,
        });
        format!("{report:#}\n")
    }

    fn sarif(&self) -> String {
        let rules =
            Flaw::ALL.map(|flaw| SarifRule { id: flaw.name(), summary: flaw.summary().to_owned() });
        let results: Vec<_> = self
            .findings
            .iter()
            .map(|finding| {
                let place = place(finding);
                SarifResult {
                    rule: finding.flaw.name(),
                    level: finding.flaw.level().name(),
                    message: format!("{place}: {}. {}.", finding.detail, finding.help),
                    fingerprint: Some(format!("{}:{place}", finding.flaw.name())),
                    place: SarifPlace::Object(place),
                }
            })
            .collect();
        sarif(&rules, &results)
    }
}

/// The object and the part of it.
fn place(finding: &Finding) -> String {
    match &finding.part {
        Some(part) => format!("{}/{part}", finding.object),
        None => finding.object.clone(),
    }
}

/// Statements that others build on come first: columns, then keys, then what is put on top. Names
/// change last.
const fn order(flaw: Flaw) -> u8 {
    match flaw {
        Flaw::MissingTenantColumn => 0,
        Flaw::NullableTenant | Flaw::MissingSoftDelete | Flaw::MissingTimestamps => 1,
        Flaw::MissingTenantReference => 2,
        Flaw::CrossingForeignKey => 3,
        Flaw::OneRowPerTenant | Flaw::UniqueWithoutTenant => 4,
        Flaw::NoTenantIndex => 5,
        Flaw::DefinerRoutine
        | Flaw::DefinerView
        | Flaw::GuardedMatview
        | Flaw::ReadingRoutine
        | Flaw::UnguardedChild => 6,
        Flaw::MissingRls => 7,
        Flaw::BypassrlsRole | Flaw::OwnerRole | Flaw::SuperuserRole => 8,
        Flaw::UnguardedTenantTable => 9,
    }
}
