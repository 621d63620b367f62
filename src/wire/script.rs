//! Whole conversations without sockets: bytes in, bytes out, on both sides.

use std::sync::Arc;

use super::conversation::Conversation;
use crate::analyze::{self, Outcome};
use crate::config::{Config, Overrides};
use crate::policy::{Overlay, Policy};
use crate::session::{
    Client, Event, Identity, Mode, Planned, Planner, Session, SessionModes, SessionRules,
};

pub(super) const A: &str = "11111111-1111-4111-8111-111111111111";
pub(super) const B: &str = "22222222-2222-4222-8222-222222222222";

/// Plans without a cache.
struct Plain {
    config: Config,
    /// Plans are still to come.
    late: bool,
    generation: u64,
}

impl Planner for Plain {
    fn plan(&self, text: &str, overlay: &Overlay) -> Option<Arc<Planned>> {
        (!self.late).then(|| self.plan_now(text, overlay))
    }

    fn plan_now(&self, text: &str, overlay: &Overlay) -> Arc<Planned> {
        let policy = (*self.config.policy).clone();
        let policy = Policy { overlay: Arc::new(overlay.clone()), ..policy };
        let planned = Planned::new(text.into(), analyze::plan(text, &policy), self.generation);
        Arc::new(planned.under(overlay.version()).with_rewrite(&policy))
    }

    fn is_current(&self, planned: &Planned, overlay: &Overlay) -> bool {
        planned.generation() == self.generation && planned.overlay() == overlay.version()
    }
}

/// The server's answer to the guard's first question.
pub(super) const LOGIN_VALUES: [&str; 12] = [
    "mark",
    "app",
    "none",
    "\"$user\", public",
    "on",
    "origin",
    "on",
    "UTF8",
    "safe_encoding",
    "off",
    "off",
    "",
];

/// The answer to a question of the guard's own.
pub(super) fn read_back(values: &[&str]) -> [Vec<u8>; 4] {
    let mut row = (values.len() as u16).to_be_bytes().to_vec();
    for value in values {
        row.extend((value.len() as u32).to_be_bytes());
        row.extend(value.as_bytes());
    }
    [message(b'T', b"\0\0"), message(b'D', &row), complete("SELECT 1"), ready('I')]
}

/// One conversation after its login.
pub(super) struct Script {
    conversation: Conversation,
    planner: Plain,
    /// Bytes at a time.
    chunk: usize,
}

impl Script {
    pub(super) const fn conversation(&mut self) -> &mut Conversation {
        &mut self.conversation
    }

    pub(super) fn new(mode: Mode) -> Self {
        Self::with(mode, |_| {})
    }

    pub(super) fn with(mode: Mode, change: impl FnOnce(&mut SessionRules)) -> Self {
        let overrides = Overrides { mode: Some(mode.name().to_owned()), ..Overrides::default() };
        let config = crate::config::standard(&overrides).unwrap();
        let mut rules = SessionRules {
            mode,
            modes: SessionModes::uniform(mode),
            tenant: config.tenant.clone(),
            tenant_type: config.policy.tenant_type,
            settings: config.policy.settings.clone(),
            statements: 100,
            mask_errors: config.mask_errors,
            dry_run: false,
        };
        change(&mut rules);
        let identity = Identity {
            setting: None,
            role: "app".to_owned(),
            mark: "mark".to_owned(),
            later: Vec::new(),
        };
        let session = Session::new(Arc::new(rules), identity, &Client::default());
        let conversation = Conversation::new(session, mode, 1 << 20);
        let mut script = Self {
            conversation,
            planner: Plain { config, late: false, generation: 0 },
            chunk: usize::MAX,
        };
        let login = [message(b'R', b"\0\0\0\0"), parameter("client_encoding", "UTF8"), ready('I')];
        if mode == Mode::Audit {
            assert_eq!(script.server(&login), ["R", "S", "Z I"]);
        } else {
            let asked = script.answer(&login);
            assert_eq!(asked.len(), 3, "{asked:?}");
            assert!(
                asked[0].starts_with("> Q SELECT pg_catalog.current_setting('orgguard.session'")
            );
            assert_eq!(script.server(&read_back(&LOGIN_VALUES)), ["Z I"]);
        }
        script
    }

    /// The same, fed so many bytes at a time.
    pub(super) fn in_chunks(mut self, chunk: usize) -> Self {
        self.chunk = chunk;
        self
    }

    /// The client sends: what the server gets and what the client is told at once.
    pub(super) fn client_raw(&mut self, bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
        for chunk in bytes.chunks(self.chunk.min(bytes.len()).max(1)) {
            self.conversation.client_bytes(chunk, &self.planner);
        }
        self.take()
    }

    fn take(&mut self) -> (Vec<u8>, Vec<u8>) {
        let server = std::mem::take(&mut self.conversation.to_server);
        (server, std::mem::take(&mut self.conversation.to_client))
    }

    /// The client sends: `>` what the server gets, `<` what the client is told at once.
    pub(super) fn client(&mut self, messages: &[Vec<u8>]) -> Vec<String> {
        let (server, client) = self.client_raw(&messages.concat());
        directed(&server, &client)
    }

    /// The server sends: what the client gets.
    pub(super) fn server(&mut self, messages: &[Vec<u8>]) -> Vec<String> {
        let (server, client) = self.server_raw(&messages.concat());
        assert_eq!(show(&server), [""; 0], "a message was released: use answer()");
        show(&client)
    }

    /// The server sends, and a message of the client that waited goes on.
    pub(super) fn answer(&mut self, messages: &[Vec<u8>]) -> Vec<String> {
        let (server, client) = self.server_raw(&messages.concat());
        directed(&server, &client)
    }

    pub(super) fn server_raw(&mut self, bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
        for chunk in bytes.chunks(self.chunk.min(bytes.len()).max(1)) {
            self.conversation.server_bytes(chunk, &self.planner);
        }
        self.take()
    }

    /// One simple query that succeeds, with these tags.
    pub(super) fn run(&mut self, sql: &str, tags: &[&str], status: char) {
        assert_eq!(self.client(&[query(sql)]), [format!("> Q {sql}")]);
        let mut answer: Vec<Vec<u8>> = tags.iter().map(|tag| complete(tag)).collect();
        answer.push(ready(status));
        self.server(&answer);
    }

    /// One simple query that is refused with this SQLSTATE while no transaction is open.
    pub(super) fn refused(&mut self, sql: &str, code: &str) {
        assert_eq!(
            self.client(&[query(sql)]),
            [format!("< E {code}"), "< Z I".to_owned()],
            "{sql}"
        );
    }

    /// The policy becomes another, under which plans are at hand.
    pub(super) fn change_policy(&mut self, change: impl FnOnce(&mut Policy)) {
        change(Arc::make_mut(&mut self.planner.config.policy));
    }

    /// The policy becomes another, under which plans are still to come.
    pub(super) fn renew(&mut self, change: impl FnOnce(&mut Policy)) {
        change(Arc::make_mut(&mut self.planner.config.policy));
        self.planner.generation += 1;
        self.planner.late = true;
    }

    /// Plans have come: what goes on.
    pub(super) fn plans_come(&mut self) -> Vec<String> {
        self.planner.late = false;
        self.conversation.retry(&self.planner);
        let (server, client) = self.take();
        directed(&server, &client)
    }

    /// How often the session has told of a change of the schema since the last call.
    pub(super) fn schema_changes(&mut self) -> usize {
        self.conversation.events().filter(|event| matches!(event, Event::SchemaChanged)).count()
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.conversation.is_waiting()
    }

    pub(super) fn is_ending(&self) -> bool {
        self.conversation.is_ending()
    }

    /// The verdicts told since the last call.
    pub(super) fn outcomes(&mut self) -> Vec<Outcome> {
        let told = self.conversation.events();
        told.filter_map(|event| {
            if let Event::Judged { outcome, .. } = event { Some(outcome) } else { None }
        })
        .collect()
    }

    /// Whether the conversation is not followed any more.
    pub(super) fn is_lost(&self) -> bool {
        self.conversation.session().is_lost()
    }

    /// Violations told so far: rule, and whether a judgement went before it.
    pub(super) fn violations(&mut self) -> Vec<&'static str> {
        let violation = |event| match event {
            Event::Violation { violation, .. } => Some(violation.rule.name()),
            Event::Lost { .. } => Some("lost"),
            Event::Rewritten { .. } => Some("rewritten"),
            Event::Judged { .. } | Event::Advice { .. } | Event::SchemaChanged => None,
        };
        self.conversation.events().filter_map(violation).collect()
    }
}

fn directed(server: &[u8], client: &[u8]) -> Vec<String> {
    let server = show(server).into_iter().map(|it| format!("> {it}"));
    let client = show(client).into_iter().map(|it| format!("< {it}"));
    server.chain(client).collect()
}

/// Messages in short: kind, and what matters of the body.
fn show(mut bytes: &[u8]) -> Vec<String> {
    let mut shown = Vec::new();
    while !bytes.is_empty() {
        let length = u32::from_be_bytes(bytes[1..5].try_into().unwrap()) as usize;
        let (frame, rest) = bytes.split_at(1 + length);
        let kind = char::from(frame[0]);
        let body = &frame[5..];
        let text = |body: &[u8]| {
            String::from_utf8_lossy(body.split(|byte| *byte == 0).next().unwrap()).into_owned()
        };
        shown.push(match kind {
            'Q' | 'C' => format!("{kind} {}", text(body)),
            'P' => {
                let name = text(body);
                format!("P {name}: {}", text(&body[name.len() + 1..]))
            }
            'E' if body.contains(&b'C') && body.starts_with(b"S") => {
                let field = body.split(|byte| *byte == 0).find(|field| field.starts_with(b"C"));
                format!("E {}", String::from_utf8_lossy(&field.unwrap()[1..]))
            }
            'Z' => format!("Z {}", char::from(body[0])),
            _ => kind.to_string(),
        });
        bytes = rest;
    }
    shown
}

pub(super) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

pub(super) fn query(sql: &str) -> Vec<u8> {
    message(b'Q', format!("{sql}\0").as_bytes())
}

pub(super) fn parse(name: &str, sql: &str) -> Vec<u8> {
    message(b'P', format!("{name}\0{sql}\0\0\0").as_bytes())
}

pub(super) fn bind(portal: &str, statement: &str, values: &[&str]) -> Vec<u8> {
    let mut body = format!("{portal}\0{statement}\0\0\0").into_bytes();
    body.extend_from_slice(&(values.len() as u16).to_be_bytes());
    for value in values {
        body.extend_from_slice(&(value.len() as u32).to_be_bytes());
        body.extend_from_slice(value.as_bytes());
    }
    body.extend_from_slice(b"\0\0");
    message(b'B', &body)
}

pub(super) fn describe(kind: char, name: &str) -> Vec<u8> {
    message(b'D', format!("{kind}{name}\0").as_bytes())
}

pub(super) fn close(kind: char, name: &str) -> Vec<u8> {
    message(b'C', format!("{kind}{name}\0").as_bytes())
}

pub(super) fn execute(portal: &str) -> Vec<u8> {
    message(b'E', format!("{portal}\0\0\0\0\0").as_bytes())
}

pub(super) fn sync() -> Vec<u8> {
    message(b'S', b"")
}

pub(super) fn flush() -> Vec<u8> {
    message(b'H', b"")
}

pub(super) fn ready(status: char) -> Vec<u8> {
    message(b'Z', &[status as u8])
}

pub(super) fn complete(tag: &str) -> Vec<u8> {
    message(b'C', format!("{tag}\0").as_bytes())
}

pub(super) fn error(code: &str) -> Vec<u8> {
    message(b'E', format!("SERROR\0VERROR\0C{code}\0Mwhy\0\0").as_bytes())
}

pub(super) fn parameter(name: &str, value: &str) -> Vec<u8> {
    message(b'S', format!("{name}\0{value}\0").as_bytes())
}

/// ParseComplete, BindComplete and whatever else has no body.
pub(super) fn bare(kind: char) -> Vec<u8> {
    message(kind as u8, b"")
}
