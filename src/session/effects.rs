use std::sync::Arc;

use super::judge::{inner_value, setting};
use super::mode::{Rebinding, TenantRules};
use super::registry::{Portal, Prepared, Registry, Side, StatementRef};
use super::tenant::Scope;
use crate::analyze::{Effect, NewValue, StatementPlan};
use crate::tenant::TenantType;

/// One view of the session on which effects happen.
#[derive(Debug)]
pub(super) struct World<'a> {
    pub(super) side: Side,
    pub(super) rules: &'a TenantRules,
    pub(super) tenant_type: TenantType,
    pub(super) scope: &'a mut Scope,
    pub(super) registry: &'a mut Registry,
}

impl World<'_> {
    /// A statement ran: its effect happens. `bound` is the value of its tenant parameter, `tag`
    /// the server's command tag if it is known.
    pub(super) fn ran(
        &mut self,
        reference: &StatementRef,
        bound: Option<&NewValue>,
        tag: Option<&[u8]>,
    ) {
        let Some(statement) = reference.plan() else {
            return;
        };
        if self.rules.rebinding == Rebinding::Transaction
            && !self.scope.touched
            && self.touches(statement)
        {
            self.scope.touch();
        }
        let routine = self.rules.setting.is_some() && self.may_set_tenant(statement);
        if let (true, Effect::SetTenant { value, .. }) = (routine, statement.effect()) {
            let value = setting(bound.unwrap_or(value), self.scope, self.tenant_type);
            self.scope.set_by_routine(value);
            return;
        }
        if routine {
            self.scope.doubt();
        }
        match statement.effect() {
            Effect::None => {}
            Effect::Begin
            | Effect::Commit { .. }
            | Effect::Rollback { .. }
            | Effect::Savepoint(_)
            | Effect::Release(_)
            | Effect::RollbackTo(_)
            | Effect::PrepareTransaction => self.transaction(statement.effect(), tag),
            Effect::SetTenant { local, value } => self.set(*local, bound.unwrap_or(value)),
            Effect::ResetTenant => self.scope.reset(),
            Effect::DiscardAll => {
                self.scope.reset();
                self.registry.clear_statements(self.side);
                self.registry.clear_portals(self.side);
            }
            Effect::Execute { explained: true, .. } => {}
            Effect::Execute { name, arguments, explained: false } => {
                if let Some(prepared) = self.statement(name.as_bytes())
                    && let Some(inner) = prepared.statement.plan()
                    && let Effect::SetTenant { local, value } = inner.effect()
                {
                    if inner.may_set_tenant() {
                        let value = inner_value(value, arguments);
                        let value = setting(value, self.scope, self.tenant_type);
                        self.scope.set_by_routine(value);
                    } else {
                        self.set(*local, inner_value(value, arguments));
                    }
                }
            }
            Effect::Prepare { .. }
            | Effect::Deallocate(_)
            | Effect::Declare { .. }
            | Effect::Fetch(_)
            | Effect::CloseCursor(_) => self.names(statement.effect(), reference),
        }
    }

    fn transaction(&mut self, effect: &Effect, tag: Option<&[u8]>) {
        match effect {
            Effect::Begin => self.scope.begin(),
            // The server says ROLLBACK where it did not commit.
            Effect::Commit { chain } if tag == Some(b"ROLLBACK") => self.scope.rollback(*chain),
            Effect::Commit { chain } => self.scope.commit(*chain),
            Effect::Rollback { chain } => self.scope.rollback(*chain),
            Effect::PrepareTransaction if tag == Some(b"ROLLBACK") => self.scope.rollback(false),
            Effect::PrepareTransaction => self.scope.commit(false),
            Effect::Savepoint(name) => self.scope.savepoint(name),
            Effect::Release(name) => self.scope.release(name),
            Effect::RollbackTo(name) => self.scope.rollback_to(name),
            Effect::None
            | Effect::SetTenant { .. }
            | Effect::ResetTenant
            | Effect::DiscardAll
            | Effect::Prepare { .. }
            | Effect::Execute { .. }
            | Effect::Deallocate(_)
            | Effect::Declare { .. }
            | Effect::Fetch(_)
            | Effect::CloseCursor(_) => {}
        }
    }

    fn names(&mut self, effect: &Effect, reference: &StatementRef) {
        match effect {
            Effect::Prepare { name, types, statement: _ } => {
                let statement = match reference {
                    StatementRef::Nth(sent, at) => StatementRef::Inner(sent.clone(), *at),
                    inner @ StatementRef::Inner(..) => inner.clone(),
                };
                let injected = injected(reference);
                let prepared = Prepared { statement, types: types.clone(), injected };
                self.registry.put_statement(self.side, name.as_bytes(), Arc::new(prepared));
            }
            Effect::Deallocate(Some(name)) => {
                self.registry.remove_statement(self.side, name.as_bytes());
            }
            Effect::Deallocate(None) => self.registry.clear_statements(self.side),
            Effect::Declare { name, hold } => {
                let tenant = self.scope.tenant().clone();
                let own =
                    Prepared { statement: reference.clone(), types: Vec::new(), injected: None };
                let portal = Portal::new(Arc::new(own), tenant, None, *hold);
                // Its query has no effect of its own.
                portal.finish();
                self.registry.put_portal(self.side, name.as_bytes(), Arc::new(portal));
            }
            Effect::CloseCursor(Some(name)) => {
                self.registry.remove_portal(self.side, name.as_bytes());
            }
            Effect::CloseCursor(None) => self.registry.clear_portals(self.side),
            Effect::None
            | Effect::Begin
            | Effect::Commit { .. }
            | Effect::Rollback { .. }
            | Effect::Savepoint(_)
            | Effect::Release(_)
            | Effect::RollbackTo(_)
            | Effect::PrepareTransaction
            | Effect::SetTenant { .. }
            | Effect::ResetTenant
            | Effect::DiscardAll
            | Effect::Execute { .. }
            | Effect::Fetch(_) => {}
        }
    }

    fn set(&mut self, local: bool, value: &NewValue) {
        let value = setting(value, self.scope, self.tenant_type);
        self.scope.set(local, value);
    }

    fn statement(&self, name: &[u8]) -> Option<Arc<Prepared>> {
        let found = match self.side {
            Side::Confirmed => self.registry.confirmed_statement(name),
            Side::Predicted => self.registry.statement(name),
        };
        found.cloned()
    }

    /// Whether the statement, or the one that it runs, calls a routine that may set the tenant.
    fn may_set_tenant(&self, statement: &StatementPlan) -> bool {
        match statement.effect() {
            Effect::Execute { name, .. } => self
                .statement(name.as_bytes())
                .is_some_and(|it| it.statement.plan().is_some_and(StatementPlan::may_set_tenant)),
            Effect::Fetch(name) => self
                .portal(name.as_bytes())
                .is_some_and(|it| it.statement().plan().is_some_and(StatementPlan::may_set_tenant)),
            Effect::Prepare { .. } => false,
            Effect::None
            | Effect::Begin
            | Effect::Commit { .. }
            | Effect::Rollback { .. }
            | Effect::Savepoint(_)
            | Effect::Release(_)
            | Effect::RollbackTo(_)
            | Effect::PrepareTransaction
            | Effect::SetTenant { .. }
            | Effect::ResetTenant
            | Effect::DiscardAll
            | Effect::Deallocate(_)
            | Effect::Declare { .. }
            | Effect::CloseCursor(_) => statement.may_set_tenant(),
        }
    }

    fn portal(&self, name: &[u8]) -> Option<Arc<Portal>> {
        let found = match self.side {
            Side::Confirmed => self.registry.confirmed_portal(name),
            Side::Predicted => self.registry.portal(name),
        };
        found.cloned()
    }

    /// Whether the statement, or the one that it runs, has anything to prove.
    fn touches(&self, statement: &StatementPlan) -> bool {
        if let Effect::Execute { name, .. } = statement.effect() {
            let prepared = self.statement(name.as_bytes());
            return prepared
                .is_some_and(|it| it.statement.plan().is_some_and(StatementPlan::is_guarded));
        }
        statement.is_guarded()
    }
}

/// The parameter that a rewritten PREPARE has put into its statement.
fn injected(reference: &StatementRef) -> Option<u16> {
    match reference {
        StatementRef::Nth(sent, at) => sent.replacement()?.own.rewrite()?.prepared(*at),
        StatementRef::Inner(..) => None,
    }
}
