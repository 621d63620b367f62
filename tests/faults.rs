//! What breaks between a client and its server, and what is more than allowed: each is told with the
//! right code, nothing stays behind, and a metric says whose it was.
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
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;

use guard::{Client, Guard, bind, execute, field, message, parse, startup, sync, unkinded};
use orgguard::cli::Throwaway;

/// A line between the guard and its server that can be held or cut.
struct Line {
    address: SocketAddr,
    state: Arc<AtomicU8>,
    /// Connections that it carries.
    open: Arc<AtomicUsize>,
}

const PASS: u8 = 0;
/// Nothing more is read from either end.
const HOLD: u8 = 1;
/// Every connection is closed, and new ones too.
const CUT: u8 = 2;

impl Line {
    fn to(server: SocketAddr) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), server)
    }

    fn at(address: SocketAddr, server: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(AtomicU8::new(PASS));
        let open = Arc::new(AtomicUsize::new(0));
        let (own, count) = (Arc::clone(&state), Arc::clone(&open));
        // The threads end with the process.
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let near = near.unwrap();
                if own.load(Ordering::SeqCst) == CUT {
                    continue;
                }
                let far = TcpStream::connect(server).unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                carry(near.try_clone().unwrap(), far.try_clone().unwrap(), &own, &count);
                carry(far, near, &own, &Arc::new(AtomicUsize::new(1)));
            }
        });
        Self { address, state, open }
    }

    fn set(&self, state: u8) {
        self.state.store(state, Ordering::SeqCst);
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, state: &Arc<AtomicU8>, open: &Arc<AtomicUsize>) {
    let (state, open) = (Arc::clone(state), Arc::clone(open));
    std::thread::spawn(move || {
        from.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let mut buffer = [0; 16 << 10];
        loop {
            match state.load(Ordering::SeqCst) {
                HOLD => {
                    std::thread::sleep(Duration::from_millis(20));
                    continue;
                }
                CUT => break,
                _ => {}
            }
            match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    if to.write_all(&buffer[..count]).is_err() {
                        break;
                    }
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    ) => {}
                Err(_) => break,
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
        let _ = from.shutdown(std::net::Shutdown::Both);
        open.fetch_sub(1, Ordering::SeqCst);
    });
}

/// Waits until something is so; a test whose wait never ends fails.
fn eventually(what: &str, so: impl Fn() -> bool) {
    for _ in 0..600 {
        if so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("never: {what}");
}

/// The code of the last message before the end.
fn last_words(client: &mut Client) -> String {
    let bytes = client.rest();
    let mut rest = &bytes[..];
    let mut code = String::new();
    while rest.len() >= 5 {
        let length = u32::from_be_bytes(rest[1..5].try_into().unwrap()) as usize;
        if rest[0] == b'E' {
            code = field(&rest[5..=length], b'C');
        }
        rest = rest.get(length + 1..).unwrap_or_default();
    }
    code
}

fn refused(guard: &Guard, reason: &str) -> u64 {
    guard.metric(&format!("orgguard_refused_connections_total{{reason=\"{reason}\"}}"))
}

fn ended(guard: &Guard, by: &str) -> u64 {
    guard.metric(&format!("orgguard_sessions_ended_total{{by=\"{by}\"}}"))
}

fn direct(server: &Throwaway, sql: &str) -> Vec<String> {
    let mut client = Client::connect(server.address());
    client.send(&startup(&[("user", "postgres"), ("database", "postgres")]));
    client.until(b'Z');
    client.query(sql)
}

#[test]
fn more_connections_than_allowed_are_refused_by_address_and_by_role() {
    let server = Throwaway::start().unwrap();
    direct(&server, "CREATE ROLE app LOGIN");
    let more = "[limits]\nconnections_per_address = 3\nconnections_per_role = 1\n";
    let guard = Guard::start("enforce", server.address(), more);
    let first = guard.login();
    let mut second = guard.connect();
    second.send(&startup(&[("user", "postgres"), ("database", "postgres")]));
    assert_eq!(last_words(&mut second), "53300");
    eventually("the second counts no more", || guard.metric("orgguard_connections") == 1);
    let mut other = guard.connect();
    other.send(&startup(&[("user", "app"), ("database", "postgres")]));
    other.until(b'Z');
    let _third = guard.connect();
    eventually("three are open", || guard.metric("orgguard_connections") == 3);
    let mut fourth = guard.connect();
    assert_eq!(last_words(&mut fourth), "53300");
    assert_eq!((refused(&guard, "limit_of_role"), refused(&guard, "limit_of_address")), (1, 1));
    drop(first);
    eventually("the first has ended", || guard.metric("orgguard_connections") == 2);
    guard.login();
}

#[test]
fn a_session_that_is_idle_for_too_long_is_ended_and_one_in_a_transaction_is_not() {
    let server = Throwaway::start().unwrap();
    let guard = Guard::start("enforce", server.address(), "[limits]\nidle_timeout = \"500ms\"\n");
    let mut busy = guard.login();
    assert_eq!(busy.query("BEGIN"), ["C BEGIN", "Z T"]);
    let mut idle = guard.login();
    assert_eq!(last_words(&mut idle), "57P05");
    assert_eq!(busy.query("COMMIT"), ["C COMMIT", "Z I"]);
    assert_eq!(ended(&guard, "guard"), 1);
}

#[test]
fn a_statement_that_takes_too_long_is_cancelled_on_the_server() {
    let server = Throwaway::start().unwrap();
    let more = "[limits]\nstatement_timeout = \"500ms\"\n[routines]\nallow = [\"pg_sleep\"]\n";
    let guard = Guard::start("enforce", server.address(), more);
    let mut client = guard.login();
    // Many short ones are no long one.
    for _ in 0..20 {
        assert_eq!(client.query("SELECT pg_sleep(0.05)").last().unwrap(), "Z I");
    }
    client.send(&message(b'Q', b"SELECT pg_sleep(600)\0"));
    assert_eq!(last_words(&mut client), "57014");
    let running =
        "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%sleep(600)' AND state = 'active'";
    eventually("the server sleeps no more", || {
        direct(&server, running).contains(&"C SELECT 0".to_owned())
    });
}

#[test]
fn a_server_that_cannot_be_reached_is_told_and_one_that_comes_back_is_found() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let away = listener.local_addr().unwrap();
    drop(listener);
    let guard = Guard::start("enforce", away, "");
    let mut client = guard.connect();
    client.send(&startup(&[("user", "postgres")]));
    assert_eq!(last_words(&mut client), "08006");
    assert_eq!(refused(&guard, "upstream"), 1);

    let server = Throwaway::start().unwrap();
    let line = Line::at(away, server.address());
    let mut before = guard.login();
    line.set(CUT);
    assert_eq!(last_words(&mut before), "08006");
    let mut during = guard.connect();
    during.send(&startup(&[("user", "postgres")]));
    assert_eq!(last_words(&mut during), "08006");
    line.set(PASS);
    assert_eq!(guard.login().query("SELECT 1"), ["T", "D", "C SELECT 1", "Z I"]);
    assert_eq!(ended(&guard, "upstream"), 2);
}

#[test]
fn a_server_that_dies_in_the_middle_is_told_and_nothing_is_kept_or_said_twice() {
    let server = Throwaway::start().unwrap();
    direct(&server, "CREATE TABLE plans (code text)");
    let line = Line::to(server.address());
    let more = "[routines]\nallow = [\"pg_sleep\"]\n";
    let guard = Guard::start("enforce", line.address, more);

    // In the middle of a query.
    let mut client = guard.login();
    client.send(&message(b'Q', b"SELECT pg_sleep(600)\0"));
    eventually("it runs", || {
        let running = "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%sleep(600)'";
        direct(&server, running).contains(&"C SELECT 1".to_owned())
    });
    line.set(CUT);
    assert_eq!(last_words(&mut client), "08006");
    line.set(PASS);

    // In the middle of a COPY, after a part of it has been read by the server.
    let mut client = guard.login();
    client.send(&message(b'Q', b"COPY plans FROM STDIN\0"));
    client.until(b'G');
    for _ in 0..100 {
        client.send(&message(b'd', b"a\n"));
    }
    line.set(CUT);
    assert_eq!(last_words(&mut client), "08006");
    line.set(PASS);
    eventually("nothing is left open", || line.open.load(Ordering::SeqCst) == 0);
    let mut client = guard.login();
    assert!(client.query("SELECT 1 FROM plans").contains(&"C SELECT 0".to_owned()));

    // In the middle of a pipeline: what was acknowledged is there, what was not is not.
    let mut pipeline = Vec::new();
    for code in ["one", "two"] {
        pipeline.extend(parse("", &format!("INSERT INTO plans VALUES ('{code}')")));
        pipeline.extend(bind("", "", &[]));
        pipeline.extend(execute(""));
        pipeline.extend(sync());
    }
    client.send(&pipeline);
    assert_eq!(client.until(b'Z'), ["1", "2", "C INSERT 0 1", "Z I"]);
    assert_eq!(client.until(b'Z'), ["1", "2", "C INSERT 0 1", "Z I"]);
    client.send(&message(b'Q', b"BEGIN; INSERT INTO plans VALUES ('three')\0"));
    client.until(b'Z');
    line.set(CUT);
    assert_eq!(last_words(&mut client), "08006");
    assert!(direct(&server, "SELECT 1 FROM plans").contains(&"C SELECT 2".to_owned()));
    // The server's own word is not followed by another.
    line.set(PASS);
    let mut client = guard.login();
    client.query("SELECT 1");
    direct(
        &server,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
    );
    assert_eq!(last_words(&mut client), "57P01");
    assert_eq!(ended(&guard, "upstream"), 4);
}

#[test]
fn a_login_that_stalls_is_given_up() {
    let server = Throwaway::start().unwrap();
    let line = Line::to(server.address());
    line.set(HOLD);
    let guard = Guard::start("enforce", line.address, "[limits]\nlogin_timeout = \"300ms\"\n");
    let mut client = guard.connect();
    client.send(&startup(&[("user", "postgres")]));
    assert_eq!(last_words(&mut client), "08006");
    // A client that says nothing, and one that stops in the middle of its packet.
    let mut silent = guard.connect();
    assert!(silent.rest().is_empty());
    let mut stopped = guard.connect();
    stopped.send(&startup(&[("user", "postgres")])[..6]);
    assert!(stopped.rest().is_empty());
    assert_eq!(refused(&guard, "login_timeout"), 3);
    eventually("nobody is there", || guard.metric("orgguard_connections") == 0);
}

#[test]
fn a_client_that_reads_nothing_holds_the_server_back() {
    let server = Throwaway::start().unwrap();
    let guard = Guard::start("enforce", server.address(), "");
    let mut client = guard.login();
    let told = "orgguard_bytes_total{direction=\"from_server\"}";
    client.send(&message(b'Q', b"SELECT repeat('x', 1000) FROM generate_series(1, 200000)\0"));
    let mut last = 0;
    // 200 MB wait on the server's side; what lies between is a few buffers of the two sockets.
    eventually("the flow stops", || {
        let before = guard.metric(told);
        std::thread::sleep(Duration::from_millis(500));
        before == guard.metric(told) && before > 0
    });
    let held = guard.metric(told);
    assert!(held < 50_000_000, "{held} bytes were taken for a client that reads nothing");
    // Nothing was lost meanwhile.
    for shown in client.until(b'Z') {
        last += usize::from(shown == "D");
    }
    assert_eq!(last, 200_000);
}

#[test]
fn a_server_that_reads_nothing_holds_the_client_back() {
    let server = Throwaway::start().unwrap();
    direct(&server, "CREATE TABLE plans (code text)");
    let line = Line::to(server.address());
    let guard = Guard::start("enforce", line.address, "");
    let mut client = guard.login();
    client.send(&message(b'Q', b"COPY plans FROM STDIN\0"));
    client.until(b'G');
    line.set(HOLD);
    let told = "orgguard_bytes_total{direction=\"from_client\"}";
    let before = guard.metric(told);
    let row = [b"x".repeat(999), b"\n".to_vec()].concat();
    let sender = std::thread::spawn(move || {
        for _ in 0..100_000 {
            client.send(&message(b'd', &row));
        }
        client.send(&message(b'c', b""));
        client.until(b'Z')
    });
    eventually("the flow stops", || {
        let seen = guard.metric(told);
        std::thread::sleep(Duration::from_millis(500));
        seen == guard.metric(told) && seen > before
    });
    let held = guard.metric(told) - before;
    assert!(held < 50_000_000, "{held} bytes were taken for a server that reads nothing");
    line.set(PASS);
    assert_eq!(sender.join().unwrap(), ["C COPY 100000", "Z I"]);
}

#[test]
fn a_client_that_leaves_takes_its_server_session_along() {
    let server = Throwaway::start().unwrap();
    let line = Line::to(server.address());
    let guard = Guard::start("enforce", line.address, "");
    let mut client = guard.login();
    client.query("BEGIN");
    drop(client);
    eventually("the server's session has ended", || line.open.load(Ordering::SeqCst) == 0);
    let mut polite = guard.login();
    polite.send(&message(b'X', b""));
    assert!(polite.rest().is_empty());
    eventually("both are counted", || ended(&guard, "client") == 2);
    assert_eq!((ended(&guard, "upstream"), ended(&guard, "guard")), (0, 0));
}

#[test]
fn a_client_that_breaks_off_in_the_middle_leaves_nothing_behind() {
    // Without this PostgreSQL itself sees a client's end when its statement has ended.
    let server = Throwaway::start_with(&[("client_connection_check_interval", "100ms")]).unwrap();
    direct(&server, "CREATE TABLE plans (code text)");
    let more = "[routines]\nallow = [\"pg_sleep\"]\n";
    let guard = Guard::start("enforce", server.address(), more);
    let sessions = "SELECT 1 FROM pg_stat_activity WHERE backend_type = 'client backend' \
                    AND pid <> pg_backend_pid()";
    let copying = [message(b'Q', b"COPY plans FROM STDIN\0"), message(b'd', b"a\n")].concat();
    let asking = message(b'Q', b"BEGIN; INSERT INTO plans VALUES ('b'); SELECT pg_sleep(600)\0");
    let answering = message(b'Q', b"SELECT repeat('x', 1000) FROM generate_series(1, 200000)\0");
    let halfway = message(b'Q', &[b'x'; 1000])[..500].to_vec();
    let mut broken = 0;
    for bytes in [copying, asking, answering, halfway] {
        for reset in [false, true] {
            let mut client = guard.login();
            client.send(&bytes);
            std::thread::sleep(Duration::from_millis(50));
            client.leave(reset);
            broken += 1;
            eventually("the client's session has ended", || ended(&guard, "client") == broken);
            eventually("the server's session has ended", || {
                direct(&server, sessions).contains(&"C SELECT 0".to_owned())
            });
        }
    }
    assert!(direct(&server, "SELECT 1 FROM plans").contains(&"C SELECT 0".to_owned()));
    assert_eq!((ended(&guard, "upstream"), ended(&guard, "guard")), (0, 0));
    assert_eq!(guard.metric("orgguard_connections"), 0);
}

#[test]
fn a_server_that_is_silent_for_ever_holds_its_client_no_longer_than_the_limit() {
    let server = Throwaway::start().unwrap();
    let line = Line::to(server.address());
    let more = "[limits]\nstatement_timeout = \"300ms\"\n";
    let guard = Guard::start("enforce", line.address, more);
    let mut client = guard.login();
    assert_eq!(client.query("SELECT 1"), ["T", "D", "C SELECT 1", "Z I"]);
    line.set(HOLD);
    // Longer than the line's ends wait in one read.
    std::thread::sleep(Duration::from_millis(200));
    client.send(&message(b'Q', b"SELECT 1\0"));
    assert_eq!(last_words(&mut client), "57014");
    assert_eq!(ended(&guard, "guard"), 1);
    eventually("nobody is there", || guard.metric("orgguard_connections") == 0);
}

#[test]
fn a_server_that_does_not_answer_is_passed_over() {
    let server = Throwaway::start().unwrap();
    // It accepts, and says nothing.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = format!(
        "mode = \"enforce\"\nlisten = \"127.0.0.1:0\"\nupstream = [\"{}\", \"{}\"]\n\
         [limits]\nconnect_timeout = \"300ms\"\n[upstream_tls]\nmode = \"prefer\"\n",
        mute.local_addr().unwrap(),
        server.address()
    );
    let guard = Guard::start_text(&text);
    let mut client = guard.connect();
    client.send(&startup(&[("user", "postgres"), ("database", "postgres")]));
    let mut key = Vec::new();
    loop {
        match client.message() {
            (b'K', body) => key = body,
            (b'Z', _) => break,
            _ => {}
        }
    }
    // A cancel request finds its server, too.
    client.send(&message(b'Q', b"SELECT count(*) FROM generate_series(1, 100000000000)\0"));
    std::thread::sleep(Duration::from_millis(300));
    let mut canceller = guard.connect();
    canceller.send(&unkinded(&[&80_877_102_u32.to_be_bytes()[..], &key].concat()));
    assert!(client.until(b'Z').contains(&"E 57014".to_owned()));
    assert_eq!(refused(&guard, "upstream"), 0);
}

#[test]
fn a_drain_has_an_end_and_says_so() {
    let server = Throwaway::start().unwrap();
    let more = "[limits]\ndrain = \"500ms\"\n[routines]\nallow = [\"pg_sleep\"]\n";
    let mut guard = Guard::start("enforce", server.address(), more);
    let mut open = guard.login();
    assert_eq!(open.query("BEGIN"), ["C BEGIN", "Z T"]);
    let mut busy = guard.login();
    busy.send(&message(b'Q', b"SELECT pg_sleep(600)\0"));
    let mut unread = guard.login();
    unread.send(&message(b'Q', b"SELECT repeat('x', 1000) FROM generate_series(1, 200000)\0"));
    let sleeping =
        "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%sleep(600)' AND state = 'active'";
    eventually("it runs", || direct(&server, sleeping).contains(&"C SELECT 1".to_owned()));
    guard.drain();
    assert_eq!(last_words(&mut open), "57P01");
    assert_eq!(last_words(&mut busy), "57P01");
    guard.join();
    drop(unread);
    assert_eq!(ended(&guard, "guard"), 3);
    eventually("the server sleeps no more", || {
        direct(&server, sleeping).contains(&"C SELECT 0".to_owned())
    });
}

/// Writers that count what was acknowledged to them, while the server is restarted under them.
#[test]
fn what_was_acknowledged_outlives_restarts_of_the_server_and_nothing_is_there_twice() {
    let durable = [("synchronous_commit", "on"), ("restart_after_crash", "on")];
    let server = Throwaway::start_with(&durable).unwrap();
    direct(&server, "CREATE TABLE notes (writer int, number int)");
    let guard = Guard::start("enforce", server.address(), "");
    let over = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (address, over) = (guard.address(), Arc::clone(&over));
            std::thread::spawn(move || write_notes(address, writer, &over))
        })
        .collect();
    let count = || {
        let mut client = Client::connect(server.address());
        client.send(&startup(&[("user", "postgres"), ("database", "postgres")]));
        client.until(b'Z');
        client.query("SELECT 1 FROM notes").len()
    };
    for how in ["fast", "immediate"] {
        let before = count();
        eventually("they write", || count() > before + 40);
        server.restart(how).unwrap();
    }
    let before = count();
    eventually("they write again", || count() > before + 40);
    over.store(true, Ordering::SeqCst);
    let mut lost = 0;
    for (writer, ended) in writers.into_iter().enumerate() {
        let (acknowledged, unsure) = ended.join().unwrap();
        lost += unsure.len();
        for number in &acknowledged {
            let found =
                format!("SELECT 1 FROM notes WHERE writer = {writer} AND number = {number}");
            assert!(direct(&server, &found).contains(&"C SELECT 1".to_owned()), "{found}");
        }
        let all = direct(&server, &format!("SELECT 1 FROM notes WHERE writer = {writer}")).len();
        let rows = all - 3;
        assert!(rows >= acknowledged.len() && rows <= acknowledged.len() + unsure.len());
    }
    assert!(lost > 0, "no writer noticed");
    let twice = "SELECT 1 FROM notes GROUP BY writer, number HAVING count(*) > 1";
    assert!(direct(&server, twice).contains(&"C SELECT 0".to_owned()));
    eventually("nobody is there", || guard.metric("orgguard_connections") == 0);
    assert!(ended(&guard, "upstream") > 0);
    assert_eq!(ended(&guard, "guard"), 0);
}

/// Numbers that were acknowledged, and those of which the answer was lost.
fn write_notes(
    address: SocketAddr,
    writer: usize,
    over: &std::sync::atomic::AtomicBool,
) -> (Vec<usize>, Vec<usize>) {
    let (mut acknowledged, mut unsure) = (Vec::new(), Vec::new());
    let mut number = 0;
    while !over.load(Ordering::SeqCst) {
        let mut client = Client::connect(address);
        client.send(&startup(&[("user", "postgres"), ("database", "postgres")]));
        if client.try_until(b'Z').is_none_or(|shown| !shown.ends_with(&["Z I".to_owned()])) {
            std::thread::sleep(Duration::from_millis(20));
            continue;
        }
        while !over.load(Ordering::SeqCst) {
            number += 1;
            let sql = format!("INSERT INTO notes VALUES ({writer}, {number})");
            let told = client.try_query(&sql);
            if told.is_some_and(|told| told == ["C INSERT 0 1", "Z I"]) {
                acknowledged.push(number);
            } else {
                unsure.push(number);
                break;
            }
        }
    }
    (acknowledged, unsure)
}
