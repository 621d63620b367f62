use std::time::Duration;

use tokio::time::Instant;

/// How long a session may be idle, and a statement may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Patience {
    pub(super) idle: Option<Duration>,
    pub(super) statement: Option<Duration>,
}

/// Whether sessions are to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Drain {
    /// No.
    #[default]
    No,
    /// As soon as they are idle.
    Idle,
    /// Whatever they are doing.
    Now,
}

/// What a session is doing when it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    /// Nothing, outside a transaction block.
    Nothing,
    /// A statement runs: answers are outstanding.
    Statement,
    /// Anything else.
    Other,
}

/// What went on for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expired {
    Idle,
    Statement,
}

/// Looks at a session now and then, so that no message has to start or stop a timer.
#[derive(Debug)]
pub(super) struct Watch {
    patience: Patience,
    /// What changes as soon as something else is done: groups answered while a statement runs,
    /// reads from either side else.
    mark: u64,
    doing: Doing,
    since: Instant,
}

impl Watch {
    pub(super) fn new(patience: Patience, now: Instant) -> Self {
        Self { patience, mark: 0, doing: Doing::Other, since: now }
    }

    /// When to look again: often enough to be late by a tenth at most. `None` without a limit.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        let limits = [self.patience.idle, self.patience.statement];
        let shortest = limits.into_iter().flatten().min()?;
        now.checked_add(shortest.div_f32(10.0).max(Duration::from_millis(10)))
    }

    /// Looks at a session that does this, has been read from so often, and had so many groups
    /// answered.
    pub(super) fn look(
        &mut self,
        now: Instant,
        doing: Doing,
        moved: u64,
        groups: u64,
    ) -> Option<Expired> {
        let mark = if doing == Doing::Statement { groups } else { moved };
        if doing != self.doing || mark != self.mark {
            self.doing = doing;
            self.mark = mark;
            self.since = now;
        }
        let past = now.saturating_duration_since(self.since);
        match doing {
            Doing::Nothing => self.patience.idle.is_some_and(|limit| past >= limit),
            Doing::Statement => self.patience.statement.is_some_and(|limit| past >= limit),
            Doing::Other => false,
        }
        .then_some(if doing == Doing::Statement {
            Expired::Statement
        } else {
            Expired::Idle
        })
    }
}
