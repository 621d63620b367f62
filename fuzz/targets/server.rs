//! A PostgreSQL server as far as a session's meaning goes: names, transactions, the tenant's
//! setting. It knows the texts of `TEXTS` alone; any other is a syntax error.

use std::collections::{HashMap, VecDeque};

use super::session::trace;
use super::{A, B};

/// One of the two organizations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Org {
    A,
    B,
}

/// What a statement's rows are bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    /// It reads no guarded table.
    None,
    /// Every organization.
    All,
    Of(Org),
    /// That of `$1`.
    OfParameter,
}

/// One statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Read(Rows),
    Begin,
    Commit,
    Rollback,
    Savepoint,
    RollbackTo,
    Release,
    Set { local: bool, org: Org },
    Reset,
    Prepare(&'static str, Rows),
    Execute(&'static str, Org),
    Deallocate(Option<&'static str>),
    DiscardAll,
    Declare { name: &'static str, hold: bool, rows: Rows },
    Fetch(&'static str),
    Close(&'static str),
}

macro_rules! of {
    ($org:literal) => {
        concat!(
            "SELECT name FROM org_products WHERE organization_id = '",
            $org,
            "' AND deleted_at IS NULL"
        )
    };
}
macro_rules! a {
    () => {
        "11111111-1111-4111-8111-111111111111"
    };
}
macro_rules! read_a {
    () => {
        concat!(
            "SELECT name FROM org_products WHERE organization_id = '",
            a!(),
            "' AND deleted_at IS NULL"
        )
    };
}

pub(crate) const PARAMETER: &str =
    "SELECT name FROM org_products WHERE organization_id = $1 AND deleted_at IS NULL";
const READ_B: &str = of!("22222222-2222-4222-8222-222222222222");

/// Every text, and what it does.
pub(crate) const TEXTS: &[(&str, &[Step])] = &[
    (read_a!(), &[Step::Read(Rows::Of(Org::A))]),
    (READ_B, &[Step::Read(Rows::Of(Org::B))]),
    (PARAMETER, &[Step::Read(Rows::OfParameter)]),
    ("SELECT name FROM org_products", &[Step::Read(Rows::All)]),
    ("SELECT 1", &[Step::Read(Rows::None)]),
    ("BEGIN", &[Step::Begin]),
    ("COMMIT", &[Step::Commit]),
    ("ROLLBACK", &[Step::Rollback]),
    ("SAVEPOINT p", &[Step::Savepoint]),
    ("ROLLBACK TO p", &[Step::RollbackTo]),
    ("RELEASE p", &[Step::Release]),
    (
        "SET app.organization_id = '11111111-1111-4111-8111-111111111111'",
        &[Step::Set { local: false, org: Org::A }],
    ),
    (
        "SET app.organization_id = '22222222-2222-4222-8222-222222222222'",
        &[Step::Set { local: false, org: Org::B }],
    ),
    (
        "SET LOCAL app.organization_id = '11111111-1111-4111-8111-111111111111'",
        &[Step::Set { local: true, org: Org::A }],
    ),
    (
        "SELECT set_config('app.organization_id', '22222222-2222-4222-8222-222222222222', true)",
        &[Step::Set { local: true, org: Org::B }],
    ),
    ("RESET app.organization_id", &[Step::Reset]),
    (concat!("PREPARE s AS ", read_a!()), &[Step::Prepare("s", Rows::Of(Org::A))]),
    (
        "PREPARE s (uuid) AS SELECT name FROM org_products WHERE organization_id = $1 AND deleted_at IS NULL",
        &[Step::Prepare("s", Rows::OfParameter)],
    ),
    ("EXECUTE s('11111111-1111-4111-8111-111111111111')", &[Step::Execute("s", Org::A)]),
    ("EXECUTE s('22222222-2222-4222-8222-222222222222')", &[Step::Execute("s", Org::B)]),
    ("DEALLOCATE s", &[Step::Deallocate(Some("s"))]),
    ("DEALLOCATE ALL", &[Step::Deallocate(None)]),
    ("DISCARD ALL", &[Step::DiscardAll]),
    (
        concat!("DECLARE c CURSOR FOR ", read_a!()),
        &[Step::Declare { name: "c", hold: false, rows: Rows::Of(Org::A) }],
    ),
    (
        concat!("DECLARE c CURSOR WITH HOLD FOR ", read_a!()),
        &[Step::Declare { name: "c", hold: true, rows: Rows::Of(Org::A) }],
    ),
    ("FETCH 1 FROM c", &[Step::Fetch("c")]),
    ("CLOSE c", &[Step::Close("c")]),
    (concat!("SELECT 1; ", read_a!()), &[Step::Read(Rows::None), Step::Read(Rows::Of(Org::A))]),
    (
        concat!("SET app.organization_id = '", a!(), "'; ", read_a!()),
        &[Step::Set { local: false, org: Org::A }, Step::Read(Rows::Of(Org::A))],
    ),
    (
        concat!("BEGIN; SET LOCAL app.organization_id = '", a!(), "'; ", read_a!(), "; COMMIT"),
        &[
            Step::Begin,
            Step::Set { local: true, org: Org::A },
            Step::Read(Rows::Of(Org::A)),
            Step::Commit,
        ],
    ),
    (concat!("COMMIT; ", read_a!()), &[Step::Commit, Step::Read(Rows::Of(Org::A))]),
    (concat!("ROLLBACK; ", read_a!()), &[Step::Rollback, Step::Read(Rows::Of(Org::A))]),
    ("SELECT 1; SELECT name FROM org_products", &[Step::Read(Rows::None), Step::Read(Rows::All)]),
];

/// A prepared statement or a portal.
#[derive(Clone, Debug)]
struct Portal {
    step: Step,
    parameter: Option<Org>,
    hold: bool,
    /// Made in the transaction at hand.
    fresh: bool,
    done: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    /// None, or the implicit one of a group.
    Implicit,
    Open,
    Failed,
}

/// The setting's values: of the session, and by SET LOCAL.
#[derive(Clone, Copy, Debug)]
struct Setting {
    session: Option<Org>,
    local: Option<Org>,
}

#[derive(Debug)]
struct Failure;

/// What the settings are that the guard asks for at login, beside the tenant's own.
const AT_LOGIN: [&str; 11] = [
    "",
    "",
    "none",
    "\"$user\", public",
    "on",
    "origin",
    "on",
    "UTF8",
    "safe_encoding",
    "off",
    "off",
];

/// The row that answers a question of the guard's own.
pub(crate) fn row(login: bool, tenant: Option<&str>) -> Vec<u8> {
    let mut columns: Vec<Option<&str>> = Vec::new();
    if login {
        columns.extend(AT_LOGIN.map(Some));
    }
    columns.push(tenant);
    let mut body = vec![0, u8::try_from(columns.len()).expect("few columns")];
    for column in columns {
        match column {
            Some(value) => {
                let length = u32::try_from(value.len()).expect("a short value");
                body.extend_from_slice(&length.to_be_bytes());
                body.extend_from_slice(value.as_bytes());
            }
            None => body.extend_from_slice(&[0xff; 4]),
        }
    }
    body
}

/// The server.
pub(crate) struct Server {
    inbox: VecDeque<u8>,
    out: Vec<u8>,
    statements: HashMap<Vec<u8>, Step>,
    portals: HashMap<Vec<u8>, Portal>,
    startup: Option<Org>,
    now: Setting,
    /// What a rollback restores.
    base: Setting,
    savepoints: Vec<Setting>,
    block: Block,
    skipping: bool,
    /// Something ran since the transaction began.
    ran: bool,
    /// The next message that can fail does.
    pub(crate) fail_next: bool,
    /// Only the startup's organization may ever be read.
    pub(crate) fixed: bool,
}

/// The server truncates names.
fn name(given: &[u8]) -> Vec<u8> {
    given[..given.len().min(63)].to_vec()
}

fn text(body: &mut &[u8]) -> Vec<u8> {
    let end = body.iter().position(|byte| *byte == 0).expect("a text without its end");
    let found = body[..end].to_vec();
    *body = &body[end + 1..];
    found
}

impl Server {
    pub(crate) fn new(startup: Option<Org>) -> Self {
        let setting = Setting { session: startup, local: None };
        Self {
            inbox: VecDeque::new(),
            out: Vec::new(),
            statements: HashMap::new(),
            portals: HashMap::new(),
            startup,
            now: setting,
            base: setting,
            savepoints: Vec::new(),
            block: Block::Implicit,
            skipping: false,
            ran: false,
            fail_next: false,
            fixed: false,
        }
    }

    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.inbox.extend(bytes);
    }

    /// What it has to say since the last call.
    pub(crate) fn answers(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    pub(crate) fn status(&self) -> u8 {
        match self.block {
            Block::Implicit => b'I',
            Block::Open => b'T',
            Block::Failed => b'E',
        }
    }

    /// Takes one message; whether there was one.
    pub(crate) fn step(&mut self) -> bool {
        if self.inbox.len() < 5 {
            assert!(self.inbox.is_empty(), "the guard sent a part of a message");
            return false;
        }
        let frame: Vec<u8> = self.inbox.iter().take(5).copied().collect();
        let length = u32::from_be_bytes([frame[1], frame[2], frame[3], frame[4]]) as usize;
        assert!(self.inbox.len() > length, "the guard sent a part of a message");
        let frame: Vec<u8> = self.inbox.drain(..length + 1).collect();
        self.message(frame[0], &frame[5..]);
        true
    }

    fn say(&mut self, kind: u8, body: &[u8]) {
        let length = u32::try_from(body.len() + 4).expect("a short message");
        trace("  answers", kind, body);
        self.out.push(kind);
        self.out.extend_from_slice(&length.to_be_bytes());
        self.out.extend_from_slice(body);
    }

    fn message(&mut self, kind: u8, body: &[u8]) {
        trace("  takes", kind, body);
        match kind {
            b'S' => {
                self.skipping = false;
                self.end_implicit(true);
                let status = self.status();
                self.say(b'Z', &[status]);
            }
            b'X' | b'H' => {}
            _ if self.skipping => {}
            b'Q' => {
                self.query(body);
                let status = self.status();
                self.say(b'Z', &[status]);
            }
            _ => {
                let failing = std::mem::take(&mut self.fail_next);
                let done = if failing { Err(Failure) } else { self.extended(kind, body) };
                if done.is_err() {
                    self.fail();
                    self.skipping = true;
                }
            }
        }
    }

    fn fail(&mut self) {
        self.say(b'E', b"SERROR\0C42000\0Mno\0\0");
        match self.block {
            Block::Implicit => self.end_implicit(false),
            Block::Open | Block::Failed => {
                self.block = Block::Failed;
                self.now = self.savepoints.last().copied().unwrap_or(self.base);
            }
        }
    }

    fn query(&mut self, mut body: &[u8]) {
        let asked = text(&mut body);
        self.statements.remove(&b""[..]);
        self.portals.remove(&b""[..]);
        if asked.starts_with(b"SELECT pg_catalog.current_setting(") {
            let login = asked.windows(16).any(|it| it == b"orgguard.session");
            let tenant = self.now.local.or(self.now.session).map(|org| match org {
                Org::A => A,
                Org::B => B,
            });
            assert!(self.block != Block::Failed, "a question to a failed block");
            self.say(b'T', b"\0\0");
            self.say(b'D', &row(login, tenant));
            self.say(b'C', b"SELECT 1\0");
            self.end_implicit(true);
            return;
        }
        let known = TEXTS.iter().find(|(text, _)| text.as_bytes() == asked);
        let failing = std::mem::take(&mut self.fail_next);
        let Some((_, steps)) = known.filter(|_| !failing) else {
            self.fail();
            return;
        };
        for step in *steps {
            if self.admits(*step).and_then(|()| self.run(*step, None, steps.len() > 1)).is_err() {
                self.fail();
                return;
            }
        }
        self.end_implicit(true);
    }

    /// A failed block takes only what ends it.
    fn admits(&self, step: Step) -> Result<(), Failure> {
        let ends = matches!(step, Step::Commit | Step::Rollback | Step::RollbackTo);
        if self.block == Block::Failed && !ends { Err(Failure) } else { Ok(()) }
    }

    fn extended(&mut self, kind: u8, mut body: &[u8]) -> Result<(), Failure> {
        match kind {
            b'P' => {
                let (own, asked) = (name(&text(&mut body)), text(&mut body));
                let known = TEXTS.iter().find(|(text, _)| text.as_bytes() == asked);
                let Some((_, [step])) = known else {
                    return Err(Failure);
                };
                self.admits(*step)?;
                if !own.is_empty() && self.statements.contains_key(&own) {
                    return Err(Failure);
                }
                self.statements.insert(own, *step);
                self.say(b'1', b"");
            }
            b'B' => self.bind(body)?,
            b'D' => self.describe(body)?,
            b'C' => {
                let statement = body[0] == b'S';
                body = &body[1..];
                let own = name(&text(&mut body));
                if statement {
                    self.statements.remove(&own);
                } else {
                    self.portals.remove(&own);
                }
                self.say(b'3', b"");
            }
            b'E' => {
                let own = name(&text(&mut body));
                let limited = body[..4] != [0; 4];
                let portal = self.portals.get(&own).cloned().ok_or(Failure)?;
                self.admits(portal.step)?;
                if let Step::Read(_) = portal.step {
                    self.read(portal.step, portal.parameter);
                    let complete: &[u8] = if portal.done { b"SELECT 0\0" } else { b"SELECT 1\0" };
                    if limited && !portal.done {
                        self.say(b's', b"");
                    } else {
                        self.say(b'C', complete);
                    }
                    self.ran = true;
                } else if portal.done {
                    return Err(Failure);
                } else {
                    self.run(portal.step, portal.parameter, false)?;
                }
                if let Some(portal) = self.portals.get_mut(&own) {
                    portal.done = !limited;
                }
            }
            other => panic!("the guard sent {:?}", char::from(other)),
        }
        Ok(())
    }

    fn bind(&mut self, mut body: &[u8]) -> Result<(), Failure> {
        let (portal, statement) = (name(&text(&mut body)), name(&text(&mut body)));
        let step = *self.statements.get(&statement).ok_or(Failure)?;
        self.admits(step)?;
        let formats = usize::from(u16::from_be_bytes([body[0], body[1]]));
        body = &body[2 + 2 * formats..];
        let values = u16::from_be_bytes([body[0], body[1]]);
        if usize::from(values) != usize::from(step == Step::Read(Rows::OfParameter)) {
            return Err(Failure);
        }
        let parameter = if values == 0 {
            None
        } else {
            let length = u32::from_be_bytes([body[2], body[3], body[4], body[5]]);
            let value = body.get(6..6usize.wrapping_add(length as usize)).unwrap_or_default();
            match (length, value) {
                (u32::MAX, _) => None,
                (_, value) if value == A.as_bytes() || value == [0x11; 16] => Some(Org::A),
                (16, [0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x41, ..]) => Some(Org::A),
                (_, value) if value == B.as_bytes() => Some(Org::B),
                (16, [0x22, ..]) => Some(Org::B),
                _ => return Err(Failure),
            }
        };
        if !portal.is_empty() && self.portals.contains_key(&portal) {
            return Err(Failure);
        }
        let made = Portal { step, parameter, hold: false, fresh: true, done: false };
        self.portals.insert(portal, made);
        self.say(b'2', b"");
        Ok(())
    }

    fn describe(&mut self, mut body: &[u8]) -> Result<(), Failure> {
        let statement = body[0] == b'S';
        body = &body[1..];
        let own = name(&text(&mut body));
        let step = if statement {
            *self.statements.get(&own).ok_or(Failure)?
        } else {
            self.portals.get(&own).ok_or(Failure)?.step
        };
        if statement {
            let types: &[u8] =
                if step == Step::Read(Rows::OfParameter) { b"\0\x01\0\0\x0b\x86" } else { b"\0\0" };
            self.say(b't', types);
        }
        self.say(if matches!(step, Step::Read(_)) { b'T' } else { b'n' }, b"\0\0");
        Ok(())
    }

    /// Rows of a guarded table come out: they must be those of the setting's organization.
    fn read(&self, step: Step, parameter: Option<Org>) {
        let Step::Read(rows) = step else {
            return;
        };
        let own = match rows {
            Rows::None => return,
            Rows::All => panic!("rows of every organization came out"),
            Rows::Of(org) => org,
            // Nothing equals NULL.
            Rows::OfParameter => match parameter {
                Some(org) => org,
                None => return,
            },
        };
        let setting = self.now.local.or(self.now.session);
        assert_eq!(Some(own), setting, "rows of another organization came out");
        assert!(!self.fixed || Some(own) == self.startup, "the session changed its organization");
    }

    fn run(&mut self, step: Step, parameter: Option<Org>, several: bool) -> Result<(), Failure> {
        let in_block = self.block != Block::Implicit;
        let tag: &[u8] = match step {
            Step::Read(_) => {
                self.read(step, parameter);
                b"SELECT 1\0"
            }
            Step::Begin => {
                if self.block == Block::Implicit {
                    self.block = Block::Open;
                }
                b"BEGIN\0"
            }
            Step::Commit => {
                let kept = self.block != Block::Failed;
                self.end(kept);
                if kept { b"COMMIT\0" } else { b"ROLLBACK\0" }
            }
            Step::Rollback => {
                self.end(false);
                b"ROLLBACK\0"
            }
            Step::Savepoint | Step::Release | Step::RollbackTo if !in_block => return Err(Failure),
            Step::Savepoint => {
                self.savepoints.push(self.now);
                b"SAVEPOINT\0"
            }
            Step::Release => {
                self.savepoints.pop().ok_or(Failure)?;
                b"RELEASE\0"
            }
            Step::RollbackTo => {
                self.now = *self.savepoints.last().ok_or(Failure)?;
                self.block = Block::Open;
                b"ROLLBACK\0"
            }
            Step::Set { local: true, org } => {
                self.now.local = Some(org);
                b"SET\0"
            }
            Step::Set { local: false, org } => {
                self.now = Setting { session: Some(org), local: None };
                b"SET\0"
            }
            Step::Reset => {
                self.now = Setting { session: self.startup, local: None };
                b"RESET\0"
            }
            _ => self.names(step, several)?,
        };
        self.ran = true;
        let tag = tag.to_vec();
        self.say(b'C', &tag);
        Ok(())
    }

    fn names(&mut self, step: Step, several: bool) -> Result<&'static [u8], Failure> {
        let in_block = self.block != Block::Implicit;
        Ok(match step {
            Step::Prepare(own, rows) => {
                if self.statements.contains_key(own.as_bytes()) {
                    return Err(Failure);
                }
                self.statements.insert(own.into(), Step::Read(rows));
                b"PREPARE\0"
            }
            Step::Execute(own, value) => {
                let step = *self.statements.get(own.as_bytes()).ok_or(Failure)?;
                if step != Step::Read(Rows::OfParameter) {
                    return Err(Failure);
                }
                self.read(step, Some(value));
                b"SELECT 1\0"
            }
            Step::Deallocate(Some(own)) => {
                self.statements.remove(own.as_bytes()).ok_or(Failure)?;
                b"DEALLOCATE\0"
            }
            Step::Deallocate(None) => {
                self.statements.retain(|own, _| own.is_empty());
                b"DEALLOCATE ALL\0"
            }
            Step::DiscardAll => {
                if in_block || self.ran || several {
                    return Err(Failure);
                }
                self.statements.retain(|own, _| own.is_empty());
                self.portals.clear();
                self.now = Setting { session: self.startup, local: None };
                b"DISCARD ALL\0"
            }
            Step::Declare { name, hold, rows } => {
                if (!in_block && !hold && !several) || self.portals.contains_key(name.as_bytes()) {
                    return Err(Failure);
                }
                let step = Step::Read(rows);
                let made = Portal { step, parameter: None, hold, fresh: true, done: false };
                self.portals.insert(name.into(), made);
                b"DECLARE CURSOR\0"
            }
            Step::Fetch(own) => {
                let portal = self.portals.get(own.as_bytes()).cloned().ok_or(Failure)?;
                self.read(portal.step, portal.parameter);
                b"FETCH 1\0"
            }
            Step::Close(own) => {
                self.portals.remove(own.as_bytes()).ok_or(Failure)?;
                b"CLOSE CURSOR\0"
            }
            _ => return Err(Failure),
        })
    }

    fn end_implicit(&mut self, kept: bool) {
        if self.block == Block::Implicit {
            self.end(kept);
        }
    }

    /// The transaction ends.
    fn end(&mut self, kept: bool) {
        self.now = if kept { Setting { local: None, ..self.now } } else { self.base };
        self.base = self.now;
        self.savepoints.clear();
        self.block = Block::Implicit;
        self.ran = false;
        self.portals.retain(|_, portal| portal.hold && (kept || !portal.fresh));
        for portal in self.portals.values_mut() {
            portal.fresh = false;
        }
    }
}
