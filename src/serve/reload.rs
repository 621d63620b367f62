//! Reading the configuration anew while the guard serves.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

use super::credentials::Credentials;
use super::live::Live;
use crate::catalog::Policies;
use crate::config::{self, Config, Invalid, Overrides};
use crate::policy::{Policy, Routines};
use crate::session::Mode;
use crate::telemetry::{
    ConfigReloaded, CredentialsRead, CredentialsResult, ExemptionExpired, ReloadResult, Telemetry,
};

/// How often the file is looked at: a mounted ConfigMap changes without a signal.
const INTERVAL: Duration = Duration::from_secs(2);

/// Reads the configuration's file anew on SIGHUP, when the file has changed, and when an exemption
/// expires. A file that is not valid, or that changes what only a restart can change, changes
/// nothing. The files that it names, of certificates and secrets, are read anew in the same way.
#[derive(Debug)]
pub struct Reload {
    /// The file.
    pub file: PathBuf,
    /// What takes the place of its values.
    pub overrides: Overrides,
    /// What is in force.
    pub live: Live,
    /// Certificates, keys and secrets.
    pub credentials: Credentials,
    /// What statements are planned under.
    pub policies: Policies,
    /// Where it tells of itself.
    pub telemetry: Telemetry,
}

impl Reload {
    /// Keeps the configuration up to date until it is dropped.
    ///
    /// # Errors
    /// If the signal cannot be waited for.
    pub async fn keep(self) -> std::io::Result<()> {
        let mut hangup = signal(SignalKind::hangup())?;
        let mut seen = std::fs::read_to_string(&self.file).ok();
        loop {
            let expiry = self.live.current().config.stages.next_expiry(SystemTime::now());
            tokio::select! {
                () = told(&mut hangup) => {
                    seen = std::fs::read_to_string(&self.file).ok();
                    self.reload().await;
                    self.read_credentials(|it| Some(it.renew())).await;
                }
                () = sleep(INTERVAL) => {
                    let text = std::fs::read_to_string(&self.file).ok();
                    if text != seen {
                        seen = text;
                        self.reload().await;
                    }
                    self.read_credentials(Credentials::look).await;
                }
                () = until(expiry) => self.expire(),
            }
        }
    }

    /// Reads certificates, keys and secrets anew.
    async fn read_credentials(
        &self,
        read: impl FnOnce(&Credentials) -> Option<CredentialsResult> + Send + 'static,
    ) {
        let credentials = self.credentials.clone();
        // Secrets are made of passwords.
        let reading = tokio::task::spawn_blocking(move || read(&credentials));
        let result = match reading.await {
            Ok(result) => result,
            Err(error) => Some(CredentialsResult::Invalid(error.to_string())),
        };
        if let Some(result) = result {
            CredentialsRead { result }.emit(&self.telemetry);
        }
    }

    /// Reads the file and puts it in force.
    async fn reload(&self) {
        let (file, overrides) = (self.file.clone(), self.overrides.clone());
        // Host names are looked up.
        let loading = tokio::task::spawn_blocking(move || config::load(&file, &overrides));
        let result = match loading.await {
            Ok(Ok(config)) => self.take(config),
            Ok(Err(invalid)) => ReloadResult::Invalid(invalid_text(&invalid)),
            Err(error) => ReloadResult::Invalid(error.to_string()),
        };
        ConfigReloaded { result }.emit(&self.telemetry);
    }

    fn take(&self, config: Config) -> ReloadResult {
        let old = self.live.current();
        let fixed = changed_for_good(&old.config, &config);
        if !fixed.is_empty() {
            return ReloadResult::NeedsRestart(fixed.join(", "));
        }
        let config = Arc::new(config);
        let same = describe(&old.config) == describe(&config);
        if same {
            return ReloadResult::Unchanged;
        }
        let now = SystemTime::now();
        if describe_policy(&old.config.policy) != describe_policy(&config.policy) {
            self.policies.replace(&config.policy);
        }
        self.live.put(&config, now);
        self.telemetry.take_terms(config.mode, Arc::clone(&config.policy));
        ReloadResult::Changed
    }

    fn expire(&self) {
        let now = SystemTime::now();
        let current = self.live.current();
        self.live.put(&current.config, now);
        for exempted in &current.config.stages.exemptions {
            let before = now.checked_sub(INTERVAL).unwrap_or(now);
            if exempted.expires <= now && exempted.expires > before {
                let name = &*exempted.exemption.name;
                ExemptionExpired { name, reason: &exempted.reason }.emit();
            }
        }
    }
}

/// What is wrong, in one line: it goes to a log.
fn invalid_text(invalid: &Invalid) -> String {
    invalid.to_string().replace('\n', "; ")
}

async fn told(signal: &mut Signal) {
    if signal.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}

async fn until(time: Option<SystemTime>) {
    let Some(time) = time else {
        return std::future::pending().await;
    };
    // A clock that is set while this waits is seen after a minute.
    let left = time.duration_since(SystemTime::now()).unwrap_or_default();
    sleep(left.min(Duration::from_secs(60))).await;
}

/// Keys that cannot change while the guard serves, and differ.
fn changed_for_good(old: &Config, new: &Config) -> Vec<&'static str> {
    let (old, new) = (fixed(old), fixed(new));
    let pairs = old.into_iter().zip(new);
    pairs.filter(|(old, new)| old != new).map(|((key, _), _)| key).collect()
}

/// What sockets, threads and sessions under way were made from. A password is not shown, so that a
/// change of it alone is not seen: it needs a restart all the same.
fn fixed(config: &Config) -> Vec<(&'static str, String)> {
    let Config {
        mode,
        stages: _,
        dry_run,
        listen,
        unix_socket_permissions,
        upstream,
        admin,
        policy,
        tenant,
        mask_errors,
        limits,
        client_tls,
        threads,
        login,
        catalog,
        ledger,
    } = config;
    vec![
        // Plans are made with or without what a text is to be changed into.
        ("mode, to or from rewrite", format!("{}", *mode == Mode::Rewrite)),
        ("rewrite.dry_run", format!("{dry_run}")),
        ("listen", format!("{listen:?}")),
        ("unix_socket_permissions", format!("{unix_socket_permissions:?}")),
        ("upstream", format!("{upstream:?}")),
        ("admin", format!("{admin:?}")),
        ("guard.tenant_type", format!("{:?}", policy.tenant_type)),
        (
            "tenant",
            format!(
                "{tenant:?} {:?} {:?} {:?}",
                policy.tenant_setting, policy.tenant_setters, policy.tenant_comment
            ),
        ),
        ("session", format!("{:?}", policy.settings)),
        ("guard.mask_errors", format!("{mask_errors:?}")),
        ("limits", format!("{limits:?}")),
        ("client_tls", format!("{client_tls:?}")),
        ("threads", format!("{threads:?}")),
        ("login", format!("{login:?}")),
        ("catalog", format!("{catalog:?}")),
        ("ledger", format!("{ledger:?}")),
    ]
}

/// What can change.
fn describe(config: &Config) -> String {
    let policy = describe_policy(&config.policy);
    format!("{:?} {:?} {policy}", config.mode, config.stages)
}

fn describe_policy(policy: &Policy) -> String {
    // A set of routines has no order.
    let mut routines: Vec<_> = policy.routines.allowed.iter().collect();
    routines.sort_unstable();
    let rest = Policy { routines: Routines::default(), catalog: None, ..policy.clone() };
    format!("{rest:?} {routines:?}")
}
