//! Sessions that go on on another thread while they run: plain ones and encrypted ones, with what
//! they keep.
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

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use guard::Guard;
use legs::{PASSWORD, Setting};

const OWN: &str = "01900000-0000-7000-8000-00000000000a";
const OTHER: &str = "01900000-0000-7000-8000-00000000000b";

/// Rounds after which threads that balance nothing have shown it.
const ROUNDS: usize = 40;

/// What a client says, what it is told, and how often it is refused.
struct Conversation {
    said: String,
    told: String,
    refusals: usize,
}

impl Conversation {
    /// At first one statement after another with time between them, then all at once. The session's
    /// own things are made once, and used to the end.
    fn of(client: usize) -> Self {
        let mut it = Self { said: String::new(), told: String::new(), refusals: 0 };
        it.said.push_str("\\set VERBOSITY terse\nSET app.organization_id = ");
        write!(
            it.said,
            "'{OWN}';\nPREPARE own (uuid) AS SELECT name || '-{client}' FROM org_notes "
        )
        .unwrap();
        it.said.push_str("WHERE organization_id = $1 AND deleted_at IS NULL;\n");
        for number in 0..30 {
            it.say(client * 1_000 + number);
            it.said.push_str("SELECT pg_sleep(0.02);\n");
            it.told.push('\n');
        }
        for number in 30..230 {
            it.say(client * 1_000 + number);
        }
        it
    }

    fn say(&mut self, number: usize) {
        write!(self.said, "SELECT {number};\nEXECUTE own('{OWN}');\nEXECUTE own('{OTHER}');\n")
            .unwrap();
        writeln!(self.told, "{number}\nours-{}", number / 1_000).unwrap();
        self.refusals += 1;
    }
}

fn start(setting: &Setting, port: u16, sslmode: &str) -> Child {
    let connection =
        format!("host=127.0.0.1 port={port} dbname=postgres user=app sslmode={sslmode}");
    Command::new(setting.server.programs().join("psql"))
        .args(["-XAtq", &connection])
        .env("PGPASSWORD", PASSWORD)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_session_goes_on_on_another_thread_with_all_that_it_has() {
    let setting = Setting::new();
    let table = format!(
        "CREATE TABLE org_notes (name text, organization_id uuid, deleted_at timestamptz); \
         INSERT INTO org_notes VALUES ('ours', '{OWN}'), ('theirs', '{OTHER}'); \
         GRANT SELECT ON org_notes TO app"
    );
    setting.psql(setting.server.port(), "user=postgres", &table).unwrap();
    let more = format!("[routines]\nallow = [\"pg_sleep\"]\n{}", setting.client_tls("guard"));
    let text = Guard::text("enforce", &setting.server.address().to_string(), &more);
    let mut guard = Guard::start_text(&format!("threads = 2\n{text}"));
    let port = guard.address().port();
    let moves = |guard: &Guard| guard.metric("orgguard_session_moves_total");
    let mut rounds = 0;
    while moves(&guard) < 10 {
        assert!(rounds < ROUNDS, "{} moves", moves(&guard));
        rounds += 1;
        let clients: Vec<_> = ["disable", "require", "disable", "require"]
            .into_iter()
            .enumerate()
            .map(|(number, sslmode)| {
                let conversation = Conversation::of(number + 1);
                let mut psql = start(&setting, port, sslmode);
                psql.stdin.take().unwrap().write_all(conversation.said.as_bytes()).unwrap();
                (psql, conversation)
            })
            .collect();
        for (psql, conversation) in clients {
            let output = psql.wait_with_output().unwrap();
            let words = String::from_utf8(output.stderr).unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), conversation.told, "{words}");
            let refusals = words.lines().filter(|line| line.contains("foreign-tenant")).count();
            assert_eq!(
                (refusals, words.lines().count()),
                (conversation.refusals, refusals),
                "{words}"
            );
        }
    }
    guard.drain();
    guard.join();
    assert_eq!(guard.metric("orgguard_connections"), 0);
    let ended = guard.metric("orgguard_sessions_ended_total{by=\"client\"}");
    assert_eq!(ended, u64::try_from(rounds * 4).unwrap());
}
