use std::sync::Arc;

use super::mode::Rebinding;
use crate::tenant::{Tenant, TenantType};

/// What is known of the setting that holds the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    /// No value, or the empty string that a custom setting keeps after a reset.
    Unset,
    /// A tenant.
    Known(Tenant),
    /// A value, but not one the guard can read.
    Unknown,
    /// The server alone knows: a routine may have changed it, or its value was computed. Nothing
    /// guarded runs before it has been read again.
    Unsure,
}

impl Setting {
    /// Reads a setting's value.
    pub(super) fn read(text: &str, tenant_type: TenantType) -> Self {
        if text.is_empty() {
            return Self::Unset;
        }
        tenant_type.parse(text).map_or(Self::Unknown, Self::Known)
    }
}

/// The value in force, and the one that will be in force once SET LOCAL has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Values {
    current: Setting,
    session: Setting,
}

/// The setting that holds the tenant, under the transactions that change and restore it
/// (PostgreSQL documentation, SET, SAVEPOINT; `guc.c`, `AtEOXact_GUC`).
#[derive(Clone, Debug)]
pub(super) struct Scope {
    /// The two views of a session share it while it is the same in both, and write to it only what
    /// is different.
    values: Arc<History>,
    block: bool,
    /// The block has failed: COMMIT rolls back.
    aborted: bool,
    /// An error came since the last ReadyForQuery.
    failed: bool,
    /// The tenant was set in this transaction.
    pub(super) rebound: bool,
    /// A guarded statement ran in this transaction.
    pub(super) touched: bool,
    /// The server may be asked; in audit it may not.
    asks: bool,
    /// Something may be other than when the two views were last made the same.
    changed: bool,
}

/// The values that the setting has, had, and will have again. What each statement asks for comes
/// first.
#[derive(Clone, Debug)]
#[repr(C)]
struct History {
    /// What a source before the setting says: then the setting does not matter.
    fixed: Option<Setting>,
    now: Values,
    /// The value is to be read from the server, and this one is expected.
    reread: Option<Setting>,
    /// What a source behind the setting says: for a session without one.
    fallback: Option<Setting>,
    startup: Setting,
    /// The first value the session ever had, for `rebinding = "never"`.
    first: Setting,
    /// The values when the transaction, explicit or implicit, began.
    base: Values,
    savepoints: Vec<(Box<str>, Values)>,
}

impl Scope {
    /// Before the first transaction. `asks` tells whether the server may be asked for the value.
    pub(super) fn new(startup: Setting, asks: bool) -> Self {
        let values = Values { current: startup.clone(), session: startup.clone() };
        let history = History {
            first: startup.clone(),
            startup,
            fixed: None,
            fallback: None,
            now: values.clone(),
            base: values,
            savepoints: Vec::new(),
            reread: None,
        };
        Self {
            values: Arc::new(history),
            block: false,
            aborted: false,
            failed: false,
            rebound: false,
            touched: false,
            asks,
            changed: true,
        }
    }

    /// With what the sources before and behind the setting say.
    pub(super) fn between(mut self, (fixed, fallback): (Option<Setting>, Option<Setting>)) -> Self {
        let history = self.write();
        if let (Setting::Unset, Some(fallback)) = (&history.first, &fallback) {
            history.first = fallback.clone();
        }
        history.fixed = fixed;
        history.fallback = fallback;
        self
    }

    /// The same session, as it begins with another value of its setting.
    pub(super) fn restarted(&self, startup: Setting) -> Self {
        let History { fixed, fallback, .. } = &*self.values;
        Self::new(startup, self.asks).between((fixed.clone(), fallback.clone()))
    }

    /// What is to be changed. It is this view's own from here on.
    fn write(&mut self) -> &mut History {
        self.changed = true;
        Arc::make_mut(&mut self.values)
    }

    /// Puts these values in force.
    fn put(&mut self, now: Values) {
        if self.values.now != now {
            self.write().now = now;
        }
    }

    /// The value of the setting.
    pub(super) fn current(&self) -> &Setting {
        &self.values.now.current
    }

    /// The session's tenant: from the first source that says anything.
    pub(super) fn tenant(&self) -> &Setting {
        match (&self.values.fixed, &self.values.now.current, &self.values.fallback) {
            (Some(fixed), _, _) => fixed,
            (None, Setting::Unset, Some(fallback)) => fallback,
            (None, current, _) => current,
        }
    }

    /// Whether the setting does not matter to the session's tenant.
    pub(super) fn is_fixed(&self) -> bool {
        self.values.fixed.is_some()
    }

    pub(super) fn startup(&self) -> &Setting {
        &self.values.startup
    }

    pub(super) fn first(&self) -> &Setting {
        &self.values.first
    }

    /// Whether the session is in a transaction block, failed or not.
    pub(super) const fn in_block(&self) -> bool {
        self.block
    }

    pub(super) const fn begin(&mut self) {
        self.changed = true;
        self.block = true;
    }

    /// A guarded statement has run.
    pub(super) const fn touch(&mut self) {
        self.changed = true;
        self.touched = true;
    }

    /// Makes the predicted view the confirmed one. Most groups change neither.
    pub(super) fn follow(&mut self, confirmed: &mut Self) {
        if self.changed || confirmed.changed {
            self.clone_from(confirmed);
        }
        self.changed = false;
        confirmed.changed = false;
        debug_assert_eq!(format!("{self:?}"), format!("{confirmed:?}"), "a change without a sign");
    }

    pub(super) fn set(&mut self, local: bool, value: Setting) {
        let unsure = value == Setting::Unsure && !self.asks;
        let value = if unsure { Setting::Unknown } else { value };
        self.rebound = true;
        let history = self.write();
        if history.first == Setting::Unset && value != Setting::Unsure {
            history.first = value.clone();
        }
        if !local {
            history.now.session = value.clone();
        }
        history.now.current = value;
    }

    pub(super) fn reset(&mut self) {
        self.changed = true;
        let value = self.values.startup.clone();
        self.put(Values { current: value.clone(), session: value });
    }

    /// A routine ran that may have changed the setting.
    pub(super) fn doubt(&mut self) {
        if !self.asks {
            return;
        }
        let history = self.write();
        if history.now.current != Setting::Unsure {
            history.reread.get_or_insert(history.now.current.clone());
        }
        history.now = Values { current: Setting::Unsure, session: Setting::Unsure };
    }

    /// A routine has set this value, and whether for the transaction alone is not known.
    pub(super) fn set_by_routine(&mut self, value: Setting) {
        if !self.asks {
            self.set(self.block, value);
            return;
        }
        self.set(true, value.clone());
        let history = self.write();
        history.now.session = Setting::Unsure;
        history.reread = Some(value);
    }

    /// Whether the server has to be asked for the value.
    pub(super) fn is_unsure(&self) -> bool {
        self.values.reread.is_some() || self.values.now.current == Setting::Unsure
    }

    /// The server has told the value in force. Whether `rebinding` allows what it is.
    pub(super) fn learn(
        &mut self,
        value: &Setting,
        status: super::Status,
        rebinding: Rebinding,
    ) -> bool {
        let (fixed, touched) = (self.is_fixed(), self.touched);
        let history = self.write();
        let expected = history.reread.take();
        history.now.current = value.clone();
        if status == super::Status::Idle {
            history.now.session = value.clone();
            history.base = history.now.clone();
        }
        match rebinding {
            _ if fixed => true,
            Rebinding::Free => true,
            Rebinding::Never => {
                if history.first == Setting::Unset {
                    history.first = value.clone();
                }
                history.first == *value
            }
            // Between transactions there is only the value that the session began with.
            Rebinding::Transaction if status == super::Status::Idle => *value == history.startup,
            Rebinding::Transaction => {
                !touched || expected.is_none_or(|expected| expected == *value)
            }
        }
    }

    pub(super) fn commit(&mut self, chain: bool) {
        if self.aborted {
            self.rollback(chain);
        } else {
            let session = self.values.now.session.clone();
            self.put(Values { current: session.clone(), session });
            self.end(chain);
        }
    }

    pub(super) fn rollback(&mut self, chain: bool) {
        self.put(self.values.base.clone());
        self.end(chain);
    }

    fn end(&mut self, chain: bool) {
        self.changed = true;
        if self.values.base != self.values.now || !self.values.savepoints.is_empty() {
            let history = self.write();
            history.base = history.now.clone();
            history.savepoints = Vec::new();
        }
        self.block = chain;
        self.aborted = false;
        self.rebound = false;
        self.touched = false;
    }

    pub(super) fn savepoint(&mut self, name: &str) {
        let history = self.write();
        history.savepoints.push((name.into(), history.now.clone()));
    }

    pub(super) fn release(&mut self, name: &str) {
        self.changed = true;
        if let Some(at) = self.savepoint_of(name) {
            self.write().savepoints.truncate(at);
        }
    }

    pub(super) fn rollback_to(&mut self, name: &str) {
        let at = self.savepoint_of(name);
        let history = self.write();
        let Some(at) = at else {
            history.now = Values { current: Setting::Unknown, session: Setting::Unknown };
            return;
        };
        history.savepoints.truncate(at.saturating_add(1));
        if let Some((_, values)) = history.savepoints.last() {
            history.now = values.clone();
        }
        self.aborted = false;
    }

    /// The last savepoint of a name.
    fn savepoint_of(&self, name: &str) -> Option<usize> {
        self.values.savepoints.iter().rposition(|(own, _)| **own == *name)
    }

    /// The server reported an error.
    pub(super) const fn fail(&mut self) {
        self.changed = true;
        self.failed = true;
    }

    /// ReadyForQuery: an implicit transaction has ended, a block goes on or has failed.
    pub(super) fn ready(&mut self, status: super::Status) {
        if status == super::Status::Idle && !self.changed && !self.block {
            // Nothing has happened since the last transaction ended.
            return;
        }
        self.changed = true;
        match status {
            super::Status::Idle => {
                if self.failed || self.aborted {
                    self.rollback(false);
                } else {
                    self.commit(false);
                }
            }
            super::Status::Block => {
                self.block = true;
                self.aborted = false;
            }
            super::Status::Failed => {
                self.block = true;
                self.aborted = true;
                let History { savepoints, base, .. } = &*self.values;
                self.put(savepoints.last().map_or(base, |(_, values)| values).clone());
            }
        }
        self.failed = false;
    }

    /// ReadyForQuery as it will be if nothing fails.
    pub(super) fn assume_ready(&mut self) {
        if !self.block {
            self.ready(super::Status::Idle);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    fn tenant(number: i64) -> Setting {
        Setting::Known(Tenant::Bigint(number))
    }

    #[test]
    fn a_local_value_ends_with_its_transaction() {
        let mut scope = Scope::new(Setting::Unset, true);
        scope.begin();
        scope.set(true, tenant(1));
        assert_eq!(*scope.current(), tenant(1));
        scope.commit(false);
        assert_eq!(*scope.current(), Setting::Unset);
    }

    #[test]
    fn set_after_set_local_lasts() {
        let mut scope = Scope::new(Setting::Unset, true);
        scope.begin();
        scope.set(true, tenant(1));
        scope.set(false, tenant(2));
        scope.commit(false);
        assert_eq!(*scope.current(), tenant(2));
        scope.begin();
        scope.set(false, tenant(3));
        scope.set(true, tenant(4));
        scope.commit(false);
        assert_eq!(*scope.current(), tenant(3));
    }

    #[test]
    fn rollback_restores() {
        let mut scope = Scope::new(tenant(9), true);
        scope.begin();
        scope.set(false, tenant(1));
        scope.savepoint("s");
        scope.set(false, tenant(2));
        scope.rollback_to("s");
        assert_eq!(*scope.current(), tenant(1));
        scope.set(false, tenant(3));
        scope.release("s");
        assert_eq!(*scope.current(), tenant(3));
        scope.rollback(false);
        assert_eq!(*scope.current(), tenant(9));
    }

    #[test]
    fn an_error_undoes_an_implicit_transaction() {
        let mut scope = Scope::new(Setting::Unset, true);
        scope.set(false, tenant(1));
        scope.fail();
        scope.ready(Status::Idle);
        assert_eq!(*scope.current(), Setting::Unset);
        scope.set(false, tenant(1));
        scope.ready(Status::Idle);
        assert_eq!(*scope.current(), tenant(1));
    }

    #[test]
    fn commit_of_a_failed_block_rolls_back() {
        let mut scope = Scope::new(Setting::Unset, true);
        scope.begin();
        scope.set(false, tenant(1));
        scope.fail();
        scope.ready(Status::Failed);
        scope.commit(false);
        assert_eq!(*scope.current(), Setting::Unset);
        assert!(!scope.in_block());
    }

    #[test]
    fn begin_keeps_what_its_implicit_transaction_began_with() {
        let mut scope = Scope::new(Setting::Unset, true);
        scope.set(false, tenant(1));
        scope.begin();
        scope.rollback(false);
        assert_eq!(*scope.current(), Setting::Unset);
    }

    #[test]
    fn reset_returns_to_the_startup_value() {
        let mut scope = Scope::new(tenant(5), true);
        scope.set(false, tenant(6));
        scope.reset();
        scope.ready(Status::Idle);
        assert_eq!(*scope.current(), tenant(5));
    }
}
