//! Bytes as what a client does, and when the server answers.

use std::collections::VecDeque;
use std::sync::Arc;

use orgguard::session::{Event, Mode, Rebinding, SessionModes, SessionRules, TenantRules};
use orgguard::wire::Exchange;

use super::server::{Org, PARAMETER, Server, TEXTS};
use super::{A, B, Bytes, Plain, SHOP};

const LONG: &str = "a_name_of_more_than_sixty_three_bytes_that_differs_behind_the_last_";

/// Names of statements and portals; the server cannot tell the last two apart.
fn name(choice: usize) -> String {
    match choice {
        0 | 1 => String::new(),
        2 | 3 => "s".to_owned(),
        4 => "c".to_owned(),
        5 => format!("{LONG}1"),
        _ => format!("{LONG}2"),
    }
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("a short message");
    [&[kind], &length.to_be_bytes()[..], body].concat()
}

/// With `ORGGUARD_TRACE` a finding tells what happened.
pub(crate) fn trace(side: &str, kind: u8, body: &[u8]) {
    if std::env::var_os("ORGGUARD_TRACE").is_some() {
        eprintln!("{side} {} {:?}", char::from(kind), String::from_utf8_lossy(body));
    }
}

struct Play {
    exchange: Exchange,
    server: Server,
    /// What the client has sent and the guard has not read.
    sent: VecDeque<u8>,
    /// What the client got.
    got: Vec<u8>,
    ends_asked: usize,
    queries_asked: usize,
}

/// Whatever a client does, however late the server answers and whatever fails: no statement runs
/// that reads rows of an organization other than the session's, every Sync is answered, and the
/// last answer has the true status.
pub(crate) fn run(data: &[u8]) {
    let mut bytes = Bytes(data);
    let rebinding = [Rebinding::Free, Rebinding::Transaction, Rebinding::Never][bytes.below(3)];
    let startup = [Some(Org::A), None][bytes.below(2)];
    let rules = SessionRules {
        mode: Mode::Enforce,
        modes: SessionModes::uniform(Mode::Enforce),
        tenant: TenantRules { rebinding, ..SHOP.tenant.clone() },
        tenant_type: SHOP.policy.tenant_type,
        mask_errors: SHOP.mask_errors,
        dry_run: false,
        settings: SHOP.policy.settings.clone(),
        statements: 16,
    };
    let text = startup.map(|_| A);
    let mut play = Play {
        exchange: Exchange::new(Arc::new(rules), text, 1 << 16),
        server: Server::new(startup),
        sent: VecDeque::new(),
        got: Vec::new(),
        ends_asked: 0,
        queries_asked: 0,
    };
    play.server.fixed = rebinding == Rebinding::Never && startup.is_some();
    play.exchange.server(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I", &Plain);
    // What it asks before the client's turn comes.
    play.settle();
    play.got.clear();
    while !bytes.is_empty() {
        play.act(&mut bytes);
    }
    play.client(b'S', b"");
    play.settle();
    play.judge();
}

impl Play {
    fn act(&mut self, bytes: &mut Bytes<'_>) {
        match bytes.below(16) {
            0..=2 => {
                let (own, at) = (name(bytes.below(7)), bytes.below(TEXTS.len()));
                let typed: &[u8] =
                    if bytes.byte() & 1 == 1 { b"\0\x01\0\0\x0b\x86" } else { b"\0\0" };
                let body = [own.as_bytes(), b"\0", TEXTS[at].0.as_bytes(), b"\0", typed].concat();
                self.client(b'P', &body);
            }
            3 | 4 => self.bind(bytes),
            5 | 6 => {
                let limit = [0, 0, 0, u8::from(bytes.byte().is_multiple_of(4))];
                let body = [name(bytes.below(7)).as_bytes(), b"\0", &limit].concat();
                self.client(b'E', &body);
            }
            kind @ (7 | 8) => {
                let target = if bytes.byte() & 1 == 0 { b"S" } else { b"P" };
                let body = [target, name(bytes.below(7)).as_bytes(), b"\0"].concat();
                self.client(if kind == 7 { b'D' } else { b'C' }, &body);
            }
            9 => self.client(b'H', b""),
            10 | 11 => self.client(b'S', b""),
            12 | 13 => {
                let at = bytes.below(TEXTS.len());
                self.client(b'Q', &[TEXTS[at].0.as_bytes(), b"\0"].concat());
            }
            14 => {
                for _ in 0..=bytes.below(5) {
                    self.server.step();
                }
                let cut = bytes.below(9) + 1;
                self.deliver(cut);
            }
            _ => self.server.fail_next = true,
        }
        self.pump();
    }

    fn bind(&mut self, bytes: &mut Bytes<'_>) {
        let (portal, statement) = (name(bytes.below(7)), name(bytes.below(7)));
        let mut body = [portal.as_bytes(), b"\0", statement.as_bytes(), b"\0"].concat();
        let binary = |first: u8, version: u8| {
            let mut value = [first; 16];
            value[6] = version;
            value[8] = 0x80 | first;
            value.to_vec()
        };
        let (format, value): (u8, Option<Vec<u8>>) = match bytes.below(8) {
            0..=2 => {
                body.extend_from_slice(&[0, 0, 0, 0, 0, 0]);
                self.client(b'B', &body);
                return;
            }
            3 => (0, Some(A.into())),
            4 => (0, Some(B.into())),
            5 => (1, Some(binary(0x11, 0x41))),
            6 => (1, Some(binary(0x22, 0x42))),
            _ => (0, None),
        };
        body.extend_from_slice(&[0, 1, 0, format, 0, 1]);
        match value {
            Some(value) => {
                let length = u32::try_from(value.len()).expect("a short value");
                body.extend_from_slice(&length.to_be_bytes());
                body.extend_from_slice(&value);
            }
            None => body.extend_from_slice(&[0xff; 4]),
        }
        body.extend_from_slice(&[0, 0]);
        self.client(b'B', &body);
    }

    fn client(&mut self, kind: u8, body: &[u8]) {
        trace("client", kind, body);
        self.ends_asked += usize::from(kind == b'S');
        self.queries_asked += usize::from(kind == b'Q');
        self.sent.extend(message(kind, body));
    }

    /// What was sent goes as far as the guard reads.
    fn pump(&mut self) -> bool {
        let mut moved = false;
        while !self.exchange.is_waiting() && !self.exchange.is_ending() && !self.sent.is_empty() {
            let all: Vec<u8> = self.sent.drain(..).collect();
            self.exchange.client(&all, &Plain);
            moved = true;
        }
        let bytes = self.exchange.to_server();
        self.server.receive(&bytes);
        self.got.extend(self.exchange.to_client());
        moved || !bytes.is_empty()
    }

    fn deliver(&mut self, cut: usize) -> bool {
        let answers = self.server.answers();
        for piece in answers.chunks(cut) {
            self.exchange.server(piece, &Plain);
            self.got.extend(self.exchange.to_client());
        }
        !answers.is_empty()
    }

    fn settle(&mut self) {
        loop {
            let mut moved = self.pump();
            while self.server.step() {
                moved = true;
            }
            moved |= self.deliver(usize::MAX);
            if !moved {
                return;
            }
        }
    }

    fn judge(&mut self) {
        let lost = self.exchange.events().into_iter().find_map(|event| match event {
            Event::Lost { reason } => Some(reason),
            _ => None,
        });
        let mut rest = self.got.as_slice();
        let mut ready = Vec::new();
        while let Some((kind, after)) = rest.split_first() {
            let length = after.first_chunk::<4>().expect("a whole header for the client");
            let length = u32::from_be_bytes(*length) as usize;
            let body = after.get(4..length).expect("a whole message for the client");
            if *kind == b'Z' {
                ready.push(body[0]);
            }
            rest = &after[length..];
        }
        assert!(!self.exchange.is_ending(), "an honest conversation ended: {lost:?}");
        assert!(!self.exchange.is_waiting() && self.sent.is_empty(), "it waits for ever");
        let (ends, queries) = (self.ends_asked, self.queries_asked);
        let count = ready.len();
        assert!(ends <= count && count <= ends + queries, "{count} for {ends} + {queries}");
        assert_eq!(ready.last(), Some(&self.server.status()), "a false status");
    }
}

/// The parameterized text is among the texts.
pub(crate) fn is_complete() -> bool {
    TEXTS.iter().any(|(text, _)| *text == PARAMETER)
}
