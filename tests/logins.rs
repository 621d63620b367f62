//! TLS and login, leg by leg, with libpq and a real server: each combination works or is refused
//! with a reason.
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

use guard::Guard;
use legs::{PASSWORD, Setting};
use orgguard::config::{self, Overrides};

impl Setting {
    fn guard(&self, more: &str) -> Guard {
        Guard::start("enforce", self.server.address(), more)
    }
}

/// Whether a session is encrypted on the server's side.
const ENCRYPTED: &str = "SELECT ssl FROM wire";

#[test]
fn a_login_is_relayed_wherever_it_can_be() {
    let setting = Setting::new();
    let upstream_tls = "[upstream_tls]\nmode = \"require\"\n";
    let same = "[login]\nmode = \"relay\"\nsame_certificate = true\n";
    let client_tls = setting.client_tls("guard");
    let server_certificate = setting.client_tls("server");
    let legs = [
        // The guard's configuration, the client's sslmode, whether the server's leg is encrypted,
        // and whether channel binding can be had.
        ("".to_owned(), "disable", "f", false),
        ("".to_owned(), "prefer", "f", false),
        (upstream_tls.to_owned(), "prefer", "t", false),
        (client_tls.clone(), "require", "f", false),
        (client_tls, "disable", "f", false),
        (format!("{server_certificate}{upstream_tls}{same}"), "require", "t", true),
        (format!("{server_certificate}{upstream_tls}{same}"), "disable", "t", false),
    ];
    for (more, sslmode, encrypted, can_bind) in legs {
        let guard = setting.guard(&more);
        let port = guard.address().port();
        for binding in ["disable", "prefer", "require"] {
            let connection = format!("user=app sslmode={sslmode} channel_binding={binding}");
            let got = setting.psql(port, &connection, ENCRYPTED);
            if binding == "require" && !can_bind {
                let error = got.unwrap_err();
                assert!(error.contains("channel binding"), "{more} {connection}: {error}");
            } else {
                assert_eq!(got.as_deref(), Ok(encrypted), "{more} {connection}");
            }
        }
        // Other kinds of login, and a wrong password.
        for role in ["old", "bare"] {
            let connection = format!("user={role} sslmode={sslmode}");
            assert_eq!(setting.psql(port, &connection, "SELECT 1").as_deref(), Ok("1"), "{more}");
        }
        let wrong = format!("user=app sslmode={sslmode} password=wrong");
        let error = setting.psql(port, &wrong, "SELECT 1").unwrap_err();
        assert!(error.contains("password authentication failed"), "{more}: {error}");
    }
}

#[test]
fn what_cannot_be_relayed_is_refused_at_load() {
    let text = "mode = \"enforce\"\n[client_tls]\ncertificate = \"a\"\nkey = \"b\"\n\
                [upstream_tls]\nmode = \"require\"\n";
    let problems = config::parse(text, &Overrides::default()).unwrap_err();
    assert!(problems[0].message.contains("SCRAM"), "{problems:?}");
    let guard = format!("{text}[login]\nmode = \"guard\"\nsecrets = \"c\"\n");
    config::parse(&guard, &Overrides::default()).unwrap();
}

#[test]
fn the_guard_authenticates_clients_and_logs_in_for_them() {
    let setting = Setting::new();
    let secrets = format!(
        "\"app\" \"{}\"\n\"bare\" \"{PASSWORD}\"\n\"old\" \"{PASSWORD}\"\n",
        setting.secret("app")
    );
    let file = setting.path("secrets");
    fs::write(&file, secrets).unwrap();
    let login = format!("[login]\nmode = \"guard\"\nsecrets = {file:?}\n");
    let client_tls = setting.client_tls("guard");
    let verified =
        format!("[upstream_tls]\nmode = \"verify-full\"\nca = {:?}\n", setting.path("server.crt"));
    let upstream = format!("localhost:{}", setting.server.port());
    for (more, sslmode, encrypted) in [
        (login.clone(), "disable", "f"),
        (format!("{login}{client_tls}"), "require", "f"),
        (format!("{login}{verified}"), "disable", "t"),
        (format!("{login}{verified}{client_tls}"), "require", "t"),
        (format!("{login}{verified}{client_tls}"), "disable", "t"),
    ] {
        let guard = Guard::start_at("enforce", &upstream, &more);
        let port = guard.address().port();
        for binding in ["disable", "prefer", "require"] {
            for role in ["app", "bare", "old"] {
                let connection = format!("user={role} sslmode={sslmode} channel_binding={binding}");
                let got = setting.psql(port, &connection, ENCRYPTED);
                if binding == "require" && sslmode == "disable" {
                    let error = got.unwrap_err();
                    assert!(error.contains("channel binding"), "{more} {connection}: {error}");
                } else {
                    assert_eq!(got.as_deref(), Ok(encrypted), "{more} {connection}");
                }
            }
        }
        // A wrong password and a role that is not on the roll are told alike.
        const REFUSED: &str = "orgguard_refused_connections_total{reason=\"login\"}";
        let before = guard.metric(REFUSED);
        for who in ["user=app password=wrong", "user=nobody password=wrong"] {
            let connection = format!("{who} sslmode={sslmode}");
            let error = setting.psql(port, &connection, "SELECT 1").unwrap_err();
            assert!(error.contains("password authentication failed for user"), "{error}");
        }
        assert_eq!(guard.metric(REFUSED), before + 2);
    }
}

#[test]
fn the_servers_certificate_is_held_against_what_is_asked() {
    let setting = Setting::new();
    let ca = |name: &str| format!("ca = {:?}\n", setting.path(name));
    let upstream = |host: &str| format!("{host}:{}", setting.server.port());
    for (host, tls, works) in [
        ("127.0.0.1", "mode = \"prefer\"\n".to_owned(), true),
        ("127.0.0.1", "mode = \"require\"\n".to_owned(), true),
        ("127.0.0.1", format!("mode = \"verify-ca\"\n{}", ca("server.crt")), true),
        ("127.0.0.1", format!("mode = \"verify-ca\"\n{}", ca("guard.crt")), false),
        ("localhost", format!("mode = \"verify-full\"\n{}", ca("server.crt")), true),
        ("127.0.0.1", format!("mode = \"verify-full\"\n{}", ca("server.crt")), false),
        ("localhost", format!("mode = \"verify-full\"\n{}", ca("guard.crt")), false),
    ] {
        let guard = Guard::start_at("enforce", &upstream(host), &format!("[upstream_tls]\n{tls}"));
        let connection = "user=postgres sslmode=disable";
        let got = setting.psql(guard.address().port(), connection, ENCRYPTED);
        assert_eq!(got.as_deref() == Ok("t"), works, "{host} {tls}: {got:?}");
    }
}

#[test]
fn the_guard_has_a_certificate_of_its_own_towards_the_server() {
    let setting = Setting::new();
    let identity = format!(
        "[upstream_tls]\nmode = \"require\"\ncertificate = {:?}\nkey = {:?}\n",
        setting.path("guard.crt"),
        setting.path("guard.key"),
    );
    let guard = setting.guard(&identity);
    let port = guard.address().port();
    let query = "SELECT client_dn IS NOT NULL FROM wire";
    assert_eq!(setting.psql(port, "user=postgres sslmode=disable", query).as_deref(), Ok("t"));
    let without = setting.guard("[upstream_tls]\nmode = \"require\"\n");
    let port = without.address().port();
    assert_eq!(setting.psql(port, "user=postgres sslmode=disable", query).as_deref(), Ok("f"));
}

#[test]
fn a_socket_of_the_file_system_leads_to_the_server() {
    let setting = Setting::new();
    let socket = setting.path(&format!(".s.PGSQL.{}", setting.server.port()));
    let guard = Guard::start_at("enforce", &socket, "[upstream_tls]\nmode = \"require\"\n");
    let port = guard.address().port();
    let query = "SELECT client_addr IS NULL FROM wire";
    assert_eq!(setting.psql(port, "user=postgres sslmode=disable", query).as_deref(), Ok("t"));
}

#[test]
fn the_next_server_is_tried_when_one_is_away() {
    let setting = Setting::new();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let both = format!("[\"{closed}\", \"{}\"]", setting.server.address());
    let text = format!("mode = \"enforce\"\nlisten = \"127.0.0.1:0\"\nupstream = {both}\n");
    let guard = Guard::start_text(&text);
    let got = setting.psql(guard.address().port(), "user=postgres sslmode=disable", "SELECT 1");
    assert_eq!(got.as_deref(), Ok("1"));
}

/// Begins TLS at once, as libpq 17 does with `sslnegotiation=direct`; what comes back.
fn direct(setting: &Setting, guard: &Guard, protocols: &[&[u8]]) -> std::io::Result<u8> {
    use std::io::{Read as _, Write as _};
    let pem = fs::read(setting.path("guard.crt")).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    for certificate in rustls_pki_types::pem::PemObject::pem_slice_iter(&pem)
        .map(|certificate| certificate.unwrap())
    {
        roots.add(certificate).unwrap();
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let name = "localhost".try_into().unwrap();
    let connection = rustls::ClientConnection::new(std::sync::Arc::new(config), name).unwrap();
    let socket = std::net::TcpStream::connect(guard.address())?;
    let mut tls = rustls::StreamOwned::new(connection, socket);
    tls.write_all(&guard::startup(&[("user", "postgres"), ("database", "postgres")]))?;
    let mut kind = [0];
    tls.read_exact(&mut kind)?;
    Ok(kind[0])
}

#[test]
fn tls_may_begin_without_being_asked_for_if_it_names_the_protocol() {
    let setting = Setting::new();
    let guard = setting.guard(&setting.client_tls("guard"));
    assert_eq!(direct(&setting, &guard, &[b"postgresql"]).unwrap(), b'R');
    direct(&setting, &guard, &[]).unwrap_err();
    direct(&setting, &guard, &[b"h2"]).unwrap_err();
    // The handshake has closed the connection before it is counted.
    let counted = || guard.metric("orgguard_refused_connections_total{reason=\"tls\"}");
    for _ in 0..600 {
        if counted() == 2 {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("{} handshakes counted", counted());
}
