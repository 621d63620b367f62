use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use super::account::{Account, Broken, Judged, Shape, Summary, TableSeen, rfc3339};
use super::event::SessionLabels;
use super::text::StatementText;
use crate::analyze::Violation;
use crate::session::Mode;

/// Shapes kept. A client that sends ever new ones takes no more than this times some 10 kB.
const SHAPES: usize = 1_000;

/// Forgotten at once when there are too many: those not seen for the longest time.
const FORGOTTEN: usize = 100;

/// Violations kept of one shape.
const VIOLATIONS: usize = 16;

/// Roles, databases and application names kept of one shape, and the bytes kept of each name,
/// which a client chooses.
const SENDERS: usize = 8;
const SENDER_BYTES: usize = 64;

/// The form of the account; see [`Summary::ledger`].
pub(super) const FORM: u32 = 1;

/// Every statement that violated a rule, by its shape: in memory, and bounded.
pub(super) struct Ledger {
    state: Mutex<State>,
}

struct State {
    since: SystemTime,
    shapes: HashMap<u64, Entry>,
    dropped: u64,
    tables: BTreeMap<Box<str>, Texts>,
}

#[derive(Default)]
struct Texts {
    count: u64,
    last: Option<SystemTime>,
}

struct Entry {
    statement: String,
    count: u64,
    first: SystemTime,
    last: SystemTime,
    mode: Mode,
    roles: Vec<Box<str>>,
    databases: Vec<Box<str>>,
    application_names: Vec<Box<str>>,
    violations: Vec<Broken>,
}

impl Ledger {
    /// An empty ledger.
    pub(super) fn new(now: SystemTime) -> Self {
        let state =
            State { since: now, shapes: HashMap::new(), dropped: 0, tables: BTreeMap::default() };
        Self { state: Mutex::new(state) }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a violation of a statement that was to run.
    pub(super) fn note(
        &self,
        text: &StatementText<'_>,
        violation: &Violation,
        (session, mode): (&SessionLabels, Mode),
        now: SystemTime,
    ) {
        let fingerprint = text.fingerprint();
        if !self.state().shapes.contains_key(&fingerprint) {
            // Not under the lock.
            text.normal();
        }
        let mut state = self.state();
        if state.shapes.len() >= SHAPES && !state.shapes.contains_key(&fingerprint) {
            state.forget();
        }
        let entry = state.shapes.entry(fingerprint).or_insert_with(|| Entry {
            statement: text.normal().text.clone(),
            count: 0,
            first: now,
            last: now,
            mode,
            roles: Vec::new(),
            databases: Vec::new(),
            application_names: Vec::new(),
            violations: Vec::new(),
        });
        entry.last = now;
        entry.mode = mode;
        for (senders, sender) in [
            (&mut entry.roles, &session.role),
            (&mut entry.databases, &session.database),
            (&mut entry.application_names, &session.application_name),
        ] {
            remember(senders, sender);
        }
        entry.note(violation, text);
    }

    /// Notes that a text on these guarded tables was read.
    pub(super) fn note_text<'a>(
        &self,
        tables: impl Iterator<Item = &'a str>,
        label: impl Fn(&str) -> Box<str>,
        now: SystemTime,
    ) {
        let labels: std::collections::BTreeSet<Box<str>> = tables.map(label).collect();
        if labels.is_empty() {
            return;
        }
        let mut state = self.state();
        for table in labels {
            let texts = state.tables.entry(table).or_default();
            texts.count = texts.count.saturating_add(1);
            texts.last = Some(now);
        }
    }

    /// What the ledger says now.
    pub(super) fn account(&self, mode: Mode, judged: Judged, now: SystemTime) -> Account {
        let state = self.state();
        let tables = state
            .tables
            .iter()
            .map(|(table, texts)| TableSeen {
                table: table.to_string(),
                texts: texts.count,
                last: texts.last.map(rfc3339),
            })
            .collect();
        let mut statements: Vec<Shape> =
            state.shapes.iter().map(|(fingerprint, entry)| entry.shape(*fingerprint)).collect();
        statements.sort_by(|one, other| {
            other.count.cmp(&one.count).then_with(|| one.fingerprint.cmp(&other.fingerprint))
        });
        let summary = Summary {
            ledger: FORM,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            mode: mode.name().to_owned(),
            since: rfc3339(state.since),
            at: rfc3339(now),
            judged,
            dropped: state.dropped,
            tables,
        };
        Account { summary, statements }
    }

    /// Goes on from what an earlier process wrote. What cannot be read of it is left out.
    pub(super) fn take_up(&self, account: &Account) {
        let mut state = self.state();
        if let Ok(since) = humantime::parse_rfc3339(&account.summary.since) {
            state.since = since.min(state.since);
        }
        state.dropped = state.dropped.saturating_add(account.summary.dropped);
        for seen in &account.summary.tables {
            let texts = state.tables.entry(seen.table.as_str().into()).or_default();
            texts.count = texts.count.saturating_add(seen.texts);
            let last = seen.last.as_deref().and_then(|last| humantime::parse_rfc3339(last).ok());
            texts.last = texts.last.max(last);
        }
        for shape in account.statements.iter().take(SHAPES) {
            let fingerprint = u64::from_str_radix(&shape.fingerprint, 16);
            if let (Ok(fingerprint), Some(entry)) = (fingerprint, Entry::of(shape)) {
                state.shapes.entry(fingerprint).or_insert(entry);
            }
        }
    }
}

impl State {
    fn forget(&mut self) {
        let mut ages: Vec<(SystemTime, u64)> =
            self.shapes.iter().map(|(fingerprint, entry)| (entry.last, *fingerprint)).collect();
        ages.sort_unstable();
        for (_, fingerprint) in ages.into_iter().take(FORGOTTEN) {
            self.shapes.remove(&fingerprint);
            self.dropped = self.dropped.saturating_add(1);
        }
    }
}

impl Entry {
    fn note(&mut self, violation: &Violation, text: &StatementText<'_>) {
        let Violation { rule, table, span, detail, hint } = violation;
        let same =
            |it: &Broken| *it.rule == *rule.name() && it.table.as_deref() == table.as_deref();
        if let Some(known) = self.violations.iter_mut().find(|it| same(it)) {
            known.count = known.count.saturating_add(1);
            self.count = self.count.max(known.count);
        } else if self.violations.len() < VIOLATIONS {
            self.violations.push(Broken {
                rule: rule.name().to_owned(),
                table: table.as_deref().map(str::to_owned),
                count: 1,
                position: text.position(*span),
                detail: detail.to_string(),
                hint: hint.to_string(),
            });
            self.count = self.count.max(1);
        }
    }

    fn shape(&self, fingerprint: u64) -> Shape {
        let senders = |names: &[Box<str>]| names.iter().map(|name| name.to_string()).collect();
        Shape {
            fingerprint: format!("{fingerprint:016x}"),
            statement: self.statement.clone(),
            count: self.count,
            first_seen: rfc3339(self.first),
            last_seen: rfc3339(self.last),
            mode: self.mode.name().to_owned(),
            roles: senders(&self.roles),
            databases: senders(&self.databases),
            application_names: senders(&self.application_names),
            violations: self.violations.clone(),
        }
    }

    fn of(shape: &Shape) -> Option<Self> {
        let senders = |names: &[String]| {
            let mut kept = Vec::new();
            names.iter().for_each(|name| remember(&mut kept, name));
            kept
        };
        Some(Self {
            statement: shape.statement.clone(),
            count: shape.count,
            first: humantime::parse_rfc3339(&shape.first_seen).ok()?,
            last: humantime::parse_rfc3339(&shape.last_seen).ok()?,
            mode: Mode::ALL.into_iter().find(|mode| *mode.name() == *shape.mode)?,
            roles: senders(&shape.roles),
            databases: senders(&shape.databases),
            application_names: senders(&shape.application_names),
            violations: shape.violations.iter().take(VIOLATIONS).cloned().collect(),
        })
    }
}

/// Adds a name to a short list, cut.
fn remember(names: &mut Vec<Box<str>>, name: &str) {
    let mut end = name.len().min(SENDER_BYTES);
    while !name.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    let name = name.get(..end).unwrap_or_default();
    if !name.is_empty() && names.len() < SENDERS && !names.iter().any(|known| **known == *name) {
        names.push(name.into());
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::analyze::Rule;
    use crate::sql::Span;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn note(ledger: &Ledger, sql: &str, rule: Rule, role: &str, seconds: u64) {
        let violation = Violation {
            rule,
            table: Some("org_products".into()),
            span: Span::default(),
            detail: "wrong".into(),
            hint: "right".into(),
        };
        let session = SessionLabels {
            role: role.into(),
            database: "shop".into(),
            application_name: "".into(),
            client: crate::telemetry::Peer::Local,
        };
        let who = (&session, Mode::Audit);
        ledger.note(&StatementText::new(sql, None), &violation, who, at(seconds));
    }

    fn account(ledger: &Ledger) -> Account {
        ledger.account(Mode::Audit, Judged::default(), at(100))
    }

    #[test]
    fn a_shape_is_kept_once_with_what_it_violates() {
        let ledger = Ledger::new(at(0));
        for (id, rule, role) in [
            (1, Rule::UnboundTenant, "app"),
            (1, Rule::VisibleDeleted, "app"),
            (2, Rule::UnboundTenant, "worker"),
        ] {
            let sql = format!("SELECT * FROM org_products WHERE id = {id} AND name = 'secret'");
            note(&ledger, &sql, rule, role, id);
        }
        let found = account(&ledger);
        assert_eq!(found.statements.len(), 1);
        let shape = &found.statements[0];
        assert_eq!(shape.statement, "SELECT * FROM org_products WHERE id = ? AND name = ?");
        assert_eq!((shape.count, shape.roles.join(" ")), (2, "app worker".to_owned()));
        assert_eq!(shape.first_seen, "1970-01-01T00:00:01.000Z");
        assert_eq!(shape.last_seen, "1970-01-01T00:00:02.000Z");
        let counts: Vec<_> = shape.violations.iter().map(|it| (&*it.rule, it.count)).collect();
        assert_eq!(counts, [("unbound-tenant", 2), ("visible-deleted", 1)]);
    }

    #[test]
    fn the_ledger_has_a_bound_and_forgets_the_oldest() {
        let ledger = Ledger::new(at(0));
        let many = u64::try_from(SHAPES).unwrap() + 50;
        for number in 0..many {
            let sql = format!("SELECT a{number} FROM org_products");
            note(&ledger, &sql, Rule::UnboundTenant, &format!("role_{number}"), number);
        }
        let found = account(&ledger);
        assert!(found.statements.len() <= SHAPES);
        assert_eq!(found.summary.dropped, 100);
        assert!(!found.statements.iter().any(|it| it.statement == "SELECT a7 FROM org_products"));
        for role in 0..20 {
            note(&ledger, "SELECT b FROM org_products", Rule::UnboundTenant, &role.to_string(), 9);
        }
        assert_eq!(account(&ledger).statements[0].roles.len(), SENDERS);
    }

    #[test]
    fn what_was_written_is_taken_up_again() {
        let ledger = Ledger::new(at(5));
        note(&ledger, "SELECT a FROM org_products", Rule::UnboundTenant, "app", 7);
        ledger.note_text(["org_products"].into_iter(), |name| name.into(), at(7));
        let written = account(&ledger);
        let read = Account::from_text(&written.to_lines()).unwrap();
        assert_eq!(read, written);
        assert_eq!(Account::from_text(&serde_json::to_string(&read).unwrap()).unwrap(), written);
        let next = Ledger::new(at(50));
        next.take_up(&read);
        assert_eq!(account(&next), written);
        note(&next, "SELECT a FROM org_products", Rule::UnboundTenant, "app", 60);
        assert_eq!(account(&next).statements[0].count, 2);
        assert_eq!(Account::from_text("{}\n").unwrap_err().line, 1);
    }
}
