use std::sync::Arc;

use foldhash::{HashMap, HashMapExt as _};
use smallvec::SmallVec;

use crate::session::Planned;

/// What an entry costs beside its text and plan.
const ENTRY_BYTES: usize = 128;

/// Plans under one key: texts of one shape that differ in literals on which their plans depend.
const SAME_KEY: usize = 8;

/// Plans under one key; hardly ever more than one.
type Candidates = SmallVec<[Arc<Planned>; 1]>;

/// Plans by a hash of their text, or of its shape. A hash finds candidates; what is wanted of them
/// is compared in full by whoever asks.
///
/// Two generations: what is used moves to the young one; when that is full, the old one goes.
pub(super) struct Kept {
    young: HashMap<u64, Candidates>,
    old: HashMap<u64, Candidates>,
    young_bytes: usize,
    /// Those of the young ones that others share, by their addresses: each is counted once, and is
    /// there for as long as it is counted.
    bases: HashMap<usize, Arc<Planned>>,
    /// Bytes in one of the two.
    limit: usize,
    /// The generation of the policy under which all of them were planned.
    policy: u64,
}

impl Kept {
    pub(super) fn new(limit: usize) -> Self {
        let (young, old) = (HashMap::new(), HashMap::new());
        Self { young, old, young_bytes: 0, bases: HashMap::new(), limit, policy: 0 }
    }

    /// Forgets what was planned under an older policy.
    pub(super) fn renew(&mut self, policy: u64) {
        if policy > self.policy {
            *self = Self { policy, ..Self::new(self.limit) };
        }
    }

    /// What is made of the first candidate of which anything can be made.
    pub(super) fn find<T>(
        &mut self,
        key: u64,
        wanted: impl Fn(&Arc<Planned>) -> Option<T>,
    ) -> Option<T> {
        if let Some(found) = self.young.get(&key).and_then(|own| own.iter().find_map(&wanted)) {
            return Some(found);
        }
        let candidates = self.old.get_mut(&key)?;
        let (at, found) =
            candidates.iter().enumerate().find_map(|(at, own)| Some((at, wanted(own)?)))?;
        let planned = candidates.swap_remove(at);
        self.insert(key, planned);
        Some(found)
    }

    /// All candidates, to be looked through elsewhere.
    pub(super) fn candidates(&self, key: u64) -> Vec<Arc<Planned>> {
        let of = |level: &HashMap<u64, Candidates>| level.get(&key).cloned();
        [of(&self.young), of(&self.old)].into_iter().flatten().flatten().collect()
    }

    pub(super) fn insert(&mut self, key: u64, planned: Arc<Planned>) {
        self.renew(planned.generation());
        if planned.generation() < self.policy {
            return;
        }
        let own = planned.bytes().saturating_add(ENTRY_BYTES);
        let base = planned.base().map(|base| (Arc::as_ptr(base).addr(), base));
        let shared = base.map_or(0, |(_, base)| base.bytes().saturating_add(ENTRY_BYTES));
        if own.saturating_add(shared) > self.limit {
            return;
        }
        let counted = base.is_some_and(|(at, _)| self.bases.contains_key(&at));
        let more = if counted { own } else { own.saturating_add(shared) };
        let filled = self.young_bytes.saturating_add(more);
        if filled > self.limit {
            self.old = std::mem::take(&mut self.young);
            self.bases = HashMap::new();
            self.young_bytes = own.saturating_add(shared);
        } else {
            self.young_bytes = filled;
        }
        if let Some((at, base)) = base {
            self.bases.insert(at, Arc::clone(base));
        }
        let same = self.young.entry(key).or_default();
        if same.iter().any(|own| own.text() == planned.text()) {
            return;
        }
        if same.len() >= SAME_KEY {
            same.remove(0);
        }
        same.push(planned);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze;
    use crate::config::{Overrides, standard};

    fn planned(text: &str, generation: u64) -> Arc<Planned> {
        let config = standard(&Overrides::default()).unwrap();
        // A text without statements: nothing is planned here.
        Arc::new(Planned::new(text.into(), analyze::plan("", &config.policy), generation))
    }

    fn key(text: &str) -> u64 {
        u64::from(*text.as_bytes().first().unwrap())
    }

    fn get(kept: &mut Kept, text: &str) -> Option<Arc<Planned>> {
        kept.find(key(text), |own| (own.text() == text).then(|| Arc::clone(own)))
    }

    fn put(kept: &mut Kept, text: &str, generation: u64) {
        kept.insert(key(text), planned(text, generation));
    }

    #[test]
    fn what_was_planned_under_an_older_policy_is_forgotten() {
        let mut kept = Kept::new(100_000);
        put(&mut kept, "a", 0);
        assert!(get(&mut kept, "a").is_some());
        kept.renew(1);
        assert!(get(&mut kept, "a").is_none());
        put(&mut kept, "a", 1);
        // Begun before the change, done after it.
        put(&mut kept, "b", 0);
        assert!(get(&mut kept, "b").is_none());
        put(&mut kept, "c", 2);
        assert!(get(&mut kept, "a").is_none() && get(&mut kept, "c").is_some());
    }

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let mut kept = Kept::new(3 * (ENTRY_BYTES + planned("a", 0).bytes()));
        put(&mut kept, "a", 0);
        for text in ["b", "c", "d", "e", "f", "g", "h", "i"] {
            assert_eq!(get(&mut kept, "a").unwrap().text(), "a");
            put(&mut kept, text, 0);
            assert!(kept.young.len() + kept.old.len() <= 6);
        }
        assert!(get(&mut kept, "b").is_none());
    }

    /// What shares a plan is small, and what it shares is counted all the same.
    #[test]
    fn a_plan_that_is_shared_is_counted_once_for_all_who_share_it() {
        let config = standard(&Overrides::default()).unwrap();
        let base = |number: usize| {
            let text = format!("SELECT {}b{number} FROM notes WHERE id = 1", "a, ".repeat(300));
            let plan = analyze::plan(&text, &config.policy);
            Arc::new(Planned::new(text.into(), plan, 0))
        };
        let other = |base: &Arc<Planned>, id: usize| {
            let text = base.text().replace("id = 1", &format!("id = {id}"));
            Arc::new(base.reused(&text, &crate::sql::Shape::of(&text).unwrap()).unwrap())
        };
        let first = base(0);
        let one = ENTRY_BYTES + first.bytes();
        let mut kept = Kept::new(20 * one);
        for id in 2..5 {
            kept.insert(id as u64, other(&first, id));
        }
        let three = 3 * (ENTRY_BYTES + other(&first, 2).bytes());
        assert_eq!(kept.young_bytes, one + three);
        for number in 1..200 {
            kept.insert(1_000 + number as u64, other(&base(number), 2));
        }
        assert!(kept.bases.len() <= 20 && kept.young.len() + kept.old.len() <= 40);
    }

    #[test]
    fn a_plan_larger_than_the_cache_is_not_kept() {
        let mut kept = Kept::new(ENTRY_BYTES);
        put(&mut kept, "a", 0);
        assert!(get(&mut kept, "a").is_none());
    }

    #[test]
    fn candidates_of_one_key_are_told_apart_and_bounded() {
        let mut kept = Kept::new(1_000_000);
        let texts: Vec<String> = (0..20).map(|number| format!("a{number}")).collect();
        for text in &texts {
            put(&mut kept, text, 0);
            put(&mut kept, text, 0);
        }
        assert_eq!(kept.candidates(key("a")).len(), SAME_KEY);
        assert!(get(&mut kept, "a0").is_none());
        assert_eq!(get(&mut kept, "a19").unwrap().text(), "a19");
    }
}
