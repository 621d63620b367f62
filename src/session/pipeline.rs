use std::collections::VecDeque;
use std::sync::Arc;

use super::message::Target;
use super::readback::ReadBack;
use super::refusal::Refusal;
use super::registry::{Name, Portal, Prepared, Replacement, Sent};
use crate::analyze::Kind;

/// A client message whose answer is outstanding, or an answer that the guard owes.
#[derive(Debug)]
pub(super) enum Entry {
    /// Parse.
    Parse(Name, Arc<Prepared>),
    /// Bind; in audit also of what the registry does not know.
    Bind(Name, Option<Arc<Portal>>),
    /// Describe of a statement.
    DescribeStatement(Name),
    /// Describe of a portal.
    DescribePortal,
    /// Execute; in audit also of what the registry does not know.
    Execute(Option<Arc<Portal>>),
    /// Close.
    Close(Target, Name),
    /// Sync.
    Sync,
    /// A simple query string.
    Query(QueryString),
    /// FunctionCall, in audit.
    FunctionCall,
    /// CopyDone or CopyFail: has no answer of its own.
    CopyEnd,
    /// A refusal of the extended protocol that the server does not know of.
    Refused(Box<Refusal>),
    /// A failing Parse was sent instead: the server's error is replaced by the refusal.
    FailingParse(Box<Refusal>),
    /// A failing simple query was sent instead: the server's error is replaced by the refusal.
    FailingQuery(Box<Refusal>),
    /// A question of the guard's own.
    ReadBack(Box<ReadBack>),
}

/// A simple query string that was sent.
#[derive(Debug)]
pub(super) enum QueryString {
    /// One statement, sent as it was written, that leaves the session as it was: what its answers
    /// ask for is kept here, and its plan is let go: by then it is out of the processor's cache.
    Plain {
        kind: Kind,
        /// Whether its errors can show rows of a guarded table.
        shows_rows: bool,
        complete: bool,
    },
    /// Any other, and how many of its statements are complete.
    Any(Sent, usize),
}

impl Entry {
    /// Whether ReadyForQuery ends its answer.
    pub(super) const fn ends_group(&self) -> bool {
        matches!(
            self,
            Self::Sync
                | Self::Query(..)
                | Self::FunctionCall
                | Self::FailingQuery(_)
                | Self::ReadBack(_)
        )
    }

    /// What was sent instead of the text that it speaks of.
    pub(super) fn replacement(&self) -> Option<&Replacement> {
        let statement = match self {
            Self::Query(QueryString::Any(sent, _)) => {
                return sent.replacement().map(|it| &**it);
            }
            Self::Parse(_, prepared) => &prepared.statement,
            Self::Bind(_, Some(portal)) | Self::Execute(Some(portal)) => portal.statement(),
            Self::Bind(_, None)
            | Self::Execute(None)
            | Self::DescribeStatement(_)
            | Self::DescribePortal
            | Self::Close(..)
            | Self::Sync
            | Self::Query(QueryString::Plain { .. })
            | Self::FunctionCall
            | Self::CopyEnd
            | Self::Refused(_)
            | Self::FailingParse(_)
            | Self::FailingQuery(_)
            | Self::ReadBack(_) => return None,
        };
        statement.replacement()
    }

    /// Whether an error of the server leaves it to wait for its ReadyForQuery, instead of making
    /// the server skip to Sync.
    const fn survives_error(&self) -> bool {
        self.ends_group()
    }
}

/// What is outstanding, in order.
#[derive(Debug, Default)]
pub(super) struct Pipeline {
    entries: VecDeque<Entry>,
    /// How many entries end a group.
    groups: usize,
}

/// Room for what is outstanding, and nothing in it.
#[derive(Debug, Default)]
pub struct Room {
    entries: VecDeque<Entry>,
}

/// More answers outstanding than this and a client has to wait (or, in audit, is not followed).
/// The server flushes its answers every 8 KiB, so it is never waiting for more messages by then.
pub(super) const OUTSTANDING: usize = 20_000;

impl Pipeline {
    /// Whether it has room.
    pub(super) fn has_room(&self) -> bool {
        self.entries.capacity() > 0
    }

    /// Takes room, if it has none.
    pub(super) fn borrow_room(&mut self, spare: &mut Vec<Room>) {
        if self.entries.capacity() == 0 {
            self.entries = spare.pop().unwrap_or_default().entries;
        }
    }

    /// Gives its room back if nothing is outstanding.
    pub(super) fn give_back_room(&mut self, spare: &mut Vec<Room>, most: usize) {
        if self.entries.is_empty() && self.entries.capacity() > 0 {
            let entries = std::mem::take(&mut self.entries);
            if spare.len() < most {
                spare.push(Room { entries });
            }
        }
    }

    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.entries.capacity()
    }

    pub(super) fn push(&mut self, entry: Entry) {
        if entry.ends_group() {
            self.groups = self.groups.saturating_add(1);
        }
        self.entries.push_back(entry);
    }

    pub(super) fn pop(&mut self) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        if entry.ends_group() {
            self.groups = self.groups.saturating_sub(1);
        }
        if self.entries.is_empty() && self.entries.capacity() > 64 {
            self.entries = VecDeque::new();
        }
        Some(entry)
    }

    pub(super) fn head(&self) -> Option<&Entry> {
        self.entries.front()
    }

    pub(super) fn head_mut(&mut self) -> Option<&mut Entry> {
        self.entries.front_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= OUTSTANDING
    }

    /// Whether a ReadyForQuery is outstanding.
    pub(super) const fn awaits_ready(&self) -> bool {
        self.groups > 0
    }

    /// The server reported an error: what it skips up to the next Sync has no answer. A head that
    /// is answered by ReadyForQuery all the same stays. Whether that Sync is still to be sent.
    pub(super) fn skip(&mut self) -> bool {
        if self.entries.front().is_none_or(Entry::survives_error) {
            return false;
        }
        while let Some(entry) = self.entries.front() {
            if matches!(entry, Entry::Sync) {
                return false;
            }
            self.pop();
        }
        true
    }

    /// The server has begun to read COPY data: it ignores each Sync that comes before the data's
    /// end (`copyfromparse.c`, `CopyGetData`). Whether the end has been sent already.
    pub(super) fn swallow_syncs(&mut self) -> bool {
        let end = self.entries.iter().position(|entry| matches!(entry, Entry::CopyEnd));
        let reach = end.unwrap_or(self.entries.len());
        let mut at = 0_usize;
        self.entries.retain(|entry| {
            let keep = at >= reach || at == 0 || !matches!(entry, Entry::Sync);
            at = at.saturating_add(1);
            keep
        });
        self.groups = self.entries.iter().filter(|entry| entry.ends_group()).count();
        end.is_some()
    }

    /// Removes entries at the head that have no answer of the server; gives the refusals among
    /// them, which are due now.
    pub(super) fn due(&mut self) -> Option<Box<Refusal>> {
        loop {
            match self.entries.front() {
                Some(Entry::CopyEnd) => drop(self.pop()),
                Some(Entry::Refused(_)) => {
                    if let Some(Entry::Refused(refusal)) = self.pop() {
                        return Some(refusal);
                    }
                }
                Some(
                    Entry::Parse(..)
                    | Entry::Bind(..)
                    | Entry::DescribeStatement(_)
                    | Entry::DescribePortal
                    | Entry::Execute(_)
                    | Entry::Close(..)
                    | Entry::Sync
                    | Entry::Query(..)
                    | Entry::FunctionCall
                    | Entry::FailingParse(_)
                    | Entry::FailingQuery(_)
                    | Entry::ReadBack(_),
                )
                | None => return None,
            }
        }
    }
}
