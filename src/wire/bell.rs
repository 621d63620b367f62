use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

/// Wakes a task and tells that it was this that did.
///
/// Bytes wake a session at every message; what it waits for beside them, hardly ever. Futures that
/// are polled with a bell's waker are looked at only when they have rung it.
#[derive(Debug)]
pub(super) struct Bell {
    rung: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Bell {
    /// One that has rung: what is new has to be looked at once.
    pub(super) fn rung() -> Arc<Self> {
        Arc::new(Self { rung: AtomicBool::new(true), task: Mutex::new(None) })
    }

    /// Rings it without waking anybody.
    pub(super) fn ring(&self) {
        self.rung.store(true, Ordering::Release);
    }

    /// Whether it has rung since the last call.
    pub(super) fn has_rung(&self) -> bool {
        // A load first: nothing is written to at every message.
        self.rung.load(Ordering::Acquire) && self.rung.swap(false, Ordering::AcqRel)
    }

    /// Wakes this task from now on.
    pub(super) fn wakes(&self, task: &Waker) {
        let mut own = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        *own = Some(task.clone());
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
        if let Some(task) = &*self.task.lock().unwrap_or_else(PoisonError::into_inner) {
            task.wake_by_ref();
        }
    }
}
