use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::metrics::Telemetry;

/// How often a sample is taken, and how many are kept: a little over an hour.
const INTERVAL: Duration = Duration::from_secs(10);
const SAMPLES: usize = 400;

/// Samples closer than this are not kept: pages ask when they like.
const CLOSEST: Duration = Duration::from_millis(900);

/// Statements judged since the process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Every obligation had a proof.
    pub holds: u64,
    /// Some had none, and the statement was forwarded.
    pub violates: u64,
    /// Could not be read, and was forwarded.
    pub not_understood: u64,
    /// Sent on rewritten.
    pub rewritten: u64,
    /// Not forwarded.
    pub refused: u64,
}

/// The totals at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Milliseconds of the Unix clock.
    pub at: u64,
    /// What was counted until then.
    #[serde(flatten)]
    pub totals: Totals,
}

/// The last samples, oldest first.
#[derive(Default)]
pub(super) struct History {
    samples: Mutex<VecDeque<Sample>>,
}

impl History {
    /// Takes a sample, unless the last one is of a moment ago.
    pub(super) fn sample(&self, totals: Totals, now: SystemTime) {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let at = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let closest = u64::try_from(CLOSEST.as_millis()).unwrap_or(u64::MAX);
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.back().is_some_and(|last| at.saturating_sub(last.at) < closest) {
            return;
        }
        if samples.len() >= SAMPLES {
            samples.pop_front();
        }
        samples.push_back(Sample { at, totals });
    }

    pub(super) fn samples(&self) -> Vec<Sample> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.iter().copied().collect()
    }
}

/// Takes samples for [`Telemetry::history`] until dropped.
pub async fn keep_history(telemetry: Telemetry) {
    loop {
        telemetry.sample();
        tokio::time::sleep(INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_few_and_apart() {
        let history = History::default();
        let start = SystemTime::UNIX_EPOCH;
        for number in 0..2_000_u64 {
            let totals = Totals { holds: number, ..Totals::default() };
            history.sample(totals, start + Duration::from_millis(500 * number));
        }
        let samples = history.samples();
        assert_eq!(samples.len(), SAMPLES);
        assert!(samples.windows(2).all(|pair| pair[1].at - pair[0].at == 1_000));
        assert_eq!(samples.last().unwrap().totals.holds, 1_998);
    }
}
