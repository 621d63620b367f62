//! TLS and login, every combination of legs, logins and channel binding: each works or is refused
//! with a reason, as the table of docs/operations.md says. libpq by itself; with
//! `ORGGUARD_MATRIX=all` also node-postgres, asyncpg, tokio-postgres and pgjdbc, which needs a JDK and
//! Debian's libpostgresql-jdbc-java (or its file's path in `ORGGUARD_PGJDBC`).
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
use tls_clients::{Attempt, Binding, Client, Libpq};

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

/// Whether an answer is what the table expects.
fn is_as(expected: &str, server: &str, answer: &str) -> bool {
    match expected {
        "works" => answer == if server == "off" { "f" } else { "t" },
        // libpq, and tokio-postgres, which says it in the cause.
        "client" => {
            answer.starts_with("error: ") && answer.to_lowercase().contains("channel binding")
        }
        "guard" => answer.starts_with("error: ") && answer.contains("TLS is required"),
        _ => false,
    }
}

#[test]
fn every_combination_is_as_the_documentation_says() {
    let setting = Setting::new();
    fs::write(setting.path("secrets"), format!("\"app\" \"{}\"\n", setting.secret("app"))).unwrap();
    let mut clients: Vec<Box<dyn Client>> = vec![Box::new(Libpq(&setting))];
    if std::env::var("ORGGUARD_MATRIX").is_ok_and(|value| value == "all") {
        clients.extend(tls_clients::others(PASSWORD));
    }
    let upstream = format!("localhost:{}", setting.server.port());
    let mut expectations = expectations();
    let mut wrong = Vec::new();
    let mut counts = BTreeMap::new();
    for client_leg in CLIENT_LEGS {
        for server_leg in SERVER_LEGS {
            for login in LOGINS {
                // What is the same as "relay" is no case of its own.
                if login == "same_certificate" && (client_leg == "off" || server_leg == "off") {
                    continue;
                }
                let text = Guard::text(
                    "enforce",
                    &upstream,
                    &sections(&setting, client_leg, server_leg, login),
                );
                let mut guard = None;
                for tls in TLS {
                    if client_leg == "off" && tls == "on" {
                        continue;
                    }
                    let cell = [client_leg, server_leg, login, tls].map(str::to_owned);
                    let [one, two, three, four] = cell.clone();
                    let expected = expectations.remove(&(one, two, three, four));
                    let expected =
                        expected.unwrap_or_else(|| panic!("{cell:?} is not in the table"));
                    if expected[0] == "load" {
                        let problems = config::parse(&text, &Overrides::default()).unwrap_err();
                        assert!(problems[0].message.contains("SCRAM"), "{cell:?}: {problems:?}");
                        continue;
                    }
                    let guard = guard.get_or_insert_with(|| Guard::start_text(&text));
                    let port = guard.address().port();
                    for client in &mut clients {
                        for (binding, expected) in Binding::ALL.into_iter().zip(&expected) {
                            if !client.knows(binding) {
                                continue;
                            }
                            let answer = client.log_in(Attempt { port, tls: tls == "on", binding });
                            if !is_as(expected, server_leg, &answer) {
                                wrong.push(format!(
                                    "{} {cell:?} {binding:?}: {answer}, not {expected}",
                                    client.name()
                                ));
                            }
                            *counts.entry(client.name()).or_insert(0) += 1;
                        }
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(expectations.is_empty(), "the table has what there is not: {expectations:?}");
    assert_eq!(counts["libpq"], 120, "{counts:?}");
}
