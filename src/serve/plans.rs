use std::cell::{Cell, OnceCell};
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::cache::PlanCache;
use super::live::Live;
use crate::analyze;
use crate::catalog::{Policies, Published};
use crate::policy::{Overlay, Policy};
use crate::session::{Mode, Planned, Planner, SessionModes, SessionRules, Who};
use crate::telemetry::SessionLabels;
use crate::wire::Plans;

/// How long a statement waits for a catalogue that knows what it names. Then the one at hand
/// decides, and what it does not know is refused.
const PATIENCE: Duration = Duration::from_secs(2);

/// Plans kept for a session that knows more than the catalogue, and the longest text of one.
const OWN_PLANS: usize = 256;
const OWN_TEXT: usize = 16 << 10;

/// A longer text is not planned on the thread of its session, which has other sessions to serve.
const APART_BYTES: usize = 8 << 10;

/// The plans of one session: from the cache, where enforce waits for the catalogue if it must.
pub(super) struct SessionPlans {
    cache: Arc<PlanCache>,
    live: Live,
    /// Audit does not wait: its messages are under way already.
    waits: Cell<bool>,
    owner: OnceCell<Owner>,
    awaited: Cell<Option<Box<Awaited>>>,
    /// Most sessions have none.
    own: Cell<Option<Box<OwnPlans>>>,
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
    /// The plan of a text, or under what it is to be made.
    fn find(
        &mut self,
        text: &str,
        overlay: &Overlay,
        published: Published,
    ) -> Result<Arc<Planned>, Under> {
        let Published { generation, policy } = published;
        let version = overlay.version();
        if self.overlay != version || self.generation != generation {
            *self = Self { overlay: version, generation, ..Self::default() };
        }
        if let Some(planned) = self.plans.get(text) {
            return Ok(Arc::clone(planned));
        }
        let policy = self.policy.get_or_insert_with(|| {
            Arc::new(Policy { overlay: Arc::new(overlay.clone()), ..(*policy).clone() })
        });
        Err(Under::Overlay { version, generation, policy: Arc::clone(policy) })
    }

    fn keep(&mut self, planned: &Arc<Planned>) {
        let text = planned.text();
        if self.overlay != planned.overlay() || self.generation != planned.generation() {
            return;
        }
        if self.plans.len() >= OWN_PLANS {
            self.plans.clear();
        }
        if text.len() <= OWN_TEXT {
            self.plans.insert(text.into(), Arc::clone(planned));
        }
    }
}

/// Under what a text is planned.
enum Under {
    /// What all sessions know.
    Cache,
    /// What one session knows beside that.
    Overlay { version: u64, generation: u64, policy: Arc<Policy> },
}

impl Under {
    fn plan(&self, text: &str, cache: &PlanCache) -> Arc<Planned> {
        match self {
            Self::Cache => cache.plan_anew(text),
            Self::Overlay { version, generation, policy } => {
                let planned = Planned::new(text.into(), analyze::plan(text, policy), *generation);
                let mut planned = planned.under(*version);
                if cache.rewrites() {
                    planned = planned.with_rewrite(policy);
                }
                Arc::new(planned)
            }
        }
    }
}

/// Whose session it is.
struct Owner {
    labels: Arc<SessionLabels>,
    lot: u8,
}

impl Owner {
    fn who(&self) -> Who<'_> {
        let SessionLabels { role, database, application_name, client: _ } = &*self.labels;
        Who { role, database, application_name, lot: self.lot }
    }
}

/// A text whose plan was not given.
struct Awaited {
    text: Box<str>,
    wait: Wait,
    so_far: SoFar,
}

/// What has been waited for already.
#[derive(Default)]
struct SoFar {
    /// The catalogue: what it does not know now decides.
    catalog: bool,
    /// The plan, made elsewhere.
    planned: Option<Arc<Planned>>,
}

impl Awaited {
    /// Ready once what is waited for has come.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Wait::On(waiting) = &mut self.wait else {
            return Poll::Pending;
        };
        self.so_far.planned = ready!(waiting.as_mut().poll(context));
        self.wait = Wait::Over;
        Poll::Ready(())
    }
}

enum Wait {
    /// For a plan, or for nothing but time.
    On(Pin<Box<dyn Future<Output = Option<Arc<Planned>>> + Send>>),
    Over,
}

/// Why a plan is waited for.
enum Cause {
    /// It is being made elsewhere.
    Made(JoinHandle<Arc<Planned>>),
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
            waits: Cell::new(true),
            owner: OnceCell::new(),
            awaited: Cell::new(None),
            own: Cell::new(None),
        }
    }

    fn waits(&self) -> bool {
        self.waits.get()
    }

    fn policies(&self) -> &Policies {
        self.cache.policies()
    }

    /// The plan at hand, or what to wait for.
    fn plan_or_wait(
        &self,
        text: &str,
        overlay: &Overlay,
        so_far: &mut SoFar,
    ) -> Result<Arc<Planned>, Cause> {
        if self.waits() && !so_far.catalog && !self.policies().is_settled() {
            return Err(Cause::Settled);
        }
        let made = so_far.planned.take();
        let planned = match (self.find(text, overlay), made) {
            (Ok(planned), _) => planned,
            // One made under an older policy is made again, here: there is no end to it elsewhere.
            (Err(_), Some(planned)) if self.is_new(&planned, overlay) => {
                if !overlay.is_empty() {
                    self.with_own(|own| own.keep(&planned));
                }
                planned
            }
            (Err(under), None) if text.len() > APART_BYTES => match self.plan_apart(text, under) {
                Ok(handle) => return Err(Cause::Made(handle)),
                Err(under) => self.plan_under(text, &under),
            },
            (Err(under), _) => self.plan_under(text, &under),
        };
        if so_far.catalog || !self.policies().has_catalog() || !planned.unknown_relation() {
            return Ok(planned);
        }
        let number = self.policies().ask();
        if self.waits() { Err(Cause::Answer(number)) } else { Ok(planned) }
    }

    fn with_own<T>(&self, act: impl FnOnce(&mut OwnPlans) -> T) -> T {
        let mut own = self.own.take().unwrap_or_default();
        let result = act(&mut own);
        self.own.set(Some(own));
        result
    }

    /// A plan that is there, or under what it is to be made.
    fn find(&self, text: &str, overlay: &Overlay) -> Result<Arc<Planned>, Under> {
        if overlay.is_empty() {
            return self.cache.find(text).ok_or(Under::Cache);
        }
        self.with_own(|own| own.find(text, overlay, self.policies().current()))
    }

    /// Plans a text here and now.
    fn plan_under(&self, text: &str, under: &Under) -> Arc<Planned> {
        let planned = under.plan(text, &self.cache);
        match under {
            Under::Cache => {}
            Under::Overlay { .. } => self.with_own(|own| own.keep(&planned)),
        }
        planned
    }

    /// Plans a text on a thread that serves no session, if this one has such.
    fn plan_apart(&self, text: &str, under: Under) -> Result<JoinHandle<Arc<Planned>>, Under> {
        let Ok(runtime) = Handle::try_current() else {
            return Err(under);
        };
        let (text, cache) = (text.to_owned(), Arc::clone(&self.cache));
        Ok(runtime.spawn_blocking(move || under.plan(&text, &cache)))
    }

    /// Whether a plan was made under what is known now.
    fn is_new(&self, planned: &Planned, overlay: &Overlay) -> bool {
        planned.generation() == self.policies().generation()
            && planned.overlay() == overlay.version()
    }

    fn wait(&self, cause: Cause, so_far: &mut SoFar) -> Wait {
        let number = match cause {
            // Without a plan, one is made here.
            Cause::Made(handle) => return Wait::On(Box::pin(async { handle.await.ok() })),
            Cause::Settled => None,
            Cause::Answer(number) => Some(number),
        };
        so_far.catalog = true;
        let policies = self.policies().clone();
        Wait::On(Box::pin(async move {
            let waiting = async {
                match number {
                    Some(number) => policies.answered(number).await,
                    None => policies.settled().await,
                }
            };
            // Too late is over too.
            let _ = timeout(PATIENCE, waiting).await;
            None
        }))
    }
}

impl Planner for SessionPlans {
    fn plan(&self, text: &str, overlay: &Overlay) -> Option<Arc<Planned>> {
        let mut so_far = SoFar::default();
        if let Some(before) = self.awaited.take()
            && *before.text == *text
        {
            if let Wait::On(_) = before.wait {
                self.awaited.set(Some(before));
                return None;
            }
            so_far = before.so_far;
        }
        match self.plan_or_wait(text, overlay, &mut so_far) {
            Ok(planned) => Some(planned),
            Err(cause) => {
                let wait = self.wait(cause, &mut so_far);
                self.awaited.set(Some(Box::new(Awaited { text: text.into(), wait, so_far })));
                None
            }
        }
    }

    fn plan_now(&self, text: &str, overlay: &Overlay) -> Arc<Planned> {
        self.find(text, overlay).unwrap_or_else(|under| self.plan_under(text, &under))
    }

    fn newer_modes(&self, generation: u64) -> Option<SessionModes> {
        if !self.live.is_newer(generation) {
            return None;
        }
        Some(self.live.modes(self.owner.get()?.who()))
    }

    fn is_current(&self, planned: &Planned, overlay: &Overlay) -> bool {
        planned.generation() == self.policies().generation()
            && planned.overlay() == overlay.version()
            && (!self.waits() || self.policies().is_settled())
    }
}

impl Plans for SessionPlans {
    fn begin(
        &self,
        labels: &Arc<SessionLabels>,
        lot: u8,
        rules: &Arc<SessionRules>,
    ) -> Arc<SessionRules> {
        let owner = self.owner.get_or_init(|| Owner { labels: Arc::clone(labels), lot });
        let rules = self.live.rules(owner.who(), rules);
        let waits = match rules.mode {
            Mode::Audit => false,
            Mode::Enforce | Mode::Rewrite => true,
        };
        self.waits.set(waits);
        rules
    }

    fn poll_plan(&self, context: &mut Context<'_>) -> Poll<()> {
        let Some(mut awaited) = self.awaited.take() else {
            return Poll::Pending;
        };
        let polled = awaited.poll(context);
        self.awaited.set(Some(awaited));
        polled
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::mpsc;

    use super::*;
    use crate::config::{Config, Overrides, standard};
    use crate::telemetry::Telemetry;

    fn plans(config: &Arc<Config>, waits: bool) -> SessionPlans {
        let telemetry = Telemetry::new(config.mode, Arc::clone(&config.policy)).unwrap();
        let policies = Policies::of(config);
        let cache = PlanCache::new(policies, telemetry, 1 << 20, 1, config.mode);
        let plans = SessionPlans::new(Arc::new(cache), Live::of(config));
        plans.waits.set(waits);
        plans
    }

    #[test]
    fn a_long_text_is_planned_while_its_thread_serves_others() {
        let config = Arc::new(standard(&Overrides::default()).unwrap());
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.max_blocking_threads(1).build().unwrap();
        let long = format!("SELECT {} FROM notes", vec!["name"; APART_BYTES].join(", "));
        let none = Overlay::default();
        for waits in [true, false] {
            runtime.block_on(async {
                // The one thread that could plan it is busy until the gate opens.
                let (gate, closed) = mpsc::channel::<()>();
                let busy = tokio::task::spawn_blocking(move || closed.recv());
                let plans = plans(&config, waits);
                for _ in 0..2 {
                    assert!(plans.plan(&long, &none).is_none());
                    assert!(poll_fn(|it| Poll::Ready(plans.poll_plan(it).is_pending())).await);
                }
                assert!(self::plans(&config, waits).plan("SELECT 1", &none).is_some());
                drop(gate);
                busy.await.unwrap().unwrap_err();
                poll_fn(|context| plans.poll_plan(context)).await;
                assert_eq!(plans.plan(&long, &none).unwrap().text(), long);
            });
        }
    }

    #[test]
    fn without_a_runtime_a_long_text_is_planned_at_once() {
        let config = Arc::new(standard(&Overrides::default()).unwrap());
        let long = format!("SELECT {} FROM notes", vec!["name"; APART_BYTES].join(", "));
        assert!(plans(&config, true).plan(&long, &Overlay::default()).is_some());
    }
}
