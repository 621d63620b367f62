//! What a guard's process holds: memory, file descriptors, and what it counts itself.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::support::{GuardProcess, PATIENCE, gauge};

/// What the guard holds.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sample {
    /// Resident, in KiB.
    pub(crate) memory: i64,
    pub(crate) descriptors: i64,
    pub(crate) connections: i64,
    pub(crate) statements: i64,
    pub(crate) portals: i64,
    /// Ever.
    pub(crate) opened: i64,
}

impl Sample {
    pub(crate) const HEAD: &str = "  RSS KiB   fds  connections  statements  portals  opened";

    /// What it holds now.
    pub(crate) fn of(guard: &GuardProcess) -> Self {
        let process = format!("/proc/{}", guard.pid());
        let status = fs::read_to_string(format!("{process}/status")).unwrap();
        // Before this sample's own connection to the admin port, which is closed a little after it.
        let descriptors = fs::read_dir(format!("{process}/fd")).unwrap().count() as i64;
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let metrics = guard.metrics();
        Self {
            memory: memory.trim().trim_end_matches(" kB").parse().unwrap(),
            descriptors,
            connections: gauge(&metrics, "orgguard_connections"),
            statements: gauge(&metrics, "orgguard_prepared_statements"),
            portals: gauge(&metrics, "orgguard_portals"),
            opened: gauge(&metrics, "orgguard_connections_opened_total"),
        }
    }

    /// What it holds once every session has ended: the fewest descriptors of some samples count.
    pub(crate) fn settled(guard: &GuardProcess) -> Self {
        let patience = Instant::now() + PATIENCE;
        while Self::of(guard).connections > 0 && Instant::now() < patience {
            sleep(Duration::from_millis(100));
        }
        let samples = [(); 5].map(|()| {
            sleep(Duration::from_millis(200));
            Self::of(guard)
        });
        let descriptors = samples.iter().map(|sample| sample.descriptors).min().unwrap();
        Self { descriptors, ..samples[4] }
    }

    /// Samples until it is over, and prints some; the most of each that was seen.
    pub(crate) fn watch(guard: &GuardProcess, over: &AtomicBool) -> Self {
        let (start, mut most, mut told) = (Instant::now(), Self::default(), 0);
        while !over.load(Ordering::Relaxed) {
            let sample = Self::of(guard);
            most.raise(&sample);
            let elapsed = start.elapsed().as_secs();
            if elapsed >= told {
                println!("{elapsed:>6} {sample}");
                told = elapsed + if elapsed < 60 { 5 } else { 60 };
            }
            sleep(Duration::from_millis(200));
        }
        most
    }

    fn raise(&mut self, other: &Self) {
        self.memory = self.memory.max(other.memory);
        self.descriptors = self.descriptors.max(other.descriptors);
        self.connections = self.connections.max(other.connections);
        self.statements = self.statements.max(other.statements);
        self.portals = self.portals.max(other.portals);
        self.opened = self.opened.max(other.opened);
    }

    /// Whether it is back where it was: `margin` is what memory may have grown, in KiB.
    pub(crate) fn assert_back(&self, before: &Self, margin: i64) {
        assert_eq!(
            (self.connections, self.statements, self.portals, self.descriptors),
            (0, 0, 0, before.descriptors),
            "not back: {self}, before {before}"
        );
        assert!(self.memory <= before.memory + margin, "{self}, before {before}");
    }
}

impl std::fmt::Display for Sample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { memory, descriptors, connections, statements, portals, opened } = self;
        write!(
            f,
            "{memory:>9} {descriptors:>5} {connections:>12} {statements:>11} {portals:>8} {opened:>7}"
        )
    }
}
