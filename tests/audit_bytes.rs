//! In audit mode the bytes at both ends are the same, whatever the guard thinks of them.
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
use std::net::{TcpListener, TcpStream};

use guard::{Guard, bind, execute, flush, message, parse, startup, sync};

/// Sends bytes into one end in pieces of this size, and reads as many at the other.
fn carry(from: &mut TcpStream, to: &mut TcpStream, bytes: &[u8], piece: usize) {
    let mut sender = from.try_clone().unwrap();
    let sent = bytes.to_vec();
    let sending = std::thread::spawn(move || {
        for piece in sent.chunks(piece) {
            sender.write_all(piece).unwrap();
        }
    });
    let mut got = vec![0; bytes.len()];
    to.read_exact(&mut got).unwrap();
    sending.join().unwrap();
    assert!(got == bytes, "bytes were changed");
}

/// Both ends of a session through the guard: the client's socket and the server's.
fn ends(guard: &Guard, server: &TcpListener) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(guard.address()).unwrap();
    client.set_nodelay(true).unwrap();
    let mut first = client.try_clone().unwrap();
    // Nothing of it would pass in enforce: twice the user, another role, an unknown parameter.
    let packet = startup(&[
        ("user", "app"),
        ("user", "postgres"),
        ("options", "-c role=postgres -d 5"),
        ("no_such_thing", "\u{fffd}"),
    ]);
    first.write_all(&packet).unwrap();
    let (mut accepted, _) = server.accept().unwrap();
    accepted.set_nodelay(true).unwrap();
    let mut got = vec![0; packet.len()];
    accepted.read_exact(&mut got).unwrap();
    assert_eq!(got, packet);
    (client, accepted)
}

#[test]
fn every_byte_passes_in_both_directions() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let guard = Guard::start("audit", server.local_addr().unwrap(), "");
    let row = message(b'D', &[0xab; 70_000]);
    let from_client = [
        message(b'Q', b"SELECT name FROM org_products\0"),
        message(b'Q', b"this is ' not SQL \xff\xfe at all\0"),
        message(b'Q', b"SELECT '\xe4\xf6'; DELETE FROM org_products\0"),
        [parse("s", "SELECT * FROM org_products WHERE true OR $1"), flush()].concat(),
        [bind("", "s", &["x"]), bind("c", "unknown", &[]), execute("c"), sync()].concat(),
        message(b'F', b"\0\0\0\x01\0\0\0\0\0\0"),
        [message(b'd', &[0; 9]), message(b'c', b""), message(b'f', b"why\0")].concat(),
        message(b'Q', format!("SELECT /* {} */ 1\0", "y".repeat(200_000)).as_bytes()),
    ]
    .concat();
    let from_server = [
        message(b'C', b"SELECT 9\0"),
        message(b'Z', b"I"),
        [message(b'E', b"SERROR\0C42601\0Mno\0\0"), message(b'Z', b"I")].concat(),
        [row.clone(), message(b'C', b"DELETE 1\0"), message(b'Z', b"I")].concat(),
        [message(b'1', b""), message(b'2', b""), message(b'E', b"C26000\0\0")].concat(),
        [message(b'Z', b"I"), message(b'V', b"\xff\xff\xff\xff"), message(b'Z', b"I")].concat(),
        [message(b'N', b"SNOTICE\0\0"), row, message(b'A', b"\0\0\0\x01c\0p\0")].concat(),
    ]
    .concat();
    let login = [message(b'R', b"\0\0\0\0"), message(b'Z', b"I")].concat();
    for piece in [usize::MAX, 4096, 7, 1] {
        let (mut client, mut backend) = ends(&guard, &server);
        carry(&mut backend, &mut client, &login, piece.min(login.len()));
        // Small pieces of long texts show nothing more.
        let (up, down) = if piece < 100 {
            (&from_client[..2000], &from_server[..2000])
        } else {
            (&from_client[..], &from_server[..])
        };
        carry(&mut client, &mut backend, up, piece);
        carry(&mut backend, &mut client, down, piece);
        // The client's end is the server's end.
        client.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(backend.read(&mut [0]).unwrap(), 0);
    }
    assert!(
        guard.metric(
            "orgguard_violations_total{mode=\"audit\",rule=\"unbound-tenant\",table=\"org_products\"}"
        ) >= 4
    );
}

#[test]
fn what_is_no_protocol_at_all_passes_too() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let guard =
        Guard::start("audit", server.local_addr().unwrap(), "[limits]\nmessage_bytes = 1024\n");
    let login = [message(b'R', b"\0\0\0\0"), message(b'Z', b"I")].concat();
    let noise: Vec<u8> =
        (0..100_000_u32).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let oversized = message(b'Q', format!("SELECT '{}'\0", "z".repeat(5000)).as_bytes());
    for first in [&noise[..], &oversized, b"Q\0\0\0\x01", b"Q\xff\xff\xff\xff"] {
        let (mut client, mut backend) = ends(&guard, &server);
        carry(&mut backend, &mut client, &login, usize::MAX);
        carry(&mut client, &mut backend, first, 1000);
        carry(&mut backend, &mut client, &noise, 1000);
        carry(&mut client, &mut backend, &noise, 1000);
    }
    assert_eq!(guard.metric("orgguard_framing_lost_total"), 4);
    // Also when the server is the one that cannot be followed, and before the login.
    let (mut client, mut backend) = ends(&guard, &server);
    carry(&mut backend, &mut client, &noise, 1000);
    carry(&mut client, &mut backend, &noise, 1000);
}
