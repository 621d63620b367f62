//! A guard in this process, and bytes by hand.
#![allow(dead_code, reason = "each test program uses its own part")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use orgguard::catalog::Policies;
use orgguard::config::{self, Listen, Overrides};
use orgguard::serve::{Readiness, serve};
use orgguard::telemetry::Telemetry;
use tokio::sync::oneshot;

/// A guard that runs until it is dropped.
pub(crate) struct Guard {
    address: SocketAddr,
    telemetry: Telemetry,
    shutdown: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Guard {
    /// Starts a guard with the standard configuration, this mode, and more lines of the file.
    pub(crate) fn start(mode: &str, upstream: SocketAddr, more: &str) -> Self {
        Self::start_at(mode, &upstream.to_string(), more)
    }

    /// The same with a server that is named in any way.
    pub(crate) fn start_at(mode: &str, upstream: &str, more: &str) -> Self {
        Self::start_text(&Self::text(mode, upstream, more))
    }

    /// The text of the standard configuration.
    pub(crate) fn text(mode: &str, upstream: &str, more: &str) -> String {
        format!(
            "mode = \"{mode}\"\nlisten = \"127.0.0.1:0\"\nupstream = \"{upstream}\"\n\
             [guard]\ntables = [\"org_*\"]\ntenant_column = \"organization_id\"\n\
             tenant_type = \"uuid\"\nsoft_delete_column = \"deleted_at\"\n\
             [tenant]\nsources = [\"setting\"]\nsetting = \"app.organization_id\"\n\
             rebinding = \"free\"\nunknown = \"structural\"\n{more}"
        )
    }

    /// Starts a guard with this configuration.
    pub(crate) fn start_text(text: &str) -> Self {
        let config = config::parse(text, &Overrides::default()).unwrap();
        let telemetry = Telemetry::new(config.mode, Arc::clone(&config.policy)).unwrap();
        let readiness = Readiness::default();
        let (shutdown, told) = oneshot::channel();
        let (own, ready) = (telemetry.clone(), readiness.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .worker_threads(2)
                .thread_stack_size(orgguard::analyze::READER_STACK)
                .build()
                .unwrap();
            let stop = async {
                let _ = told.await;
            };
            let policies = Policies::of(&config);
            runtime.block_on(serve(Arc::new(config), own, ready, policies, stop)).unwrap();
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let sockets = runtime.block_on(readiness.sockets());
        // Without TCP there is none, and nothing listens there.
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let address = sockets.iter().find_map(Listen::tcp).unwrap_or(nowhere);
        Self { address, telemetry, shutdown: Some(shutdown), thread: Some(thread) }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The value of a metric, its labels written out; 0 if it is not there.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = String::from_utf8(self.telemetry.render().unwrap()).unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().unwrap())
    }

    /// Tells the guard to drain.
    pub(crate) fn drain(&mut self) {
        drop(self.shutdown.take());
    }

    /// Waits until the guard has ended.
    pub(crate) fn join(&mut self) {
        self.thread.take().unwrap().join().unwrap();
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// A client that has logged in as `postgres`.
    pub(crate) fn login(&self) -> Client {
        let mut client = self.connect();
        client.send(&startup(&[("user", "postgres"), ("database", "postgres")]));
        client.until(b'Z');
        client
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.drain();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the guard failed");
        }
    }
}

/// A client that speaks the protocol by hand.
pub(crate) struct Client {
    stream: TcpStream,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        // So that a guard that says nothing fails the test instead of stopping it.
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self { stream }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let mut byte = [0];
        self.stream.read_exact(&mut byte).unwrap();
        byte[0]
    }

    /// Whether there is anything to read already.
    pub(crate) fn has_more(&self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).unwrap();
        peeked.is_ok()
    }

    /// The next message: kind and body.
    #[track_caller]
    pub(crate) fn message(&mut self) -> (u8, Vec<u8>) {
        let mut header = [0; 5];
        self.stream.read_exact(&mut header).unwrap();
        let length = u32::from_be_bytes(header[1..].try_into().unwrap());
        let mut body = vec![0; length as usize - 4];
        self.stream.read_exact(&mut body).unwrap();
        (header[0], body)
    }

    /// Messages up to one of this kind, in short.
    pub(crate) fn until(&mut self, kind: u8) -> Vec<String> {
        let mut shown = Vec::new();
        loop {
            let (got, body) = self.message();
            shown.push(shown_as(got, &body));
            if got == kind {
                return shown;
            }
        }
    }

    /// The answer to a simple query.
    pub(crate) fn query(&mut self, sql: &str) -> Vec<String> {
        self.send(&message(b'Q', format!("{sql}\0").as_bytes()));
        self.until(b'Z')
    }

    /// The same as `until`, of a connection that may end; `None` if it does.
    pub(crate) fn try_until(&mut self, kind: u8) -> Option<Vec<String>> {
        let mut shown = Vec::new();
        loop {
            let mut header = [0; 5];
            self.stream.read_exact(&mut header).ok()?;
            let length = u32::from_be_bytes(header[1..].try_into().unwrap());
            let mut body = vec![0; length as usize - 4];
            self.stream.read_exact(&mut body).ok()?;
            shown.push(shown_as(header[0], &body));
            if header[0] == kind {
                return Some(shown);
            }
        }
    }

    /// The answer to a simple query on a connection that may end; `None` if it does.
    pub(crate) fn try_query(&mut self, sql: &str) -> Option<Vec<String>> {
        self.stream.write_all(&message(b'Q', format!("{sql}\0").as_bytes())).ok()?;
        self.try_until(b'Z')
    }

    /// Closes, or resets the connection.
    pub(crate) fn leave(self, reset: bool) {
        if reset {
            let none = Some(Duration::ZERO);
            socket2::SockRef::from(&self.stream).set_linger(none).unwrap();
        }
    }

    /// What comes until the other side closes.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // A reset is a close too.
        let _ = self.stream.read_to_end(&mut bytes);
        bytes
    }
}

/// A message in short.
fn shown_as(kind: u8, body: &[u8]) -> String {
    match kind {
        b'E' => format!("E {}", field(body, b'C')),
        b'Z' => format!("Z {}", char::from(body[0])),
        b'C' => format!("C {}", String::from_utf8_lossy(&body[..body.len() - 1])),
        _ => char::from(kind).to_string(),
    }
}

/// A field of an ErrorResponse.
pub(crate) fn field(body: &[u8], kind: u8) -> String {
    let mut fields = body.split(|byte| *byte == 0);
    let found = fields.find(|field| field.first() == Some(&kind)).unwrap_or_default();
    String::from_utf8_lossy(found.get(1..).unwrap_or_default()).into_owned()
}

pub(crate) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind], &length.to_be_bytes()[..], body].concat()
}

pub(crate) fn parse(name: &str, sql: &str) -> Vec<u8> {
    message(b'P', format!("{name}\0{sql}\0\0\0").as_bytes())
}

pub(crate) fn bind(portal: &str, statement: &str, values: &[&str]) -> Vec<u8> {
    let mut body = format!("{portal}\0{statement}\0\0\0").into_bytes();
    body.extend_from_slice(&u16::try_from(values.len()).unwrap().to_be_bytes());
    for value in values {
        body.extend_from_slice(&u32::try_from(value.len()).unwrap().to_be_bytes());
        body.extend_from_slice(value.as_bytes());
    }
    body.extend_from_slice(b"\0\0");
    message(b'B', &body)
}

pub(crate) fn execute(portal: &str) -> Vec<u8> {
    message(b'E', format!("{portal}\0\0\0\0\0").as_bytes())
}

pub(crate) fn sync() -> Vec<u8> {
    message(b'S', b"")
}

pub(crate) fn flush() -> Vec<u8> {
    message(b'H', b"")
}

/// A startup packet of protocol 3.0.
pub(crate) fn startup(parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = 0x3_0000_u32.to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend_from_slice(format!("{name}\0{value}\0").as_bytes());
    }
    body.push(0);
    unkinded(&body)
}

/// A packet without a kind.
pub(crate) fn unkinded(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&length.to_be_bytes()[..], body].concat()
}
