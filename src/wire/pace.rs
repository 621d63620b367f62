//! A side that sends much is read now and then, in large pieces. PostgreSQL and libpq send 8 KiB at
//! a time; to wake up for each costs more than everything else about it, for them too.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

/// What a peer sends at once when it has more than that to send (`PQ_SEND_BUFFER_SIZE`,
/// libpq/pqcomm.c, and libpq).
const PIECE: usize = 8 << 10;

/// After so many bytes in pieces that follow each other a side is taken to go on like that.
const MUCH: u32 = 256 << 10;

/// So many pieces have to come in a rest for the next one to be worth the wait.
const WORTH: usize = 3;

/// The shortest there is: what comes meanwhile has room in the socket's buffers.
const REST: Duration = Duration::from_millis(1);

/// When a side is read.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Bytes that came without a gap.
    run: u32,
    rest: Option<Pin<Box<Sleep>>>,
    rested: bool,
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
            self.filled(bytes);
        } else if patient {
            self.drained(bytes);
        }
    }

    /// So many bytes were read, which is all there was.
    fn drained(&mut self, bytes: usize) {
        let least = if self.rested { WORTH.saturating_mul(PIECE) } else { PIECE };
        self.rested = false;
        if bytes < least {
            self.run = 0;
            return;
        }
        self.add(bytes);
        if self.run >= MUCH {
            self.rest = Some(Box::pin(sleep(REST)));
        }
    }

    /// As many bytes were read as there was room for.
    fn filled(&mut self, bytes: usize) {
        self.rested = false;
        self.add(bytes);
    }

    fn add(&mut self, bytes: usize) {
        self.run = self.run.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// A pace that has just had enough to rest.
    fn resting() -> Pace {
        let mut pace = Pace::default();
        for _ in 0..MUCH as usize / PIECE {
            assert!(pace.rest.is_none());
            pace.drained(PIECE);
        }
        assert!(pace.rest.is_some());
        pace
    }

    #[tokio::test]
    async fn a_side_that_sends_much_is_read_now_and_then() {
        let mut pace = resting();
        for _ in 0..3 {
            poll_fn(|context| pace.poll_time(context)).await;
            pace.filled(8 * PIECE);
            assert!(pace.rest.is_none());
            pace.drained(PIECE);
            assert!(pace.rest.is_some());
        }
    }

    #[tokio::test]
    async fn where_little_comes_in_a_rest_there_is_none() {
        let mut pace = resting();
        poll_fn(|context| pace.poll_time(context)).await;
        pace.drained((WORTH - 1) * PIECE);
        assert!(pace.rest.is_none());
        pace.drained(PIECE);
        assert!(pace.rest.is_none());
    }

    #[test]
    fn messages_are_read_as_they_come() {
        let mut pace = Pace::default();
        for _ in 0..1_000 {
            pace.drained(PIECE);
            pace.drained(PIECE - 1);
            assert!(pace.rest.is_none());
        }
    }
}
