use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::normal::fnv1a;

/// The same line is logged at most once in this time.
const INTERVAL: Duration = Duration::from_secs(10);

/// Lines remembered; further ones share one place.
const LINES: usize = 4_096;

/// Lets each distinct line into the log once in a while and counts what it holds back.
#[derive(Debug, Default)]
pub(super) struct Pace {
    lines: Mutex<HashMap<u64, Line>>,
}

#[derive(Clone, Copy, Debug)]
struct Line {
    logged: Instant,
    suppressed: u64,
}

/// Whether a line is logged now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Now; so many like it were held back since the last one.
    Log { suppressed: u64 },
    /// Held back and counted.
    Suppress,
}

impl Pace {
    /// The turn of a line about the statement of this fingerprint.
    pub(super) fn turn(&self, fingerprint: u64, parts: &[&str]) -> Turn {
        self.turn_at(fingerprint, parts, Instant::now())
    }

    fn turn_at(&self, fingerprint: u64, parts: &[&str], now: Instant) -> Turn {
        let key = parts
            .iter()
            .fold(fingerprint, |hash, part| fnv1a(fnv1a(hash, part.as_bytes()), &[0xff]));
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= LINES && !lines.contains_key(&key) {
            // A line that held something back stays until it has said so, unless there are only
            // such lines; then the new one shares the place of every other latecomer.
            lines.retain(|_, line| {
                line.suppressed > 0 || now.saturating_duration_since(line.logged) < INTERVAL
            });
        }
        let key = if lines.len() >= LINES && !lines.contains_key(&key) { 0 } else { key };
        match lines.get_mut(&key) {
            None => {
                lines.insert(key, Line { logged: now, suppressed: 0 });
                Turn::Log { suppressed: 0 }
            }
            Some(line) if now.saturating_duration_since(line.logged) >= INTERVAL => {
                let suppressed = line.suppressed;
                *line = Line { logged: now, suppressed: 0 };
                Turn::Log { suppressed }
            }
            Some(line) => {
                line.suppressed = line.suppressed.saturating_add(1);
                Turn::Suppress
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_logged_once_in_an_interval_and_then_says_what_it_held_back() {
        let pace = Pace::default();
        let start = Instant::now();
        assert_eq!(pace.turn_at(1, &["a"], start), Turn::Log { suppressed: 0 });
        assert_eq!(pace.turn_at(1, &["a"], start), Turn::Suppress);
        assert_eq!(pace.turn_at(1, &["b"], start), Turn::Log { suppressed: 0 });
        assert_eq!(pace.turn_at(1, &["a"], start + INTERVAL / 2), Turn::Suppress);
        assert_eq!(pace.turn_at(1, &["a"], start + INTERVAL), Turn::Log { suppressed: 2 });
        assert_eq!(pace.turn_at(1, &["a"], start + INTERVAL), Turn::Suppress);
    }

    #[test]
    fn the_number_of_lines_has_a_bound() {
        let pace = Pace::default();
        let start = Instant::now();
        for fingerprint in 0..2 * LINES as u64 {
            pace.turn_at(fingerprint, &["a"], start);
        }
        assert!(pace.lines.lock().unwrap().len() <= LINES + 1);
        assert_eq!(pace.turn_at(u64::MAX, &["a"], start), Turn::Suppress);
        // Later, lines that held nothing back make room.
        let later = start + INTERVAL;
        assert_eq!(pace.turn_at(u64::MAX, &["a"], later), Turn::Log { suppressed: 0 });
        assert!(pace.lines.lock().unwrap().len() < LINES);
    }
}
