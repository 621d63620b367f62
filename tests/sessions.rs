//! Whole sessions with a real PostgreSQL behind the guard: login, cancel, COPY, TLS, drain.
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
use std::sync::Arc;

use guard::{Client, Guard, bind, execute, field, flush, message, parse, startup, sync, unkinded};
use orgguard::cli::Throwaway;

const A: &str = "11111111-1111-4111-8111-111111111111";
const B: &str = "22222222-2222-4222-8222-222222222222";
const BAD: &str = "SELECT name FROM org_products";

/// A server with one guarded table, and one that is not.
fn server() -> Throwaway {
    let server = Throwaway::start().unwrap();
    let mut direct = direct(&server);
    let made = direct.query(&format!(
        "CREATE TABLE org_products (id serial PRIMARY KEY, organization_id uuid NOT NULL, \
         name text NOT NULL, deleted_at timestamptz); CREATE TABLE imports (line text); \
         INSERT INTO org_products (organization_id, name) VALUES ('{A}', 'lamp'), ('{B}', 'bolt')"
    ));
    assert_eq!(made.last().unwrap(), "Z I");
    server
}

fn direct(server: &Throwaway) -> Client {
    let mut client = Client::connect(server.address());
    client.send(&startup(&[("user", "postgres"), ("database", "postgres")]));
    client.until(b'Z');
    client
}

fn insert(name: &str) -> String {
    format!("INSERT INTO org_products (organization_id, name) VALUES ('{A}', '{name}')")
}

/// How many products have this name, seen past the guard.
fn count(server: &Throwaway, name: &str) -> usize {
    let select = format!("SELECT 1 FROM org_products WHERE name = '{name}'");
    direct(server).query(&select).iter().filter(|it| *it == "D").count()
}

#[test]
fn values_are_judged_at_every_bind_and_errors_say_what_to_write() {
    let server = server();
    let guard = Guard::start("enforce", server.address(), "");
    let mut client = guard.login();
    assert_eq!(client.query(&format!("SET app.organization_id = '{A}'")), ["C SET", "Z I"]);
    let select = "SELECT name FROM org_products WHERE organization_id = $1 AND deleted_at IS NULL";
    client.send(&[parse("s", select), message(b'D', b"Ss\0"), flush()].concat());
    assert_eq!(client.until(b'T'), ["1", "t", "T"]);
    client.send(&[bind("", "s", &[A]), execute(""), sync()].concat());
    assert_eq!(client.until(b'Z'), ["2", "D", "C SELECT 1", "Z I"]);
    client.send(&[bind("", "s", &[B]), execute(""), sync()].concat());
    assert_eq!(client.until(b'Z'), ["E 42501", "Z I"]);
    client.send(&message(b'Q', format!("{BAD}\0").as_bytes()));
    let (kind, body) = client.message();
    assert_eq!(kind, b'E');
    let told = |kind| field(&body, kind);
    assert_eq!(told(b'C'), "42501");
    assert_eq!(told(b'M'), "orgguard: statement refused: unbound-tenant on \"org_products\"");
    assert!(told(b'D').contains("visible-deleted on \"org_products\""), "{}", told(b'D'));
    assert!(told(b'H').contains("organization_id"), "{}", told(b'H'));
    assert_eq!(told(b'P'), "18");
    client.until(b'Z');
    let counted = |rule: &str| {
        guard.metric(&format!(
            "orgguard_violations_total{{mode=\"enforce\",rule=\"{rule}\",table=\"org_products\"}}"
        ))
    };
    assert_eq!(counted("foreign-tenant"), 1);
    assert_eq!(counted("unbound-tenant"), 1);
    assert_eq!(counted("visible-deleted"), 1);
}

#[test]
fn copy_in_both_protocols() {
    let server = server();
    for mode in ["audit", "enforce"] {
        let guard = Guard::start(mode, server.address(), "");
        let mut client = guard.login();
        let data = [message(b'd', b"one\ntwo\n"), message(b'c', b"")].concat();
        client.send(&message(b'Q', b"COPY imports FROM STDIN\0"));
        assert_eq!(client.until(b'G'), ["G"]);
        client.send(&data);
        assert_eq!(client.until(b'Z'), ["C COPY 2", "Z I"]);
        // As libpq does it: Sync behind Execute, and another behind the data.
        let copy = "COPY imports FROM STDIN";
        client.send(&[parse("", copy), bind("", "", &[]), execute(""), sync()].concat());
        assert_eq!(client.until(b'G'), ["1", "2", "G"]);
        client.send(&[data, sync()].concat());
        assert_eq!(client.until(b'Z'), ["C COPY 2", "Z I"]);
        client.send(&message(b'Q', b"COPY imports TO STDOUT\0"));
        assert_eq!(client.until(b'Z').last().unwrap(), "Z I");
        if mode == "audit" {
            continue;
        }
        // A query within a COPY fails the COPY, and is not run. The server alone would end the
        // session, for it does not know where in the conversation it is.
        client.send(&message(b'Q', b"COPY imports FROM STDIN\0"));
        client.until(b'G');
        client.send(&[message(b'd', b"x\n"), message(b'Q', b"TRUNCATE imports\0")].concat());
        assert_eq!(client.until(b'Z').last().unwrap(), "Z I");
        let rows = client.query("SELECT 1 FROM imports LIMIT 1");
        assert_eq!(rows, ["T", "D", "C SELECT 1", "Z I"], "{mode}");
    }
}

#[test]
fn a_cancel_request_reaches_its_backend() {
    let server = server();
    for mode in ["audit", "enforce"] {
        let guard = Guard::start(mode, server.address(), "");
        let mut client = guard.connect();
        client.send(&startup(&[("user", "postgres"), ("database", "postgres")]));
        let key = loop {
            if let (b'K', key) = client.message() {
                break key;
            }
        };
        client.until(b'Z');
        client.send(&message(b'Q', b"SELECT pg_sleep(60)\0"));
        let mut request = 80_877_102_u32.to_be_bytes().to_vec();
        request.extend(key);
        let mut answer = Vec::new();
        // The statement may not have begun yet, and a request without one is forgotten.
        while answer.is_empty() {
            let mut other = guard.connect();
            other.send(&unkinded(&request));
            assert!(other.rest().is_empty());
            let mut running = direct(&server);
            let waits = "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)' \
                         AND state = 'active'";
            if !running.query(waits).contains(&"D".to_owned()) {
                answer = client.until(b'Z');
            }
        }
        assert!(answer.ends_with(&["E 57014".to_owned(), "Z I".to_owned()]), "{answer:?}");
    }
}

#[test]
fn a_drain_lets_sessions_finish() {
    let server = server();
    let mut guard = Guard::start("enforce", server.address(), "");
    let mut idle = guard.login();
    let mut busy = guard.login();
    assert_eq!(busy.query("BEGIN"), ["C BEGIN", "Z T"]);
    guard.drain();
    let last = idle.rest();
    assert_eq!(field(&last[5..], b'C'), "57P01");
    assert_eq!(busy.query(&insert("drained")), ["C INSERT 0 1", "Z T"]);
    assert_eq!(busy.query("COMMIT"), ["C COMMIT", "Z I"]);
    let last = busy.rest();
    assert_eq!(field(&last[5..], b'C'), "57P01");
    drop((idle, busy));
    guard.join();
    assert_eq!(count(&server, "drained"), 1);
}

#[test]
fn the_tenant_may_come_with_the_startup_packet() {
    let server = server();
    let guard = Guard::start("enforce", server.address(), "");
    let of = |tenant| {
        format!(
            "SELECT 1 FROM org_products WHERE organization_id = '{tenant}' AND deleted_at IS NULL"
        )
    };
    let option = format!("-c app.organization_id={A}");
    for parameter in [("options", &*option), ("app.organization_id", A)] {
        let mut client = guard.connect();
        client.send(&startup(&[("user", "postgres"), ("database", "postgres"), parameter]));
        client.until(b'Z');
        assert_eq!(client.query(&of(A)), ["T", "D", "C SELECT 1", "Z I"]);
        assert_eq!(client.query(&of(B)), ["E 42501", "Z I"]);
        client.query(&format!("SET app.organization_id = '{B}'"));
        assert_eq!(client.query(&of(B)), ["T", "D", "C SELECT 1", "Z I"]);
        client.query("RESET ALL");
        assert_eq!(client.query(&of(B)), ["E 42501", "Z I"]);
    }
}

#[test]
fn rows_of_any_size_pass() {
    let server = server();
    for mode in ["audit", "enforce"] {
        let guard = Guard::start(mode, server.address(), "");
        let mut client = guard.login();
        client
            .send(&message(b'Q', b"SELECT repeat('x', 3000000), n FROM generate_series(1, 3) n\0"));
        let mut lengths = Vec::new();
        loop {
            let (kind, body) = client.message();
            match kind {
                b'D' => lengths.push(body.len()),
                b'Z' => break,
                _ => {}
            }
        }
        assert_eq!(lengths, [3_000_011; 3], "{mode}");
        let rows = client.query("SELECT n, 'some text' FROM generate_series(1, 50000) n");
        assert_eq!(rows.len(), 50_003, "{mode}");
        let long = format!("SELECT length('{}')", "y".repeat(500_000));
        assert_eq!(client.query(&long), ["T", "D", "C SELECT 1", "Z I"], "{mode}");
    }
}

#[test]
fn tls_ends_at_the_guard() {
    let server = server();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let folder = std::env::temp_dir().join(format!("orgguard-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let guard = Guard::start(
        "enforce",
        server.address(),
        &format!("[client_tls]\ncertificate = {certificate:?}\nkey = {key:?}\nrequired = true\n"),
    );
    std::fs::remove_dir_all(&folder).unwrap();
    // In clear, there is no session.
    let mut plain = guard.connect();
    plain.send(&startup(&[("user", "postgres")]));
    assert_eq!(field(&plain.rest()[5..], b'C'), "28000");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut socket = std::net::TcpStream::connect(guard.address()).unwrap();
    socket.write_all(&unkinded(&80_877_103_u32.to_be_bytes())).unwrap();
    let mut answer = [0];
    socket.read_exact(&mut answer).unwrap();
    assert_eq!(answer, *b"S");
    let mut tls = rustls::StreamOwned::new(connection, socket);
    tls.write_all(&startup(&[("user", "postgres"), ("database", "postgres")])).unwrap();
    tls.write_all(&message(b'Q', format!("{BAD}\0").as_bytes())).unwrap();
    tls.write_all(&message(b'Q', b"SELECT repeat('x', 200000)\0")).unwrap();
    tls.write_all(&message(b'X', b"")).unwrap();
    let mut all = Vec::new();
    tls.read_to_end(&mut all).unwrap();
    assert!(all.windows(7).any(|window| window == b"C42501\0"));
    assert!(all.windows(1000).any(|window| window.iter().all(|byte| *byte == b'x')));
    assert!(all.ends_with(b"C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I"));
}
