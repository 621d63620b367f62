use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::time::SystemTime;

use prometheus::{
    Encoder, Error, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder,
};

use super::account::{Account, Judged};
use super::catalog::CatalogMetrics;
use super::config::ConfigMetrics;
use super::history::{History, Sample, Totals};
use super::ledger::Ledger;
use super::pace::Pace;
use super::tally::Tally;
use crate::analyze::{Disagreement, Kind, Outcome};
use crate::policy::Policy;
use crate::session::{Decision, Mode};
use crate::sql::HAS_SECOND_READING;

/// Distinct guarded names that get a metric label of their own; a prefix pattern guards whatever
/// name a client thinks of, so without a limit a client could fill the memory of both ends.
const TABLE_LABELS: usize = 200;

/// The label of every further name, and of names that are not guarded tables.
const OTHER_TABLE: &str = "other";

/// From one cache line of work to a statement near the reading limits, in seconds.
const ANALYSIS_BUCKETS: [f64; 11] =
    [0.000_005, 0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.001, 0.005, 0.025, 0.1, 1.0];

/// Cells of the statement counter: three decisions, three outcomes, and room for the kinds.
const KINDS: usize = 16;
const OUTCOMES: usize = 3;
const DECISIONS: usize = 3;

/// Where events go: the metrics of one process and the pace of its violation log. Cheap to clone.
#[derive(Clone)]
pub struct Telemetry {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Registry,
    terms: RwLock<Terms>,
    config: ConfigMetrics,
    statements: IntCounterVec,
    statement_cells: Vec<OnceLock<Tally>>,
    violations: IntCounterVec,
    advice: IntCounterVec,
    rewrites: IntCounterVec,
    unjudged: IntCounterVec,
    disagreements: IntCounterVec,
    refused_connections: IntCounterVec,
    ended: IntCounterVec,
    tables: Mutex<HashSet<Box<str>>>,
    pace: Pace,
    ledger: Ledger,
    history: History,
    handles: Handles,
    catalog: CatalogMetrics,
}

/// What the configuration in force says.
struct Terms {
    mode: Mode,
    policy: Arc<Policy>,
}

/// Metrics without labels, or with labels that were resolved at the start.
pub(super) struct Handles {
    pub(super) connections: IntGauge,
    pub(super) connections_opened: IntCounter,
    pub(super) prepared_statements: IntGauge,
    pub(super) portals: IntGauge,
    pub(super) bytes_from_client: Tally,
    pub(super) bytes_from_server: Tally,
    pub(super) framing_lost: IntCounter,
    pub(super) session_moves: IntCounter,
    pub(super) plan_cache_hits: Tally,
    pub(super) plan_cache_shape_hits: Tally,
    pub(super) plan_cache_misses: IntCounter,
    pub(super) analysis: Histogram,
}

impl Telemetry {
    /// New metrics, all at zero. Events about tables are labelled by what the policy guards.
    ///
    /// # Errors
    /// If a metric cannot be registered, which only a mistake in this file can cause.
    pub fn new(mode: Mode, policy: Arc<Policy>) -> Result<Self, Error> {
        let registry = Registry::new();
        let vector = |name: &str, help: &str, labels: &[&str]| {
            let vector = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(vector.clone()))?;
            Ok::<_, Error>(vector)
        };
        let statements = vector(
            "orgguard_statements_total",
            "Statements judged, by what was done, the kind of statement and the verdict.",
            &["decision", "kind", "verdict"],
        )?;
        let violations = vector(
            "orgguard_violations_total",
            "Violations found, by rule and table; once for each attempt to run.",
            &["rule", "table", "mode"],
        )?;
        let advice = vector("orgguard_advice_total", "Weaker flaws admitted.", &["rule"])?;
        let rewrites = vector(
            "orgguard_rewrites_total",
            "Conditions and values put into statements, by the rule that they keep and the table; \
             once for each text sent.",
            &["rule", "table", "sent"],
        )?;
        let unjudged = vector(
            "orgguard_unjudged_messages_total",
            "Messages that passed in audit mode without a verdict.",
            &["reason"],
        )?;
        let refused_connections = vector(
            "orgguard_refused_connections_total",
            "Client connections refused or given up before they were ready.",
            &["reason"],
        )?;
        let ended = vector(
            "orgguard_sessions_ended_total",
            "Sessions that had begun and ended, by who ended them.",
            &["by"],
        )?;
        let disagreements = vector(
            "orgguard_reading_disagreements_total",
            "Texts refused because PostgreSQL's grammar does not read them as the guard does.",
            &["cause"],
        )?;
        // A counter that is not there yet cannot be watched.
        for cause in Disagreement::CAUSES {
            disagreements.get_metric_with_label_values(&[cause])?;
        }
        tell_what_runs(&registry)?;
        let config = ConfigMetrics::new(&registry, mode)?;
        let handles = Handles::new(&registry)?;
        let cells = KINDS.saturating_mul(OUTCOMES).saturating_mul(DECISIONS);
        Ok(Self {
            inner: Arc::new(Inner {
                registry,
                terms: RwLock::new(Terms { mode, policy }),
                config,
                statements,
                statement_cells: std::iter::repeat_with(OnceLock::new).take(cells).collect(),
                violations,
                advice,
                rewrites,
                unjudged,
                disagreements,
                refused_connections,
                ended,
                tables: Mutex::default(),
                pace: Pace::default(),
                ledger: Ledger::new(SystemTime::now()),
                history: History::default(),
                handles,
                catalog: CatalogMetrics::default(),
            }),
        })
    }

    /// The metrics in Prometheus's text format.
    ///
    /// # Errors
    /// If the encoder finds a metric that is not consistent.
    pub fn render(&self) -> Result<Vec<u8>, Error> {
        self.sum_up();
        let mut text = Vec::with_capacity(4096);
        TextEncoder::new().encode(&self.inner.registry.gather(), &mut text)?;
        Ok(text)
    }

    /// Puts into the counters what threads have counted apart.
    fn sum_up(&self) {
        let Handles {
            bytes_from_client,
            bytes_from_server,
            plan_cache_hits,
            plan_cache_shape_hits,
            ..
        } = &self.inner.handles;
        for tally in [bytes_from_client, bytes_from_server, plan_cache_hits, plan_cache_shape_hits]
        {
            tally.sum_up();
        }
        self.inner.statement_cells.iter().filter_map(OnceLock::get).for_each(Tally::sum_up);
    }

    pub(super) fn handles(&self) -> &Handles {
        &self.inner.handles
    }

    pub(super) fn catalog<'a, T>(
        &'a self,
        get: fn(&'a CatalogMetrics, &Registry) -> Option<&'a T>,
    ) -> Option<&'a T> {
        get(&self.inner.catalog, &self.inner.registry)
    }

    pub(super) fn pace(&self) -> &Pace {
        &self.inner.pace
    }

    fn terms(&self) -> RwLockReadGuard<'_, Terms> {
        self.inner.terms.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another configuration is in force.
    pub fn take_terms(&self, mode: Mode, policy: Arc<Policy>) {
        let mut terms = self.inner.terms.write().unwrap_or_else(PoisonError::into_inner);
        *terms = Terms { mode, policy };
        self.inner.config.take_mode(mode);
    }

    /// How many violations an exemption of the configuration has let pass.
    #[must_use]
    pub fn exempted(&self, exemption: &str) -> u64 {
        self.inner.config.uses(exemption)
    }

    pub(super) fn config(&self) -> &ConfigMetrics {
        &self.inner.config
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.inner.ledger
    }

    pub(super) fn note_text<'a>(&self, tables: impl Iterator<Item = &'a str>) {
        let label = |table: &str| self.table_label(Some(table));
        self.inner.ledger.note_text(tables, label, SystemTime::now());
    }

    /// What the ledger says now.
    #[must_use]
    pub fn account(&self) -> Account {
        self.inner.ledger.account(self.terms().mode, self.judged(), SystemTime::now())
    }

    pub(super) fn take_up(&self, account: &Account) {
        self.inner.ledger.take_up(account);
    }

    /// Statements judged so far, by verdict.
    #[must_use]
    pub fn judged(&self) -> Judged {
        const HOLDS: usize = Outcome::Holds as usize;
        const NOT_UNDERSTOOD: usize = Outcome::NotUnderstood as usize;
        let mut judged = Judged::default();
        for (at, cell) in self.inner.statement_cells.iter().enumerate() {
            let outcome = at.checked_div(DECISIONS).and_then(|row| row.checked_rem(OUTCOMES));
            let count = match outcome {
                Some(HOLDS) => &mut judged.holds,
                Some(NOT_UNDERSTOOD) => &mut judged.not_understood,
                _ => &mut judged.violates,
            };
            *count = count.saturating_add(cell.get().map_or(0, Tally::get));
        }
        judged
    }

    /// What was counted so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        const HOLDS: usize = Outcome::Holds as usize;
        const NOT_UNDERSTOOD: usize = Outcome::NotUnderstood as usize;
        const FORWARD: usize = Decision::Forward as usize;
        const REPLACE: usize = Decision::Replace as usize;
        let mut totals = Totals::default();
        for (at, cell) in self.inner.statement_cells.iter().enumerate() {
            let decision = at.checked_rem(DECISIONS);
            let outcome = at.checked_div(DECISIONS).and_then(|row| row.checked_rem(OUTCOMES));
            let count = match (decision, outcome) {
                (Some(FORWARD), Some(HOLDS)) => &mut totals.holds,
                (Some(FORWARD), Some(NOT_UNDERSTOOD)) => &mut totals.not_understood,
                (Some(FORWARD), _) => &mut totals.violates,
                (Some(REPLACE), _) => &mut totals.rewritten,
                _ => &mut totals.refused,
            };
            *count = count.saturating_add(cell.get().map_or(0, Tally::get));
        }
        totals
    }

    /// Takes a sample of the totals for [`Telemetry::history`].
    pub fn sample(&self) {
        self.inner.history.sample(self.totals(), SystemTime::now());
    }

    /// The totals of the last hour, oldest first.
    #[must_use]
    pub fn history(&self) -> Vec<Sample> {
        self.inner.history.samples()
    }

    /// Client connections open now.
    #[must_use]
    pub fn connections(&self) -> i64 {
        self.inner.handles.connections.get()
    }

    pub(super) fn count_statement(&self, kind: Kind, outcome: Outcome, decision: Decision) {
        let make = || {
            let labels = [decision.name(), kind.name(), outcome.name()];
            self.inner.statements.get_metric_with_label_values(&labels).ok()
        };
        // The handle is looked up once for each combination, not once for each statement.
        let row = (kind as usize).saturating_mul(OUTCOMES).saturating_add(outcome as usize);
        let at = row.saturating_mul(DECISIONS).saturating_add(decision as usize);
        match self.inner.statement_cells.get(at) {
            Some(cell) => {
                if let Some(counter) = cell.get() {
                    counter.inc();
                } else if let Some(counter) = make() {
                    cell.get_or_init(|| Tally::new(counter)).inc();
                }
            }
            None => {
                if let Some(counter) = make() {
                    counter.inc();
                }
            }
        }
    }

    pub(super) fn count_violation(&self, rule: &str, table: Option<&str>, mode: Mode) {
        let labels = [rule, &*self.table_label(table), mode.name()];
        increment(&self.inner.violations, &labels);
    }

    pub(super) fn count_advice(&self, rule: &str) {
        increment(&self.inner.advice, &[rule]);
    }

    pub(super) fn count_rewrite(&self, rule: &str, table: &str, sent: bool) {
        let sent = if sent { "yes" } else { "no" };
        increment(&self.inner.rewrites, &[rule, &*self.table_label(Some(table)), sent]);
    }

    pub(super) fn count_unjudged(&self, reason: &str) {
        increment(&self.inner.unjudged, &[reason]);
    }

    pub(super) fn count_disagreement(&self, disagreement: Disagreement) {
        increment(&self.inner.disagreements, &[disagreement.name()]);
    }

    pub(super) fn count_refused_connection(&self, reason: &str) {
        increment(&self.inner.refused_connections, &[reason]);
    }

    pub(super) fn count_ended(&self, by: &str) {
        increment(&self.inner.ended, &[by]);
    }

    /// The bounded label of a table. Routines and settings, whose names a client also chooses,
    /// never take the place of a guarded table.
    fn table_label(&self, table: Option<&str>) -> Box<str> {
        let guarded = |name: &&str| self.terms().policy.tables.guard(name).is_some();
        let Some(name) = table.filter(guarded) else {
            return OTHER_TABLE.into();
        };
        let mut known = self.inner.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(name) {
            return name.into();
        }
        if known.len() >= TABLE_LABELS {
            return OTHER_TABLE.into();
        }
        known.insert(name.into());
        name.into()
    }
}

impl Handles {
    fn new(registry: &Registry) -> Result<Self, Error> {
        let counter = |opts: Opts| {
            let counter = IntCounter::with_opts(opts)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, Error>(counter)
        };
        let bytes = |direction: &str| {
            let help = "Bytes relayed after login.";
            let opts = Opts::new("orgguard_bytes_total", help);
            counter(opts.const_label("direction", direction)).map(Tally::new)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, Error>(gauge)
        };
        let analysis = Histogram::with_opts(
            HistogramOpts::new("orgguard_analysis_seconds", "Time to plan a text not yet known.")
                .buckets(ANALYSIS_BUCKETS.to_vec()),
        )?;
        registry.register(Box::new(analysis.clone()))?;
        Ok(Self {
            connections: gauge("orgguard_connections", "Client connections open now.")?,
            prepared_statements: gauge(
                "orgguard_prepared_statements",
                "Prepared statements that open sessions remember.",
            )?,
            portals: gauge("orgguard_portals", "Portals and cursors that open sessions remember.")?,
            connections_opened: counter(Opts::new(
                "orgguard_connections_opened_total",
                "Client connections accepted.",
            ))?,
            bytes_from_client: bytes("from_client")?,
            bytes_from_server: bytes("from_server")?,
            framing_lost: counter(Opts::new(
                "orgguard_framing_lost_total",
                "Audited sessions that became a blind relay.",
            ))?,
            session_moves: counter(Opts::new(
                "orgguard_session_moves_total",
                "Times that a session went on on another thread.",
            ))?,
            plan_cache_hits: Tally::new(counter(Opts::new(
                "orgguard_plan_cache_hits_total",
                "Texts whose plan was known.",
            ))?),
            plan_cache_shape_hits: Tally::new(counter(Opts::new(
                "orgguard_plan_cache_shape_hits_total",
                "Of these, texts that differ from a known one in literals alone.",
            ))?),
            plan_cache_misses: counter(Opts::new(
                "orgguard_plan_cache_misses_total",
                "Texts that had to be planned.",
            ))?,
            analysis,
        })
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").finish_non_exhaustive()
    }
}

/// A gauge that is always 1, whose labels say what was built.
fn tell_what_runs(registry: &Registry) -> Result<(), Error> {
    let grammar = if HAS_SECOND_READING { "postgres" } else { "none" };
    let build = Opts::new("orgguard_build_info", "The version that runs.")
        .const_label("version", env!("CARGO_PKG_VERSION"))
        .const_label("grammar", grammar);
    let build = IntGauge::with_opts(build)?;
    build.set(1);
    registry.register(Box::new(build))
}

fn increment(vector: &IntCounterVec, labels: &[&str]) {
    if let Ok(counter) = vector.get_metric_with_label_values(labels) {
        counter.inc();
    }
}
