use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::timeout;

use super::cache::PlanCache;
use super::live::Live;
use crate::analyze;
use crate::catalog::{Policies, Published};
use crate::policy::{Overlay, Policy};
use crate::session::{Mode, Planned, Planner, SessionModes, SessionRules, Who};
use crate::wire::Plans;

/// How long a statement waits for a catalogue that knows what it names. Then the one at hand
/// decides, and what it does not know is refused.
const PATIENCE: Duration = Duration::from_secs(2);

/// Plans kept for a session that knows more than the catalogue, and the longest text of one.
const OWN_PLANS: usize = 256;
const OWN_TEXT: usize = 16 << 10;

/// The plans of one session: from the cache, where enforce waits for the catalogue if it must.
pub(super) struct SessionPlans {
    cache: Arc<PlanCache>,
    live: Live,
    /// Audit does not wait: its messages are under way already.
    waits: AtomicBool,
    owner: Mutex<Option<Owner>>,
    awaited: Mutex<Option<Awaited>>,
    own: Mutex<OwnPlans>,
}

/// Plans beside what the session alone knows; none of them is shared.
#[derive(Default)]
struct OwnPlans {
    overlay: u64,
    generation: u64,
    policy: Option<Arc<Policy>>,
    plans: HashMap<Box<str>, Arc<Planned>>,
}

impl OwnPlans {
    fn plan(
        &mut self,
        text: &str,
        overlay: &Overlay,
        published: &Published,
        rewrites: bool,
    ) -> Arc<Planned> {
        let Published { generation, policy } = published;
        let version = overlay.version();
        if self.overlay != version || self.generation != *generation {
            *self = Self { overlay: version, generation: *generation, ..Self::default() };
        }
        if let Some(planned) = self.plans.get(text) {
            return Arc::clone(planned);
        }
        let policy = self.policy.get_or_insert_with(|| {
            Arc::new(Policy { overlay: Arc::new(overlay.clone()), ..(**policy).clone() })
        });
        let planned = Planned::new(text.into(), analyze::plan(text, policy), *generation);
        let mut planned = planned.under(version);
        if rewrites {
            planned = planned.with_rewrite(policy);
        }
        let planned = Arc::new(planned);
        if self.plans.len() >= OWN_PLANS {
            self.plans.clear();
        }
        if text.len() <= OWN_TEXT {
            self.plans.insert(text.into(), Arc::clone(&planned));
        }
        planned
    }
}

/// Whose session it is.
struct Owner {
    role: Box<str>,
    database: Box<str>,
    application_name: Box<str>,
    lot: u8,
}

/// A text whose plan was not given.
struct Awaited {
    text: Box<str>,
    /// `None` when the wait is over.
    wait: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// Why a plan is waited for.
enum Wait {
    /// The catalogue was never read, or something was changed since.
    Settled,
    /// The answer to this request, as the catalogue does not know a relation.
    Answer(u64),
}

impl SessionPlans {
    pub(super) fn new(cache: Arc<PlanCache>, live: Live) -> Self {
        Self {
            cache,
            live,
            waits: AtomicBool::new(true),
            owner: Mutex::new(None),
            awaited: Mutex::new(None),
            own: Mutex::default(),
        }
    }

    fn waits(&self) -> bool {
        self.waits.load(Ordering::Relaxed)
    }

    fn policies(&self) -> &Policies {
        self.cache.policies()
    }

    /// The plan at hand, or what to wait for.
    fn plan_or_wait(&self, text: &str, overlay: &Overlay) -> Result<Arc<Planned>, Wait> {
        if self.waits() && !self.policies().is_settled() {
            return Err(Wait::Settled);
        }
        let planned = self.plan_now(text, overlay);
        if !self.policies().has_catalog() || !planned.unknown_relation() {
            return Ok(planned);
        }
        let number = self.policies().ask();
        if self.waits() { Err(Wait::Answer(number)) } else { Ok(planned) }
    }

    fn wait(&self, wait: &Wait) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let policies = self.policies().clone();
        let number = match wait {
            Wait::Settled => None,
            Wait::Answer(number) => Some(*number),
        };
        Box::pin(async move {
            let waiting = async {
                match number {
                    Some(number) => policies.answered(number).await,
                    None => policies.settled().await,
                }
            };
            // Too late is over too.
            let _ = timeout(PATIENCE, waiting).await;
        })
    }
}

impl Planner for SessionPlans {
    fn plan(&self, text: &str, overlay: &Overlay) -> Option<Arc<Planned>> {
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Awaited { text: own, wait }) = awaited.take()
            && *own == *text
        {
            if wait.is_some() {
                *awaited = Some(Awaited { text: own, wait });
                return None;
            }
            return Some(self.plan_now(text, overlay));
        }
        match self.plan_or_wait(text, overlay) {
            Ok(planned) => Some(planned),
            Err(wait) => {
                let wait = Some(self.wait(&wait));
                *awaited = Some(Awaited { text: text.into(), wait });
                None
            }
        }
    }

    fn plan_now(&self, text: &str, overlay: &Overlay) -> Arc<Planned> {
        if overlay.is_empty() {
            return self.cache.plan(text);
        }
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        own.plan(text, overlay, &self.policies().current(), self.cache.rewrites())
    }

    fn newer_modes(&self, generation: u64) -> Option<SessionModes> {
        if !self.live.is_newer(generation) {
            return None;
        }
        let owner = self.owner.lock().unwrap_or_else(PoisonError::into_inner);
        let Owner { role, database, application_name, lot } = owner.as_ref()?;
        Some(self.live.modes(Who { role, database, application_name, lot: *lot }))
    }

    fn is_current(&self, planned: &Planned, overlay: &Overlay) -> bool {
        planned.generation() == self.policies().generation()
            && planned.overlay() == overlay.version()
            && (!self.waits() || self.policies().is_settled())
    }
}

impl Plans for SessionPlans {
    fn begin(&self, who: Who<'_>, rules: &SessionRules) -> Arc<SessionRules> {
        let Who { role, database, application_name, lot } = who;
        let owner = Owner {
            role: role.into(),
            database: database.into(),
            application_name: application_name.into(),
            lot,
        };
        *self.owner.lock().unwrap_or_else(PoisonError::into_inner) = Some(owner);
        let modes = self.live.modes(who);
        let mode = modes.session();
        let waits = match mode {
            Mode::Audit => false,
            Mode::Enforce | Mode::Rewrite => true,
        };
        self.waits.store(waits, Ordering::Relaxed);
        Arc::new(SessionRules { mode, modes, ..rules.clone() })
    }

    fn poll_plan(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Awaited { wait, .. }) = awaited.as_mut() else {
            return Poll::Pending;
        };
        let Some(waiting) = wait else {
            return Poll::Pending;
        };
        if waiting.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        *wait = None;
        Poll::Ready(())
    }
}
