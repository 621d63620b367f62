//! TLS and login, every combination of legs, logins and channel binding: each works or is refused
//! with a reason, as the table of docs/operations.md says. What works is a session with one statement
//! admitted and one refused, by the guard's own count too; and with a wrong password it does not
//! work. libpq by itself; with `ORGGUARD_MATRIX=all` also node-postgres, asyncpg, tokio-postgres and
//! pgjdbc, which needs a JDK and Debian's libpostgresql-jdbc-java (or its file's path in
//! `ORGGUARD_PGJDBC`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/guard.rs"]
mod guard;
#[path = "support/legs.rs"]
mod legs;
#[path = "support/clients.rs"]
mod support;
#[path = "support/tls_clients.rs"]
mod tls_clients;

use std::collections::BTreeMap;
use std::fs;

use guard::Guard;
use legs::{PASSWORD, Setting};
use orgguard::config::{self, Overrides};
use tls_clients::{Answer, Attempt, Binding, Client, Libpq, Told};

const TABLE: &str = include_str!("../docs/operations.md");

const CLIENT_LEGS: [&str; 3] = ["off", "optional", "required"];
const SERVER_LEGS: [&str; 4] = ["off", "prefer", "require", "verify-full"];
const LOGINS: [&str; 3] = ["relay", "same_certificate", "guard"];
const TLS: [&str; 2] = ["off", "on"];

/// Both legs, the login, and the client's TLS.
type Cell = (String, String, String, String);

/// What each cell of the table expects, for disable, prefer and require.
fn expectations() -> BTreeMap<Cell, [String; 3]> {
    let head = "| `[client_tls]` | the client's TLS |";
    let rows = TABLE.lines().skip_while(|line| !line.starts_with(head)).skip(2);
    let mut cells = BTreeMap::new();
    for row in rows.take_while(|line| line.starts_with('|')) {
        let columns: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [client, tls, server, login, expected @ ..] = &columns[..] else { panic!("{row}") };
        let expected: [String; 3] =
            expected.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>().try_into().unwrap();
        let each = |text: &str| text.split(", ").map(str::to_owned).collect::<Vec<_>>();
        for client in each(client) {
            for tls in each(tls) {
                for server in each(server) {
                    for login in each(login) {
                        let cell = (client.clone(), server.clone(), login, tls.clone());
                        let before = cells.insert(cell, expected.clone());
                        assert!(before.is_none(), "a cell of this row is in another one: {row}");
                    }
                }
            }
        }
    }
    cells
}

/// The configuration of a cell.
fn sections(setting: &Setting, client: &str, server: &str, login: &str) -> String {
    let mut text = String::new();
    if client != "off" {
        let own = if login == "same_certificate" { "server" } else { "guard" };
        text += &setting.client_tls(own);
        text += &format!("required = {}\n", client == "required");
    }
    if server != "off" {
        text += &format!("[upstream_tls]\nmode = \"{server}\"\n");
    }
    if server == "verify-full" {
        text += &format!("ca = {:?}\n", setting.path("server.crt"));
    }
    match login {
        "guard" => {
            text +=
                &format!("[login]\nmode = \"guard\"\nsecrets = {:?}\n", setting.path("secrets"));
        }
        "same_certificate" => text += "[login]\nmode = \"relay\"\nsame_certificate = true\n",
        _ => {}
    }
    text
}

/// What a client gets in a cell, by what the table says of libpq and by the one thing in which clients
/// differ: one that says in clear that it could bind (`y`) is taken for downgraded by whoever judges
/// the login and could bind. That is the server where the login is relayed and its own leg is
/// encrypted; the guard, where it judges, knows that it did not offer it.
fn expected<'a>(client: &dyn Client, cell: &Cell, binding: Binding, table: &'a str) -> &'a str {
    let (_, server_leg, login, tls) = cell;
    let claims = binding == Binding::Prefer && tls == "off" && client.claims_to_bind_in_clear();
    if table == "works" && claims && login != "guard" && server_leg != "off" {
        return "server";
    }
    table
}

/// Whether an answer is as expected. What is refused must say why, and must be refused by the one who
/// is expected to: the client's own words have no SQLSTATE.
fn is_as(expected: &str, server_leg: &str, answer: &Answer) -> bool {
    match (expected, answer) {
        ("works", Answer::In { encrypted, admitted, refused }) => {
            *encrypted == (server_leg != "off")
                && admitted == "ours"
                && refused.code == "42501"
                && refused.message.contains("unbound-tenant on \"org_notes\"")
        }
        ("client", Answer::Out(told)) => {
            told.code.is_empty() && told.message.to_lowercase().contains("channel binding")
        }
        ("guard", Answer::Out(told)) => {
            is_code(told, "28000") && told.message.contains("orgguard: TLS is required")
        }
        ("server", Answer::Out(told)) => {
            is_code(told, "28000")
                && told.message.contains("SCRAM channel binding negotiation error")
                && told.message.contains("this server does support channel binding")
        }
        ("password", Answer::Out(told)) => {
            is_code(told, "28P01") && told.message.contains("password authentication failed")
        }
        _ => false,
    }
}

fn is_code(told: &Told, code: &str) -> bool {
    told.code == code || told.code == "FATAL"
}

/// All logins so far.
#[derive(Default)]
struct Seen {
    wrong: Vec<String>,
    /// By client and outcome.
    counts: BTreeMap<(&'static str, String), u64>,
}

/// How many logins of a guard came to what.
type Outcomes = BTreeMap<String, u64>;

impl Seen {
    /// A client's logins in a cell: each kind of channel binding that it knows and, where a login
    /// works, one with a wrong password, so that none works without its password.
    fn log_in(
        &mut self,
        client: &mut dyn Client,
        cell: &Cell,
        row: &[String; 3],
        port: u16,
        outcomes: &mut Outcomes,
    ) {
        let tls = cell.3 == "on";
        let known = Binding::ALL.into_iter().zip(row).filter(|(binding, _)| client.knows(*binding));
        let mut attempts: Vec<_> = known
            .map(|(binding, table)| (binding, PASSWORD, expected(client, cell, binding, table)))
            .collect();
        if row[0] == "works" {
            attempts.push((Binding::Disable, "wrong", "password"));
        }
        for (binding, password, expected) in attempts {
            let answer = client.log_in(Attempt { port, tls, binding, password });
            let name = client.name();
            if !is_as(expected, &cell.1, &answer) {
                self.wrong.push(format!("{name} {cell:?} {binding:?}: {answer:?}, not {expected}"));
            }
            *self.counts.entry((name, expected.to_owned())).or_default() += 1;
            *outcomes.entry(expected.to_owned()).or_default() += 1;
        }
    }

    /// What the guard says of the same logins, after it has ended.
    fn hold_against(&mut self, mut guard: Guard, login: &str, outcomes: &Outcomes, text: &str) {
        guard.drain();
        guard.join();
        let of = |outcome: &str| outcomes.get(outcome).copied().unwrap_or_default();
        let statements = |decision, verdict| {
            format!(
                "orgguard_statements_total{{decision=\"{decision}\",kind=\"select\",verdict=\"{verdict}\"}}"
            )
        };
        let refused = |why| format!("orgguard_refused_connections_total{{reason=\"{why}\"}}");
        let mut expected = vec![
            (statements("forward", "holds"), of("works") * 2),
            (statements("refuse", "violates"), of("works")),
            (refused("tls_required"), of("guard")),
        ];
        if login == "guard" {
            expected.push((refused("login"), of("password")));
        }
        for (metric, value) in expected {
            let counted = guard.metric(&metric);
            if counted != value {
                self.wrong.push(format!("{metric} is {counted}, not {value}, of\n{text}"));
            }
        }
    }

    fn of(&self, client: &str) -> u64 {
        let own = self
            .counts
            .iter()
            .filter(|((name, outcome), _)| *name == client && outcome != "password");
        own.map(|(_, count)| count).sum()
    }
}

#[test]
fn every_combination_is_as_the_documentation_says() {
    let setting = Setting::new();
    let port = setting.server.port();
    setting.psql(port, "user=postgres sslmode=disable", tls_clients::TABLE).unwrap();
    fs::write(setting.path("secrets"), format!("\"app\" \"{}\"\n", setting.secret("app"))).unwrap();
    let mut clients: Vec<Box<dyn Client>> = vec![Box::new(Libpq(&setting))];
    if std::env::var("ORGGUARD_MATRIX").is_ok_and(|value| value == "all") {
        clients.extend(tls_clients::others());
    }
    let upstream = format!("localhost:{port}");
    let mut expectations = expectations();
    let mut seen = Seen::default();
    let mut not_loaded = 0;
    for client_leg in CLIENT_LEGS {
        for server_leg in SERVER_LEGS {
            for login in LOGINS {
                // What is the same as "relay" is no case of its own.
                if login == "same_certificate" && (client_leg == "off" || server_leg == "off") {
                    continue;
                }
                let more = sections(&setting, client_leg, server_leg, login);
                let text = Guard::text("enforce", &upstream, &more);
                let mut guard = None;
                let mut outcomes = Outcomes::new();
                for tls in TLS {
                    if client_leg == "off" && tls == "on" {
                        continue;
                    }
                    let [one, two, three, four] =
                        [client_leg, server_leg, login, tls].map(str::to_owned);
                    let cell = (one, two, three, four);
                    let row = expectations.remove(&cell);
                    let row = row.unwrap_or_else(|| panic!("{cell:?} is not in the table"));
                    if row[0] == "load" {
                        let problems = config::parse(&text, &Overrides::default()).unwrap_err();
                        assert!(problems[0].message.contains("SCRAM"), "{cell:?}: {problems:?}");
                        not_loaded += 1;
                        continue;
                    }
                    let guard = guard.get_or_insert_with(|| Guard::start_text(&text));
                    let port = guard.address().port();
                    for client in &mut clients {
                        seen.log_in(client.as_mut(), &cell, &row, port, &mut outcomes);
                    }
                }
                if let Some(guard) = guard {
                    seen.hold_against(guard, login, &outcomes, &more);
                }
            }
        }
    }
    for ((client, outcome), count) in &seen.counts {
        println!("{client}: {outcome} {count}");
    }
    println!("not loaded: {not_loaded}");
    assert!(seen.wrong.is_empty(), "{}", seen.wrong.join("\n"));
    assert!(expectations.is_empty(), "the table has what there is not: {expectations:?}");
    for client in &clients {
        let known = Binding::ALL.into_iter().filter(|binding| client.knows(*binding)).count();
        assert_eq!(seen.of(client.name()), 40 * u64::try_from(known).unwrap(), "{}", client.name());
    }
    assert_eq!(not_loaded, 12);
}
