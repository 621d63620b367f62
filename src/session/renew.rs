//! Plans that another policy, another catalogue or the session's own changes have overtaken.

use std::sync::Arc;

use super::Session;
use super::judge::overtaken;
use super::planned::Planner;
use super::registry::{Portal, Prepared, name};
use crate::analyze::{Arguments, Effect, StatementPlan, Violation};
use crate::policy::SchemaChange;

impl Session {
    /// The prepared statement of a name, planned anew if it has been overtaken since its Parse or
    /// PREPARE; the outer `None` if the new plan is still to come.
    pub(super) fn current(
        &mut self,
        given: &[u8],
        planner: &dyn Planner,
    ) -> Option<Option<Arc<Prepared>>> {
        let Some(prepared) = self.registry.statement(name(given)).cloned() else {
            return Some(None);
        };
        let planned = prepared.statement.planned();
        if planner.is_current(planned, &self.overlay) {
            return Some(Some(prepared));
        }
        let planned = planner.plan(planned.text(), &self.overlay)?;
        let statement = prepared.statement.renewed(planned);
        let renewed = Arc::new(Prepared {
            statement,
            types: prepared.types.clone(),
            injected: prepared.injected,
        });
        self.registry.renew(name(given), &prepared, &renewed);
        Some(Some(renewed))
    }

    /// Plans anew what an SQL-level EXECUTE runs, if it has been overtaken. The EXECUTE itself has
    /// been planned just now, so nothing is waited for.
    pub(super) fn renew_inner(&mut self, statement: &StatementPlan, planner: &dyn Planner) {
        let Effect::Execute { name, .. } = statement.effect() else {
            return;
        };
        let Some(prepared) = self.registry.statement(name.as_bytes()).cloned() else {
            return;
        };
        let planned = prepared.statement.planned();
        if planner.is_current(planned, &self.overlay) {
            return;
        }
        let planned = planner.plan_now(planned.text(), &self.overlay);
        let statement = prepared.statement.renewed(planned);
        let renewed = Arc::new(Prepared {
            statement,
            types: prepared.types.clone(),
            injected: prepared.injected,
        });
        self.registry.renew(name.as_bytes(), &prepared, &renewed);
    }

    /// What is wrong with a portal whose statement has been overtaken since it was bound; `None` if
    /// its new plan is still to come.
    pub(super) fn overtaken(
        &self,
        portal: &Portal,
        planner: &dyn Planner,
    ) -> Option<Option<Violation>> {
        let planned = portal.statement().planned();
        if planner.is_current(planned, &self.overlay) {
            return Some(None);
        }
        let renewed = portal.statement().renewed(planner.plan(planned.text(), &self.overlay)?);
        Some(self.reconsider(portal.statement().plan(), renewed.plan()))
    }

    /// The same of the cursor that FETCH or MOVE names.
    pub(super) fn overtaken_cursor(
        &self,
        statement: &StatementPlan,
        planner: &dyn Planner,
    ) -> Option<Violation> {
        let Effect::Fetch(name) = statement.effect() else {
            return None;
        };
        let portal = self.registry.portal(name.as_bytes())?;
        let planned = portal.statement().planned();
        if planner.is_current(planned, &self.overlay) {
            return None;
        }
        let planned = planner.plan_now(planned.text(), &self.overlay);
        let renewed = portal.statement().renewed(planned);
        self.reconsider(portal.statement().plan(), renewed.plan())
    }

    /// The values that were bound are not kept: a plan that says the same as the one that was
    /// settled holds, and so does one that needs no value.
    fn reconsider(
        &self,
        old: Option<&StatementPlan>,
        new: Option<&StatementPlan>,
    ) -> Option<Violation> {
        let new = new?;
        let holds = old.is_some_and(|old| old.says_the_same(new))
            || new.settle(self.court().tenant(), Arguments::Unknown).holds();
        (!holds).then(|| overtaken(new.span()))
    }

    /// A statement that was sent makes, changes or drops relations. That it may fail does no harm.
    pub(super) fn apply_schema(&mut self, change: Option<&SchemaChange>) {
        if let Some(change) = change {
            self.overlay.apply(change);
        }
    }
}
