use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::timeout;

use super::cache::PlanCache;
use super::live::Live;
use crate::catalog::Policies;
use crate::session::{Mode, Planned, Planner, SessionModes, SessionRules, Who};
use crate::wire::Plans;

/// How long a statement waits for a catalogue that knows what it names. Then the one at hand
/// decides, and what it does not know is refused.
const PATIENCE: Duration = Duration::from_secs(2);

/// The plans of one session: from the cache, where enforce waits for the catalogue if it must.
pub(super) struct SessionPlans {
    cache: Arc<PlanCache>,
    live: Live,
    /// Audit does not wait: its messages are under way already.
    waits: AtomicBool,
    owner: Mutex<Option<Owner>>,
    awaited: Mutex<Option<Awaited>>,
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
        }
    }

    fn waits(&self) -> bool {
        self.waits.load(Ordering::Relaxed)
    }

    fn policies(&self) -> &Policies {
        self.cache.policies()
    }

    /// The plan at hand, or what to wait for.
    fn plan_or_wait(&self, text: &str) -> Result<Arc<Planned>, Wait> {
        if self.waits() && !self.policies().is_settled() {
            return Err(Wait::Settled);
        }
        let planned = self.cache.plan(text);
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
    fn plan(&self, text: &str) -> Option<Arc<Planned>> {
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Awaited { text: own, wait }) = awaited.take()
            && *own == *text
        {
            if wait.is_some() {
                *awaited = Some(Awaited { text: own, wait });
                return None;
            }
            return Some(self.cache.plan(text));
        }
        match self.plan_or_wait(text) {
            Ok(planned) => Some(planned),
            Err(wait) => {
                let wait = Some(self.wait(&wait));
                *awaited = Some(Awaited { text: text.into(), wait });
                None
            }
        }
    }

    fn newer_modes(&self, generation: u64) -> Option<SessionModes> {
        if !self.live.is_newer(generation) {
            return None;
        }
        let owner = self.owner.lock().unwrap_or_else(PoisonError::into_inner);
        let Owner { role, database, application_name, lot } = owner.as_ref()?;
        Some(self.live.modes(Who { role, database, application_name, lot: *lot }))
    }

    fn is_current(&self, planned: &Planned) -> bool {
        planned.generation() == self.policies().generation()
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
