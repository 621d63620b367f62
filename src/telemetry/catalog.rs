use std::sync::OnceLock;

use prometheus::{Error, IntCounterVec, IntGauge, Opts, Registry};

use super::metrics::Telemetry;

/// Metrics of the catalogue. They appear with its first event: where no catalogue is configured,
/// none is down.
#[derive(Default)]
pub(super) struct CatalogMetrics(OnceLock<Option<Registered>>);

struct Registered {
    up: IntGauge,
    refreshes: IntCounterVec,
    relations: IntGauge,
}

impl CatalogMetrics {
    fn get(&self, registry: &Registry) -> Option<&Registered> {
        self.0.get_or_init(|| Registered::new(registry).ok()).as_ref()
    }
}

impl Registered {
    fn new(registry: &Registry) -> Result<Self, Error> {
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, Error>(gauge)
        };
        let help = "Times the catalogue was read, by what came of it.";
        let refreshes = Opts::new("orgguard_catalog_refreshes_total", help);
        let refreshes = IntCounterVec::new(refreshes, &["result"])?;
        registry.register(Box::new(refreshes.clone()))?;
        Ok(Self {
            up: gauge("orgguard_catalog_up", "Whether the catalogue's connection works.")?,
            refreshes,
            relations: gauge("orgguard_catalog_relations", "Relations that the catalogue knows.")?,
        })
    }
}

/// The catalogue was read.
#[derive(Clone, Copy, Debug)]
pub struct CatalogRead {
    /// Relations it has.
    pub relations: usize,
    /// Whether it differs from the one before.
    pub changed: bool,
}

impl CatalogRead {
    /// Counts it, and logs a change.
    pub fn emit(&self, telemetry: &Telemetry) {
        if let Some(metrics) = telemetry.catalog(CatalogMetrics::get) {
            let result = if self.changed { "changed" } else { "unchanged" };
            metrics.refreshes.with_label_values(&[result]).inc();
            metrics.up.set(1);
            metrics.relations.set(i64::try_from(self.relations).unwrap_or(i64::MAX));
        }
        if self.changed {
            let relations = self.relations;
            tracing::info!(target: "orgguard::catalog", relations, "read a changed catalogue");
        }
    }
}

/// The catalogue could not be read, or its connection was lost: the last one stays in force.
#[derive(Clone, Debug)]
pub struct CatalogUnread {
    /// Why, as the connection tells it; it names no statement but the guard's own.
    pub why: String,
    /// Whether this was an attempt to read; else the connection was lost between two.
    pub attempted: bool,
}

impl CatalogUnread {
    /// Counts and logs it.
    pub fn emit(&self, telemetry: &Telemetry) {
        if let Some(metrics) = telemetry.catalog(CatalogMetrics::get) {
            if self.attempted {
                metrics.refreshes.with_label_values(&["failed"]).inc();
            }
            metrics.up.set(0);
        }
        tracing::warn!(target: "orgguard::catalog", why = self.why, "catalogue not read");
    }
}

/// No catalogue is configured.
#[derive(Clone, Copy, Debug)]
pub struct CatalogAbsent;

impl CatalogAbsent {
    /// Logs it.
    pub fn emit(self) {
        tracing::info!(
            target: "orgguard::catalog",
            "no [catalog] in the configuration: the names of tables alone decide what is guarded"
        );
    }
}
