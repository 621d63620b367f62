//! Clients at a Unix socket of the guard, alone and beside TCP.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/guard.rs"]
mod guard;
#[path = "support/legs.rs"]
mod legs;
#[path = "support/serving.rs"]
mod serving;

use std::fs;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use guard::{Client, Guard, startup};
use legs::{PASSWORD, Setting};
use orgguard::cli::Throwaway;

/// A guard that listens on these; the path of a Unix socket is one that libpq finds by its port.
fn guard(setting: &Setting, listen: &str, more: &str) -> Guard {
    let text = Guard::text("enforce", &setting.server.address().to_string(), more);
    let own = "listen = \"127.0.0.1:0\"";
    assert!(text.contains(own));
    Guard::start_text(&text.replace(own, listen))
}

fn local(setting: &Setting, more: &str, query: &str) -> Result<String, String> {
    setting.psql(6432, &format!("host={} {more}", setting.path("")), query)
}

#[test]
fn a_unix_socket_beside_tcp() {
    let setting = Setting::new();
    let path = setting.path(".s.PGSQL.6432");
    let listen =
        format!("listen = [\"127.0.0.1:0\", {path:?}]\nunix_socket_permissions = \"0622\"");
    // TLS is wanted of who comes over the network.
    let required = format!("{}required = true\n", setting.client_tls("guard"));
    let mut both = guard(&setting, &listen, &required);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o622);
    assert_eq!(local(&setting, "user=postgres", "SELECT 1").as_deref(), Ok("1"));
    assert_eq!(local(&setting, "user=app", "SELECT 1").as_deref(), Ok("1"));
    let port = both.address().port();
    let tls = setting.psql(port, "user=app sslmode=require", "SELECT 1");
    assert_eq!(tls.as_deref(), Ok("1"));
    let clear = setting.psql(port, "user=app sslmode=disable", "SELECT 1").unwrap_err();
    assert!(clear.contains("TLS is required"), "{clear}");
    let refused = local(&setting, "user=app", "SELECT * FROM org_products").unwrap_err();
    assert!(refused.contains("unbound-tenant"), "{refused}");
    both.drain();
    both.join();
    assert!(!Path::new(&path).exists());
}

#[test]
fn a_unix_socket_alone_with_a_login_of_the_guards_own() {
    let setting = Setting::new();
    let path = setting.path(".s.PGSQL.6432");
    let secrets = setting.path("secrets");
    fs::write(&secrets, format!("\"app\" \"{PASSWORD}\"\n")).unwrap();
    let more = format!(
        "[limits]\nconnections_per_address = 1\n[login]\nmode = \"guard\"\nsecrets = {secrets:?}\n\
         [upstream_tls]\nmode = \"require\"\n"
    );
    // What a guard left behind that has ended without a word.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let alone = guard(&setting, &format!("listen = {path:?}"), &more);
    assert_eq!(local(&setting, "user=app", "SELECT ssl FROM wire").as_deref(), Ok("t"));
    let wrong = local(&setting, "user=app password=wrong", "SELECT 1").unwrap_err();
    assert!(wrong.contains("password authentication failed"), "{wrong}");
    // All clients of the socket are at one address.
    let held = std::os::unix::net::UnixStream::connect(&path).unwrap();
    while alone.metric("orgguard_connections") == 0 {
        std::thread::yield_now();
    }
    let second = local(&setting, "user=app", "SELECT 1").unwrap_err();
    assert!(second.contains("too many connections from this address"), "{second}");
    drop(held);
}

/// A guard as a process of systemd, with this socket handed over; its admin port.
fn with_socket(listener: &TcpListener, server: &Throwaway) -> (Child, String) {
    let admin = serving::free_address();
    let text = format!(
        "mode = \"enforce\"\nlisten = \"127.0.0.1:1\"\nadmin = \"{admin}\"\nupstream = \"{}\"\n",
        server.address()
    );
    let config = serving::new_file("handed.toml", &text);
    let script =
        "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" serve --config \"$1\"";
    let mut bash = Command::new("bash");
    bash.args(["-c", script, env!("CARGO_BIN_EXE_orgguard")]).arg(config);
    bash.stdin(OwnedFd::from(listener.try_clone().unwrap())).stderr(Stdio::null());
    let mut child = bash.spawn().unwrap();
    let asked = Instant::now();
    while serving::get(&admin, "/readyz").0 != 200 {
        assert!(child.try_wait().unwrap().is_none() && asked.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(20));
    }
    (child, admin)
}

/// An upgrade: the new guard takes up the socket before the old one lets go of it.
#[test]
fn a_guard_takes_over_from_another_without_a_refused_connection() {
    let server = Throwaway::start().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (mut old, _) = with_socket(&listener, &server);
    let (over, count) = (AtomicBool::new(false), AtomicUsize::new(0));
    let logged_in = || {
        let mut client = Client::connect(address);
        client.send(&startup(&[("user", "postgres"), ("database", "postgres")]));
        let told = client.try_until(b'Z');
        assert!(told.is_some_and(|told| !told.iter().any(|it| it.starts_with('E'))));
        count.fetch_add(1, Ordering::SeqCst);
    };
    let more = |than: usize| {
        while count.load(Ordering::SeqCst) < than {
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let mut new = std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    logged_in();
                }
            });
        }
        more(50);
        let (new, admin) = with_socket(&listener, &server);
        more(count.load(Ordering::SeqCst) + 50);
        let process = old.id().to_string();
        assert!(Command::new("kill").arg(&process).status().unwrap().success());
        assert!(old.wait().unwrap().success());
        more(count.load(Ordering::SeqCst) + 50);
        over.store(true, Ordering::SeqCst);
        assert_eq!(serving::get(&admin, "/readyz").0, 200);
        new
    });
    new.kill().unwrap();
    new.wait().unwrap();
}
