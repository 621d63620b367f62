use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{BuildHasher as _, Hash, Hasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::analyze;
use crate::policy::Policy;
use crate::session::{Planned, Planner};
use crate::telemetry::{AnalysisTook, PlanCached, Telemetry};

/// Parts of the cache, each with a lock of its own.
const SHARDS: usize = 16;

/// What an entry costs beside its text.
const ENTRY_BYTES: usize = 128;

/// The plans of texts, shared by all sessions. The whole text is the key.
pub(super) struct PlanCache {
    policy: Arc<Policy>,
    telemetry: Telemetry,
    hasher: RandomState,
    shards: Vec<Mutex<Shard>>,
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
    /// Bytes in one generation.
    limit: usize,
}

impl Shard {
    fn get(&mut self, text: &str) -> Option<Arc<Planned>> {
        if let Some(Key(planned)) = self.young.get(text) {
            return Some(Arc::clone(planned));
        }
        let Key(planned) = self.old.take(text)?;
        self.insert(Arc::clone(&planned));
        Some(planned)
    }

    fn insert(&mut self, planned: Arc<Planned>) {
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
    /// An empty cache for so many bytes of text.
    pub(super) fn new(policy: Arc<Policy>, telemetry: Telemetry, bytes: usize) -> Self {
        let limit = bytes / SHARDS / 2;
        let shard = || {
            Mutex::new(Shard { young: HashSet::new(), old: HashSet::new(), young_bytes: 0, limit })
        };
        Self {
            policy,
            telemetry,
            hasher: RandomState::new(),
            shards: std::iter::repeat_with(shard).take(SHARDS).collect(),
        }
    }

    fn shard(&self, text: &str) -> Option<&Mutex<Shard>> {
        let shards = u64::try_from(self.shards.len()).unwrap_or(u64::MAX);
        let at = self.hasher.hash_one(text).checked_rem(shards)?;
        self.shards.get(usize::try_from(at).unwrap_or(0))
    }
}

impl Planner for PlanCache {
    fn plan(&self, text: &str) -> Arc<Planned> {
        let shard = self.shard(text);
        if let Some(shard) = shard {
            let found = shard.lock().unwrap_or_else(PoisonError::into_inner).get(text);
            PlanCached { hit: found.is_some() }.emit(&self.telemetry);
            if let Some(planned) = found {
                return planned;
            }
        }
        let start = Instant::now();
        let planned = Arc::new(Planned::new(text.into(), analyze::plan(text, &self.policy)));
        AnalysisTook { duration: start.elapsed() }.emit(&self.telemetry);
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
        Shard { young: HashSet::new(), old: HashSet::new(), young_bytes: 0, limit }
    }

    fn planned(text: &str) -> Arc<Planned> {
        let config = crate::config::standard(&Overrides::default()).unwrap();
        // A text without statements: nothing is planned here.
        Arc::new(Planned::new(text.into(), analyze::plan("", &config.policy)))
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
