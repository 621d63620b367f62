use std::any::Any;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::certificate;
use super::conversation::Conversation;
use super::greet::{Encryption, Greeting, Ungreeted, farewell, greet, say};
use super::login::{Login, NotLoggedIn, TOO_LONG, UNREACHED, log_in, relay_unbound};
use super::patience::{Doing, Drain, Expired, Patience, Watch};
use super::plans::Plans;
use super::quota::{Counted, Quota};
use super::relay::{Ended, Relay};
use super::socket::Socket;
use super::startup::{Built, Startup, Unwelcome};
use super::stream::Stream;
use super::teller::Teller;
use super::terms::Terms;
use super::upstream::Upstream;
use crate::catalog::Policies;
use crate::config::Config;
use crate::session::{self, Identity, Mode, Session, SessionRules, fatal};
use crate::telemetry::{
    ConnectionRefused, EndedBy, Peer, RefusedReason, Remembered, SessionEnded, SessionLabels,
    Telemetry,
};

/// For handing a cancel request to the server.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// One client's connection, from its greeting to its end.
#[derive(Debug)]
#[repr(C)]
pub struct Connection {
    /// Where it tells of itself, at every message.
    pub telemetry: Telemetry,
    /// The configuration.
    pub config: Arc<Config>,
    /// What its session goes by.
    pub rules: Arc<SessionRules>,
    /// What statements are planned under.
    pub policies: Policies,
    /// The database servers.
    pub upstream: Upstream,
    /// How clients log in.
    pub login: Login,
    /// TLS towards clients, if there is any.
    pub encryption: Option<Encryption>,
    /// The client's address.
    pub client: Peer,
    /// Drawn for this session, from 0 to 99: a mode may be for a share of sessions.
    pub lot: u8,
    /// How many connections each role may have.
    pub roles: Quota<Box<str>>,
    /// Whether sessions are to end.
    pub drain: watch::Receiver<Drain>,
    /// What counts the connection for as long as it is there.
    pub held: Box<dyn Any + Send + Sync>,
}

/// A session whose login is the relay's business, or over. All that it keeps while it says nothing
/// is here, once: a future has room for whatever is moved into it, before and after.
struct Ongoing {
    relay: Relay<Teller>,
    _counted: Counted<Box<str>>,
}

/// A session that has left its thread, and goes on wherever it is resumed.
pub struct Parted(Box<Ongoing>);

impl fmt::Debug for Parted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parted").finish_non_exhaustive()
    }
}

impl Parted {
    /// Goes on with the session on the current thread, until it ends or leaves that too.
    pub async fn resume(mut self) -> Option<Self> {
        self.0.relay.come_along();
        self.0.serve().await
    }
}

impl Connection {
    /// Serves the client until its session ends, or is to go on on another thread.
    pub fn run(
        self,
        stream: Socket,
        planner: Box<dyn Plans + Send>,
    ) -> impl Future<Output = Option<Parted>> + Send {
        // What is done once, here and in the end, has a place of its own, which is given back.
        let beginning = Box::pin(self.begin(stream, planner));
        async move { beginning.await?.serve().await }
    }

    /// Everything up to the relay; `None` if there is to be no session.
    async fn begin(self, stream: Socket, planner: Box<dyn Plans + Send>) -> Option<Box<Ongoing>> {
        let deadline = Instant::now()
            .checked_add(self.config.limits.login_timeout)
            .unwrap_or_else(Instant::now);
        let limit = self.config.limits.startup_bytes;
        let greeted = {
            // It holds the socket, so that a client is counted before its connection closes.
            let mut greeting = pin!(greet(stream, self.encryption.as_ref(), limit));
            let greeted = timeout_at(deadline, &mut greeting).await;
            if greeted.is_err() {
                self.refused(RefusedReason::LoginTimeout);
            }
            greeted
        };
        match greeted {
            Err(_) => {}
            Ok(Ok(Greeting::Gone)) => {}
            Ok(Ok(Greeting::Cancel(client, request))) => {
                let _ = timeout_at(deadline, self.cancel(client, &request)).await;
            }
            Ok(Ok(Greeting::Startup(client, startup))) => {
                return self.start(client, startup, planner, deadline).await;
            }
            Ok(Err(Ungreeted::Protocol)) => self.refused(RefusedReason::Protocol),
            Ok(Err(Ungreeted::Tls)) => self.refused(RefusedReason::Tls),
            Ok(Err(Ungreeted::TlsRequired)) => self.refused(RefusedReason::TlsRequired),
            Ok(Err(Ungreeted::Io(error))) => {
                tracing::debug!(client = %self.client, %error, "lost before its startup packet");
            }
        }
        None
    }

    fn refused(&self, reason: RefusedReason) {
        ConnectionRefused { reason, client: self.client }.emit(&self.telemetry);
    }

    /// Hands a cancel request on as it is: keys are never altered, so it reaches its backend.
    async fn cancel(&self, mut client: Stream, request: &[u8]) {
        match self.upstream.cancel(request).await {
            // Only when the server has dealt with it does the client learn that it is done.
            Ok(()) => {
                let _ = client.shutdown().await;
            }
            Err(_) => self.refused(RefusedReason::Upstream),
        }
    }

    async fn start(
        mut self,
        mut client: Stream,
        startup: Startup,
        planner: Box<dyn Plans + Send>,
        deadline: Instant,
    ) -> Option<Box<Ongoing>> {
        let remembered = Remembered::none(&self.telemetry);
        let labels = Arc::new(self.labels(&startup));
        self.rules = planner.begin(&labels, self.lot, &self.rules);
        let teller = Teller { connection: self, labels, remembered };
        let this = &teller.connection;
        let mark = mark();
        let Built { packet, later } = match this.packet(&startup, &teller, &mark) {
            Ok(built) => built,
            Err(words) => {
                say(&mut client, &words).await;
                return None;
            }
        };
        let role: Box<str> = startup.parameter("user").unwrap_or_default().into();
        let Some(counted) = this.roles.take(&role) else {
            let why = "orgguard: too many connections for this role";
            this.turn_away(&mut client, RefusedReason::LimitOfRole, "53300", why).await;
            return None;
        };
        let mut server = match this.connect(&packet, deadline).await {
            Ok(server) => server,
            Err(reason) => {
                this.turn_away(&mut client, reason, "08006", UNREACHED).await;
                return None;
            }
        };
        let logged_in = timeout_at(deadline, this.log_in(&mut client, &mut server, &role)).await;
        if let Some(reason) = logged_in.map_or(Some(NotLoggedIn::Late), Result::err) {
            this.not_logged_in(&mut client, &role, reason).await;
            return None;
        }
        let tenant = this.rules.tenant.setting.as_deref();
        let setting = tenant.and_then(|setting| startup.setting(setting));
        let identity = Identity { setting, role: role.to_string(), mark, later };
        let certificate = client.certificate().map(certificate::names).unwrap_or_default();
        let known = session::Client { role: &role, database: startup.database(), certificate };
        let (mode, limit) = (this.rules.mode, this.config.limits.message_bytes);
        let session = Session::new(Arc::clone(&this.rules), identity, &known);
        let conversation = Conversation::new(session, mode, limit);
        let limits = &this.config.limits;
        let patience = Patience { idle: limits.idle_timeout, statement: limits.statement_timeout };
        let watch = Watch::new(patience, Instant::now());
        let terms = Terms::new(deadline, watch, this.drain.clone());
        let relay = Relay::new((client, server), conversation, planner, teller, terms);
        Some(Box::new(Ongoing { relay, _counted: counted }))
    }

    /// Tells a client why there is no session.
    async fn turn_away(&self, client: &mut Stream, reason: RefusedReason, code: &str, why: &str) {
        self.refused(reason);
        let mut bytes = Vec::new();
        fatal(&mut bytes, code, why, None);
        say(client, &bytes).await;
    }

    /// The packet for the server, or what the client is told instead.
    fn packet(&self, startup: &Startup, witness: &Teller, mark: &str) -> Result<Built, Vec<u8>> {
        let as_it_came = || Built { packet: startup.raw.clone(), later: Vec::new() };
        match (self.admit(startup, mark), self.rules.mode) {
            (Ok(_), Mode::Audit) => Ok(as_it_came()),
            (Err(unwelcome), Mode::Audit) => {
                witness.unwelcome(&unwelcome);
                Ok(as_it_came())
            }
            (Ok(built), Mode::Enforce | Mode::Rewrite) => Ok(built),
            (Err(unwelcome), Mode::Enforce | Mode::Rewrite) => {
                if unwelcome.parameter.is_some() {
                    witness.unwelcome(&unwelcome);
                }
                self.refused(RefusedReason::Startup);
                let mut bytes = Vec::new();
                let hint = "leave it out, or let the guard's configuration allow it";
                let hint = unwelcome.parameter.is_some().then_some(hint);
                fatal(&mut bytes, unwelcome.code, &unwelcome.message, hint);
                Err(bytes)
            }
        }
    }

    /// The packet for the server, if nothing in it keeps a session from being judged.
    fn admit(&self, startup: &Startup, mark: &str) -> Result<Built, Unwelcome> {
        let built = startup.build(&self.config.policy.settings, mark)?;
        let database = startup.database();
        if !self.policies.is_of(database) {
            let why = "names another database than the one whose catalogue the guard reads";
            return Err(Unwelcome::parameter("database", why));
        }
        match self.bent_setting(startup, &built) {
            Some(setting) => Err(Unwelcome::setting(&setting)),
            None => Ok(built),
        }
    }

    /// A setting on which the guard relies, to which the role or database gives another value
    /// (ALTER ROLE, ALTER DATABASE … SET), and which the packet does not override.
    fn bent_setting(&self, startup: &Startup, built: &Built) -> Option<Box<str>> {
        let policy = self.policies.current().policy;
        let catalog = policy.catalog.as_ref()?;
        let role = startup.parameter("user").unwrap_or_default();
        let mut broken = catalog.broken_pins(role, &policy.settings);
        let found = broken.find(|setting| !built.sets(&setting.name));
        found.map(|setting| setting.name.clone())
    }

    async fn connect(&self, packet: &[u8], deadline: Instant) -> Result<Stream, RefusedReason> {
        let connect = async {
            let mut server = self.upstream.connect().await?;
            server.write_all(packet).await?;
            server.flush().await?;
            Ok::<_, std::io::Error>(server)
        };
        match timeout_at(deadline, connect).await {
            Ok(Ok(server)) => Ok(server),
            Ok(Err(error)) => {
                tracing::warn!(upstream = ?self.upstream, %error, "no server");
                Err(RefusedReason::Upstream)
            }
            Err(_) => Err(RefusedReason::LoginTimeout),
        }
    }

    fn ended(&self, by: EndedBy) {
        SessionEnded { by, client: self.client }.emit(&self.telemetry);
    }

    /// Cancels what a session's backend is doing: closing the connection would not stop it.
    async fn cancel_statement(&self, key: &[u8]) {
        const CANCEL: [u8; 4] = 80_877_102_u32.to_be_bytes();
        let length = u32::try_from(key.len().saturating_add(8)).unwrap_or(u32::MAX);
        let request = [&length.to_be_bytes()[..], &CANCEL, key].concat();
        let cancelled = timeout(CANCEL_TIMEOUT, self.upstream.cancel(&request)).await;
        if !matches!(cancelled, Ok(Ok(()))) {
            tracing::warn!(client = %self.client, "a statement could not be cancelled");
        }
    }

    /// Logs in where that is not the relay's business.
    async fn log_in(
        &self,
        client: &mut Stream,
        server: &mut Stream,
        role: &str,
    ) -> Result<(), NotLoggedIn> {
        match &self.login {
            Login::Relay if server.is_encrypted() && !client.is_encrypted() => {
                relay_unbound(client, server).await
            }
            Login::Relay => Ok(()),
            Login::Guard(roll) => {
                let encryption = self.encryption.as_ref().filter(|_| client.is_encrypted());
                let binding = encryption.map(Encryption::binding);
                log_in(client, server, roll, role, binding).await
            }
        }
    }

    async fn not_logged_in(&self, client: &mut Stream, role: &str, reason: NotLoggedIn) {
        if let Some((refused, words)) = reason.told(self.client, role) {
            self.refused(refused);
            say(client, &words).await;
        }
    }

    fn labels(&self, startup: &Startup) -> SessionLabels {
        let role = startup.parameter("user").unwrap_or_default();
        let application_name = startup.setting("application_name").unwrap_or_default();
        SessionLabels {
            role: role.into(),
            database: startup.database().into(),
            application_name: application_name.into(),
            client: self.client,
        }
    }
}

impl Ongoing {
    async fn serve(mut self: Box<Self>) -> Option<Parted> {
        let Some(ended) = poll_fn(|context| self.relay.poll(context)).await.transpose() else {
            return Some(Parted(self));
        };
        Box::pin(self.end(ended)).await;
        None
    }

    /// Says why the session has ended, where that is not plain.
    async fn end(self: Box<Self>, ended: std::io::Result<Ended>) {
        let Relay { mut client, server, conversation, witness, .. } = self.relay;
        let this = &witness.connection;
        match ended {
            Ok(Ended::Closed(by)) => {
                this.ended(by);
                drop(server);
                farewell(&mut client).await;
            }
            Ok(Ended::Expired(expired)) => {
                this.ended(EndedBy::Guard);
                drop(server);
                if expired == Expired::Statement {
                    this.cancel_statement(conversation.key()).await;
                }
                say(&mut client, &conversation.to_client).await;
            }
            Ok(Ended::Stopped) => {
                this.ended(EndedBy::Guard);
                drop(server);
                if conversation.doing() == Doing::Statement {
                    this.cancel_statement(conversation.key()).await;
                }
                say(&mut client, &conversation.to_client).await;
            }
            Ok(Ended::LoginTimeout) => {
                let reason = RefusedReason::LoginTimeout;
                this.turn_away(&mut client, reason, "08006", TOO_LONG).await;
            }
            Err(error) => {
                this.ended(EndedBy::Client);
                tracing::debug!(client = %this.client, %error, "session lost");
            }
        }
    }
}

/// A text that no other session of this process has, nor one of another process at this time. It is
/// no secret.
fn mark() -> String {
    static SESSIONS: AtomicU64 = AtomicU64::new(0);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let number = SESSIONS.fetch_add(1, Ordering::Relaxed);
    format!("{:x}-{:x}-{number:x}", std::process::id(), since.as_nanos())
}

/// Tells a client that is not served why, and closes.
pub async fn refuse(stream: Socket, code: &str, message: &str) {
    let mut bytes = Vec::new();
    fatal(&mut bytes, code, message, None);
    say(&mut Stream::Plain(stream), &bytes).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size<F>(_: impl FnOnce(Connection, Socket, Box<dyn Plans + Send>) -> F) -> usize {
        size_of::<F>()
    }

    /// docs/performance.md tells what a session that says nothing costs; most of it is this.
    #[test]
    fn a_session_is_small() {
        let own = size(|connection, stream, planner| connection.run(stream, planner));
        let sizes = [own, size_of::<Ongoing>(), Terms::size_of_wait()];
        assert!(sizes.iter().sum::<usize>() <= 1_480, "{sizes:?} bytes");
    }
}
