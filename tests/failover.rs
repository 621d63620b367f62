//! Several servers, of which sessions go to the one that is what it must be: a primary and a standby
//! that follows it, and takes its place.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/guard.rs"]
mod guard;

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use guard::{Client, Guard, field, startup};
use orgguard::cli::Throwaway;

/// A standby that follows a server.
struct Standby {
    programs: PathBuf,
    data: PathBuf,
    address: SocketAddr,
}

impl Standby {
    fn of(primary: &Throwaway) -> Self {
        let data = std::env::temp_dir().join(format!("orgguard-standby-{}", std::process::id()));
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let standby = Self { programs: primary.programs().to_owned(), data, address };
        let port = primary.port().to_string();
        let data = standby.data.to_str().unwrap();
        standby.run(
            "pg_basebackup",
            &["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-D", data, "-R", "-c", "fast"],
        );
        let file = standby.data.join("postgresql.auto.conf");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("{text}port = {}\n", address.port())).unwrap();
        let log = standby.data.join("server.log");
        standby.run("pg_ctl", &["-D", data, "-l", log.to_str().unwrap(), "-w", "-s", "start"]);
        standby
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let path = self.programs.join(program);
        let mut command = if fs::metadata("/proc/self").unwrap().uid() == 0 {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        command.args(arguments).current_dir("/").stdin(Stdio::null());
        // The server that is started keeps them.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        assert!(command.status().unwrap().success(), "{program}");
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        let data = self.data.to_str().unwrap();
        self.run("pg_ctl", &["-D", data, "-m", "immediate", "-w", "-s", "stop"]);
        let _ = fs::remove_dir_all(&self.data);
    }
}

fn guard(servers: [SocketAddr; 2], attrs: &str) -> Guard {
    let upstream = format!("[\"{}\", \"{}\"]", servers[0], servers[1]);
    let probe = if attrs == "any" {
        ""
    } else {
        "[upstream_probe]\ndsn = \"user=probe dbname=postgres\"\ninterval = \"100ms\"\n"
    };
    let text = format!(
        "mode = \"enforce\"\nlisten = \"127.0.0.1:0\"\nupstream = {upstream}\n\
         target_session_attrs = \"{attrs}\"\n{probe}"
    );
    Guard::start_text(&text)
}

/// A session, or the code of the error.
fn login(address: SocketAddr) -> Result<Client, String> {
    let mut client = Client::connect(address);
    client.send(&startup(&[("user", "postgres"), ("database", "postgres")]));
    loop {
        match client.message() {
            (b'Z', _) => return Ok(client),
            (b'E', body) => return Err(field(&body, b'C')),
            _ => {}
        }
    }
}

/// Whether a new session is at a standby.
fn at_standby(guard: &Guard) -> Result<bool, String> {
    let mut client = login(guard.address())?;
    client.send(&guard::message(b'Q', b"SELECT pg_is_in_recovery()\0"));
    loop {
        if let (b'D', row) = client.message() {
            return Ok(row.ends_with(b"t"));
        }
    }
}

fn wait(what: &str, so: impl Fn() -> bool) {
    let asked = Instant::now();
    while !so() {
        assert!(asked.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn sessions_go_to_the_server_that_is_what_it_must_be_and_follow_a_failover() {
    let primary = Throwaway::start().unwrap();
    let mut direct = login(primary.address()).unwrap();
    direct.query("CREATE ROLE probe LOGIN; CREATE TABLE notes (line text)");
    let standby = Standby::of(&primary);
    let (one, two) = (primary.address(), standby.address);
    for (attrs, expected) in [
        ("any", [false, true]),
        ("primary", [false, false]),
        ("read-write", [false, false]),
        ("standby", [true, true]),
        ("read-only", [true, true]),
        ("prefer-standby", [true, true]),
    ] {
        let found = [[one, two], [two, one]].map(|servers| at_standby(&guard(servers, attrs)));
        assert_eq!(found, expected.map(Ok), "{attrs}");
    }

    // A primary that takes no writes is no server for writing.
    let writer = guard([one, two], "read-write");
    let reader = guard([one, two], "prefer-standby");
    let only = guard([one, two], "standby");
    direct.query("ALTER SYSTEM SET default_transaction_read_only = on");
    direct.query("SELECT pg_reload_conf()");
    wait("it is closed", || at_standby(&writer) == Err("08006".to_owned()));
    direct.query("ALTER SYSTEM RESET default_transaction_read_only");
    direct.query("SELECT pg_reload_conf()");
    wait("it is open", || at_standby(&writer) == Ok(false));

    let mut running = login(writer.address()).unwrap();
    assert_eq!(running.query("INSERT INTO notes VALUES ('one')"), ["C INSERT 0 1", "Z I"]);
    let mut follower = login(standby.address).unwrap();
    wait("the standby has followed", || {
        let mut follower = login(standby.address).unwrap();
        follower.query("SELECT 1 FROM notes").contains(&"C SELECT 1".to_owned())
    });
    drop(primary);
    assert!(!running.rest().is_empty());
    wait("nobody can write", || at_standby(&writer) == Err("08006".to_owned()));
    assert_eq!(at_standby(&reader), Ok(true));
    assert!(follower.query("SELECT pg_promote()").contains(&"C SELECT 1".to_owned()));
    wait("the standby is the primary", || at_standby(&writer) == Ok(false));
    let mut after = login(writer.address()).unwrap();
    assert_eq!(after.query("INSERT INTO notes VALUES ('two')"), ["C INSERT 0 1", "Z I"]);
    assert_eq!(after.query("SELECT 1 FROM notes"), ["T", "D", "D", "C SELECT 2", "Z I"]);
    // Where a standby is only preferred, the primary will do.
    wait("the reader has it", || at_standby(&reader) == Ok(false));
    wait("no standby is left", || at_standby(&only) == Err("08006".to_owned()));
    let refused = "orgguard_refused_connections_total{reason=\"upstream\"}";
    assert!(only.metric(refused) > 0);
}
