use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{self, Config, Invalid, Overrides};

/// Proves that every statement on multi-tenant tables stays inside one organization.
#[derive(Debug, Parser)]
#[command(name = "orgguard", version, max_term_width = 100)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Serve(ServeArguments),
    Check(CheckArguments),
    Explain(ExplainArguments),
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
    /// Take the place of the configuration's mode: audit or enforce
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

/// Judge SQL files offline: would some organization and some values make each statement hold?
///
/// Exits with 0 if all statements are admitted, 1 if one violates a rule or is not understood,
/// 2 if a file or the configuration could not be read.
#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// The configuration; without it the conventions org_*, organization_id, deleted_at
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Take the place of the configuration's mode; verdicts do not depend on it
    #[arg(long, value_name = "MODE")]
    mode: Option<String>,
    /// How to report: for people, or one JSON object a line for each statement
    ///
    /// In JSON, `line` is where the statement starts in the file and `position` counts characters
    /// from 1 in `statement`.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
    /// SQL files; - is standard input
    #[arg(required = true, value_name = "FILE.sql")]
    pub(super) files: Vec<PathBuf>,
}

/// How `check` reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
}

/// Explain the verdict on one SQL text.
#[derive(Debug, Args)]
pub(super) struct ExplainArguments {
    /// The configuration; without it the conventions org_*, organization_id, deleted_at
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The text
    #[arg(value_name = "SQL")]
    pub(super) sql: String,
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
        config_or_standard(self.config.as_deref(), &Overrides::default())
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
