//! Bounds on what one input may take.

use std::cell::Cell;
use std::time::{Duration, Instant};

use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// Processor time that one input may take.
const TIME: Duration = Duration::from_millis(100);

/// Memory that one input may hold at once, in bytes.
const MEMORY: usize = 32 << 20;

thread_local! {
    static SLOWEST: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

/// Runs a target on one input; more than the bounds is a finding. Each new maximum is told.
pub fn within(target: fn(&[u8]), data: &[u8]) {
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    let start = Instant::now();
    target(data);
    let mut time = start.elapsed();
    let memory = ALLOCATED.peak_usage().saturating_sub(before);
    // The machine may have other work: what seems slow is measured again in processor time.
    if time > SLOWEST.get().max(TIME / 20) {
        let start = processor_time();
        target(data);
        time = processor_time().saturating_sub(start);
    }
    if time > SLOWEST.get() {
        SLOWEST.set(time);
        eprintln!("slowest so far: {time:?} for {} bytes", data.len());
    }
    if memory > LARGEST.get() {
        LARGEST.set(memory);
        eprintln!("most memory so far: {memory} bytes for {} bytes", data.len());
    }
    assert!(time <= TIME, "{time:?} for one input");
    assert!(memory <= MEMORY, "{memory} bytes for one input");
}

/// What this thread has spent on a processor (proc(5), schedstat: the first number, nanoseconds).
fn processor_time() -> Duration {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let spent = spent.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(spent.expect("a number"))
}
