use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::{Error, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use super::metrics::Telemetry;
use crate::session::{Exemption, Mode};

/// Metrics of the configuration and of what it exempts. The configuration bounds their labels.
pub(super) struct ConfigMetrics {
    info: IntGaugeVec,
    reloads: IntCounterVec,
    loaded: IntGauge,
    credentials: IntCounterVec,
    exempted: IntCounterVec,
}

impl ConfigMetrics {
    pub(super) fn new(registry: &Registry, mode: Mode) -> Result<Self, Error> {
        let counter = |name: &str, help: &str, label: &str| {
            let counter = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, Error>(counter)
        };
        let info = Opts::new("orgguard_config_info", "The configuration that runs.");
        let info = IntGaugeVec::new(info, &["mode"])?;
        registry.register(Box::new(info.clone()))?;
        let loaded = IntGauge::new(
            "orgguard_config_loaded_timestamp_seconds",
            "When the configuration that runs was read, in seconds of the Unix clock.",
        )?;
        registry.register(Box::new(loaded.clone()))?;
        let metrics = Self {
            info,
            reloads: counter(
                "orgguard_config_reloads_total",
                "Times the configuration was read anew, by what came of it.",
                "result",
            )?,
            loaded,
            credentials: counter(
                "orgguard_credential_reloads_total",
                "Times certificates, keys and secrets were read anew, by what came of it.",
                "result",
            )?,
            exempted: counter(
                "orgguard_exempted_total",
                "Violations that an exemption let pass, by its name.",
                "exemption",
            )?,
        };
        metrics.take_mode(mode);
        Ok(metrics)
    }

    /// Another configuration runs.
    pub(super) fn take_mode(&self, mode: Mode) {
        self.info.reset();
        self.info.with_label_values(&[mode.name()]).set(1);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.loaded.set(i64::try_from(now).unwrap_or(i64::MAX));
    }

    pub(super) fn uses(&self, exemption: &str) -> u64 {
        self.exempted.with_label_values(&[exemption]).get()
    }
}

/// What came of reading the configuration anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReloadResult {
    /// It is in force.
    Changed,
    /// It says the same as before.
    Unchanged,
    /// It is wrong in this way; the one before stays in force.
    Invalid(String),
    /// It changes these keys, which only a restart can change; the one before stays in force.
    NeedsRestart(String),
}

/// The configuration was read anew.
#[derive(Clone, Debug)]
pub struct ConfigReloaded {
    /// What came of it.
    pub result: ReloadResult,
}

impl ConfigReloaded {
    /// Counts and logs it.
    pub fn emit(&self, telemetry: &Telemetry) {
        let result = match &self.result {
            ReloadResult::Changed => {
                tracing::info!(target: "orgguard::config", "a changed configuration is in force");
                "changed"
            }
            ReloadResult::Unchanged => {
                tracing::info!(target: "orgguard::config", "the configuration has not changed");
                "unchanged"
            }
            ReloadResult::Invalid(why) => {
                tracing::error!(target: "orgguard::config", why, "configuration not taken");
                "invalid"
            }
            ReloadResult::NeedsRestart(keys) => {
                tracing::error!(
                    target: "orgguard::config",
                    keys,
                    "configuration not taken: it changes what only a restart can change"
                );
                "needs_restart"
            }
        };
        telemetry.config().reloads.with_label_values(&[result]).inc();
    }
}

/// What came of reading certificates, keys and secrets anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialsResult {
    /// New connections get the new ones.
    Changed,
    /// They are the same as before.
    Unchanged,
    /// They cannot be used, for this reason; those before stay in use.
    Invalid(String),
}

/// Certificates, keys and secrets of roles were read anew.
#[derive(Clone, Debug)]
pub struct CredentialsRead {
    /// What came of it.
    pub result: CredentialsResult,
}

impl CredentialsRead {
    /// Counts and logs it.
    pub fn emit(&self, telemetry: &Telemetry) {
        let result = match &self.result {
            CredentialsResult::Changed => {
                tracing::info!(target: "orgguard::config", "changed certificates or secrets are used");
                "changed"
            }
            CredentialsResult::Unchanged => "unchanged",
            CredentialsResult::Invalid(why) => {
                tracing::error!(target: "orgguard::config", why, "certificates or secrets not taken");
                "invalid"
            }
        };
        telemetry.config().credentials.with_label_values(&[result]).inc();
    }
}

/// A violation was let pass.
#[derive(Clone, Copy, Debug)]
pub struct ExemptionUsed<'a> {
    /// By this exemption.
    pub exemption: &'a Exemption,
}

impl ExemptionUsed<'_> {
    /// Counts it.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.config().exempted.with_label_values(&[&self.exemption.name]).inc();
    }
}

/// An exemption has stopped working.
#[derive(Clone, Copy, Debug)]
pub struct ExemptionExpired<'a> {
    /// Its name.
    pub name: &'a str,
    /// Why it was made.
    pub reason: &'a str,
}

impl ExemptionExpired<'_> {
    /// Logs it.
    pub fn emit(&self) {
        let Self { name, reason } = self;
        tracing::warn!(target: "orgguard::config", exemption = name, reason, "exemption expired");
    }
}
