//! Room of a thread that the sessions it serves take turns with: one that has nothing outstanding
//! has none.

use std::cell::RefCell;

use super::Conversation;
use crate::session::{Event, Room};

/// How many sessions' room is kept of each kind.
const ROOMS: usize = 64;

/// The most events whose room is kept.
const EVENTS: usize = 64;

/// The largest empty buffer that a session keeps while an answer is outstanding.
const BUFFER_BYTES: usize = 256 << 10;

#[derive(Default)]
struct Spare {
    events: Vec<Vec<Event>>,
    rooms: Vec<Room>,
}

thread_local! {
    /// What there is between polls.
    static SPARE: RefCell<Spare> = RefCell::default();
}

impl Conversation {
    /// Takes room where it has none. It is to be given back before anything is waited for.
    pub(in super::super) fn borrow_room(&mut self) {
        if self.output.events.capacity() > 0 && self.session.has_room() {
            return;
        }
        SPARE.with_borrow_mut(|spare| {
            if self.output.events.capacity() == 0 {
                self.output.events = spare.events.pop().unwrap_or_default();
            }
            self.session.borrow_room(&mut spare.rooms);
        });
    }

    /// Gives back the room of what is empty, unless an answer is outstanding, which takes room too.
    pub(in super::super) fn give_back_room(&mut self) {
        // Audit follows no answers of a session that it has lost.
        let busy = self.session.has_outstanding() && !self.session.is_lost();
        let most = if busy { BUFFER_BYTES } else { 0 };
        // What passes unchanged needs none of these, and the guard's own words are few.
        for buffer in [&mut self.to_server, &mut self.to_client, &mut self.output.to_client] {
            if buffer.is_empty() && buffer.capacity() > most {
                *buffer = Vec::new();
            }
        }
        if busy {
            return;
        }
        SPARE.with_borrow_mut(|spare| {
            if self.output.events.is_empty() {
                let events = std::mem::take(&mut self.output.events);
                if (1..=EVENTS).contains(&events.capacity()) && spare.events.len() < ROOMS {
                    spare.events.push(events);
                }
            }
            self.session.give_back_room(&mut spare.rooms, ROOMS);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::script::{self, Script};
    use super::*;
    use crate::session::Mode;

    /// Bytes that it has room for, beside its own size.
    fn room(conversation: &Conversation) -> usize {
        let Conversation { client_held, server_held, server_later, output, .. } = conversation;
        let held = [client_held, server_held, server_later, &output.to_client, &output.to_server];
        let out = [&conversation.to_server, &conversation.to_client];
        let bytes: usize = held.into_iter().chain(out).map(Vec::capacity).sum();
        bytes + output.events.capacity() + conversation.session.room()
    }

    #[test]
    fn a_session_that_says_nothing_has_no_room() {
        let mut script = Script::new(Mode::Enforce);
        let conversation = script.conversation();
        conversation.give_back_room();
        assert_eq!(room(conversation), 0);
        conversation.borrow_room();
        script.client(&[script::query("SELECT 1"), script::query("SELECT name FROM org_products")]);
        script.conversation().to_server.reserve(BUFFER_BYTES + 1);
        script.conversation().give_back_room();
        // Some for the answer, but nothing of what a long statement took.
        assert!((1..BUFFER_BYTES).contains(&room(script.conversation())));
        script.conversation().borrow_room();
        script.server(&[script::complete("SELECT 1"), script::ready('I')]);
        let conversation = script.conversation();
        conversation.events().for_each(drop);
        conversation.give_back_room();
        assert_eq!(room(conversation), 0);
    }
}
