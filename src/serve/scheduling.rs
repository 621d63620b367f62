//! How the kernel is to schedule the threads that serve sessions, and for how long it has let them
//! run.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use thread_priority::unix::{
    NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id, thread_schedule_policy,
};
use thread_priority::{ThreadPriority, ThreadPriorityValue};

/// The field of `stat` that is the niceness, counted behind the thread's name (proc(5)).
const NICENESS: usize = 16;

/// What the library makes niceness 0 of: it counts from 0 for the nicest to 99.
const AS_ANY: u8 = 47;

/// Lets the current thread wait until whoever runs has had its turn (`SCHED_BATCH`, sched(7))
/// instead of interrupting it. Its share of the CPU stays the same; but a client that shares a core
/// with the guard says all that it has to say before the guard wakes up for it, once.
///
/// A policy or niceness that was set from outside is left as it is, and what the kernel does not
/// allow is gone without.
pub(super) fn wait_for_a_turn() {
    let other = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Other);
    if thread_schedule_policy().is_ok_and(|policy| policy == other)
        && niceness() == Some(0)
        && let Ok(same) = ThreadPriorityValue::try_from(AS_ANY)
    {
        let batch = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Batch);
        let same = ThreadPriority::Crossplatform(same);
        let set = set_thread_priority_and_policy(thread_native_id(), same, batch);
        if let Err(error) = set {
            tracing::debug!(?error, "threads are scheduled as any other");
        }
    }
}

/// Where the kernel says for how long a thread has run: a file kept open, since finding it costs ten
/// times as much as reading it.
#[derive(Debug)]
pub(super) struct RunTime(File);

impl RunTime {
    /// Of the current thread; `None` where the kernel does not say.
    pub(super) fn here() -> Option<Self> {
        // Its target has the thread's number, by which other threads find it.
        let thread = fs::read_link("/proc/thread-self").ok()?;
        let file = File::open(Path::new("/proc").join(thread).join("schedstat")).ok()?;
        let here = Self(file);
        here.so_far().map(|_| here)
    }

    /// CPU time until now: the first field, in nanoseconds (the kernel's sched-stats.rst).
    pub(super) fn so_far(&self) -> Option<Duration> {
        let mut buffer = [0; 64];
        let count = self.0.read_at(&mut buffer, 0).ok()?;
        let text = std::str::from_utf8(buffer.get(..count)?).ok()?;
        // What may be cut short is not the first of the three.
        let (nanoseconds, _) = text.split_once(' ')?;
        Some(Duration::from_nanos(nanoseconds.parse().ok()?))
    }
}

fn niceness() -> Option<i32> {
    let stat = fs::read_to_string("/proc/thread-self/stat").ok()?;
    // The name, in parentheses, may have any character.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(NICENESS)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_thread_of_its_own_is_told_to_wait_for_its_turn() {
        let policy = std::thread::spawn(|| {
            wait_for_a_turn();
            (thread_schedule_policy().unwrap(), niceness())
        });
        let batch = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Batch);
        assert_eq!(policy.join().unwrap(), (batch, Some(0)));
    }

    #[test]
    fn the_kernel_says_how_long_a_thread_has_run_while_it_is_there() {
        let (telling, told) = mpsc::channel();
        let (gate, closed) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            telling.send(RunTime::here().unwrap()).unwrap();
            closed.recv().unwrap_err();
        });
        let time = told.recv().unwrap();
        assert!(!time.so_far().unwrap().is_zero());
        drop(gate);
        thread.join().unwrap();
        // The kernel may take a moment to forget it.
        while time.so_far().is_some() {
            std::thread::yield_now();
        }
    }
}
