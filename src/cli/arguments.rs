use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{self, Config, Invalid, Overrides};
use crate::doctor::Level;
use crate::sql::HAS_SECOND_READING;

/// The version, and by which readings this binary can read.
const VERSION: &str = if HAS_SECOND_READING {
    concat!(env!("CARGO_PKG_VERSION"), " (with PostgreSQL's grammar)")
} else {
    concat!(env!("CARGO_PKG_VERSION"), " (without PostgreSQL's grammar)")
};

/// Proves that every statement on multi-tenant tables stays inside one organization.
#[derive(Debug, Parser)]
#[command(name = "orgguard", version = VERSION, max_term_width = 100)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Serve(ServeArguments),
    Check(CheckArguments),
    Explain(ExplainArguments),
    Report(ReportArguments),
    Config(ConfigArguments),
    Learn(LearnArguments),
    Doctor(DoctorArguments),
    Demo(DemoArguments),
}

/// Run the guard: listen for applications and stand before the database.
///
/// Ready when /readyz on the admin port answers 200. SIGTERM drains.
#[derive(Debug, Args)]
pub(super) struct ServeArguments {
    /// The configuration
    #[arg(long, value_name = "FILE")]
    pub(super) config: PathBuf,
    /// Take the place of the configuration's mode: audit, enforce or rewrite
    #[arg(long, value_name = "MODE")]
    mode: Option<String>,
    /// Take the place of the configuration's listen
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Take the place of the configuration's upstream
    #[arg(long, value_name = "HOST:PORT")]
    upstream: Option<String>,
    /// Take the place of the configuration's admin
    #[arg(long, value_name = "HOST:PORT")]
    admin: Option<String>,
}

/// Show on a throwaway PostgreSQL what the guard lets pass and what it refuses.
///
/// PostgreSQL's server programs are looked for in ORGGUARD_PG_BIN, on the PATH and in the usual
/// folders.
#[derive(Debug, Args)]
pub(super) struct DemoArguments {
    /// End after the table, with 0 if everything was as expected
    #[arg(long)]
    pub(super) once: bool,
}

/// Judge statements offline: would some organization and some values make each of them hold?
///
/// Reads SQL files, exports of pg_stat_statements (CSV with a heading), PostgreSQL's CSV and JSON
/// logs, and what Drizzle's logger writes. Of a log each shape that violates a rule is told once,
/// without its literals.
///
/// Exits with 0 if all statements are admitted, 1 if one violates a rule or is not understood,
/// 2 if a file or the configuration could not be read.
#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// The configuration; without it the conventions org_*, organization_id, deleted_at
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Take the place of the configuration's mode; with rewrite, what a statement lacks is shown put
    /// in, and it counts as admitted
    #[arg(long, value_name = "MODE")]
    mode: Option<String>,
    /// What the files hold; auto goes by their names: .csv, .json and .jsonl, .log (Drizzle), all
    /// others SQL
    #[arg(long, value_enum, default_value_t = From::Auto)]
    pub(super) from: From,
    /// How to report: for people, one JSON object a line for each statement, one SARIF document,
    /// or annotations of GitHub's workflows
    ///
    /// In JSON, `line` is where the statement starts in the file and `position` counts characters
    /// from 1 in `statement`; of a log, `statement` has no literals and `position` is that in the
    /// statement as it was sent.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
    /// The files; - is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
}

/// How `check` reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
    Sarif,
    Github,
}

/// What the files of `check` hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum From {
    Auto,
    Sql,
    StatStatements,
    Csvlog,
    Jsonlog,
    Drizzle,
}

/// Explain the verdict on one SQL text.
#[derive(Debug, Args)]
pub(super) struct ExplainArguments {
    /// The configuration; without it the conventions org_*, organization_id, deleted_at
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Take the place of the configuration's mode; rewrite also shows what would be sent
    #[arg(long, value_name = "MODE")]
    mode: Option<String>,
    /// The text
    #[arg(value_name = "SQL")]
    pub(super) sql: String,
}

/// Propose a configuration from what a guard saw and what a database says, for a person to edit.
///
/// Guarded tables by their column, tables that lack one, routines in use, and what enforcement
/// would refuse, with evidence.
#[derive(Debug, Args)]
pub(super) struct LearnArguments {
    /// A ledger's file, or the admin port of a running guard, such as http://127.0.0.1:9187
    #[arg(value_name = "FILE|URL")]
    pub(super) source: Option<String>,
    /// The database whose tables to look at, as for doctor
    #[arg(long, value_name = "DSN")]
    pub(super) dsn: Option<String>,
    /// The configuration to go on from; without it the conventions org_*, organization_id,
    /// deleted_at
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl LearnArguments {
    /// The configuration to go on from.
    pub(super) fn config(&self) -> Result<Config, Invalid> {
        config_or_standard(self.config.as_deref(), &Overrides::default())
    }
}

/// Look at configurations.
#[derive(Debug, Args)]
pub(super) struct ConfigArguments {
    #[command(subcommand)]
    pub(super) command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    Show(ConfigShowArguments),
}

/// Show what is guarded, which mode holds where, and which exemptions there are.
#[derive(Debug, Args)]
pub(super) struct ConfigShowArguments {
    /// A configuration's file, or the admin port of a running guard, such as
    /// http://127.0.0.1:9187
    #[arg(value_name = "FILE|URL")]
    pub(super) source: String,
    /// How to show it
    #[arg(long, value_enum, default_value_t = ShowFormat::Text)]
    pub(super) format: ShowFormat,
}

/// How `config show` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ShowFormat {
    Text,
    Json,
}

/// Sum up what a guard saw: what enforce would refuse, who sends it, how to mend it, and whether
/// each table is ready to be enforced.
///
/// Exits with 0 if all is ready, 1 if not, 2 if the ledger could not be read.
#[derive(Debug, Args)]
pub(super) struct ReportArguments {
    /// The ledger's file, or the admin port of a running guard, such as http://127.0.0.1:9187
    #[arg(value_name = "FILE|URL")]
    pub(super) source: String,
    /// Leave out what was not seen since then: a time such as 2026-11-25T08:00:00Z, or how long
    /// before the ledger was written, such as 2h
    #[arg(long, value_name = "TIME")]
    pub(super) since: Option<String>,
    /// How to report
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub(super) format: ReportFormat,
}

/// How `report` reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportFormat {
    Text,
    Markdown,
    Json,
}

/// Look for flaws in a database's schema that the guard's convention forbids.
///
/// Reads pg_catalog only, never a row. Exits with 0 if nothing is wrong, 1 if something is (notes
/// do not count unless --fail-on says so), 2 if the database could not be looked at.
#[derive(Debug, Args)]
pub(super) struct DoctorArguments {
    /// A connection string, such as "host=127.0.0.1 user=postgres dbname=shop"; without it
    /// [catalog] dsn of the configuration. A password may be in PGPASSWORD. TLS is as
    /// [upstream_tls] of the configuration says, and no less than sslmode=require if it says so
    #[arg(value_name = "DSN")]
    pub(super) dsn: Option<String>,
    /// The configuration; without it the conventions org_*, organization_id, deleted_at
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A role that the application logs in as; any number. Without it those connected now
    #[arg(long, value_name = "ROLE")]
    pub(super) role: Vec<String>,
    /// A flaw that is meant, everywhere or at one object; any number
    #[arg(long, value_name = "FLAW[:OBJECT[/PART]]")]
    pub(super) allow: Vec<String>,
    /// Print the SQL that mends each flaw, policies of row-level security included
    #[arg(long)]
    pub(super) fix: bool,
    /// How to report; JSON and SARIF are one document each
    #[arg(long, value_enum, default_value_t = ObjectFormat::Text)]
    pub(super) format: ObjectFormat,
    /// The least level that makes the exit code 1
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t = FailOn::Warning)]
    pub(super) fail_on: FailOn,
}

/// How `doctor` reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ObjectFormat {
    Text,
    Json,
    Sarif,
}

/// The least level of a flaw that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    Note,
    Warning,
    Error,
}

impl FailOn {
    /// The level.
    pub(super) const fn level(self) -> Level {
        match self {
            Self::Note => Level::Note,
            Self::Warning => Level::Warning,
            Self::Error => Level::Error,
        }
    }
}

impl DoctorArguments {
    /// The configuration to go by.
    pub(super) fn config(&self) -> Result<Config, Invalid> {
        config_or_standard(self.config.as_deref(), &Overrides::default())
    }
}

impl ServeArguments {
    /// What takes the place of the file's values.
    pub(super) fn overrides(&self) -> Overrides {
        Overrides {
            mode: self.mode.clone(),
            listen: self.listen.clone(),
            upstream: self.upstream.clone(),
            admin: self.admin.clone(),
        }
    }
}

impl CheckArguments {
    /// The configuration to judge by.
    pub(super) fn config(&self) -> Result<Config, Invalid> {
        let overrides = Overrides { mode: self.mode.clone(), ..Overrides::default() };
        config_or_standard(self.config.as_deref(), &overrides)
    }
}

impl ExplainArguments {
    /// The configuration to judge by.
    pub(super) fn config(&self) -> Result<Config, Invalid> {
        let overrides = Overrides { mode: self.mode.clone(), ..Overrides::default() };
        config_or_standard(self.config.as_deref(), &overrides)
    }
}

fn config_or_standard(
    file: Option<&std::path::Path>,
    overrides: &Overrides,
) -> Result<Config, Invalid> {
    match file {
        Some(file) => config::load(file, overrides),
        None => config::standard(overrides),
    }
}
