use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use crate::config::Config;
use crate::session::{Modes, SessionModes, SessionRules, Who};

/// Kinds of sessions that share what they go by; those of further kinds have it each for itself.
const KINDS: usize = 64;

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
    alike: Arc<Mutex<Alike>>,
}

/// What sessions go by, once for all that are alike: most differ in nothing.
#[derive(Debug, Default)]
struct Alike {
    modes: Vec<SessionModes>,
    /// The rules they were made of, and these with the modes of some sessions.
    rules: Vec<(Arc<SessionRules>, Arc<SessionRules>)>,
}

impl Alike {
    /// These modes, shared.
    fn modes(&mut self, modes: SessionModes) -> SessionModes {
        if let Some(same) = self.modes.iter().find(|same| **same == modes) {
            return same.clone();
        }
        if self.modes.len() < KINDS {
            self.modes.push(modes.clone());
        }
        modes
    }

    /// The rules with these modes, shared.
    fn rules(&mut self, rules: &Arc<SessionRules>, modes: SessionModes) -> Arc<SessionRules> {
        let modes = self.modes(modes);
        let same =
            |(of, own): &&(_, Arc<SessionRules>)| Arc::ptr_eq(of, rules) && own.modes == modes;
        if let Some((_, same)) = self.rules.iter().find(same) {
            return Arc::clone(same);
        }
        let mode = modes.session();
        let own = Arc::new(SessionRules { mode, modes, ..SessionRules::clone(rules) });
        if self.rules.len() < KINDS {
            self.rules.push((Arc::clone(rules), Arc::clone(&own)));
        }
        own
    }
}

impl InForce {
    fn new(config: &Arc<Config>, generation: u64, since: SystemTime, now: SystemTime) -> Self {
        let modes = config.stages.modes(config.mode, now);
        Self { generation, config: Arc::clone(config), since, modes, alike: Arc::default() }
    }
}

impl Live {
    /// What a configuration starts with.
    #[must_use]
    pub fn of(config: &Arc<Config>) -> Self {
        let since = SystemTime::now();
        let current = RwLock::new(Arc::new(InForce::new(config, 0, since, since)));
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
        *current = Arc::new(InForce::new(config, generation, since, now));
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
        let modes = current.modes.of(who, current.generation);
        current.alike.lock().unwrap_or_else(PoisonError::into_inner).modes(modes)
    }

    /// What a session goes by: these rules, under the modes in force for it.
    #[must_use]
    pub fn rules(&self, who: Who<'_>, rules: &Arc<SessionRules>) -> Arc<SessionRules> {
        let current = self.current();
        let modes = current.modes.of(who, current.generation);
        current.alike.lock().unwrap_or_else(PoisonError::into_inner).rules(rules, modes)
    }

    /// A number from 0 to 99 for a new session.
    #[must_use]
    pub fn lot() -> u8 {
        let drawn = RandomState::new().hash_one(()).checked_rem(100).unwrap_or_default();
        u8::try_from(drawn).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Exemption, MaskErrors, Mode};
    use crate::tenant::TenantType;

    #[test]
    fn sessions_that_are_alike_share_what_they_go_by() {
        let config = crate::config::standard(&crate::config::Overrides::default()).unwrap();
        let rules = Arc::new(SessionRules {
            mode: Mode::Audit,
            modes: SessionModes::uniform(Mode::Audit),
            tenant: config.tenant.clone(),
            tenant_type: TenantType::Uuid,
            settings: config.policy.settings.clone(),
            statements: 1,
            mask_errors: MaskErrors::Off,
            dry_run: false,
        });
        let exemption = |name: &str, role: String| {
            Arc::new(Exemption {
                name: name.into(),
                rules: Vec::new(),
                tables: Vec::new(),
                roles: vec![role.into()],
                databases: Vec::new(),
                fingerprints: Vec::new(),
            })
        };
        let exemptions = (0..2 * KINDS).map(|at| exemption("old", format!("old{at}")));
        let modes = Modes { exemptions: exemptions.collect(), ..Modes::uniform(Mode::Enforce) };
        let mut alike = Alike::default();
        let mut of = |role: &str, generation| {
            let who = Who { role, database: "shop", application_name: "", lot: 0 };
            (alike.rules(&rules, modes.of(who, generation)), modes.of(who, generation))
        };
        let (app, own) = of("app", 1);
        assert_eq!((app.mode, &app.modes), (Mode::Enforce, &own));
        assert!(Arc::ptr_eq(&app, &of("api", 1).0));
        for at in 0..2 * KINDS {
            let (old, own) = of(&format!("old{at}"), 1);
            assert_eq!(old.modes, own);
            assert!(!Arc::ptr_eq(&app, &old));
        }
        // Another configuration is another kind, whatever it says.
        assert_ne!(of("app", 2).0.modes, app.modes);
        assert!(alike.rules.len() <= KINDS && alike.modes.len() <= KINDS);
    }
}
