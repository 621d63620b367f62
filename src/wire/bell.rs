use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

/// How often any bell was rung. Hardly ever: it stays in every thread's cache, where a session's own
/// bell is not.
static RINGS: AtomicU64 = AtomicU64::new(0);

/// Wakes a task and tells that it was this that did.
///
/// Bytes wake a session at every message; what it waits for beside them, hardly ever. Futures that
/// are polled with a bell's waker are looked at only when they have rung it.
#[derive(Debug)]
struct Bell {
    rung: AtomicBool,
    task: Mutex<Option<Waker>>,
}

/// A bell and who listens to it.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Listener {
    /// Who is woken.
    task: Option<Waker>,
    /// Of how many rings it knows whose they were.
    rings: u64,
    bell: Arc<Bell>,
}

impl Listener {
    /// One that wakes nobody.
    pub(super) fn new() -> Self {
        let bell = Bell { rung: AtomicBool::new(false), task: Mutex::new(None) };
        Self { task: None, rings: 0, bell: Arc::new(bell) }
    }

    /// Wakes this task from now on. Whether that is another than before.
    pub(super) fn wake(&mut self, task: &Waker) -> bool {
        if self.task.as_ref().is_some_and(|own| own.will_wake(task)) {
            return false;
        }
        self.task = Some(task.clone());
        *self.bell.task.lock().unwrap_or_else(PoisonError::into_inner) = self.task.clone();
        true
    }

    /// Forgets whom it wakes.
    pub(super) fn forget(&mut self) {
        self.task = None;
    }

    /// Rings the bell.
    pub(super) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.bell))
    }

    /// Whether the bell has rung since the last call.
    pub(super) fn has_rung(&mut self) -> bool {
        // A ring is counted before it wakes the task, and after the bell says so: whoever knows of
        // all rings that are counted has been told of its own.
        let rings = RINGS.load(Ordering::Acquire);
        if rings == self.rings {
            return false;
        }
        self.rings = rings;
        self.bell.rung.swap(false, Ordering::AcqRel)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        RINGS.fetch_add(1, Ordering::AcqRel);
        if let Some(task) = &*self.task.lock().unwrap_or_else(PoisonError::into_inner) {
            task.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_hears_its_own_bell_once() {
        let (mut one, mut other) = (Listener::new(), Listener::new());
        for _ in 0..3 {
            one.waker().wake();
            assert!(!other.has_rung());
            assert!(one.has_rung() && !one.has_rung());
        }
    }

    #[test]
    fn a_bell_wakes_whoever_listens_last() {
        let (mut own, first, second) = (Listener::new(), Listener::new(), Listener::new());
        assert!(own.wake(&first.waker()));
        let waker = second.waker();
        assert!(own.wake(&waker) && !own.wake(&waker));
        own.waker().wake();
        let [mut first, mut second] = [first, second];
        assert!(!first.has_rung() && second.has_rung() && own.has_rung());
        own.forget();
        assert!(own.wake(&waker));
    }
}
