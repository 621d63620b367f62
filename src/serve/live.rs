use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use crate::config::Config;
use crate::session::{Modes, SessionModes, Who};

/// What can change while the guard serves: the modes under which violations are judged. Cheap to
/// clone; all clones are the same. What statements are planned under is in
/// [`Policies`](crate::catalog::Policies).
#[derive(Clone, Debug)]
pub struct Live {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// That of `current`, for those who only want to know whether it is new.
    generation: AtomicU64,
    current: RwLock<Arc<InForce>>,
}

/// A configuration and since when it has been in force.
#[derive(Clone, Debug)]
pub struct InForce {
    /// Goes up with each change.
    pub generation: u64,
    /// The configuration.
    pub config: Arc<Config>,
    /// When it was taken.
    pub since: SystemTime,
    modes: Modes,
}

impl Live {
    /// What a configuration starts with.
    #[must_use]
    pub fn of(config: &Arc<Config>) -> Self {
        let since = SystemTime::now();
        let modes = config.stages.modes(config.mode, since);
        let current = InForce { generation: 0, config: Arc::clone(config), since, modes };
        let current = RwLock::new(Arc::new(current));
        Self { shared: Arc::new(Shared { generation: AtomicU64::new(0), current }) }
    }

    /// What is in force.
    #[must_use]
    pub fn current(&self) -> Arc<InForce> {
        Arc::clone(&self.shared.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts a configuration in force; what of it has expired by now is left out.
    pub fn put(&self, config: &Arc<Config>, now: SystemTime) {
        let mut current = self.shared.current.write().unwrap_or_else(PoisonError::into_inner);
        let generation = current.generation.saturating_add(1);
        let since = if Arc::ptr_eq(config, &current.config) { current.since } else { now };
        let modes = config.stages.modes(config.mode, now);
        *current = Arc::new(InForce { generation, config: Arc::clone(config), since, modes });
        self.shared.generation.store(generation, Ordering::Release);
    }

    /// Whether something newer is in force than what has this generation.
    #[must_use]
    pub fn is_newer(&self, generation: u64) -> bool {
        self.shared.generation.load(Ordering::Acquire) != generation
    }

    /// What is in force for a session.
    #[must_use]
    pub fn modes(&self, who: Who<'_>) -> SessionModes {
        let current = self.current();
        current.modes.of(who, current.generation)
    }

    /// A number from 0 to 99 for a new session.
    #[must_use]
    pub fn lot() -> u8 {
        let drawn = RandomState::new().hash_one(()).checked_rem(100).unwrap_or_default();
        u8::try_from(drawn).unwrap_or_default()
    }
}
