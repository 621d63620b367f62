use std::cell::RefCell;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use foldhash::quality::RandomState;

use super::kept::Kept;
use crate::analyze;
use crate::catalog::{Policies, Published};
use crate::session::{Mode, Planned};
use crate::sql::Shape;
use crate::telemetry::{Cached, PlanCached, Telemetry, TextPlanned, normalize};

/// Parts of the cache, each with a lock of its own.
const SHARDS: usize = 16;

/// Texts served by their shape that a thread remembers to know one again.
const LATELY: usize = 4096;

/// The plans of texts, shared by all sessions. The whole text is the key, or all of it but the
/// literals that its plan names as operands; what was planned under an older policy is forgotten.
pub(super) struct PlanCache {
    policies: Policies,
    telemetry: Telemetry,
    hasher: RandomState,
    shards: Vec<Mutex<Kept>>,
    /// Whether texts are rewritten.
    rewrites: bool,
    /// Tells it from other caches of the process.
    number: u64,
    /// Bytes that one thread keeps at hand.
    near_bytes: usize,
}

/// The plans that one thread has used lately: what it finds there costs no lock.
struct Near {
    /// Which cache they are of, and under which policy.
    of: (u64, u64),
    kept: Kept,
    /// Hashes of texts that were served by their shape: only one that comes again is kept.
    lately: Vec<u64>,
}

thread_local! {
    static NEAR: RefCell<Near> =
        RefCell::new(Near { of: (0, 0), kept: Kept::new(0), lately: Vec::new() });
}

impl Near {
    /// Forgets what is of another cache or policy.
    fn renew(&mut self, of: (u64, u64), limit: usize) {
        if self.of != of {
            *self = Self { of, kept: Kept::new(limit), lately: vec![0; LATELY] };
        }
    }

    fn insert(&mut self, key: u64, planned: &Arc<Planned>) {
        if planned.generation() == self.of.1 {
            self.kept.insert(key, Arc::clone(planned));
        }
    }

    /// Whether a text was served by its shape a while ago.
    fn came_lately(&mut self, key: u64) -> bool {
        let places = u64::try_from(self.lately.len()).unwrap_or(u64::MAX);
        let at = key.checked_rem(places).and_then(|at| usize::try_from(at).ok());
        let place = at.and_then(|at| self.lately.get_mut(at));
        place.is_some_and(|place| std::mem::replace(place, key) == key)
    }
}

/// A text that is looked for.
struct Wanted<'a> {
    text: &'a str,
    /// The hash of the text.
    key: u64,
    /// Its shape and the hash of that, if other texts of the shape may have the same plan.
    shape: Option<(Shape, u64)>,
}

impl Wanted<'_> {
    fn is_it(&self, planned: &Arc<Planned>) -> Option<Arc<Planned>> {
        (planned.text() == self.text).then(|| Arc::clone(planned))
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
        // Half of it is shared; the threads divide the other half. Each part has two generations.
        let limit = bytes / SHARDS / 4;
        let near_bytes = (bytes / 4).checked_div(threads).unwrap_or_default();
        let shard = || Mutex::new(Kept::new(limit));
        Self {
            policies,
            telemetry,
            hasher: RandomState::default(),
            shards: std::iter::repeat_with(shard).take(SHARDS).collect(),
            rewrites: mode == Mode::Rewrite,
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            near_bytes,
        }
    }

    /// Whether plans come with what their texts are to be changed into.
    pub(super) const fn rewrites(&self) -> bool {
        self.rewrites
    }

    /// The policies that it plans under.
    pub(super) const fn policies(&self) -> &Policies {
        &self.policies
    }

    /// The plan of a text under the newest policy, if it is known.
    pub(super) fn find(&self, text: &str) -> Option<Arc<Planned>> {
        let of = (self.number, self.policies.generation());
        let key = self.hasher.hash_one(text);
        let mut wanted = Wanted { text, key, shape: None };
        let found = NEAR.with_borrow_mut(|near| {
            near.renew(of, self.near_bytes);
            near.kept.find(key, |own| wanted.is_it(own))
        });
        if let Some(planned) = found {
            return Some(self.found(planned, Cached::Text));
        }
        wanted.shape = self.shape(text);
        if let Some(planned) = NEAR.with_borrow_mut(|near| reused(near, &wanted)) {
            return Some(self.found(planned, Cached::Shape));
        }
        self.find_shared(&wanted)
    }

    /// What is rewritten is rewritten text by text.
    fn shape(&self, text: &str) -> Option<(Shape, u64)> {
        let shape = Some(text).filter(|_| !self.rewrites).and_then(Shape::of)?;
        let key = self.shape_key(text, &shape);
        shape.has_literals().then_some((shape, key))
    }

    fn shape_key(&self, text: &str, shape: &Shape) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        shape.hash(text, &mut hasher);
        hasher.finish()
    }

    fn shard(&self, key: u64) -> Option<MutexGuard<'_, Kept>> {
        let shards = u64::try_from(self.shards.len()).unwrap_or(u64::MAX);
        let at = usize::try_from(key.checked_rem(shards)?).unwrap_or(0);
        let mut shard = self.shards.get(at)?.lock().unwrap_or_else(PoisonError::into_inner);
        shard.renew(self.policies.generation());
        Some(shard)
    }

    /// The same in what all threads share.
    fn find_shared(&self, wanted: &Wanted<'_>) -> Option<Arc<Planned>> {
        let found = self.shard(wanted.key);
        let found = found.and_then(|mut shard| shard.find(wanted.key, |own| wanted.is_it(own)));
        if let Some(planned) = found {
            NEAR.with_borrow_mut(|near| near.insert(wanted.key, &planned));
            return Some(self.found(planned, Cached::Text));
        }
        let (_, key) = wanted.shape.as_ref()?;
        // Compared without the lock.
        let candidates = self.shard(*key).map(|shard| shard.candidates(*key));
        let planned = NEAR.with_borrow_mut(|near| {
            candidates.iter().flatten().for_each(|own| near.insert(*key, own));
            reused(near, wanted)
        });
        planned.map(|planned| self.found(planned, Cached::Shape))
    }

    fn found(&self, planned: Arc<Planned>, cached: Cached) -> Arc<Planned> {
        PlanCached { cached }.emit(&self.telemetry);
        #[cfg(debug_assertions)]
        self.is_what_planning_gives(&planned);
        planned
    }

    /// Plans a text that is not known, for all threads.
    pub(super) fn plan_anew(&self, text: &str) -> Arc<Planned> {
        PlanCached { cached: Cached::Not }.emit(&self.telemetry);
        let Published { generation, policy } = self.policies.current();
        let start = Instant::now();
        let plan = analyze::plan(text, &policy);
        let mut planned = Planned::new(text.into(), plan, generation)
            .with_fingerprint(normalize(text).fingerprint);
        if self.rewrites {
            planned = planned.with_rewrite(&policy);
        }
        TextPlanned { plan: planned.plan(), took: start.elapsed() }.emit(&self.telemetry);
        let planned = Arc::new(planned);
        let shape = planned.plan().shape().map(|shape| self.shape_key(text, shape));
        for key in [Some(self.hasher.hash_one(text)), shape].into_iter().flatten() {
            if let Some(mut shard) = self.shard(key) {
                shard.insert(key, Arc::clone(&planned));
            }
        }
        planned
    }

    /// What is found is what planning the text would give: so every test that runs statements
    /// through a guard is one of the cache.
    #[cfg(debug_assertions)]
    fn is_what_planning_gives(&self, planned: &Planned) {
        let Published { generation, policy } = self.policies.current();
        if generation == planned.generation() {
            let text = planned.text();
            let fresh = analyze::plan(text, &policy);
            debug_assert!(planned.plan().says_the_same(&fresh), "another plan of {text}");
            debug_assert_eq!(planned.fingerprint(), Some(normalize(text).fingerprint), "{text}");
        }
    }
}

/// The plan of a text by that of another one of its shape. One that comes again is kept by itself.
fn reused(near: &mut Near, wanted: &Wanted<'_>) -> Option<Arc<Planned>> {
    let (shape, key) = wanted.shape.as_ref()?;
    let planned = Arc::new(near.kept.find(*key, |own| own.reused(wanted.text, shape))?);
    if near.came_lately(wanted.key) {
        near.insert(wanted.key, &planned);
    }
    Some(planned)
}
