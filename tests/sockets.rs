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

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use guard::Guard;
use legs::{PASSWORD, Setting};

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
