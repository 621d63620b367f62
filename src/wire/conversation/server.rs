//! The server's half: its messages are the client's but for those that answer the guard.

use super::super::decode::{self, ERROR_BYTES, GATHERED_BYTES};
use super::super::frame::{self, HEADER};
use super::Conversation;
use super::chunk::Chunk;
use crate::session::{Planner, ServerStep};

/// How a server's bytes were taken.
enum Taken {
    /// So many bytes belong to the client.
    Passed(usize),
    /// So many bytes are forgotten.
    Dropped(usize),
    /// A message needs so many bytes to be judged.
    Needs(usize),
    /// The session ends here.
    Ended,
}

impl Conversation {
    /// Takes bytes of the server, then what the client had to wait with.
    pub(in super::super) fn server_bytes(&mut self, bytes: &[u8], planner: &dyn Planner) {
        let direct = self.server_direct(bytes, planner);
        self.to_client.extend_from_slice(bytes.get(..direct).unwrap_or_default());
    }

    /// The same, but that so many of the bytes are still to be given to the client as they are,
    /// before anything else.
    pub(in super::super) fn server_direct(&mut self, bytes: &[u8], planner: &dyn Planner) -> usize {
        let mut chunk = Chunk::new(bytes);
        if self.audit {
            chunk.pass(0, bytes.len(), &mut self.to_client);
            if self.waiting {
                // An answer is not looked at before the message that it answers.
                self.server_later.extend_from_slice(bytes);
                return chunk.direct;
            }
        }
        self.server_messages(&mut chunk);
        if self.waiting {
            chunk.settle(&mut self.to_client);
            self.retry(planner);
        }
        chunk.direct
    }

    /// Takes the server's messages.
    fn server_messages(&mut self, chunk: &mut Chunk<'_>) {
        let bytes = chunk.bytes;
        let mut at = 0_usize;
        // Bytes before this have been given to the client, or forgotten.
        let mut given = 0_usize;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if self.ending || self.session.is_lost() {
                break;
            }
            if !self.server_held.is_empty() {
                chunk.settle(&mut self.to_client);
                let taken = self.complete_held(rest);
                at = at.saturating_add(taken);
                given = at;
                if self.is_between_server_messages() {
                    self.say();
                }
                continue;
            }
            let rows = self.rows(rest);
            let taken = if rows > 0 { Taken::Passed(rows) } else { self.server_message(rest) };
            match taken {
                Taken::Passed(count) => at = at.saturating_add(count),
                Taken::Dropped(count) => {
                    self.pass(chunk, given, at);
                    at = at.saturating_add(count);
                    given = at;
                }
                Taken::Needs(_) => {
                    self.pass(chunk, given, at);
                    self.server_held.extend_from_slice(rest);
                    at = bytes.len();
                    given = at;
                }
                Taken::Ended => {
                    self.pass(chunk, given, at);
                    given = at;
                    chunk.settle(&mut self.to_client);
                    self.finish();
                }
            }
            if self.is_between_server_messages() && !self.output.to_client.is_empty() {
                self.pass(chunk, given, at);
                given = at;
                chunk.settle(&mut self.to_client);
                self.say();
            }
        }
        self.pass(chunk, given, at);
    }

    /// How many bytes at the beginning are rows and COPY data, which are the client's whatever is in
    /// them: of each only the header is read, and the session is told of none.
    fn rows(&mut self, bytes: &[u8]) -> usize {
        if self.server_rest > 0 || self.session.is_reading_back() {
            return 0;
        }
        let mut at = 0_usize;
        while let Some([b'D' | b'd', a, b, c, d]) =
            bytes.get(at..).and_then(|rest| rest.first_chunk::<HEADER>())
        {
            let length = u32::from_be_bytes([*a, *b, *c, *d]);
            let Some(body) = usize::try_from(length).ok().and_then(|it| it.checked_sub(4)) else {
                break;
            };
            let here = bytes.len().saturating_sub(at);
            let total = body.saturating_add(HEADER);
            if total > here {
                self.server_rest = total.saturating_sub(here);
                at = bytes.len();
                break;
            }
            at = at.saturating_add(total);
        }
        if at > 0 {
            self.server_dropped = false;
        }
        at
    }

    /// Offers a message that had to wait again.
    pub(in super::super) fn retry(&mut self, planner: &dyn Planner) {
        if self.waiting && !self.ending {
            self.take_held(planner);
            if !self.waiting && !self.server_later.is_empty() {
                let later = std::mem::take(&mut self.server_later);
                // Audit: nothing of it is passed a second time.
                self.server_messages(&mut Chunk::new(&later));
            }
        }
    }

    /// What stands between two places of a chunk is the client's.
    fn pass(&mut self, chunk: &mut Chunk<'_>, from: usize, to: usize) {
        if !self.audit {
            let to = to.min(chunk.bytes.len());
            chunk.pass(from, to, &mut self.to_client);
        }
    }

    /// Completes the held beginning of a message with bytes of `rest`; how many it took.
    fn complete_held(&mut self, rest: &[u8]) -> usize {
        let mut held = std::mem::take(&mut self.server_held);
        let mut used = 0_usize;
        loop {
            match self.server_message(&held) {
                Taken::Passed(count) => {
                    if !self.audit {
                        self.to_client.extend_from_slice(held.get(..count).unwrap_or(&held));
                    }
                    return used;
                }
                Taken::Dropped(_) => return used,
                Taken::Needs(total) => {
                    let missing = total.saturating_sub(held.len());
                    let more = rest.get(used..).unwrap_or_default();
                    let more = more.get(..missing).unwrap_or(more);
                    if more.is_empty() {
                        self.server_held = held;
                        return used;
                    }
                    held.extend_from_slice(more);
                    used = used.saturating_add(more.len());
                }
                Taken::Ended => {
                    self.finish();
                    return used;
                }
            }
        }
    }

    /// Takes the message, or the rest of one, at the beginning of `bytes`.
    fn server_message(&mut self, bytes: &[u8]) -> Taken {
        if self.server_rest > 0 {
            let now = self.server_rest.min(bytes.len());
            self.server_rest = self.server_rest.saturating_sub(now);
            return if self.server_dropped { Taken::Dropped(now) } else { Taken::Passed(now) };
        }
        let Some((kind, length)) = frame::header(bytes) else {
            return Taken::Needs(HEADER);
        };
        let Some(total) = length.checked_sub(4).and_then(|body| body.checked_add(HEADER)) else {
            return self.lose_server("a length of the server below four");
        };
        let (needed, cut) = match kind {
            // Only the answer to a question of the guard's own is read.
            b'D' if self.session.is_reading_back() => (total, false),
            b'D' | b'd' => {
                self.server_dropped = false;
                let now = total.min(bytes.len());
                self.server_rest = total.saturating_sub(now);
                return Taken::Passed(now);
            }
            // Of a larger error no more is read, or nothing.
            b'E' if length > GATHERED_BYTES => {
                let cut = self.session.reads_errors();
                (if cut { ERROR_BYTES } else { HEADER }, cut)
            }
            _ if decode::is_gathered(kind) => (total, false),
            _ => (HEADER, false),
        };
        if needed == total && length > GATHERED_BYTES {
            return self.lose_server("a message of the server larger than any");
        }
        let Some(body) = bytes.get(HEADER..needed) else {
            return Taken::Needs(needed);
        };
        let message = match decode::server(kind, body, cut) {
            Ok(message) => message,
            Err(reason) => return self.lose_server(reason),
        };
        self.erred = kind == b'E';
        if kind == b'K' && !self.session.is_logged_in() {
            self.key = body.into();
        }
        let now = total.min(bytes.len());
        self.server_rest = total.saturating_sub(now);
        match self.session.server(&message, &mut self.output) {
            ServerStep::Forward => {
                self.server_dropped = false;
                Taken::Passed(now)
            }
            ServerStep::Swallow => {
                self.server_dropped = true;
                Taken::Dropped(now)
            }
            ServerStep::Ask(permit) => {
                self.server_dropped = true;
                let asked = std::mem::take(&mut self.output.to_server);
                self.send(permit, &asked);
                Taken::Dropped(now)
            }
            ServerStep::End => {
                self.server_rest = 0;
                Taken::Ended
            }
        }
    }

    #[cold]
    fn lose_server(&mut self, reason: &'static str) -> Taken {
        if self.session.lose(reason, &mut self.output) {
            return Taken::Ended;
        }
        // Audit has passed the bytes already.
        Taken::Passed(usize::MAX)
    }
}
