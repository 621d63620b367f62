//! Which mode a violation is judged under: staged rollout and exemptions. The mode of a session as
//! a whole (whether it is audited, or judged before it is forwarded) is the strictest that any of
//! its violations could have, and stays what it was when the session began.

use std::sync::Arc;

use super::mode::Mode;
use crate::analyze::{Rule, Violation};
use crate::policy::Pattern;

/// What is done with verdicts, for every session (`mode`, `[[rollout]]`, `[[exemption]]`,
/// `[migrations]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Modes {
    /// For what nothing below matches.
    pub base: Mode,
    /// Where the mode is another one.
    pub rollouts: Vec<Rollout>,
    /// Holes that were made on purpose, those that have expired left out.
    pub exemptions: Vec<Arc<Exemption>>,
    /// Roles whose sessions are audited whatever is said above.
    pub migrations: Vec<Box<str>>,
}

/// Another mode for some violations of some sessions. An empty list stands for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    /// The mode.
    pub mode: Mode,
    /// The rules violated.
    pub rules: Vec<Rule>,
    /// The tables they are violated on.
    pub tables: Vec<Pattern>,
    /// Database roles.
    pub roles: Vec<Box<str>>,
    /// Databases.
    pub databases: Vec<Box<str>>,
    /// What a client calls itself: may make a mode stricter, never laxer.
    pub application_names: Vec<Box<str>>,
    /// Of a hundred sessions, so many.
    pub percent: u8,
}

/// A violation that is forwarded all the same, counted. An empty list stands for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exemption {
    /// Its name, for logs and metrics.
    pub name: Box<str>,
    /// The rules violated.
    pub rules: Vec<Rule>,
    /// The tables they are violated on.
    pub tables: Vec<Pattern>,
    /// Database roles.
    pub roles: Vec<Box<str>>,
    /// Databases.
    pub databases: Vec<Box<str>>,
    /// The shapes of the statements.
    pub fingerprints: Vec<u64>,
}

/// Who a session is, for the choice of its modes.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a> {
    /// The database role.
    pub role: &'a str,
    /// The database.
    pub database: &'a str,
    /// What the client calls itself.
    pub application_name: &'a str,
    /// Drawn for the session, from 0 to 99.
    pub lot: u8,
}

/// The modes of one session. Cheap to clone, and sessions that are alike may share one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionModes {
    shared: Arc<Own>,
}

#[derive(Debug, PartialEq, Eq)]
struct Own {
    /// Goes up with each configuration.
    generation: u64,
    base: Mode,
    rollouts: Vec<Rollout>,
    exemptions: Vec<Arc<Exemption>>,
}

/// What one violation is judged under.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    /// The mode that decides.
    pub(super) mode: Mode,
    /// The exemption that lets it pass.
    pub(super) exemption: Option<Arc<Exemption>>,
}

impl Modes {
    /// The same mode for everything.
    #[must_use]
    pub const fn uniform(mode: Mode) -> Self {
        Self { base: mode, rollouts: Vec::new(), exemptions: Vec::new(), migrations: Vec::new() }
    }

    /// What of it concerns one session.
    #[must_use]
    pub fn of(&self, who: Who<'_>, generation: u64) -> SessionModes {
        let own = if self.migrations.iter().any(|role| **role == *who.role) {
            let exemptions = vec![Arc::new(Exemption::of_migrations())];
            Own { generation, base: Mode::Audit, rollouts: Vec::new(), exemptions }
        } else {
            let rollouts = self.rollouts.iter().filter(|rollout| rollout.concerns(who));
            let exemptions = self.exemptions.iter().filter(|exemption| exemption.concerns(who));
            Own {
                generation,
                base: self.base,
                rollouts: rollouts.cloned().collect(),
                exemptions: exemptions.cloned().collect(),
            }
        };
        SessionModes { shared: Arc::new(own) }
    }
}

impl SessionModes {
    /// One mode for everything.
    #[must_use]
    pub fn uniform(mode: Mode) -> Self {
        let who = Who { role: "", database: "", application_name: "", lot: 0 };
        Modes::uniform(mode).of(who, 0)
    }

    /// The configuration that they are of.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.shared.generation
    }

    /// The mode of the session as a whole: whether what it sends is judged before it is forwarded.
    #[must_use]
    pub fn session(&self) -> Mode {
        let rollouts = self.shared.rollouts.iter().map(|rollout| rollout.mode);
        rollouts.fold(self.whole(), stricter)
    }

    /// The mode for what is no violation of a rule on a table, such as a statement that does not
    /// exist.
    #[must_use]
    pub fn whole(&self) -> Mode {
        self.strictest(|rollout| rollout.rules.is_empty() && rollout.tables.is_empty())
    }

    /// The mode for a violation, exemptions left out. What keeps the session readable is enforced
    /// as soon as anything is.
    fn mode(&self, violation: &Violation) -> Mode {
        if violation.rule == Rule::SessionEscape {
            return self.session();
        }
        self.strictest(|rollout| {
            covers(&rollout.rules, &rollout.tables, violation.rule, violation.table.as_deref())
        })
    }

    /// The strictest mode among those that match; the one for all if none does.
    fn strictest(&self, matches: impl Fn(&Rollout) -> bool) -> Mode {
        let found = |by_client: bool| {
            let rollouts = self.shared.rollouts.iter();
            rollouts
                .filter(|it| it.application_names.is_empty() != by_client && matches(it))
                .map(|it| it.mode)
                .reduce(stricter)
        };
        let mode = found(false).unwrap_or(self.shared.base);
        found(true).map_or(mode, |by_client| stricter(mode, by_client))
    }

    /// What a violation of a statement of this shape is judged under.
    pub(super) fn judge(&self, violation: &Violation, fingerprint: Option<u64>) -> Judged {
        let mode = self.mode(violation);
        let exemption = self.shared.exemptions.iter().find(|exemption| {
            covers(&exemption.rules, &exemption.tables, violation.rule, violation.table.as_deref())
                && (exemption.fingerprints.is_empty()
                    || fingerprint.is_some_and(|own| exemption.fingerprints.contains(&own)))
        });
        Judged { mode, exemption: exemption.cloned() }
    }
}

impl Judged {
    /// The mode that decides: an exempt violation is audited.
    pub(super) const fn deciding(&self) -> Mode {
        if self.exemption.is_some() { Mode::Audit } else { self.mode }
    }
}

impl Rollout {
    fn concerns(&self, who: Who<'_>) -> bool {
        who.lot < self.percent
            && is_one_of(&self.roles, who.role)
            && is_one_of(&self.databases, who.database)
            && is_one_of(&self.application_names, who.application_name)
    }
}

impl Exemption {
    /// The name under which violations of migrations are counted.
    pub const MIGRATIONS: &str = "migrations";

    fn of_migrations() -> Self {
        Self {
            name: Self::MIGRATIONS.into(),
            rules: Vec::new(),
            tables: Vec::new(),
            roles: Vec::new(),
            databases: Vec::new(),
            fingerprints: Vec::new(),
        }
    }

    fn concerns(&self, who: Who<'_>) -> bool {
        is_one_of(&self.roles, who.role) && is_one_of(&self.databases, who.database)
    }
}

fn is_one_of(names: &[Box<str>], name: &str) -> bool {
    names.is_empty() || names.iter().any(|own| **own == *name)
}

/// Whether a violation falls under rules and tables.
fn covers(rules: &[Rule], tables: &[Pattern], rule: Rule, table: Option<&str>) -> bool {
    (rules.is_empty() || rules.contains(&rule))
        && (tables.is_empty()
            || table.is_some_and(|name| tables.iter().any(|pattern| pattern.covers(name))))
}

/// Refusing is stricter than repairing, and both than logging.
const fn stricter(one: Mode, other: Mode) -> Mode {
    match (one, other) {
        (Mode::Enforce, _) | (_, Mode::Enforce) => Mode::Enforce,
        (Mode::Rewrite, _) | (_, Mode::Rewrite) => Mode::Rewrite,
        (Mode::Audit, Mode::Audit) => Mode::Audit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Span;

    fn rollout(mode: Mode) -> Rollout {
        Rollout {
            mode,
            rules: Vec::new(),
            tables: Vec::new(),
            roles: Vec::new(),
            databases: Vec::new(),
            application_names: Vec::new(),
            percent: 100,
        }
    }

    fn violation(rule: Rule, table: Option<&str>) -> Violation {
        Violation {
            rule,
            table: table.map(Into::into),
            span: Span::default(),
            detail: "".into(),
            hint: "".into(),
        }
    }

    fn who(role: &str) -> Who<'_> {
        Who { role, database: "shop", application_name: "api", lot: 50 }
    }

    fn tables(name: &str) -> Vec<Pattern> {
        vec![Pattern::parse(name).unwrap()]
    }

    #[test]
    fn the_strictest_of_what_matches_decides() {
        let modes = Modes {
            rollouts: vec![
                Rollout { tables: tables("org_products"), ..rollout(Mode::Enforce) },
                Rollout { rules: vec![Rule::OpaqueSql], ..rollout(Mode::Enforce) },
                Rollout { roles: vec!["old".into()], ..rollout(Mode::Audit) },
            ],
            ..Modes::uniform(Mode::Audit)
        };
        let own = modes.of(who("app"), 1);
        assert_eq!((own.session(), own.whole()), (Mode::Enforce, Mode::Audit));
        let mode = |rule, table| own.mode(&violation(rule, table));
        assert_eq!(mode(Rule::UnboundTenant, Some("org_products")), Mode::Enforce);
        assert_eq!(mode(Rule::UnboundTenant, Some("org_orders")), Mode::Audit);
        assert_eq!(mode(Rule::OpaqueSql, None), Mode::Enforce);
        let enforced = Modes { base: Mode::Enforce, ..modes };
        assert_eq!(enforced.of(who("app"), 1).whole(), Mode::Enforce);
        let old = enforced.of(who("old"), 1);
        assert_eq!(old.whole(), Mode::Audit);
        let found = old.mode(&violation(Rule::UnboundTenant, Some("org_products")));
        assert_eq!(found, Mode::Enforce);
    }

    #[test]
    fn what_a_client_chooses_makes_a_mode_stricter_only() {
        let named = |mode| Rollout { application_names: vec!["api".into()], ..rollout(mode) };
        let lax = Modes { rollouts: vec![named(Mode::Audit)], ..Modes::uniform(Mode::Enforce) };
        assert_eq!(lax.of(who("app"), 1).whole(), Mode::Enforce);
        let strict = Modes { rollouts: vec![named(Mode::Enforce)], ..Modes::uniform(Mode::Audit) };
        assert_eq!(strict.of(who("app"), 1).whole(), Mode::Enforce);
        // Nor does it undo what is said for the role.
        let role = Rollout { roles: vec!["app".into()], ..rollout(Mode::Enforce) };
        let both = Modes { rollouts: vec![role, named(Mode::Audit)], ..lax };
        assert_eq!(both.of(who("app"), 1).whole(), Mode::Enforce);
    }

    #[test]
    fn a_share_of_sessions_and_the_role_of_migrations() {
        let share = Rollout { percent: 50, ..rollout(Mode::Enforce) };
        let modes = Modes {
            rollouts: vec![share],
            migrations: vec!["migrator".into()],
            ..Modes::uniform(Mode::Audit)
        };
        let enforced = |lot| modes.of(Who { lot, ..who("app") }, 1).session() == Mode::Enforce;
        assert_eq!((0..100).filter(|lot| enforced(*lot)).count(), 50);
        assert_eq!(modes.of(Who { lot: 0, ..who("migrator") }, 1).session(), Mode::Audit);
    }

    #[test]
    fn an_exemption_audits_what_it_covers() {
        let exemption = Arc::new(Exemption {
            name: "legacy".into(),
            rules: vec![Rule::UnboundTenant],
            tables: tables("org_products"),
            roles: vec!["app".into()],
            databases: Vec::new(),
            fingerprints: vec![7],
        });
        let modes = Modes { exemptions: vec![exemption], ..Modes::uniform(Mode::Enforce) };
        let decides = |role, table, fingerprint| {
            let judged = modes.of(who(role), 1);
            judged.judge(&violation(Rule::UnboundTenant, Some(table)), fingerprint).deciding()
        };
        assert_eq!(decides("app", "org_products", Some(7)), Mode::Audit);
        assert_eq!(decides("app", "org_products", Some(8)), Mode::Enforce);
        assert_eq!(decides("app", "org_products", None), Mode::Enforce);
        assert_eq!(decides("app", "org_orders", Some(7)), Mode::Enforce);
        assert_eq!(decides("other", "org_products", Some(7)), Mode::Enforce);
    }
}
