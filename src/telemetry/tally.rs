use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use prometheus::IntCounter;

/// Where threads count apart.
const PLACES: usize = 16;

/// So many threads have a place each; others share the rest.
const ALONE: usize = 8;

/// A counter that many threads add to at every message: each has a cache line of its own, and they
/// are summed up when somebody looks.
#[derive(Debug)]
pub(super) struct Tally {
    counter: IntCounter,
    places: [Place; PLACES],
    /// What of each place is in the counter.
    summed: Mutex<[u64; PLACES]>,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Place(AtomicU64);

thread_local! {
    static OWN: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The number of this thread.
fn own() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    OWN.with(|own| {
        own.get().unwrap_or_else(|| {
            let number = THREADS.fetch_add(1, Ordering::Relaxed);
            own.set(Some(number));
            number
        })
    })
}

impl Tally {
    /// Of a counter that nobody else adds to.
    pub(super) fn new(counter: IntCounter) -> Self {
        Self { counter, places: Default::default(), summed: Mutex::default() }
    }

    pub(super) fn inc(&self) {
        self.inc_by(1);
    }

    pub(super) fn inc_by(&self, count: u64) {
        let number = own();
        if let Some(Place(cell)) = self.places.get(number).filter(|_| number < ALONE) {
            // Nobody else writes to it: others need not be kept out, which costs more than adding.
            let now = cell.load(Ordering::Relaxed).wrapping_add(count);
            cell.store(now, Ordering::Relaxed);
            return;
        }
        let shared = self.places.get(ALONE..).unwrap_or_default();
        match number.checked_rem(shared.len()).and_then(|at| shared.get(at)) {
            Some(Place(cell)) => drop(cell.fetch_add(count, Ordering::Relaxed)),
            None => self.counter.inc_by(count),
        }
    }

    /// Puts into the counter what was added since.
    pub(super) fn sum_up(&self) {
        let mut summed = self.summed.lock().unwrap_or_else(PoisonError::into_inner);
        for (Place(cell), before) in self.places.iter().zip(summed.iter_mut()) {
            let now = cell.load(Ordering::Relaxed);
            self.counter.inc_by(now.wrapping_sub(*before));
            *before = now;
        }
    }

    pub(super) fn get(&self) -> u64 {
        self.sum_up();
        self.counter.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_add_is_summed_up() {
        let tally = Tally::new(IntCounter::new("a", "b").unwrap());
        std::thread::scope(|scope| {
            for _ in 0..PLACES + 3 {
                scope.spawn(|| (0..100).for_each(|_| tally.inc()));
            }
        });
        tally.inc_by(5);
        assert_eq!(tally.get(), (PLACES as u64 + 3) * 100 + 5);
        assert_eq!(tally.get(), (PLACES as u64 + 3) * 100 + 5);
    }
}
