use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::AsyncWrite as _;
use tokio::sync::watch;
use tokio::task::coop;
use tokio::time::Instant;

use super::bell::Bell;
use super::conversation::Conversation;
use super::pace::Pace;
use super::parting::Answered;
use super::patience::{Drain, Expired, Sign, Watch, sign, timer};
use super::plans::Plans;
use super::stream::Stream;
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

/// The two sides of a session, and what is unwritten.
pub(super) struct Relay<'a> {
    client: &'a mut Stream,
    server: &'a mut Stream,
    conversation: &'a mut Conversation,
    planner: &'a dyn Plans,
    witness: &'a mut (dyn Witness + Send),
    server_sent: usize,
    client_sent: usize,
    client_unflushed: bool,
    server_unflushed: bool,
    /// The last read of a side had nothing: bytes that come wake the task.
    client_awaited: bool,
    server_awaited: bool,
    client_pace: Pace,
    server_pace: Pace,
    client_ended: bool,
    server_ended: bool,
    /// Writing to the server failed; its last words are still read.
    server_deaf: bool,
    server_shut: bool,
    told_login: bool,
    draining: bool,
    /// How often bytes were taken from either side.
    moved: u64,
    calls: Answered,
}

enum Progress {
    LoggedIn,
    Ended,
    Parted,
}

/// What ends a session beside its two sides.
pub(super) struct Terms {
    /// The first ReadyForQuery is to come before it.
    pub(super) login_deadline: Instant,
    pub(super) watch: Watch,
    /// Whether sessions are to end.
    pub(super) drain: watch::Receiver<Drain>,
}

/// Relays until a side ends; `None` once the session is to go on on another thread. It is given no more than two references: whatever moves into a future
/// has its place there twice.
pub(super) async fn relay(relay: &mut Relay<'_>, terms: &mut Terms) -> io::Result<Option<Ended>> {
    // Told while the session was on its way here, if it was.
    let drain = *terms.drain.borrow_and_update();
    if relay.stops(drain) {
        return Ok(Some(Ended::Stopped));
    }
    let mut look_at = terms.watch.next(Instant::now());
    let bell = Bell::rung();
    let chime = Waker::from(Arc::clone(&bell));
    let mut task: Option<Waker> = None;
    loop {
        let deadline = (!relay.told_login).then_some(terms.login_deadline);
        let mut sign = pin!(sign(timer(deadline, look_at), &mut terms.drain));
        let next = poll_fn(|context| {
            if !task.as_ref().is_some_and(|task| task.will_wake(context.waker())) {
                task = Some(context.waker().clone());
                bell.wakes(context.waker());
                relay.await_anew();
            }
            if let Poll::Ready(progress) = relay.poll(context) {
                return Poll::Ready(Next::Progress(progress));
            }
            if bell.has_rung() {
                return sign.as_mut().poll(&mut Context::from_waker(&chime)).map(Next::Sign);
            }
            Poll::Pending
        });
        match next.await {
            Next::Progress(progress) => match progress? {
                Progress::LoggedIn => {}
                Progress::Ended => return Ok(Some(Ended::Closed(relay.ended_by()))),
                Progress::Parted => return Ok(None),
            },
            Next::Sign(Sign::Time) => {
                let now = Instant::now();
                if deadline.is_some_and(|deadline| deadline <= now) {
                    return Ok(Some(Ended::LoginTimeout));
                }
                let conversation = &mut *relay.conversation;
                let groups = conversation.session().groups();
                let expired = terms.watch.look(now, conversation.doing(), relay.moved, groups);
                look_at = terms.watch.next(now);
                if let Some(expired) = expired {
                    conversation.expire(expired);
                    return Ok(Some(Ended::Expired(expired)));
                }
            }
            Next::Sign(Sign::Drain(drain)) => {
                if relay.stops(drain) {
                    return Ok(Some(Ended::Stopped));
                }
            }
        }
        // What is waited for next has to be looked at once.
        bell.ring();
    }
}

/// What a session goes on with.
enum Next {
    Progress(io::Result<Progress>),
    Sign(Sign),
}

impl<'a> Relay<'a> {
    /// Between two sides that have said nothing yet.
    pub(super) fn new(
        (client, server): (&'a mut Stream, &'a mut Stream),
        conversation: &'a mut Conversation,
        planner: &'a dyn Plans,
        witness: &'a mut (dyn Witness + Send),
    ) -> Self {
        Self {
            client,
            server,
            conversation,
            planner,
            witness,
            server_sent: 0,
            client_sent: 0,
            client_unflushed: false,
            server_unflushed: false,
            client_awaited: false,
            server_awaited: false,
            client_pace: Pace::default(),
            server_pace: Pace::default(),
            client_ended: false,
            server_ended: false,
            server_deaf: false,
            server_shut: false,
            told_login: false,
            draining: false,
            moved: 0,
            calls: Answered::here(),
        }
    }

    /// Takes note of how sessions are to end; whether this one ends here.
    fn stops(&mut self, drain: Drain) -> bool {
        self.draining = drain != Drain::No;
        if drain == Drain::Now {
            self.conversation.stop();
        }
        drain == Drain::Now
    }

    /// Moves bytes until both sides are busy.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Progress>> {
        self.conversation.borrow_room();
        let polled = READ.with_borrow_mut(|buffer| self.poll_moves(context, buffer));
        self.conversation.give_back_room();
        polled
    }

    /// Whatever was awaited would wake another task.
    const fn await_anew(&mut self) {
        self.client_awaited = false;
        self.server_awaited = false;
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
            && let Poll::Ready(flushed) = Pin::new(&mut *self.server).poll_flush(context)
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
            && let Poll::Ready(flushed) = Pin::new(&mut *self.client).poll_flush(context)
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
                    let direct = self.conversation.client_direct(bytes, self.planner);
                    self.witness.took(Direction::FromClient, bytes.len(), self.conversation);
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
                    let direct = self.conversation.server_direct(bytes, self.planner);
                    self.witness.took(Direction::FromServer, bytes.len(), self.conversation);
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
            self.server_shut = Pin::new(&mut *self.server).poll_shutdown(context).is_ready();
        }
    }

    /// Offers a message again whose plan was waited for; whether it did.
    fn retry(&mut self, context: &mut Context<'_>) -> bool {
        if !self.conversation.is_waiting() || self.planner.poll_plan(context).is_pending() {
            return false;
        }
        self.conversation.retry(self.planner);
        self.witness.took(Direction::FromClient, 0, self.conversation);
        true
    }
}

/// Keeps what a side has not taken of bytes before which nothing waits for it.
fn keep_rest(bytes: &[u8], sent: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(bytes.get(sent..).unwrap_or_default());
}
