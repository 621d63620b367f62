//! A side that sends much is read now and then, in large pieces. PostgreSQL and libpq send 8 KiB at
//! a time; to wake up for each costs more than everything else about it, for them too.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// What a peer sends at once when it has more than that to send (`PQ_SEND_BUFFER_SIZE`,
/// libpq/pqcomm.c, and libpq).
const PIECE: usize = 8 << 10;

/// After so many bytes in pieces that follow each other a side is taken to go on like that.
const MUCH: u32 = 256 << 10;

/// So many bytes have to come in a rest for the next one to be worth the wait.
const WORTH: u32 = 24 << 10;

/// After rests in vain one after the other it takes up to so many times that, in doublings.
const DOUBLINGS: u8 = 6;

/// The shortest there is: what comes meanwhile has room in the socket's buffers.
const REST: Duration = Duration::from_millis(1);

/// When a side is read.
#[derive(Debug, Default)]
pub(super) struct Pace {
    rest: Option<Pin<Box<Sleep>>>,
    /// Bytes that came without a gap, or in a rest and after it.
    run: u32,
    /// What is read now came in a rest.
    rested: bool,
    /// Rests in vain since the last that was not.
    vain: u8,
    /// When the first of those bytes came, or the rest began.
    since: Option<Instant>,
    /// Bytes a second without a rest.
    rate: u64,
}

impl Pace {
    /// Whether it is time to read; the task is woken when it is.
    pub(super) fn poll_time(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(rest) = &mut self.rest {
            ready!(rest.as_mut().poll(context));
            self.rest = None;
            self.rested = true;
        }
        Poll::Ready(())
    }

    /// So many bytes were read, of the most that are read at once. `patient` tells whether a side can
    /// go on while it is not read.
    pub(super) fn took(&mut self, bytes: usize, most: usize, patient: bool) {
        if bytes >= most {
            if !self.rested {
                self.begin();
            }
            self.add(bytes);
        } else if patient {
            self.drained(bytes);
        }
    }

    /// So many bytes were read, which is all there was.
    fn drained(&mut self, bytes: usize) {
        if std::mem::take(&mut self.rested) {
            self.add(bytes);
            self.weigh();
        } else if bytes < PIECE {
            self.run = 0;
        } else {
            self.begin();
            self.add(bytes);
            if self.run >= MUCH.checked_shl(self.vain.into()).unwrap_or(u32::MAX) {
                self.rate = self.rate_of_run();
                self.begin_rest();
            }
        }
    }

    /// Where few pieces come in a rest, it saves little and they come later for it. And a side that
    /// cannot go on for as long as it rests is slowed down by it: what it may send
    /// without being read is limited by the socket's buffer, which grows as the kernel sees fit.
    fn weigh(&mut self) {
        if self.run < WORTH || self.rate_of_run() < self.rate / 2 {
            self.vain = self.vain.saturating_add(1).min(DOUBLINGS);
            self.run = 0;
        } else {
            self.vain = 0;
            self.begin_rest();
        }
    }

    fn begin_rest(&mut self) {
        self.run = 0;
        self.since = Some(Instant::now());
        self.rest = Some(Box::pin(sleep(REST)));
    }

    fn begin(&mut self) {
        if self.run == 0 {
            self.since = Some(Instant::now());
        }
    }

    fn add(&mut self, bytes: usize) {
        self.run = self.run.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    fn rate_of_run(&self) -> u64 {
        let took = self.since.map(|since| since.elapsed().as_micros()).unwrap_or_default();
        let micros = u64::try_from(took).unwrap_or(u64::MAX).max(1);
        u64::from(self.run).saturating_mul(1_000_000).checked_div(micros).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// A pace that has just had enough to rest, and was so fast until then.
    fn resting(rate: u64) -> Pace {
        let mut pace = Pace::default();
        takes(&mut pace, 1);
        pace.rate = rate;
        pace
    }

    /// It rests after so many times what is much, and not before.
    fn takes(pace: &mut Pace, times: usize) {
        for _ in 0..MUCH as usize / PIECE * times {
            assert!(pace.rest.is_none());
            pace.took(PIECE, MOST, true);
        }
        assert!(pace.rest.is_some());
    }

    const MOST: usize = 8 * PIECE;

    #[tokio::test]
    async fn a_side_that_sends_much_is_read_now_and_then() {
        let mut pace = resting(0);
        for _ in 0..3 {
            poll_fn(|context| pace.poll_time(context)).await;
            pace.took(MOST, MOST, true);
            assert!(pace.rest.is_none());
            pace.took(PIECE, MOST, true);
            assert!(pace.rest.is_some());
        }
    }

    #[tokio::test]
    async fn where_little_comes_in_a_rest_there_is_none() {
        let mut pace = resting(0);
        poll_fn(|context| pace.poll_time(context)).await;
        pace.took(2 * PIECE, MOST, true);
        takes(&mut pace, 2);
    }

    #[tokio::test]
    async fn a_side_that_a_rest_slows_down_rests_less() {
        let mut pace = resting(u64::MAX);
        for times in [2, 4, 8] {
            poll_fn(|context| pace.poll_time(context)).await;
            pace.took(MOST, MOST, true);
            pace.took(PIECE, MOST, true);
            takes(&mut pace, times);
            pace.rate = u64::MAX;
        }
        // One that was worth it is like the first again.
        pace.rate = 0;
        poll_fn(|context| pace.poll_time(context)).await;
        pace.took(3 * PIECE, MOST, true);
        assert!(pace.rest.is_some());
        poll_fn(|context| pace.poll_time(context)).await;
        pace.rate = u64::MAX;
        pace.took(0, MOST, true);
        takes(&mut pace, 2);
    }

    #[test]
    fn messages_are_read_as_they_come() {
        let mut pace = Pace::default();
        for _ in 0..1_000 {
            pace.took(PIECE, MOST, true);
            pace.took(PIECE - 1, MOST, true);
            assert!(pace.rest.is_none());
        }
    }
}
