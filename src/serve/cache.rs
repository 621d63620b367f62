use std::borrow::Borrow;
use std::cell::RefCell;
use std::collections::HashSet;
use std::hash::{BuildHasher as _, Hash, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::analyze;
use crate::catalog::{Policies, Published};
use crate::session::{Mode, Planned};
use crate::telemetry::{PlanCached, Telemetry, TextPlanned, normalize};

/// Parts of the cache, each with a lock of its own.
const SHARDS: usize = 16;

/// What an entry costs beside its text.
const ENTRY_BYTES: usize = 128;

/// The plans of texts, shared by all sessions. The whole text is the key; what was planned under an
/// older policy is forgotten.
pub(super) struct PlanCache {
    policies: Policies,
    telemetry: Telemetry,
    hasher: RandomState,
    shards: Vec<Mutex<Shard>>,
    /// Whether texts are rewritten.
    rewrites: bool,
    /// Tells it from other caches of the process.
    number: u64,
    /// Bytes of text that one thread keeps at hand.
    near_bytes: usize,
}

/// A set that finds a plan by its text.
struct Key(Arc<Planned>);

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        self.0.text()
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.text().hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.text() == other.0.text()
    }
}

impl Eq for Key {}

/// Two generations: what is used moves to the young one; when that is full, the old one goes.
struct Shard {
    young: HashSet<Key>,
    old: HashSet<Key>,
    young_bytes: usize,
    /// Bytes in one of the two.
    limit: usize,
    /// The generation of the policy under which all of them were planned.
    policy: u64,
}

impl Shard {
    fn new(limit: usize) -> Self {
        Self { young: HashSet::new(), old: HashSet::new(), young_bytes: 0, limit, policy: 0 }
    }

    /// Forgets what was planned under an older policy.
    fn renew(&mut self, policy: u64) {
        if policy > self.policy {
            self.young.clear();
            self.old.clear();
            self.young_bytes = 0;
            self.policy = policy;
        }
    }

    fn get(&mut self, text: &str) -> Option<Arc<Planned>> {
        if let Some(Key(planned)) = self.young.get(text) {
            return Some(Arc::clone(planned));
        }
        let Key(planned) = self.old.take(text)?;
        self.insert(Arc::clone(&planned));
        Some(planned)
    }

    fn insert(&mut self, planned: Arc<Planned>) {
        self.renew(planned.generation());
        if planned.generation() < self.policy {
            return;
        }
        let bytes = planned.text().len().saturating_add(ENTRY_BYTES);
        if bytes > self.limit {
            return;
        }
        let filled = self.young_bytes.saturating_add(bytes);
        if filled > self.limit {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = bytes;
        } else {
            self.young_bytes = filled;
        }
        self.young.insert(Key(planned));
    }
}

impl PlanCache {
    /// An empty cache for so many bytes of text, used by so many threads.
    pub(super) fn new(
        policies: Policies,
        telemetry: Telemetry,
        bytes: usize,
        threads: usize,
        mode: Mode,
    ) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        // Half of it is shared; the threads divide the other half.
        let limit = bytes / SHARDS / 4;
        let near_bytes = (bytes / 2).checked_div(threads).unwrap_or_default();
        let shard = || Mutex::new(Shard::new(limit));
        Self {
            policies,
            telemetry,
            hasher: RandomState::new(),
            shards: std::iter::repeat_with(shard).take(SHARDS).collect(),
            rewrites: mode == Mode::Rewrite,
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            near_bytes,
        }
    }

    fn shard(&self, text: &str) -> Option<&Mutex<Shard>> {
        let shards = u64::try_from(self.shards.len()).unwrap_or(u64::MAX);
        let at = self.hasher.hash_one(text).checked_rem(shards)?;
        self.shards.get(usize::try_from(at).unwrap_or(0))
    }
}

/// The plans that one thread has used lately: what it finds there costs no lock.
struct Near {
    /// Which cache they are of, and under which policy.
    of: (u64, u64),
    plans: HashSet<Key>,
    bytes: usize,
}

thread_local! {
    static NEAR: RefCell<Near> =
        RefCell::new(Near { of: (0, 0), plans: HashSet::new(), bytes: 0 });
}

impl Near {
    /// Forgets what is of another cache or policy.
    fn renew(&mut self, of: (u64, u64)) {
        if self.of != of {
            self.clear();
            self.of = of;
        }
    }

    fn clear(&mut self) {
        self.plans.clear();
        self.bytes = 0;
    }

    fn get(&mut self, of: (u64, u64), text: &str) -> Option<Arc<Planned>> {
        self.renew(of);
        self.plans.get(text).map(|Key(planned)| Arc::clone(planned))
    }

    fn insert(&mut self, of: (u64, u64), planned: &Arc<Planned>, limit: usize) {
        let bytes = planned.text().len().saturating_add(ENTRY_BYTES);
        if planned.generation() != of.1 || bytes > limit {
            return;
        }
        self.renew(of);
        if self.bytes.saturating_add(bytes) > limit {
            self.clear();
        }
        if self.plans.insert(Key(Arc::clone(planned))) {
            self.bytes = self.bytes.saturating_add(bytes);
        }
    }
}

impl PlanCache {
    /// Whether plans come with what their texts are to be changed into.
    pub(super) const fn rewrites(&self) -> bool {
        self.rewrites
    }

    /// The policies that it plans under.
    pub(super) const fn policies(&self) -> &Policies {
        &self.policies
    }

    /// The plan of a text under the newest policy.
    pub(super) fn plan(&self, text: &str) -> Arc<Planned> {
        let of = (self.number, self.policies.generation());
        if let Some(planned) = NEAR.with_borrow_mut(|near| near.get(of, text)) {
            PlanCached { hit: true }.emit(&self.telemetry);
            return planned;
        }
        let planned = self.shared_plan(text);
        NEAR.with_borrow_mut(|near| near.insert(of, &planned, self.near_bytes));
        planned
    }

    fn shared_plan(&self, text: &str) -> Arc<Planned> {
        let shard = self.shard(text);
        if let Some(shard) = shard {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.renew(self.policies.generation());
            let found = shard.get(text);
            drop(shard);
            PlanCached { hit: found.is_some() }.emit(&self.telemetry);
            if let Some(planned) = found {
                return planned;
            }
        }
        let Published { generation, policy } = self.policies.current();
        let start = Instant::now();
        let plan = analyze::plan(text, &policy);
        let mut planned = Planned::new(text.into(), plan, generation)
            .with_fingerprint(normalize(text).fingerprint);
        if self.rewrites {
            planned = planned.with_rewrite(&policy);
        }
        let planned = Arc::new(planned);
        TextPlanned { plan: planned.plan(), took: start.elapsed() }.emit(&self.telemetry);
        if let Some(shard) = shard {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.insert(Arc::clone(&planned));
        }
        planned
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;

    fn shard(limit: usize) -> Shard {
        Shard::new(limit)
    }

    fn planned(text: &str) -> Arc<Planned> {
        planned_under(text, 0)
    }

    fn planned_under(text: &str, generation: u64) -> Arc<Planned> {
        let config = crate::config::standard(&Overrides::default()).unwrap();
        // A text without statements: nothing is planned here.
        Arc::new(Planned::new(text.into(), analyze::plan("", &config.policy), generation))
    }

    #[test]
    fn what_was_planned_under_an_older_policy_is_forgotten() {
        let mut shard = shard(1_000);
        shard.insert(planned_under("a", 0));
        assert!(shard.get("a").is_some());
        shard.renew(1);
        assert!(shard.get("a").is_none());
        shard.insert(planned_under("a", 1));
        // Begun before the change, done after it.
        shard.insert(planned_under("b", 0));
        assert!(shard.get("b").is_none());
        shard.insert(planned_under("c", 2));
        assert!(shard.get("a").is_none() && shard.get("c").is_some());
    }

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let mut shard = shard(3 * (ENTRY_BYTES + 1));
        shard.insert(planned("a"));
        for text in ["b", "c", "d", "e", "f", "g", "h", "i"] {
            assert_eq!(shard.get("a").unwrap().text(), "a");
            shard.insert(planned(text));
            assert!(shard.young.len() + shard.old.len() <= 6);
        }
        assert!(shard.get("b").is_none());
    }

    #[test]
    fn a_text_larger_than_the_cache_is_not_kept() {
        let mut shard = shard(ENTRY_BYTES);
        shard.insert(planned("a"));
        assert!(shard.get("a").is_none());
    }
}
