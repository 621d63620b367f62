//! One client session as a state machine over decoded messages from both sides: its tenant, its
//! prepared statements and portals, its transaction, the gate and the refusal. It has no sockets.
//!
//! Two views of the session are kept: what the server has *confirmed* by its answers, and what is
//! *predicted* if everything sent succeeds. Within one group of messages (up to Sync, or one
//! simple query) later messages are judged on the prediction: if an earlier one fails, the server
//! skips them. A later group is not sent before the answer to the earlier one is complete
//! ([`ClientStep::Wait`]), so that nothing is judged on a guess. In audit nothing waits but
//! for a plan that is being made, and the bytes have passed by then.
//!
//! A refusal where something has run already (in a transaction block, or in a group with an
//! Execute) must abort the server's transaction: a message that fails takes the refused one's
//! place, and its error is replaced on the way back. Else the refusal is the guard's alone.

mod client;
mod copy;
mod effects;
mod event;
mod gate;
mod judge;
mod mask;
mod message;
mod mode;
mod modes;
mod names;
mod pipeline;
mod planned;
mod query;
mod readback;
mod refusal;
mod registry;
mod renew;
mod replace;
mod report;
mod schema;
mod server;
mod source;
mod tenant;

use std::borrow::Cow;
use std::sync::Arc;

pub use event::Event;
pub use gate::Permit;
pub use message::{FromClient, FromServer, RawBind, Status, Target, Values};
pub use mode::{Decision, MaskErrors, Mode, Rebinding, TenantRules, UnknownTenant};
pub use modes::{Exemption, Modes, Rollout, SessionModes, Who};
pub use planned::{Planned, Planner};
pub use readback::{Identity, SESSION_SETTING};
pub use refusal::{Refusal, fatal};
pub use source::{Capture, CertificateField, Client, Names, TenantSource};

use self::copy::Copying;
use self::effects::World;
use self::judge::Court;
use self::pipeline::Pipeline;
pub use self::pipeline::Room;
use self::registry::{Registry, Side};
use self::source::around_setting;
use self::tenant::{Scope, Setting};
use crate::policy::{Overlay, Settings};
use crate::sql::{Comment, Span};
use crate::tenant::TenantType;

/// What all sessions of a configuration go by.
#[derive(Clone, Debug)]
pub struct SessionRules {
    /// What is done with the session as a whole: whether it is audited, or judged before it is
    /// forwarded.
    pub mode: Mode,
    /// What is done with each violation.
    pub modes: SessionModes,
    /// How a session learns its tenant.
    pub tenant: TenantRules,
    /// The type of the tenant column.
    pub tenant_type: TenantType,
    /// Which settings a session may have.
    pub settings: Settings,
    /// Prepared statements and portals remembered.
    pub statements: usize,
    /// How much of the server's errors a client is shown.
    pub mask_errors: MaskErrors,
    /// In rewrite mode: tell what would be rewritten, and refuse it.
    pub dry_run: bool,
}

/// Bytes and events that a step makes; the caller owns the buffers and empties them.
#[derive(Debug, Default)]
pub struct Output {
    /// Messages of the guard to the client. They follow the server's message at hand.
    pub to_client: Vec<u8>,
    /// A question of the guard's own to the server, for [`ServerStep::Ask`].
    pub to_server: Vec<u8>,
    /// What there is to log and count.
    pub events: Vec<Event>,
}

/// What to do with a client's message.
#[derive(Debug)]
pub enum ClientStep {
    /// Send it upstream, unchanged.
    Forward(Permit),
    /// Send these bytes upstream instead.
    Instead(Permit, Cow<'static, [u8]>),
    /// Forget it.
    Drop,
    /// Keep it, read no more from the client, and offer it again after the server's next message,
    /// or when the planner has the plan that it did not give.
    Wait,
    /// End the session once [`Output::to_client`] is written.
    End,
}

/// What to do with a server's message.
#[derive(Debug)]
pub enum ServerStep {
    /// Send it to the client, unchanged.
    Forward,
    /// Forget it.
    Swallow,
    /// Forget it, and send [`Output::to_server`] to the server.
    Ask(Permit),
    /// Forget it and end the session once [`Output::to_client`] is written.
    End,
}

/// One session.
#[derive(Debug)]
pub struct Session {
    rules: Arc<SessionRules>,
    modes: SessionModes,
    /// Until the login is over.
    identity: Option<Box<Identity>>,
    confirmed: Scope,
    predicted: Scope,
    registry: Registry,
    /// What it has made or changed that the catalogue does not show.
    overlay: Overlay,
    pipeline: Pipeline,
    /// The first ReadyForQuery has come.
    logged_in: bool,
    /// A message of the extended protocol was refused or has failed: what comes before Sync is
    /// dropped, by the guard or by the server.
    skipping: bool,
    /// Something was executed in the current group.
    group_ran: bool,
    /// A statement that may change the catalogue has run, and its transaction has not ended.
    schema_touched: bool,
    /// The server reads COPY data and the client has not ended it.
    copy_in: bool,
    /// The COPY whose rows are being judged.
    copy: Option<Box<Copying>>,
    /// The server was made to fail a COPY: its error is replaced by this.
    copy_refused: Option<Box<Refusal>>,
    /// Audit only: the conversation is not followed any more.
    lost: bool,
    /// ReadyForQuery messages after login.
    groups: u64,
}

impl Session {
    /// The session of a client.
    #[must_use]
    pub fn new(rules: Arc<SessionRules>, identity: Identity, client: &Client<'_>) -> Self {
        let around = around_setting(&rules.tenant.sources, client, rules.tenant_type);
        let startup = match &identity.setting {
            Some(text) if rules.tenant.setting.is_some() => Setting::read(text, rules.tenant_type),
            Some(_) | None => Setting::Unset,
        };
        let scope = Scope::new(startup, gate::refuses(rules.mode)).between(around);
        Self {
            registry: Registry::new(rules.statements),
            overlay: Overlay::default(),
            modes: rules.modes.clone(),
            rules,
            identity: Some(Box::new(identity)),
            confirmed: scope.clone(),
            predicted: scope,
            pipeline: Pipeline::default(),
            logged_in: false,
            skipping: false,
            group_ran: false,
            schema_touched: false,
            copy_in: false,
            copy: None,
            copy_refused: None,
            lost: false,
            groups: 0,
        }
    }

    /// Whether the first ReadyForQuery has come.
    #[must_use]
    pub const fn is_logged_in(&self) -> bool {
        self.logged_in
    }

    /// The first ReadyForQuery has come. What only a login is held against is not kept.
    fn log_in(&mut self) {
        self.logged_in = true;
        self.identity = None;
    }

    /// Whether no answer is outstanding and no transaction block is open.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.logged_in
            && self.pipeline.is_empty()
            && !self.confirmed.in_block()
            && !self.skipping
            && !self.group_ran
    }

    /// How many prepared statements and how many portals are remembered.
    #[must_use]
    pub fn remembered(&self) -> (usize, usize) {
        self.registry.counts()
    }

    /// Whether anything that was sent is still to be answered.
    #[must_use]
    pub fn has_outstanding(&self) -> bool {
        !self.pipeline.is_empty()
    }

    /// Whether it has room for answers outstanding.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.pipeline.has_room()
    }

    /// Takes room for answers outstanding, if it has none.
    pub fn borrow_room(&mut self, spare: &mut Vec<Room>) {
        self.pipeline.borrow_room(spare);
    }

    /// Gives that room back if no answer is outstanding; at most so many are kept.
    pub fn give_back_room(&mut self, spare: &mut Vec<Room>, most: usize) {
        self.pipeline.give_back_room(spare, most);
    }

    /// For how many answers it has room.
    #[cfg(test)]
    pub(crate) fn room(&self) -> usize {
        self.pipeline.room()
    }

    /// Whether the server has something to answer; it may be waiting for the rest of it.
    #[must_use]
    pub fn is_answering(&self) -> bool {
        self.has_outstanding() && !self.copy_in
    }

    /// How many groups of messages the server has answered, ReadyForQuery included.
    #[must_use]
    pub const fn groups(&self) -> u64 {
        self.groups
    }

    /// Whether the conversation is not followed any more (audit only).
    #[must_use]
    pub const fn is_lost(&self) -> bool {
        self.lost
    }

    /// Whether an ErrorResponse of the server must be there, as a whole or in its beginning, before
    /// it can be passed on.
    #[must_use]
    pub fn reads_errors(&self) -> bool {
        gate::refuses(self.rules.mode) && !matches!(self.rules.mask_errors, MaskErrors::Off)
    }

    fn court(&self) -> Court<'_> {
        Court {
            rules: &self.rules.tenant,
            tenant_type: self.rules.tenant_type,
            scope: &self.predicted,
            registry: &self.registry,
            comment: None,
            pooled: self.rules.settings.pooled,
        }
    }

    /// The court for a text, whose comments may name its tenant.
    fn court_of(&self, text: Option<&Planned>) -> Court<'_> {
        let comment = match text.map(|text| text.plan().comment()) {
            None | Some(Comment::None) => None,
            Some(Comment::Value(value)) => Some(source::read(value, self.rules.tenant_type)),
            Some(Comment::Unclear) => Some(Setting::Unknown),
        };
        Court { comment, ..self.court() }
    }

    fn world(&mut self, side: Side) -> World<'_> {
        World {
            side,
            rules: &self.rules.tenant,
            tenant_type: self.rules.tenant_type,
            scope: match side {
                Side::Confirmed => &mut self.confirmed,
                Side::Predicted => &mut self.predicted,
            },
            registry: &mut self.registry,
        }
    }

    /// The conversation cannot be followed: audit relays blindly from here, other modes end the
    /// session. Whether it ends.
    #[cold]
    pub fn lose(&mut self, reason: &'static str, out: &mut Output) -> bool {
        if self.lost {
            return false;
        }
        out.events.push(Event::Lost { reason });
        match self.rules.mode {
            Mode::Audit => {
                self.lost = true;
                false
            }
            Mode::Enforce | Mode::Rewrite => {
                let message = format!("orgguard: protocol violation: {reason}");
                fatal(&mut out.to_client, "08P01", &message, None);
                true
            }
        }
    }
}
