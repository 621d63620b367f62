use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite as _;
use tokio::task::coop;

use super::conversation::Conversation;
use super::pace::Pace;
use super::parting::Answered;
use super::patience::{Drain, Expired};
use super::plans::Plans;
use super::stream::Stream;
use super::terms::{Sign, Terms};
use crate::telemetry::{Direction, EndedBy};

/// Bytes read at once; a side is not read while as many wait to be written to the other.
const BUFFER: usize = 64 << 10;

thread_local! {
    /// The one read buffer of a thread, borrowed within one poll: an idle connection has none.
    static READ: RefCell<Vec<u8>> = RefCell::new(vec![0; BUFFER]);
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// One side closed, or the guard did.
    Closed(EndedBy),
    /// The first ReadyForQuery did not come in time.
    LoginTimeout,
    /// Nothing was said, or a statement ran, for longer than the limits allow.
    Expired(Expired),
    /// The guard stops, and the session was not idle in time.
    Stopped,
}

/// What the relay tells of while it runs.
pub(super) trait Witness {
    /// After bytes of a side were taken: how many, and what the conversation has to tell.
    fn took(&mut self, from: Direction, bytes: usize, conversation: &mut Conversation);
}

/// The two sides of a session, and all that it keeps while it says nothing. What every message
/// touches stands together: by the time the next one comes, other processes have had the cache.
#[repr(C)]
pub(super) struct Relay<W> {
    terms: Terms,
    calls: Answered,
    client_unflushed: bool,
    server_unflushed: bool,
    /// The last read of a side had nothing: bytes that come wake the task.
    client_awaited: bool,
    server_awaited: bool,
    client_ended: bool,
    server_ended: bool,
    /// Writing to the server failed; its last words are still read.
    server_deaf: bool,
    server_shut: bool,
    told_login: bool,
    draining: bool,
    /// How often bytes were taken from either side.
    moved: u64,
    client_pace: Pace,
    server_pace: Pace,
    pub(super) client: Stream,
    pub(super) server: Stream,
    planner: Box<dyn Plans + Send>,
    pub(super) conversation: Conversation,
    pub(super) witness: W,
    server_sent: usize,
    client_sent: usize,
}

enum Progress {
    LoggedIn,
    Ended,
    Parted,
}

impl<W: Witness> Relay<W> {
    /// Between two sides that have said nothing yet.
    pub(super) fn new(
        (client, server): (Stream, Stream),
        conversation: Conversation,
        planner: Box<dyn Plans + Send>,
        witness: W,
        terms: Terms,
    ) -> Self {
        Self {
            terms,
            calls: Answered::here(),
            client_unflushed: false,
            server_unflushed: false,
            client_awaited: false,
            server_awaited: false,
            client_ended: false,
            server_ended: false,
            server_deaf: false,
            server_shut: false,
            told_login: false,
            draining: false,
            moved: 0,
            client_pace: Pace::default(),
            server_pace: Pace::default(),
            client,
            server,
            planner,
            conversation,
            witness,
            server_sent: 0,
            client_sent: 0,
        }
    }

    /// Goes on on the current thread. Nothing is left of what the one before would wake it for: that
    /// one may end.
    pub(super) fn come_along(&mut self) {
        self.client.come_along();
        self.server.come_along();
        self.client_pace = Pace::default();
        self.server_pace = Pace::default();
        self.terms.begin_anew();
        self.calls = Answered::here();
    }

    /// Relays until a side ends; `None` once the session is to go on on another thread.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Ended>>> {
        if self.terms.wake(context.waker()) {
            // What was awaited would wake another task.
            self.client_awaited = false;
            self.server_awaited = false;
        }
        loop {
            if let Poll::Ready(progress) = self.poll_sides(context) {
                match progress? {
                    Progress::LoggedIn => self.terms.logged_in(),
                    Progress::Ended => return ended(Ended::Closed(self.ended_by())),
                    Progress::Parted => return Poll::Ready(Ok(None)),
                }
            } else {
                match ready!(self.terms.poll()) {
                    Sign::LoginTimeout => return ended(Ended::LoginTimeout),
                    Sign::Time(now) => {
                        let conversation = &mut self.conversation;
                        let (doing, groups) =
                            (conversation.doing(), conversation.session().groups());
                        if let Some(expired) = self.terms.watch.look(now, doing, self.moved, groups)
                        {
                            conversation.expire(expired);
                            return ended(Ended::Expired(expired));
                        }
                    }
                    Sign::Drain(drain) => {
                        self.draining = drain != Drain::No;
                        if drain == Drain::Now {
                            self.conversation.stop();
                            return ended(Ended::Stopped);
                        }
                    }
                }
            }
        }
    }

    /// Moves bytes until both sides are busy.
    fn poll_sides(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Progress>> {
        self.conversation.borrow_room();
        let polled = READ.with_borrow_mut(|buffer| self.poll_moves(context, buffer));
        self.conversation.give_back_room();
        polled
    }

    fn poll_moves(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<Progress>> {
        loop {
            let mut moved = self.read_client(context, buffer);
            moved |= self.read_server(context, buffer)?;
            // After what may have begun to wait: the plan is to wake the task.
            moved |= self.retry(context);
            if self.draining && !self.conversation.is_ending() {
                self.conversation.end_if_idle();
            }
            if !self.is_all_passed() {
                moved |= self.write_server(context);
                moved |= self.write_client(context)?;
                self.shut_server(context);
                if self.is_over() {
                    return Poll::Ready(Ok(Progress::Ended));
                }
            }
            if !self.told_login && self.conversation.session().is_logged_in() {
                self.told_login = true;
                return Poll::Ready(Ok(Progress::LoggedIn));
            }
            if !moved {
                if self.may_part() && self.calls.is_to_leave() {
                    return Poll::Ready(Ok(Progress::Parted));
                }
                return Poll::Pending;
            }
            // Others have their turn.
            ready!(coop::poll_proceed(context)).made_progress();
        }
    }

    /// Whether both sides go on and have all that is theirs.
    const fn is_all_passed(&self) -> bool {
        !self.client_ended
            && !self.server_ended
            && !self.client_unflushed
            && !self.server_unflushed
            && !self.conversation.is_ending()
            && self.conversation.to_client.is_empty()
            && self.conversation.to_server.is_empty()
    }

    /// Whether all there is to the session is what it keeps: whoever goes on with it has no more
    /// to know.
    const fn may_part(&self) -> bool {
        self.told_login
            && !self.draining
            && !self.server_deaf
            && !self.conversation.is_waiting()
            && self.is_all_passed()
    }

    const fn is_over(&self) -> bool {
        (self.server_ended || self.conversation.is_ending())
            && self.conversation.to_client.is_empty()
            && !self.client_unflushed
    }

    const fn ended_by(&self) -> EndedBy {
        if self.client_ended || self.conversation.is_terminated() {
            EndedBy::Client
        } else if self.server_ended {
            EndedBy::Upstream
        } else {
            EndedBy::Guard
        }
    }

    /// Whether anything was written.
    fn write_server(&mut self, context: &mut Context<'_>) -> bool {
        if self.conversation.to_server.is_empty() && !self.server_unflushed {
            return false;
        }
        let out = std::mem::take(&mut self.conversation.to_server);
        let rest = out.get(self.server_sent..).unwrap_or_default();
        let written = self.give_server(context, rest);
        self.conversation.to_server = out;
        self.server_sent = self.server_sent.saturating_add(written);
        if self.server_sent < self.conversation.to_server.len() {
            return written > 0;
        }
        self.conversation.to_server.clear();
        self.server_sent = 0;
        if self.server_unflushed
            && let Poll::Ready(flushed) = Pin::new(&mut self.server).poll_flush(context)
        {
            self.server_unflushed = false;
            self.server_deaf |= flushed.is_err();
        }
        written > 0
    }

    /// How much of these bytes the server has taken; one that takes none any more takes all.
    fn give_server(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> usize {
        let mut sent = 0_usize;
        while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
            if self.server_deaf {
                return bytes.len();
            }
            match self.server.poll_give(context, rest) {
                Poll::Ready(Ok(count)) if count > 0 => {
                    sent = sent.saturating_add(count);
                    self.server_unflushed = self.server.keeps_back();
                }
                Poll::Ready(_) => self.server_deaf = true,
                Poll::Pending => break,
            }
        }
        sent
    }

    /// Whether anything was written.
    fn write_client(&mut self, context: &mut Context<'_>) -> io::Result<bool> {
        if self.conversation.to_client.is_empty() && !self.client_unflushed {
            return Ok(false);
        }
        let out = std::mem::take(&mut self.conversation.to_client);
        let rest = out.get(self.client_sent..).unwrap_or_default();
        let written = self.give_client(context, rest);
        self.conversation.to_client = out;
        let written = written?;
        self.client_sent = self.client_sent.saturating_add(written);
        if self.client_sent < self.conversation.to_client.len() {
            return Ok(written > 0);
        }
        self.conversation.to_client.clear();
        self.client_sent = 0;
        if self.client_unflushed
            && let Poll::Ready(flushed) = Pin::new(&mut self.client).poll_flush(context)
        {
            flushed?;
            self.client_unflushed = false;
        }
        Ok(written > 0)
    }

    /// How much of these bytes the client has taken.
    fn give_client(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> io::Result<usize> {
        let mut sent = 0_usize;
        while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
            match self.client.poll_give(context, rest) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(written) => {
                    sent = sent.saturating_add(written?);
                    self.client_unflushed = self.client.keeps_back();
                }
                Poll::Pending => break,
            }
        }
        Ok(sent)
    }

    /// Takes what the client sends; whether more may be there. Of the second read nothing is
    /// expected but that the runtime wakes the task for what comes next.
    fn read_client(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> bool {
        for _ in 0..2 {
            if self.client_ended
                || self.conversation.stops_client()
                || self.conversation.is_ending()
                || self.conversation.to_server.len() >= BUFFER
                || self.client_pace.poll_time(context).is_pending()
            {
                return false;
            }
            let read = self.client.poll_take(context, buffer, &mut self.client_awaited);
            match read.map_ok(|count| buffer.get(..count).unwrap_or_default()) {
                Poll::Ready(Ok(bytes)) if !bytes.is_empty() => {
                    self.client_pace.took(bytes.len(), BUFFER, self.client.has_room());
                    self.moved = self.moved.wrapping_add(1);
                    let direct = self.conversation.client_direct(bytes, &*self.planner);
                    self.witness.took(Direction::FromClient, bytes.len(), &mut self.conversation);
                    let direct = bytes.get(..direct).unwrap_or_default();
                    let sent = self.give_server(context, direct);
                    keep_rest(direct, sent, &mut self.conversation.to_server);
                }
                Poll::Ready(_) => {
                    self.client_ended = true;
                    return false;
                }
                Poll::Pending => return false,
            }
        }
        true
    }

    /// The same of the server. Its answer may be what a client waits for that is not read since.
    fn read_server(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> io::Result<bool> {
        let mut came = false;
        for _ in 0..2 {
            if self.server_ended
                || self.conversation.stops_server()
                || self.conversation.is_ending()
                || self.conversation.to_client.len() >= BUFFER
                || self.server_pace.poll_time(context).is_pending()
            {
                return Ok(came && !self.client_awaited);
            }
            let read = self.server.poll_take(context, buffer, &mut self.server_awaited);
            match read.map_ok(|count| buffer.get(..count).unwrap_or_default()) {
                Poll::Ready(Ok(bytes)) if !bytes.is_empty() => {
                    self.server_pace.took(bytes.len(), BUFFER, self.server.has_room());
                    came = true;
                    self.moved = self.moved.wrapping_add(1);
                    let direct = self.conversation.server_direct(bytes, &*self.planner);
                    self.witness.took(Direction::FromServer, bytes.len(), &mut self.conversation);
                    let direct = bytes.get(..direct).unwrap_or_default();
                    let sent = self.give_client(context, direct)?;
                    keep_rest(direct, sent, &mut self.conversation.to_client);
                }
                Poll::Ready(_) => {
                    self.server_ended = true;
                    if !self.client_ended {
                        self.conversation.server_closed();
                    }
                    return Ok(false);
                }
                Poll::Pending => return Ok(came && !self.client_awaited),
            }
        }
        Ok(true)
    }

    /// Tells the server that the client has left, once it has everything the client sent.
    fn shut_server(&mut self, context: &mut Context<'_>) {
        if self.client_ended
            && !self.server_shut
            && !self.conversation.is_waiting()
            && self.conversation.to_server.is_empty()
            && !self.server_unflushed
        {
            self.server_shut = Pin::new(&mut self.server).poll_shutdown(context).is_ready();
        }
    }

    /// Offers a message again whose plan was waited for; whether it did.
    fn retry(&mut self, context: &mut Context<'_>) -> bool {
        if !self.conversation.is_waiting() || self.planner.poll_plan(context).is_pending() {
            return false;
        }
        self.conversation.retry(&*self.planner);
        self.witness.took(Direction::FromClient, 0, &mut self.conversation);
        true
    }
}

const fn ended(how: Ended) -> Poll<io::Result<Option<Ended>>> {
    Poll::Ready(Ok(Some(how)))
}

/// Keeps what a side has not taken of bytes before which nothing waits for it.
fn keep_rest(bytes: &[u8], sent: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(bytes.get(sent..).unwrap_or_default());
}
