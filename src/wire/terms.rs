use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::bell::Listener;
use super::patience::{Drain, Watch};

/// What ends a session beside its two sides. What every message touches comes last, beside what the
/// relay has of that.
#[repr(C)]
pub(super) struct Terms {
    /// The first ReadyForQuery is to come before it.
    login_deadline: Option<Instant>,
    pub(super) watch: Watch,
    /// Whether sessions are to end.
    drain: watch::Receiver<Drain>,
    /// The first of them to come, once it is waited for.
    next: Option<Pin<Box<dyn Future<Output = First> + Send>>>,
    listener: Listener,
}

/// What has come of all that is waited for beside bytes.
enum First {
    Time,
    Drain,
}

/// What a session is told beside the bytes of both sides.
pub(super) enum Sign {
    /// The login takes too long.
    LoginTimeout,
    /// The session is to be looked at, now.
    Time(Instant),
    /// How sessions are to end now.
    Drain(Drain),
}

impl Terms {
    pub(super) fn new(
        login_deadline: Instant,
        watch: Watch,
        mut drain: watch::Receiver<Drain>,
    ) -> Self {
        // What was told before is new to the session.
        drain.mark_changed();
        let login_deadline = Some(login_deadline);
        Self { login_deadline, watch, drain, next: None, listener: Listener::new() }
    }

    /// The task and its runtime are others from now on. What may have been told meanwhile is told
    /// again.
    pub(super) fn begin_anew(&mut self) {
        self.listener.forget();
        self.next = None;
        self.drain.mark_changed();
    }

    /// Wakes this task from now on. Whether that is another than before.
    pub(super) fn wake(&mut self, task: &Waker) -> bool {
        self.listener.wake(task)
    }

    /// The first ReadyForQuery has come.
    pub(super) fn logged_in(&mut self) {
        self.login_deadline = None;
        self.next = None;
    }

    /// What there is to tell.
    pub(super) fn poll(&mut self) -> Poll<Sign> {
        if self.next.is_some() && !self.listener.has_rung() {
            return Poll::Pending;
        }
        let chime = self.listener.waker();
        let next = self.next.get_or_insert_with(|| {
            let look_at = self.watch.next(Instant::now());
            let time = self.login_deadline.into_iter().chain(look_at).min();
            Box::pin(first(time, self.drain.clone()))
        });
        let first = ready!(next.as_mut().poll(&mut Context::from_waker(&chime)));
        self.next = None;
        Poll::Ready(match first {
            First::Time => {
                let now = Instant::now();
                if self.login_deadline.is_some_and(|deadline| deadline <= now) {
                    Sign::LoginTimeout
                } else {
                    Sign::Time(now)
                }
            }
            // Nobody is left to tell.
            First::Drain if self.drain.has_changed().is_err() => Sign::Drain(Drain::Now),
            First::Drain => Sign::Drain(*self.drain.borrow_and_update()),
        })
    }
}

/// Waits for a time, of which most sessions have none, or another way for sessions to end.
async fn first(time: Option<Instant>, mut drain: watch::Receiver<Drain>) -> First {
    let mut changed = pin!(drain.changed());
    let mut timer = time.map(|time| Box::pin(sleep_until(time)));
    poll_fn(|context| {
        if let Some(timer) = &mut timer
            && timer.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(First::Time);
        }
        changed.as_mut().poll(context).map(|_| First::Drain)
    })
    .await
}

#[cfg(test)]
impl Terms {
    /// Bytes of what is waited for beside bytes.
    pub(super) fn size_of_wait() -> usize {
        size_of_val(&first(None, watch::channel(Drain::No).1))
    }
}
