//! The admin port: metrics, health and readiness.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]

use std::net::SocketAddr;
use std::sync::Arc;

use orgguard::analyze::{Kind, Outcome, Rule, Violation};
use orgguard::catalog::Policies;
use orgguard::config::{self, Endpoint, Overrides, Upstream};
use orgguard::policy::Policy;
use orgguard::serve::{Admin, Live, Readiness, Stage};
use orgguard::session::{Decision, Mode};
use orgguard::sql::Span;
use orgguard::telemetry::{
    ConnectionOpened, SessionLabels, StatementJudged, Telemetry, ViolationFound,
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

#[tokio::test]
async fn ready_only_while_listening_and_while_the_server_is_there() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let readiness = Readiness::default();
    let admin = Admin {
        telemetry: Telemetry::new(Mode::Audit, policy()).unwrap(),
        readiness: readiness.clone(),
        upstream: {
            let host = upstream.local_addr().unwrap();
            let port = host.port();
            let endpoint = Endpoint::Tcp { host: host.ip().to_string().into(), port };
            Upstream { endpoints: [endpoint].into(), tls: None }
        },
        policies: Policies::fixed(policy()),
        live: Live::of(&Arc::new(config::standard(&Overrides::default()).unwrap())),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(admin.serve(listener));

    assert_eq!(get(address, "/healthz").await, (200, "ok\n".to_owned()));
    let (status, body) = get(address, "/readyz").await;
    assert_eq!((status, &*body), (503, "not ready: not listening yet\n"));
    readiness.set(Stage::Listening(address));
    assert_eq!(readiness.listening().await, address);
    assert_eq!(get(address, "/readyz").await, (200, "ready\n".to_owned()));
    readiness.set(Stage::Draining);
    assert_eq!(get(address, "/readyz").await.1, "not ready: draining\n");
    readiness.set(Stage::Listening(address));
    drop(upstream);
    let (status, body) = get(address, "/readyz").await;
    assert_eq!(status, 503);
    assert!(body.starts_with("not ready: upstream 127.0.0.1:"), "{body}");
    assert_eq!(get(address, "/elsewhere").await.0, 404);
}

#[test]
fn events_are_counted_with_bounded_labels() {
    let telemetry = Telemetry::new(Mode::Enforce, policy()).unwrap();
    for kind in [Kind::Select, Kind::Select, Kind::NotUnderstood] {
        let decision = Decision::Refuse;
        StatementJudged { kind, outcome: Outcome::Violates, decision }.emit(&telemetry);
    }
    let client = "127.0.0.1:1".parse().unwrap();
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
            position: 1,
            statement,
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
