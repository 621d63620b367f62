use std::time::{Duration, SystemTime};

use prometheus::IntGauge;

use super::metrics::Telemetry;
use super::pace::Turn;
use super::peer::Peer;
use super::text::StatementText;
use crate::analyze::{Advice, Kind, Outcome, Plan, StatementPlan, Violation};
use crate::rewrite::Injection;
use crate::session::{Decision, Mode};

/// What a log says about the session an event belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionLabels {
    /// The database role that the client logged in as.
    pub role: Box<str>,
    /// The database.
    pub database: Box<str>,
    /// `application_name` as the client gave it; empty if it gave none.
    pub application_name: Box<str>,
    /// The client's address.
    pub client: Peer,
}

/// A statement got its verdict and its decision.
#[derive(Clone, Copy, Debug)]
pub struct StatementJudged {
    /// The kind of statement.
    pub kind: Kind,
    /// The verdict in one word.
    pub outcome: Outcome,
    /// What was done.
    pub decision: Decision,
}

impl StatementJudged {
    /// Counts it.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.count_statement(self.kind, self.outcome, self.decision);
    }
}

/// A statement that was to run violates a rule.
#[derive(Clone, Copy, Debug)]
pub struct ViolationFound<'a> {
    /// The violation.
    pub violation: &'a Violation,
    /// The mode that decided.
    pub mode: Mode,
    /// The exemption that let it pass.
    pub exemption: Option<&'a str>,
    /// The session.
    pub session: &'a SessionLabels,
    /// The whole text. Its literals are removed before anything is logged.
    pub text: &'a StatementText<'a>,
}

impl ViolationFound<'_> {
    /// Counts it, notes it in the ledger unless it is exempt, and logs it unless the same statement was logged a moment
    /// ago.
    pub fn emit(&self, telemetry: &Telemetry) {
        let Violation { rule, table, span, detail: _, hint: _ } = self.violation;
        let table = table.as_deref();
        telemetry.count_violation(rule.name(), table, self.mode);
        if self.exemption.is_none() {
            let who = (self.session, self.mode);
            telemetry.ledger().note(self.text, self.violation, who, SystemTime::now());
        }
        let key = [rule.name(), table.unwrap_or_default()];
        let Turn::Log { suppressed } = telemetry.pace().turn(self.text.fingerprint(), &key) else {
            return;
        };
        tracing::warn!(
            target: "orgguard::violation",
            rule = rule.name(),
            table = table.unwrap_or_default(),
            position = self.text.position(*span),
            mode = self.mode.name(),
            exemption = self.exemption.unwrap_or_default(),
            role = &*self.session.role,
            database = &*self.session.database,
            application_name = &*self.session.application_name,
            client = %self.session.client,
            statement = &*self.text.normal().text,
            fingerprint = format_args!("{:016x}", self.text.fingerprint()),
            suppressed,
            "violation"
        );
    }
}

/// A statement was admitted with an advice.
#[derive(Clone, Copy, Debug)]
pub struct AdviceGiven<'a> {
    /// The advice.
    pub advice: &'a Advice,
    /// The session.
    pub session: &'a SessionLabels,
    /// The whole text. Its literals are removed before anything is logged.
    pub text: &'a StatementText<'a>,
}

impl AdviceGiven<'_> {
    /// Counts it, and logs it unless the same statement was logged a moment ago.
    pub fn emit(&self, telemetry: &Telemetry) {
        let Advice { rule, table, span, detail } = self.advice;
        telemetry.count_advice(rule.name());
        let key = ["advice", rule.name(), table];
        let Turn::Log { suppressed } = telemetry.pace().turn(self.text.fingerprint(), &key) else {
            return;
        };
        tracing::info!(
            target: "orgguard::advice",
            rule = rule.name(),
            table = &**table,
            detail = &**detail,
            position = self.text.position(*span),
            role = &*self.session.role,
            database = &*self.session.database,
            application_name = &*self.session.application_name,
            client = %self.session.client,
            statement = &*self.text.normal().text,
            fingerprint = format_args!("{:016x}", self.text.fingerprint()),
            suppressed,
            "advice"
        );
    }
}

/// A condition or value was put into a statement.
#[derive(Clone, Copy, Debug)]
pub struct StatementRewritten<'a> {
    /// What was put in, and why.
    pub injection: &'a Injection,
    /// Whether it was sent so; else it would have been (`dry_run`).
    pub sent: bool,
    /// The session.
    pub session: &'a SessionLabels,
    /// The client's whole text. Its literals are removed before anything is logged.
    pub text: &'a StatementText<'a>,
}

impl StatementRewritten<'_> {
    /// Counts it, and logs it unless the same statement was logged a moment ago.
    pub fn emit(&self, telemetry: &Telemetry) {
        let Injection { rule, table, span } = self.injection;
        telemetry.count_rewrite(rule.name(), table, self.sent);
        let key = ["rewrite", rule.name(), table];
        let Turn::Log { suppressed } = telemetry.pace().turn(self.text.fingerprint(), &key) else {
            return;
        };
        tracing::info!(
            target: "orgguard::rewrite",
            rule = rule.name(),
            table = &**table,
            sent = self.sent,
            position = self.text.position(*span),
            role = &*self.session.role,
            database = &*self.session.database,
            application_name = &*self.session.application_name,
            client = %self.session.client,
            statement = &*self.text.normal().text,
            fingerprint = format_args!("{:016x}", self.text.fingerprint()),
            suppressed,
            "rewrite"
        );
    }
}

/// A text not yet known was planned.
#[derive(Clone, Copy, Debug)]
pub struct TextPlanned<'a> {
    /// Its plan.
    pub plan: &'a Plan,
    /// How long that took.
    pub took: Duration,
}

impl TextPlanned<'_> {
    /// Counts it, and whether its readings disagree, and notes in the ledger which guarded tables it uses.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.handles().analysis.observe(self.took.as_secs_f64());
        if let Some(disagreement) = self.plan.disagreement() {
            telemetry.count_disagreement(disagreement);
        }
        let statements = self.plan.statements().iter();
        telemetry.note_text(statements.flat_map(StatementPlan::guarded_tables));
    }
}

/// A client connected.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionOpened {
    /// The client's address.
    pub client: Peer,
}

impl ConnectionOpened {
    /// Counts the connection until the returned value is dropped.
    #[must_use = "the connection counts as open until this is dropped"]
    pub fn emit(&self, telemetry: &Telemetry) -> OpenConnection {
        telemetry.handles().connections.inc();
        telemetry.handles().connections_opened.inc();
        tracing::debug!(target: "orgguard::connection", client = %self.client, "opened");
        OpenConnection { telemetry: telemetry.clone(), client: self.client }
    }
}

/// A connection counted as open; dropping it counts it as closed.
#[derive(Debug)]
pub struct OpenConnection {
    telemetry: Telemetry,
    client: Peer,
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.telemetry.handles().connections.dec();
        tracing::debug!(target: "orgguard::connection", client = %self.client, "closed");
    }
}

/// The prepared statements and portals that one session remembers; dropping it takes them out of
/// the gauges again.
#[derive(Debug)]
pub struct Remembered {
    telemetry: Telemetry,
    statements: usize,
    portals: usize,
}

impl Remembered {
    /// Of a session that remembers none yet.
    #[must_use]
    pub fn none(telemetry: &Telemetry) -> Self {
        Self { telemetry: telemetry.clone(), statements: 0, portals: 0 }
    }

    /// The session remembers so many now.
    pub fn update(&mut self, statements: usize, portals: usize) {
        let handles = self.telemetry.handles();
        move_gauge(&handles.prepared_statements, &mut self.statements, statements);
        move_gauge(&handles.portals, &mut self.portals, portals);
    }
}

impl Drop for Remembered {
    fn drop(&mut self) {
        self.update(0, 0);
    }
}

/// Moves a gauge that many sessions share by the change of one.
fn move_gauge(gauge: &IntGauge, was: &mut usize, now: usize) {
    if *was != now {
        let up = i64::try_from(now.saturating_sub(*was)).unwrap_or(i64::MAX);
        let down = i64::try_from(was.saturating_sub(now)).unwrap_or(i64::MAX);
        gauge.add(up.saturating_sub(down));
        *was = now;
    }
}

/// Why a client connection was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusedReason {
    /// The guard is shutting down.
    Draining,
    /// As many connections as the limit allows.
    Limit,
    /// As many connections of one address as the limit allows.
    LimitOfAddress,
    /// As many connections of one role as the limit allows.
    LimitOfRole,
    /// The client did not prove who it is, or the guard could not log in for it.
    Login,
    /// Not ready in time.
    LoginTimeout,
    /// Bytes that are not the protocol.
    Protocol,
    /// A startup parameter that the guard does not let through.
    Startup,
    /// The TLS handshake failed.
    Tls,
    /// TLS is required and the client did not ask for it.
    TlsRequired,
    /// The server could not be reached.
    Upstream,
}

impl RefusedReason {
    /// The metric label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::Limit => "limit",
            Self::LimitOfAddress => "limit_of_address",
            Self::LimitOfRole => "limit_of_role",
            Self::Login => "login",
            Self::LoginTimeout => "login_timeout",
            Self::Protocol => "protocol",
            Self::Startup => "startup",
            Self::Tls => "tls",
            Self::TlsRequired => "tls_required",
            Self::Upstream => "upstream",
        }
    }
}

/// A client connection was refused, or given up before it was ready.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionRefused {
    /// Why.
    pub reason: RefusedReason,
    /// The client's address.
    pub client: Peer,
}

impl ConnectionRefused {
    /// Counts and logs it.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.count_refused_connection(self.reason.name());
        tracing::warn!(
            target: "orgguard::connection",
            reason = self.reason.name(),
            client = %self.client,
            "refused"
        );
    }
}

/// From where bytes came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Client to server.
    FromClient,
    /// Server to client.
    FromServer,
}

/// Bytes were relayed.
#[derive(Clone, Copy, Debug)]
pub struct BytesRelayed {
    /// From where.
    pub direction: Direction,
    /// How many.
    pub bytes: u64,
}

impl BytesRelayed {
    /// Counts them.
    pub fn emit(&self, telemetry: &Telemetry) {
        let handles = telemetry.handles();
        match self.direction {
            Direction::FromClient => handles.bytes_from_client.inc_by(self.bytes),
            Direction::FromServer => handles.bytes_from_server.inc_by(self.bytes),
        }
    }
}

/// Who ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndedBy {
    /// The client said goodbye or left.
    Client,
    /// The server closed the connection.
    Upstream,
    /// The guard: it is shutting down, a limit was reached, or the protocol was broken.
    Guard,
}

impl EndedBy {
    /// The metric label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Upstream => "upstream",
            Self::Guard => "guard",
        }
    }
}

/// A session that had begun has ended.
#[derive(Clone, Copy, Debug)]
pub struct SessionEnded {
    /// By whom.
    pub by: EndedBy,
    /// The client's address.
    pub client: Peer,
}

impl SessionEnded {
    /// Counts it, and logs what was nobody's wish.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.count_ended(self.by.name());
        if self.by != EndedBy::Client {
            tracing::info!(
                target: "orgguard::connection",
                by = self.by.name(),
                client = %self.client,
                "session ended"
            );
        }
    }
}

/// A session goes on on another thread.
#[derive(Clone, Copy, Debug)]
pub struct SessionMoved;

impl SessionMoved {
    /// Counts it.
    pub fn emit(self, telemetry: &Telemetry) {
        telemetry.handles().session_moves.inc();
    }
}

/// An audited session cannot be followed any more: its bytes pass, nothing is judged.
#[derive(Clone, Copy, Debug)]
pub struct FramingLost {
    /// From where the bytes came that could not be followed.
    pub direction: Direction,
    /// The client's address.
    pub client: Peer,
}

impl FramingLost {
    /// Counts and logs it.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.handles().framing_lost.inc();
        tracing::warn!(
            target: "orgguard::connection",
            direction = ?self.direction,
            client = %self.client,
            "framing lost, relaying blindly"
        );
    }
}

/// Why a message passed in audit mode without a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnjudgedReason {
    /// Larger than the message limit.
    Oversized,
    /// The queue of messages to judge was full.
    QueueFull,
}

impl UnjudgedReason {
    /// The metric label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Oversized => "oversized",
            Self::QueueFull => "queue_full",
        }
    }
}

/// A message passed in audit mode without a verdict.
#[derive(Clone, Copy, Debug)]
pub struct MessageUnjudged {
    /// Why.
    pub reason: UnjudgedReason,
}

impl MessageUnjudged {
    /// Counts it.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.count_unjudged(self.reason.name());
    }
}

/// Where the plan of a text was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cached {
    /// Under the text itself.
    Text,
    /// Under another text of the same shape.
    Shape,
    /// Nowhere: it had to be made.
    Not,
}

/// A text was looked up in the plan cache.
#[derive(Clone, Copy, Debug)]
pub struct PlanCached {
    /// Where its plan was found.
    pub cached: Cached,
}

impl PlanCached {
    /// Counts it.
    pub fn emit(&self, telemetry: &Telemetry) {
        let handles = telemetry.handles();
        match self.cached {
            Cached::Text => handles.plan_cache_hits.inc(),
            Cached::Shape => {
                handles.plan_cache_hits.inc();
                handles.plan_cache_shape_hits.inc();
            }
            Cached::Not => handles.plan_cache_misses.inc(),
        }
    }
}
