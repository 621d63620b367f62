//! Sessions that go on on another thread. A thread has a call; a session that is at work answers it
//! once, between two bursts, when nothing of it waits to be written.

use std::cell::Cell;

/// Which of the sessions at work are to leave a thread. Sessions that say nothing stay: they cost
/// no thread anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Share {
    /// None of them.
    #[default]
    None,
    /// Each second one: a session that is alone at work stays.
    Half,
    /// All of them.
    All,
}

#[derive(Clone, Copy)]
struct Call {
    /// Tells a call from those before it.
    number: u32,
    share: Share,
    next_leaves: bool,
}

thread_local! {
    /// A cell of the thread: looking at it after each burst costs no lock and no shared cache line.
    static CALL: Cell<Call> =
        const { Cell::new(Call { number: 0, share: Share::None, next_leaves: false }) };
}

/// Calls on sessions of the current thread to leave it; ends the call before.
pub fn call(share: Share) {
    let number = CALL.get().number.wrapping_add(1);
    CALL.set(Call { number, share, next_leaves: share == Share::All });
}

/// The calls of its thread that a session has answered.
#[derive(Debug)]
pub(super) struct Answered(u32);

impl Answered {
    /// Of a session that has just come to the current thread: the call before is none of its.
    pub(super) fn here() -> Self {
        Self(CALL.get().number)
    }

    /// Whether the session is to leave. A call is answered once.
    pub(super) fn is_to_leave(&mut self) -> bool {
        let call = CALL.get();
        if call.number == self.0 {
            return false;
        }
        self.0 = call.number;
        if call.share == Share::Half {
            CALL.set(Call { next_leaves: !call.next_leaves, ..call });
        }
        call.next_leaves
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_answered_once_and_by_the_share_that_it_names() {
        let leaving = |sessions: &mut [Answered]| -> usize {
            sessions.iter_mut().filter_map(|session| session.is_to_leave().then_some(())).count()
        };
        let mut sessions: Vec<_> = (0..5).map(|_| Answered::here()).collect();
        assert_eq!(leaving(&mut sessions), 0);
        call(Share::Half);
        assert_eq!(leaving(&mut sessions), 2);
        assert_eq!(leaving(&mut sessions), 0);
        call(Share::Half);
        assert_eq!(leaving(&mut sessions[..1]), 0);
        call(Share::All);
        assert_eq!(leaving(&mut sessions), 5);
        call(Share::All);
        call(Share::None);
        assert_eq!(leaving(&mut sessions), 0);
        call(Share::All);
        assert!(!Answered::here().is_to_leave());
    }
}
