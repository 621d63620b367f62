//! Bytes that are no honest client: what the guard says, and that nothing of them goes upstream.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/guard.rs"]
mod guard;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::Duration;

use guard::{Client, Guard, field, message, startup, unkinded};

const SSL: u32 = 80_877_103;
const GSSENC: u32 = 80_877_104;

/// A server that lets everybody in, answers each simple query with one tag, and remembers every
/// byte it got.
struct FakeServer {
    address: SocketAddr,
    got: Arc<Mutex<Vec<u8>>>,
}

impl FakeServer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let got = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&got);
        // The thread ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, all) = (stream.unwrap(), Arc::clone(&all));
                std::thread::spawn(move || {
                    let mut buffer = [0; 4096];
                    let mut mark = None;
                    while let Ok(count @ 1..) = stream.read(&mut buffer) {
                        all.lock().unwrap().extend_from_slice(&buffer[..count]);
                        let ready = message(b'Z', b"I");
                        let got = &buffer[..count];
                        let answer = match &mark {
                            None => {
                                mark = Some(parameter(got, "orgguard.session"));
                                [message(b'R', b"\0\0\0\0"), ready].concat()
                            }
                            Some(mark) if has(got, b"current_setting('orgguard.session'") => {
                                let row = message(b'D', &settings(mark));
                                [row, message(b'C', b"SELECT 1\0"), ready].concat()
                            }
                            Some(_) => [message(b'C', b"SELECT 0\0"), ready].concat(),
                        };
                        if stream.write_all(&answer).is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Self { address, got }
    }

    /// Whether some bytes ever reached it.
    fn has(&self, bytes: &[u8]) -> bool {
        has(&self.got.lock().unwrap(), bytes)
    }

    fn is_untouched(&self) -> bool {
        self.got.lock().unwrap().is_empty()
    }
}

fn has(all: &[u8], bytes: &[u8]) -> bool {
    all.windows(bytes.len()).any(|window| window == bytes)
}

/// A parameter of a startup packet.
fn parameter(packet: &[u8], name: &str) -> String {
    let text = String::from_utf8_lossy(&packet[8..]);
    let mut parts = text.split('\0').skip_while(|part| *part != name);
    parts.nth(1).unwrap_or_default().to_owned()
}

/// The row that the guard wants to see after login, for the role `a`.
fn settings(mark: &str) -> Vec<u8> {
    let values = [
        mark,
        "a",
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
    let mut row = u16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
    for value in values {
        row.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
        row.extend(value.as_bytes());
    }
    row
}

/// The SQLSTATE of the error that is all a client hears.
fn last_words(client: &mut Client) -> String {
    let rest = client.rest();
    assert_eq!(rest.first(), Some(&b'E'), "{rest:?}");
    field(&rest[5..], b'C')
}

#[test]
fn startup_packets_that_are_none() {
    let server = FakeServer::start();
    let guard = Guard::start("enforce", server.address, "[limits]\nlogin_timeout = \"1s\"\n");
    for (packet, code) in [
        (&b"\0\0\0\0"[..], "08P01"),
        (b"\0\0\0\x07", "08P01"),
        (b"\xff\xff\xff\xff", "08P01"),
        (b"\x7f\xff\xff\xff", "08P01"),
        (b"GET / HTTP/1.1\r\n\r\n", "08P01"),
        (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", "08P01"),
        (&unkinded(b"\0\x02\0\0user\0a\0\0"), "0A000"),
        (&unkinded(b"\0\x03\0\0user\0a"), "08P01"),
        (&unkinded(b"\0\x03\0\0user\0a\0\0more"), "08P01"),
        (&unkinded(b"\0\x03\0\0user\0\xff\xfe\0\0"), "08P01"),
        (&startup(&[]), "28000"),
        (&startup(&[("user", "a"), ("user", "postgres")]), "42501"),
        (&startup(&[("user", "a"), ("replication", "database")]), "42501"),
        (&startup(&[("user", "a"), ("options", "-c search_path=evil")]), "42501"),
        (&startup(&[("user", "a"), ("ROLE", "postgres")]), "42501"),
    ] {
        let mut client = guard.connect();
        client.send(packet);
        assert_eq!(last_words(&mut client), code, "{packet:?}");
    }
    assert!(server.is_untouched());
    // A client that says nothing, or stops in the middle, is given up.
    let mut silent = guard.connect();
    let mut slow = guard.connect();
    slow.send(b"\0\0\0\x20\0\x03");
    assert!(silent.rest().is_empty());
    assert!(slow.rest().is_empty());
    assert_eq!(guard.metric("orgguard_refused_connections_total{reason=\"login_timeout\"}"), 2);
    assert_eq!(guard.metric("orgguard_refused_connections_total{reason=\"startup\"}"), 9);
}

#[test]
fn nothing_may_follow_a_request_for_encryption() {
    let server = FakeServer::start();
    let guard = Guard::start("enforce", server.address, "");
    for code in [SSL, GSSENC] {
        let request = unkinded(&code.to_be_bytes());
        let mut client = guard.connect();
        client.send(&[request.clone(), startup(&[("user", "a")])].concat());
        assert_eq!(last_words(&mut client), "08P01");
        assert!(server.is_untouched());
        // Once is honest, twice is not.
        let mut client = guard.connect();
        client.send(&request);
        assert_eq!(client.byte(), b'N');
        client.send(&request);
        assert_eq!(last_words(&mut client), "08P01");
    }
    // One of each, and then a session.
    let mut client = guard.connect();
    for code in [GSSENC, SSL] {
        client.send(&unkinded(&code.to_be_bytes()));
        assert_eq!(client.byte(), b'N');
    }
    client.send(&startup(&[("user", "a")]));
    assert_eq!(client.until(b'Z'), ["R", "Z I"]);
}

#[test]
fn frames_that_are_none() {
    let server = FakeServer::start();
    let guard = Guard::start("enforce", server.address, "[limits]\nmessage_bytes = 1024\n");
    let marker = "SELECT 'marker'";
    for (frame, code) in [
        (&b"Q\0\0\0\0"[..], "08P01"),
        (b"Q\0\0\0\x03", "08P01"),
        (b"Q\xff\xff\xff\xffSELECT 'marker'", "54000"),
        (b"Q\x80\0\0\0SELECT 'marker'", "54000"),
        (b"Q\0\0\x10\0SELECT 'marker'", "54000"),
        (b"S\0\0\xff\xff", "54000"),
        (&message(b'Q', marker.as_bytes()), "08P01"),
        (&message(b'Q', format!("SELECT 1\0{marker}\0").as_bytes()), "08P01"),
        (&message(b'P', b"s\0SELECT 'marker'\0\0\x02\0\0\0\x01"), "08P01"),
        (&message(b'B', b"\0\0\0\0\0\x01\x7f\xff\xff\xffmarker"), "08P01"),
        (&message(b'B', b"\0\0\0\x02\0\0\0\0\0\x01\0\0\0\0\0\0"), "08P01"),
        (&message(b'B', b"\0\0\xff\xff"), "08P01"),
        (&message(b'E', b"p\0\0\0"), "08P01"),
        (&message(b'D', b"Xp\0"), "08P01"),
        (&message(b'C', b""), "08P01"),
        (&message(b'S', b"marker"), "08P01"),
        (&message(b'p', b"marker\0"), "08P01"),
        (&message(b'y', b"marker"), "08P01"),
        (b"\0\0\0\x0e\0\x03\0\0marker", "08P01"),
    ] {
        let mut client = guard.connect();
        client.send(&startup(&[("user", "a")]));
        client.until(b'Z');
        client.send(frame);
        client.send(&message(b'Q', b"SELECT 'marker behind it'\0"));
        assert_eq!(last_words(&mut client), code, "{frame:?}");
    }
    assert!(!server.has(b"marker"));
    // A simple query may be as large as the limit, and a function call is refused like a query.
    let mut client = guard.connect();
    client.send(&startup(&[("user", "a")]));
    client.until(b'Z');
    let long = format!("SELECT 1 /* {} */", "x".repeat(1000));
    assert_eq!(client.query(&long), ["C SELECT 0", "Z I"]);
    client.send(&message(b'F', b"\0\0\0\x01\0\0\0\0\0\0"));
    assert_eq!(client.until(b'Z'), ["E 42501", "Z I"]);
    assert!(!server.has(b"F\0\0\0\x0e"));
}

#[test]
fn statements_before_login_wait_for_it() {
    let server = FakeServer::start();
    let guard = Guard::start("enforce", server.address, "");
    let mut client = guard.connect();
    let query = message(b'Q', b"SELECT name FROM org_products\0");
    client.send(&[startup(&[("user", "a")]), query].concat());
    assert_eq!(client.until(b'Z'), ["R", "Z I"]);
    assert_eq!(client.until(b'Z'), ["E 42501", "Z I"]);
    assert!(!server.has(b"org_products"));
}

/// One thread serves both sessions. It has taken all of a text whose plan takes long, and is free for
/// the other one before there is an answer.
#[test]
fn a_text_that_takes_long_to_plan_keeps_nobody_waiting() {
    const BYTES: &str = "orgguard_bytes_total{direction=\"from_client\"}";
    let server = FakeServer::start();
    let text = Guard::text("enforce", &server.address.to_string(), "");
    let guard = Guard::start_text(&format!("threads = 1\n{text}"));
    let [mut slow, mut other] = [(); 2].map(|()| {
        let mut client = guard.connect();
        client.send(&startup(&[("user", "a")]));
        client.until(b'Z');
        client
    });
    let query =
        message(b'Q', &[&b"SELECT id FROM org_products; ".repeat(20_000)[..], b"\0"].concat());
    let wanted = guard.metric(BYTES) + query.len() as u64;
    slow.send(&query);
    for _ in 0..60_000 {
        if guard.metric(BYTES) >= wanted {
            break;
        }
        sleep(Duration::from_millis(1));
    }
    assert_eq!(guard.metric(BYTES), wanted);
    assert_eq!(other.query("SELECT 1"), ["C SELECT 0", "Z I"]);
    assert!(!slow.has_more(), "it was planned before anybody else was served");
    assert_eq!(slow.until(b'Z'), ["E 42501", "Z I"]);
}

#[test]
fn no_more_clients_than_the_limit() {
    let server = FakeServer::start();
    let guard = Guard::start("enforce", server.address, "[limits]\nconnections = 1\n");
    let mut first = guard.connect();
    first.send(&startup(&[("user", "a")]));
    first.until(b'Z');
    let mut second = guard.connect();
    assert_eq!(last_words(&mut second), "53300");
    assert_eq!(first.query("SELECT 1"), ["C SELECT 0", "Z I"]);
    assert_eq!(guard.metric("orgguard_refused_connections_total{reason=\"limit\"}"), 1);
}

#[test]
fn a_server_that_is_not_there() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let guard = Guard::start("enforce", gone, "");
    let mut client = guard.connect();
    client.send(&startup(&[("user", "a")]));
    assert_eq!(last_words(&mut client), "08006");
    assert_eq!(guard.metric("orgguard_refused_connections_total{reason=\"upstream\"}"), 1);
}
