mod chunk;
mod server;
mod spare;

use self::chunk::Chunk;
use super::decode;
use super::frame::{self, HEADER, Next};
use super::patience::{Doing, Expired};
use crate::session::{
    ClientStep, Event, FromClient, Mode, Output, Permit, Planner, Session, fatal,
};

const SHUTTING_DOWN: &str =
    "terminating connection due to administrator command: orgguard is shutting down";

/// A session fed with the bytes of both sides: what is to be sent where. It has no sockets.
///
/// In audit the bytes at hand are passed on before anything looks at them.
#[derive(Debug)]
pub(super) struct Conversation {
    session: Session,
    /// Whether bytes pass whatever is thought of them.
    audit: bool,
    message_bytes: usize,
    /// What the client sent and what has not been taken yet.
    client_held: Vec<u8>,
    /// What is left of a client's message that is not gathered, and whether it is forgotten.
    client_rest: usize,
    client_dropped: bool,
    /// The data of the client's message is judged, and so many bytes of its header are left.
    client_copy: Option<usize>,
    /// The beginning of a message of the server.
    server_held: Vec<u8>,
    /// What the server said, and audit has passed on, while a plan was waited for.
    server_later: Vec<u8>,
    /// What is left of a server's message, and whether it is forgotten.
    server_rest: usize,
    server_dropped: bool,
    /// Messages of the guard to the client, until the server's message at hand is complete.
    output: Output,
    /// To be written to the server.
    pub(super) to_server: Vec<u8>,
    /// To be written to the client.
    pub(super) to_client: Vec<u8>,
    waiting: bool,
    ending: bool,
    /// The client has said goodbye.
    terminated: bool,
    /// The last message of the server was an error.
    erred: bool,
    /// BackendKeyData's body, with which a statement is cancelled.
    key: Box<[u8]>,
}

/// Bytes of either side that audit remembers while a plan is waited for, beside a whole message.
const LATER_BYTES: usize = 2 << 20;

impl Conversation {
    pub(super) fn new(session: Session, mode: Mode, message_bytes: usize) -> Self {
        Self {
            session,
            audit: match mode {
                Mode::Audit => true,
                Mode::Enforce | Mode::Rewrite => false,
            },
            message_bytes,
            client_held: Vec::new(),
            client_rest: 0,
            client_dropped: false,
            client_copy: None,
            server_held: Vec::new(),
            server_later: Vec::new(),
            server_rest: 0,
            server_dropped: false,
            output: Output::default(),
            to_server: Vec::new(),
            to_client: Vec::new(),
            waiting: false,
            ending: false,
            terminated: false,
            erred: false,
            key: Box::default(),
        }
    }

    /// Whether a message of the client waits.
    pub(super) const fn is_waiting(&self) -> bool {
        self.waiting
    }

    /// Whether nothing more may be read from the client for now. Audit reads on while a plan is
    /// waited for, as far as it can remember what passes.
    pub(super) const fn stops_client(&self) -> bool {
        self.waiting && (!self.audit || self.client_held.len() >= LATER_BYTES)
    }

    /// The same of the server.
    pub(super) const fn stops_server(&self) -> bool {
        self.server_later.len() >= LATER_BYTES
    }

    /// Whether the session ends once the client has been told.
    pub(super) const fn is_ending(&self) -> bool {
        self.ending
    }

    /// What the session is doing.
    pub(super) fn doing(&self) -> Doing {
        if self.session.is_idle() {
            Doing::Nothing
        } else if self.session.is_answering() {
            Doing::Statement
        } else {
            Doing::Other
        }
    }

    /// The session that it feeds.
    pub(super) const fn session(&self) -> &Session {
        &self.session
    }

    /// What there is to tell since the last call.
    pub(super) fn events(&mut self) -> std::vec::Drain<'_, Event> {
        self.output.events.drain(..)
    }

    /// Whether there is anything to tell.
    pub(super) const fn has_events(&self) -> bool {
        !self.output.events.is_empty()
    }

    /// All there is to tell; the room is to be given back.
    pub(super) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.output.events)
    }

    pub(super) fn give_back_events(&mut self, room: Vec<Event>) {
        self.output.events = room;
    }

    /// Ends the session if nothing is going on in it; whether it ends.
    pub(super) fn end_if_idle(&mut self) -> bool {
        let quiet = self.session.is_idle()
            && self.client_held.is_empty()
            && self.client_rest == 0
            && self.is_between_server_messages();
        if quiet && !self.ending {
            self.end("57P01", SHUTTING_DOWN);
        }
        quiet
    }

    /// Ends the session, whatever it is doing. Within a message of the server no word has a place.
    pub(super) fn stop(&mut self) {
        if self.is_between_server_messages() && !self.ending {
            self.end("57P01", SHUTTING_DOWN);
        }
    }

    /// Ends the session of whoever took too long.
    pub(super) fn expire(&mut self, expired: Expired) {
        let (code, why) = match expired {
            Expired::Idle => ("57P05", "idle sessions"),
            Expired::Statement => ("57014", "the time of a statement"),
        };
        self.end(code, &format!("terminating connection due to orgguard's limit on {why}"));
    }

    /// The server has closed its connection. Where nothing explains it, the client is told.
    pub(super) fn server_closed(&mut self) {
        if !self.audit && !self.ending && !self.terminated && !self.erred {
            self.end("08006", "orgguard: the database server closed the connection");
        }
    }

    /// Whether the client has said goodbye.
    pub(super) const fn is_terminated(&self) -> bool {
        self.terminated
    }

    /// What the server gave to cancel statements with: process and secret key.
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    #[cold]
    fn end(&mut self, code: &str, message: &str) {
        fatal(&mut self.output.to_client, code, message, None);
        self.finish();
    }

    /// The last message to the client has been made. In the middle of a message of the server
    /// nothing can be said any more.
    #[cold]
    fn finish(&mut self) {
        self.ending = true;
        if self.is_between_server_messages() {
            self.say();
        }
    }

    const fn is_between_server_messages(&self) -> bool {
        self.server_rest == 0 && self.server_held.is_empty()
    }

    fn say(&mut self) {
        if !self.output.to_client.is_empty() {
            self.to_client.append(&mut self.output.to_client);
        }
    }

    /// Takes bytes of the client.
    pub(super) fn client_bytes(&mut self, bytes: &[u8], planner: &dyn Planner) {
        let direct = self.client_direct(bytes, planner);
        self.to_server.extend_from_slice(bytes.get(..direct).unwrap_or_default());
    }

    /// The same, but that so many of the bytes are still to be sent on as they are, before anything
    /// else.
    pub(super) fn client_direct(&mut self, bytes: &[u8], planner: &dyn Planner) -> usize {
        let mut chunk = Chunk::new(bytes);
        if self.audit {
            chunk.pass(0, bytes.len(), &mut self.to_server);
        }
        if self.ending || self.session.is_lost() {
            return chunk.direct;
        }
        if self.audit && self.waiting {
            self.client_held.extend_from_slice(bytes);
        } else if self.client_held.is_empty() {
            let used = self.client_messages(&mut chunk, planner);
            self.client_held.extend_from_slice(bytes.get(used..).unwrap_or_default());
        } else {
            self.client_held.extend_from_slice(bytes);
            self.take_held(planner);
        }
        chunk.direct
    }

    /// Offers what is held to the session.
    fn take_held(&mut self, planner: &dyn Planner) {
        let mut held = std::mem::take(&mut self.client_held);
        let mut chunk = Chunk::new(&held);
        let used = self.client_messages(&mut chunk, planner);
        chunk.settle(&mut self.to_server);
        if used < held.len() {
            held.drain(..used);
            self.client_held = held;
        }
    }

    /// Takes the client's messages at the beginning of `bytes`; how many bytes it took.
    fn client_messages(&mut self, chunk: &mut Chunk<'_>, planner: &dyn Planner) -> usize {
        self.waiting = false;
        let bytes = chunk.bytes;
        let mut at = 0_usize;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if self.ending || self.session.is_lost() {
                return bytes.len();
            }
            if self.client_rest > 0 {
                let now = self.client_rest.min(rest.len());
                let end = at.saturating_add(now);
                match rest.get(..now) {
                    Some(part) if self.client_copy.is_some() => {
                        chunk.settle(&mut self.to_server);
                        self.copy_data(part);
                    }
                    Some(_) if !self.client_dropped && !self.audit => {
                        chunk.pass(at, end, &mut self.to_server);
                    }
                    Some(_) | None => {}
                }
                self.client_rest = self.client_rest.saturating_sub(now);
                at = end;
                continue;
            }
            match frame::next(rest, self.message_bytes) {
                Next::Partial => break,
                Next::Broken(reason) => self.lose(reason),
                Next::Oversized(_) if !self.audit => {
                    self.end("54000", "orgguard: message larger than the limit");
                }
                Next::Oversized(_) => self.lose("a message larger than the limit"),
                Next::CopyData(total) => {
                    let step =
                        self.session.client(&FromClient::CopyData, planner, &mut self.output);
                    match step {
                        ClientStep::Forward(_) => self.client_dropped = false,
                        ClientStep::Instead(..) | ClientStep::Drop => self.client_dropped = true,
                        ClientStep::Wait => {
                            self.waiting = true;
                            break;
                        }
                        ClientStep::End => self.finish(),
                    }
                    let judged = !self.client_dropped && self.session.judges_copy();
                    self.client_copy = judged.then_some(HEADER);
                    self.client_rest = total;
                }
                Next::Whole { kind, body, frame } => {
                    let end = at.saturating_add(frame.len());
                    if self.client_message((kind, body), (at, end), chunk, planner) {
                        self.waiting = true;
                        break;
                    }
                    at = end;
                }
            }
        }
        at
    }

    /// Takes a part of a message of COPY data that is judged. What passes goes on in a message of its
    /// own: the server takes the data as one stream, however it is cut.
    fn copy_data(&mut self, part: &[u8]) {
        let header = self.client_copy.unwrap_or_default();
        self.client_copy = Some(header.saturating_sub(part.len()));
        let Some(data) = part.get(header..).filter(|data| !data.is_empty()) else { return };
        match self.session.copy_data(data, &mut self.output) {
            ClientStep::Forward(permit) => self.send(permit, &frame::copy_data(data)),
            ClientStep::Instead(permit, bytes) => self.send(permit, &bytes),
            ClientStep::Drop | ClientStep::Wait | ClientStep::End => {}
        }
    }

    /// Takes one message, which stands between two places of a chunk; whether it has to wait.
    fn client_message(
        &mut self,
        (kind, body): (u8, &[u8]),
        (start, end): (usize, usize),
        chunk: &mut Chunk<'_>,
        planner: &dyn Planner,
    ) -> bool {
        let message = match decode::client(kind, body) {
            Ok(message) => message,
            Err(reason) => {
                self.lose(reason);
                return false;
            }
        };
        self.terminated |= matches!(message, FromClient::Terminate);
        match self.session.client(&message, planner, &mut self.output) {
            ClientStep::Forward(permit) => {
                permit.spend();
                if !self.audit {
                    chunk.pass(start, end, &mut self.to_server);
                }
            }
            ClientStep::Instead(permit, bytes) => {
                chunk.settle(&mut self.to_server);
                self.send(permit, &bytes);
            }
            ClientStep::Drop => {}
            ClientStep::Wait => return true,
            ClientStep::End => {
                self.finish();
                return false;
            }
        }
        if self.is_between_server_messages() {
            self.say();
        }
        false
    }

    /// The way of a message of the guard's own to the server.
    fn send(&mut self, permit: Permit, bytes: &[u8]) {
        permit.spend();
        if !self.audit {
            self.to_server.extend_from_slice(bytes);
        }
    }

    #[cold]
    fn lose(&mut self, reason: &'static str) {
        if self.session.lose(reason, &mut self.output) {
            self.finish();
        }
    }
}
