//! Where an attack takes place: a database with two organizations, and guards in front of it.

use std::sync::atomic::{AtomicUsize, Ordering};

use orgguard::cli::Throwaway;

use super::guard::{Client, Guard, bind, execute, field, message, parse, startup, sync};

const SCHEMA: &str = include_str!("../cases/schema.sql");

pub(crate) const A: &str = "11111111-1111-4111-8111-111111111111";
pub(crate) const B: &str = "22222222-2222-4222-8222-222222222222";

/// Products of one tenant, which is `$1`.
pub(crate) const BOUND: &str =
    "SELECT name FROM org_products WHERE organization_id = $1 AND deleted_at IS NULL";

/// Two statements of the same parameters, of which the tenant is the first, or the second.
pub(crate) const FIRST: &str = "SELECT name FROM org_products \
     WHERE organization_id = $1::uuid AND deleted_at IS NULL AND $2::text <> ''";
pub(crate) const SECOND: &str = "SELECT name FROM org_products \
     WHERE organization_id = $2::uuid AND deleted_at IS NULL AND $1::text <> ''";

/// Bound to nothing.
pub(crate) const FORGOTTEN: &str = "SELECT name FROM org_products";

/// What only rows of the other organization and deleted rows say.
const MARKERS: [&[u8]; 5] = [b"B turbine", b"B rotor", b"B blade", b"B bolt", b"gone "];

/// One server with the case schema in a template database.
pub(crate) struct Arena {
    server: Throwaway,
    databases: AtomicUsize,
}

impl Arena {
    pub(crate) fn new() -> Self {
        let server = Throwaway::start().unwrap();
        let mut admin = login(Client::connect(server.address()), "postgres", "postgres", &[]);
        for sql in ["CREATE ROLE app LOGIN", "CREATE DATABASE shop OWNER app"] {
            passes(&admin.query(sql), sql);
        }
        let mut owner = login(Client::connect(server.address()), "app", "shop", &[]);
        passes(&owner.query(SCHEMA), "schema");
        Self { server, databases: AtomicUsize::new(0) }
    }

    /// Runs one attack, and looks at the other organization's rows behind it.
    pub(crate) fn run(&self, attack: fn(&Scene<'_>)) {
        let database = format!("attack{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut admin = login(Client::connect(self.server.address()), "postgres", "postgres", &[]);
        // Another attack may be reading the template at this moment.
        let made = format!("CREATE DATABASE {database} TEMPLATE shop OWNER app");
        while admin.query(&made) != ["C CREATE DATABASE", "Z I"] {}
        let scene = Scene { arena: self, database };
        let before = scene.foreign();
        attack(&scene);
        assert_eq!(scene.foreign(), before, "rows of another organization, or deleted, changed");
        drop(scene);
    }
}

/// A database of one attack.
pub(crate) struct Scene<'a> {
    arena: &'a Arena,
    database: String,
}

impl Scene<'_> {
    /// A guard that enforces, with sessions that may set their tenant at will.
    pub(crate) fn guard(&self) -> Door<'_> {
        self.guard_with("")
    }

    /// The same with more lines in its file.
    pub(crate) fn guard_with(&self, more: &str) -> Door<'_> {
        let guard = Guard::start("enforce", self.arena.server.address(), more);
        Door { guard, scene: self }
    }

    /// A guard whose sessions keep their first tenant.
    pub(crate) fn guard_never(&self) -> Door<'_> {
        let address = self.arena.server.address().to_string();
        let text = Guard::text("enforce", &address, "").replace("\"free\"", "\"never\"");
        Door { guard: Guard::start_text(&text), scene: self }
    }

    /// A session past the guard, of the database's owner.
    pub(crate) fn owner(&self) -> Client {
        login(Client::connect(self.arena.server.address()), "app", &self.database, &[])
    }

    /// A session past the guard, of a superuser, in another database.
    pub(crate) fn admin(&self) -> Client {
        login(Client::connect(self.arena.server.address()), "postgres", "postgres", &[])
    }

    pub(crate) fn database(&self) -> &str {
        &self.database
    }

    /// A digest of what no session of A may change.
    fn foreign(&self) -> Vec<u8> {
        let mut digest = Vec::new();
        let mut owner = self.owner();
        for table in ["org_products", "org_tags", "org_customers", "org_orders", "organizations"] {
            let mine = if table == "organizations" { "id" } else { "organization_id" };
            let sql = format!(
                "SELECT md5(coalesce(string_agg(t::text, ',' ORDER BY t::text), '')) \
                 FROM {table} t WHERE {mine} <> '{A}' OR deleted_at IS NOT NULL\0"
            );
            owner.send(&message(b'Q', sql.as_bytes()));
            loop {
                match owner.message() {
                    (b'Z', _) => break,
                    (b'D', row) => digest.extend(row),
                    (b'E', error) => panic!("{}", field(&error, b'M')),
                    _ => {}
                }
            }
        }
        digest
    }
}

/// A guard in front of the database.
pub(crate) struct Door<'a> {
    guard: Guard,
    scene: &'a Scene<'a>,
}

impl Door<'_> {
    /// A session of tenant A, who owns the tables.
    #[track_caller]
    pub(crate) fn session(&self) -> Attacker {
        self.session_with(&[("app.organization_id", A)])
    }

    /// A session with these startup parameters beside user and database.
    #[track_caller]
    pub(crate) fn session_with(&self, more: &[(&str, &str)]) -> Attacker {
        let database = &self.scene.database;
        let mut attacker = Attacker { client: self.guard.connect() };
        let mut parameters = vec![("user", "app"), ("database", &**database)];
        parameters.extend(more);
        attacker.send(&startup(&parameters));
        loop {
            match attacker.message() {
                (b'Z', _) => return attacker,
                (b'E', body) => panic!("{more:?}: {}", field(&body, b'M')),
                _ => {}
            }
        }
    }

    /// What a startup packet of these parameters is told: the code of its error, or nothing.
    pub(crate) fn told(&self, parameters: &[(&str, &str)]) -> String {
        let mut attacker = Attacker { client: self.guard.connect() };
        attacker.send(&startup(parameters));
        loop {
            match attacker.message() {
                (b'E', body) => return field(&body, b'C'),
                (b'Z', _) => return String::new(),
                _ => {}
            }
        }
    }
}

/// A client of a guard; it looks at every message for what it may not be told.
pub(crate) struct Attacker {
    client: Client,
}

impl Attacker {
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.client.send(bytes);
    }

    #[track_caller]
    pub(crate) fn message(&mut self) -> (u8, Vec<u8>) {
        let (kind, body) = self.client.message();
        for marker in MARKERS {
            assert!(
                !body.windows(marker.len()).any(|window| window == marker),
                "LEAK: {}",
                String::from_utf8_lossy(&body)
            );
        }
        (kind, body)
    }

    /// Messages up to one of this kind, in short; rows without a number of columns and lengths.
    #[track_caller]
    pub(crate) fn until(&mut self, kind: u8) -> Vec<String> {
        let mut shown = Vec::new();
        loop {
            let (got, body) = self.message();
            shown.push(match got {
                b'E' => format!("E {}", field(&body, b'C')),
                b'Z' => format!("Z {}", char::from(body[0])),
                b'C' => format!("C {}", String::from_utf8_lossy(&body[..body.len() - 1])),
                b'D' => format!("D {}", values(&body)),
                _ => char::from(got).to_string(),
            });
            if got == kind {
                return shown;
            }
        }
    }

    /// The answer to a simple query.
    #[track_caller]
    pub(crate) fn query(&mut self, sql: &str) -> Vec<String> {
        self.send(&message(b'Q', format!("{sql}\0").as_bytes()));
        self.until(b'Z')
    }

    /// A simple query that passes.
    #[track_caller]
    pub(crate) fn run(&mut self, sql: &str) -> Vec<String> {
        let answer = self.query(sql);
        passes(&answer, sql);
        answer
    }

    /// A simple query that the guard refuses.
    #[track_caller]
    pub(crate) fn refused(&mut self, sql: &str) {
        let answer = self.query(sql);
        assert!(answer[0] == "E 42501" || answer[0] == "E 0A000", "{sql}: {answer:?}");
    }

    /// Messages with a Sync behind them, and the answer to them.
    #[track_caller]
    pub(crate) fn group(&mut self, messages: &[Vec<u8>]) -> Vec<String> {
        self.send(&[messages.concat(), sync()].concat());
        self.until(b'Z')
    }

    /// A statement of the extended protocol, and the answer to it.
    #[track_caller]
    pub(crate) fn extended(&mut self, sql: &str, values: &[&str]) -> Vec<String> {
        self.group(&[parse("", sql), bind("", "", values), execute("")])
    }

    /// The value of a setting as the server has it.
    pub(crate) fn shown(&mut self, setting: &str) -> String {
        let answer = self.query(&format!("SHOW {setting}"));
        let value = answer.iter().find_map(|shown| shown.strip_prefix("D "));
        // A custom setting that was never set.
        value.unwrap_or_default().to_owned()
    }
}

/// The columns of a row in text form.
fn values(mut row: &[u8]) -> String {
    let mut shown = Vec::new();
    row = &row[2..];
    while !row.is_empty() {
        let length = i32::from_be_bytes(row[..4].try_into().unwrap());
        row = &row[4..];
        let Ok(length) = usize::try_from(length) else {
            shown.push("NULL".to_owned());
            continue;
        };
        shown.push(String::from_utf8_lossy(&row[..length]).into_owned());
        row = &row[length..];
    }
    shown.join("|")
}

/// Nothing of the answer is an error.
#[track_caller]
pub(crate) fn passes(answer: &[String], what: &str) {
    assert!(!answer.iter().any(|shown| shown.starts_with("E ")), "{what}: {answer:?}");
}

/// The answer has rows of the own organization.
#[track_caller]
pub(crate) fn has_rows(answer: &[String]) {
    assert!(answer.iter().any(|shown| shown.starts_with("D A ")), "{answer:?}");
    passes(answer, "rows");
}

/// The answer has no row, and ends in an error with one of these codes.
#[track_caller]
pub(crate) fn fails(answer: &[String], codes: &[&str]) {
    assert!(!answer.iter().any(|shown| shown.starts_with('D')), "{answer:?}");
    let error = answer.iter().find_map(|shown| shown.strip_prefix("E "));
    assert!(error.is_some_and(|error| codes.contains(&error)), "{answer:?}");
}

fn login(mut client: Client, user: &str, database: &str, more: &[(&str, &str)]) -> Client {
    let mut parameters = vec![("user", user), ("database", database)];
    parameters.extend(more);
    client.send(&startup(&parameters));
    client.until(b'Z');
    client
}

/// Close of a statement (`S`) or portal (`P`).
pub(crate) fn close(target: char, name: &str) -> Vec<u8> {
    message(b'C', format!("{target}{name}\0").as_bytes())
}

/// Describe of a statement (`S`) or portal (`P`).
pub(crate) fn describe(target: char, name: &str) -> Vec<u8> {
    message(b'D', format!("{target}{name}\0").as_bytes())
}

/// Execute of so many rows.
pub(crate) fn execute_some(portal: &str, rows: u32) -> Vec<u8> {
    let mut body = format!("{portal}\0").into_bytes();
    body.extend(rows.to_be_bytes());
    message(b'E', &body)
}

/// Parse with declared types.
pub(crate) fn parse_typed(name: &str, sql: &str, types: &[u32]) -> Vec<u8> {
    let mut body = format!("{name}\0{sql}\0").into_bytes();
    body.extend(u16::try_from(types.len()).unwrap().to_be_bytes());
    for oid in types {
        body.extend(oid.to_be_bytes());
    }
    message(b'P', &body)
}

/// Bind with formats (as they stand in the message) and values, `None` for NULL.
pub(crate) fn bind_as(
    portal: &str,
    statement: &str,
    formats: &[u16],
    values: &[Option<&[u8]>],
) -> Vec<u8> {
    let mut body = format!("{portal}\0{statement}\0").into_bytes();
    body.extend(u16::try_from(formats.len()).unwrap().to_be_bytes());
    for format in formats {
        body.extend(format.to_be_bytes());
    }
    body.extend(u16::try_from(values.len()).unwrap().to_be_bytes());
    for value in values {
        match value {
            None => body.extend(u32::MAX.to_be_bytes()),
            Some(bytes) => {
                body.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
                body.extend_from_slice(bytes);
            }
        }
    }
    body.extend(b"\0\0");
    message(b'B', &body)
}
