//! The admin port: metrics, health and readiness.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;

use orgguard::analyze::{Kind, Outcome, Rule, Violation};
use orgguard::catalog::Policies;
use orgguard::config::{self, Listen, Overrides};
use orgguard::policy::Policy;
use orgguard::serve::{Admin, Credentials, Live, Readiness, Stage};
use orgguard::session::{Decision, Mode};
use orgguard::sql::Span;
use orgguard::telemetry::{
    ConnectionOpened, Peer, SessionLabels, StatementJudged, StatementText, Telemetry,
    ViolationFound,
};
use tokio::net::TcpListener;

fn policy() -> Arc<Policy> {
    config::standard(&Overrides::default()).unwrap().policy
}

async fn get(address: SocketAddr, path: &'static str) -> (u16, String) {
    tokio::task::spawn_blocking(move || {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut answer = agent.get(format!("http://{address}{path}")).call().unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    })
    .await
    .unwrap()
}

fn admin(config: &str, readiness: &Readiness) -> Admin {
    let config = Arc::new(config::parse(config, &Overrides::default()).unwrap());
    Admin {
        telemetry: Telemetry::new(Mode::Audit, policy()).unwrap(),
        readiness: readiness.clone(),
        credentials: Credentials::load(&config).unwrap(),
        policies: Policies::fixed(policy()),
        live: Live::of(&config),
    }
}

#[tokio::test]
async fn ready_only_while_listening_and_while_the_server_is_there() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let readiness = Readiness::default();
    let config = format!("mode = \"audit\"\nupstream = \"{}\"\n", upstream.local_addr().unwrap());
    let admin = admin(&config, &readiness);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(admin.serve(listener));

    assert_eq!(get(address, "/healthz").await, (200, "ok\n".to_owned()));
    let (status, body) = get(address, "/readyz").await;
    assert_eq!((status, &*body), (503, "not ready: not listening yet\n"));
    let listening = Stage::Listening([Listen::Tcp(address)].into());
    readiness.set(listening.clone());
    assert_eq!(readiness.listening().await, address);
    assert_eq!(get(address, "/readyz").await, (200, "ready\n".to_owned()));
    readiness.set(Stage::Draining);
    assert_eq!(get(address, "/readyz").await.1, "not ready: draining\n");
    readiness.set(listening);
    drop(upstream);
    let (status, body) = get(address, "/readyz").await;
    assert_eq!(status, 503);
    assert!(body.starts_with("not ready: upstream 127.0.0.1:"), "{body}");
    assert_eq!(get(address, "/elsewhere").await.0, 404);
}

/// A guard's admin port that wants a token; what it is asked with.
async fn guarded(more: &str) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let config = format!("mode = \"audit\"\nadmin = \"{address}\"\n{more}");
    let readiness = Readiness::default();
    readiness.set(Stage::Draining);
    let admin = admin(&config, &readiness);
    (address, tokio::spawn(async { admin.serve(listener).await.unwrap() }))
}

#[tokio::test]
async fn who_has_no_token_learns_whether_the_guard_is_ready_and_no_more() {
    let folder = std::env::temp_dir().join(format!("orgguard-admin-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("token");
    std::fs::write(&file, "correct-horse-battery\n").unwrap();
    let (address, _task) = guarded(&format!("admin_token_file = {file:?}\n")).await;
    let ask = async |path: &'static str, header: &'static str| {
        tokio::task::spawn_blocking(move || {
            let agent: ureq::Agent =
                ureq::Agent::config_builder().http_status_as_error(false).build().into();
            let mut request = agent.get(format!("http://{address}{path}"));
            if !header.is_empty() {
                request = request.header("Authorization", header);
            }
            let mut answer = request.call().unwrap();
            (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
        })
        .await
        .unwrap()
    };
    const TOKEN: &str = "Bearer correct-horse-battery";
    for path in ["/", "/status", "/metrics", "/violations", "/config"] {
        for wrong in ["", "Bearer ", "Bearer correct-horse-batter", "Basic correct-horse-battery"] {
            let (status, body) = ask(path, wrong).await;
            assert_eq!((status, body.contains("orgguard_")), (401, false), "{path} {wrong}");
        }
        assert_eq!(ask(path, TOKEN).await.0, 200, "{path}");
    }
    assert_eq!(ask("/healthz", "").await, (200, "ok\n".to_owned()));
    assert_eq!(ask("/readyz", "").await, (503, "not ready\n".to_owned()));
    assert_eq!(ask("/readyz", TOKEN).await, (503, "not ready: draining\n".to_owned()));
    for short in ["", "short", "with a blank between"] {
        std::fs::write(&file, short).unwrap();
        let text =
            format!("mode = \"audit\"\nadmin = \"127.0.0.1:0\"\nadmin_token_file = {file:?}\n");
        let config = Arc::new(config::parse(&text, &Overrides::default()).unwrap());
        let error = Credentials::load(&config).unwrap_err().to_string();
        assert!(error.contains("one line of 16 characters"), "{error}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn the_pages_are_behind_tls_and_nobody_holds_them_up() {
    let folder = std::env::temp_dir().join(format!("orgguard-admin-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let tls = format!("[admin_tls]\ncertificate = {certificate:?}\nkey = {key:?}\n");
    let (address, _task) = guarded(&tls).await;
    // A client that begins no handshake.
    let _silent = std::net::TcpStream::connect(address).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let answer = tokio::task::spawn_blocking(move || {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = "localhost".try_into().unwrap();
        let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let socket = std::net::TcpStream::connect(address).unwrap();
        let mut tls = rustls::StreamOwned::new(connection, socket);
        tls.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        // The other side may close without a word.
        let _ = tls.read_to_string(&mut answer);
        answer
    })
    .await
    .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("orgguard_connections 0"), "{answer}");
    std::fs::remove_dir_all(&folder).unwrap();
}

/// `orgguard config show` of an admin port with token and TLS: exit code, and what it said.
async fn show(address: SocketAddr, variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_orgguard"));
    command.args(["config", "show", &format!("https://localhost:{}", address.port())]);
    command.envs(variables.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[tokio::test]
async fn the_commands_bring_the_token_and_verify_the_guard() {
    let folder = std::env::temp_dir().join(format!("orgguard-admin-cli-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    for name in ["guard", "other"] {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(path(&format!("{name}.crt")), made.cert.pem()).unwrap();
        std::fs::write(path(&format!("{name}.key")), made.signing_key.serialize_pem()).unwrap();
    }
    std::fs::write(path("token"), "correct-horse-battery").unwrap();
    let (address, _task) = guarded(&format!(
        "admin_token_file = {:?}\n[admin_tls]\ncertificate = {:?}\nkey = {:?}\n",
        path("token"),
        path("guard.crt"),
        path("guard.key")
    ))
    .await;
    let token = ("ORGGUARD_ADMIN_TOKEN", "correct-horse-battery");
    let (own, other) = (path("guard.crt"), path("other.crt"));
    let (code, said) = show(address, &[("ORGGUARD_ADMIN_CA", &own), token]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("mode audit"), "{said}");
    for (variables, part) in [
        (&[token][..], "ORGGUARD_ADMIN_CA"),
        (&[("ORGGUARD_ADMIN_CA", &*own)], "ORGGUARD_ADMIN_TOKEN"),
        (&[("ORGGUARD_ADMIN_CA", &*other), token], "certificate"),
    ] {
        let (code, said) = show(address, variables).await;
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(part) && !said.contains("battery"), "{said}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn events_are_counted_with_bounded_labels() {
    let telemetry = Telemetry::new(Mode::Enforce, policy()).unwrap();
    for kind in [Kind::Select, Kind::Select, Kind::NotUnderstood] {
        let decision = Decision::Refuse;
        StatementJudged { kind, outcome: Outcome::Violates, decision }.emit(&telemetry);
    }
    let client = Peer::Local;
    let session = SessionLabels {
        role: "app".into(),
        database: "shop".into(),
        application_name: "".into(),
        client,
    };
    let violate = |rule, table: String| {
        let violation = Violation {
            rule,
            table: Some(table.into()),
            span: Span::default(),
            detail: "".into(),
            hint: "".into(),
        };
        let statement = "SELECT 'secret'";
        let event = ViolationFound {
            violation: &violation,
            mode: Mode::Enforce,
            exemption: None,
            session: &session,
            text: &StatementText::new(statement, None),
        };
        event.emit(&telemetry);
    };
    // Names of routines never take the labels of tables.
    for number in 0..300 {
        violate(Rule::OpaqueSql, format!("routine_{number}"));
    }
    for number in 0..300 {
        violate(Rule::UnboundTenant, format!("org_{number}"));
    }
    violate(Rule::UnboundTenant, "org_7".to_owned());
    let first = ConnectionOpened { client }.emit(&telemetry);
    let second = ConnectionOpened { client }.emit(&telemetry);
    drop(first);

    let text = String::from_utf8(telemetry.render().unwrap()).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let grammar = if orgguard::sql::HAS_SECOND_READING { "postgres" } else { "none" };
    for line in [
        "orgguard_statements_total{decision=\"refuse\",kind=\"select\",verdict=\"violates\"} 2",
        "orgguard_statements_total{decision=\"refuse\",kind=\"not_understood\",verdict=\"violates\"} 1",
        "orgguard_violations_total{mode=\"enforce\",rule=\"opaque-sql\",table=\"other\"} 300",
        "orgguard_violations_total{mode=\"enforce\",rule=\"unbound-tenant\",table=\"org_7\"} 2",
        "orgguard_violations_total{mode=\"enforce\",rule=\"unbound-tenant\",table=\"other\"} 100",
        "orgguard_connections 1",
        "orgguard_config_info{mode=\"enforce\"} 1",
        &format!("orgguard_build_info{{grammar=\"{grammar}\",version=\"{version}\"}} 1"),
        "orgguard_reading_disagreements_total{cause=\"differs\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let tables = text.lines().filter(|line| line.contains("rule=\"unbound-tenant\"")).count();
    assert_eq!(tables, 201);
    drop(second);
    let text = String::from_utf8(telemetry.render().unwrap()).unwrap();
    assert!(text.contains("orgguard_connections 0"));
    assert!(!text.contains("secret"));
}
