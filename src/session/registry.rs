use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::names::Named;
use super::planned::Planned;
use super::tenant::Setting;
use crate::analyze::{Effect, NewValue, StatementPlan};
use crate::policy::NAME_BYTES;
use crate::rewrite::PlaceMap;
use crate::tenant::Tenant;

/// A name as the server keeps it. Protocol names are keys of 63 bytes whatever their encoding
/// (`prepare.c`, `portalmem.c`); SQL identifiers come cut already.
pub(super) type Name = Box<[u8]>;

/// Cuts a name of the protocol as the server does.
pub(super) fn name(bytes: &[u8]) -> &[u8] {
    bytes.get(..NAME_BYTES).unwrap_or(bytes)
}

/// A text that was sent.
#[derive(Clone, Debug)]
pub(super) enum Sent {
    /// As the client wrote it.
    Own(Arc<Planned>),
    /// Rewritten.
    Instead(Arc<Replacement>),
}

/// A rewritten text.
#[derive(Debug)]
pub(super) struct Replacement {
    /// What the client wrote.
    pub(super) own: Arc<Planned>,
    /// What was sent.
    pub(super) sent: Arc<Planned>,
    /// Where the one is in the other.
    pub(super) map: PlaceMap,
    /// How the tenant comes into a prepared statement.
    pub(super) injected: Injected,
}

/// How the tenant comes into a prepared statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Injected {
    /// Not at all, or in each statement for itself.
    Nothing,
    /// As a parameter of this number.
    Parameter(u16),
    /// As a constant: under another tenant it is another statement.
    Constant(Tenant),
}

/// One statement of a text.
#[derive(Clone, Debug)]
pub(super) enum StatementRef {
    /// The statement at this place of a text.
    Nth(Sent, usize),
    /// The statement inside the SQL-level PREPARE at this place of a text.
    Inner(Sent, usize),
}

impl StatementRef {
    /// The plan; `None` for a text without statements.
    pub(super) fn plan(&self) -> Option<&StatementPlan> {
        let (Self::Nth(sent, _) | Self::Inner(sent, _)) = self;
        self.of(sent.planned())
    }

    /// The plan of what the client wrote.
    pub(super) fn own_plan(&self) -> Option<&StatementPlan> {
        let (Self::Nth(sent, _) | Self::Inner(sent, _)) = self;
        self.of(sent.own())
    }

    /// The statement in one of the two texts.
    fn of<'p>(&self, planned: &'p Planned) -> Option<&'p StatementPlan> {
        match self {
            Self::Nth(_, at) => planned.plan().statements().get(*at),
            Self::Inner(_, at) => {
                let outer = planned.plan().statements().get(*at)?;
                let Effect::Prepare { statement, .. } = outer.effect() else {
                    return None;
                };
                Some(statement)
            }
        }
    }

    /// The text that was sent, as it was planned.
    pub(super) fn planned(&self) -> &Arc<Planned> {
        let (Self::Nth(sent, _) | Self::Inner(sent, _)) = self;
        sent.planned()
    }

    /// The same statement in another plan of the text that was sent.
    pub(super) fn renewed(&self, planned: Arc<Planned>) -> Self {
        match self {
            Self::Nth(sent, at) => Self::Nth(sent.renewed(planned), *at),
            Self::Inner(sent, at) => Self::Inner(sent.renewed(planned), *at),
        }
    }

    /// What was sent instead of its text.
    pub(super) fn replacement(&self) -> Option<&Replacement> {
        match self {
            Self::Nth(sent, _) => sent.replacement().map(|it| &**it),
            Self::Inner(..) => None,
        }
    }
}

/// A prepared statement.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) statement: StatementRef,
    /// The types of its parameters, as far as they are known; 0 is not known.
    pub(super) types: Vec<u32>,
    /// The number of the parameter that it has and its client does not know of.
    pub(super) injected: Option<u16>,
}

/// A portal or cursor.
#[derive(Debug)]
pub(super) struct Portal {
    /// What it was made of. The session's own: what many sessions share is not written to, not even
    /// to count who has it.
    prepared: Arc<Prepared>,
    /// The tenant under which it was settled.
    pub(super) tenant: Setting,
    /// The value bound to the parameter that its SET of the tenant names.
    pub(super) bound: Option<NewValue>,
    /// WITH HOLD: outlives its transaction.
    pub(super) hold: bool,
    /// Its effect has happened.
    done: AtomicBool,
}

impl Portal {
    pub(super) const fn new(
        prepared: Arc<Prepared>,
        tenant: Setting,
        bound: Option<NewValue>,
        hold: bool,
    ) -> Self {
        Self { prepared, tenant, bound, hold, done: AtomicBool::new(false) }
    }

    /// The statement that it runs.
    pub(super) fn statement(&self) -> &StatementRef {
        &self.prepared.statement
    }

    /// Whether its effect has happened.
    pub(super) fn is_done(&self) -> bool {
        self.done.load(Ordering::Relaxed)
    }

    /// Notes that its effect has happened; whether it had before.
    pub(super) fn finish(&self) -> bool {
        self.done.swap(true, Ordering::Relaxed)
    }
}

/// Which view of the session: what the server has confirmed, or what will be if nothing fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Confirmed by an answer.
    Confirmed,
    /// Sent, and assumed to succeed.
    Predicted,
}

/// Names whose room is kept between groups.
const FEW: usize = 3;

/// One name space: statements, or portals.
#[derive(Debug)]
struct Names<T> {
    /// Nothing in a session that has named nothing yet: most of what it keeps would be for this.
    maps: Option<Box<Maps<T>>>,
    /// Everything confirmed is predicted to be removed.
    cleared: bool,
}

#[derive(Debug)]
struct Maps<T> {
    confirmed: Named<Arc<T>>,
    /// Changes sent and not answered; `None` is a removal.
    predicted: Named<Option<Arc<T>>>,
}

impl<T> Default for Maps<T> {
    fn default() -> Self {
        Self { confirmed: Named::default(), predicted: Named::default() }
    }
}

impl<T> Names<T> {
    const fn new() -> Self {
        Self { maps: None, cleared: false }
    }

    fn get(&self, name: &[u8]) -> Option<&Arc<T>> {
        let maps = self.maps.as_ref()?;
        match maps.predicted.get(name) {
            Some(change) => change.as_ref(),
            None if self.cleared => None,
            None => maps.confirmed.get(name),
        }
    }

    fn confirmed(&self, name: &[u8]) -> Option<&Arc<T>> {
        self.maps.as_ref()?.confirmed.get(name)
    }

    fn put(&mut self, side: Side, name: &[u8], value: Arc<T>) {
        let maps = self.maps.get_or_insert_default();
        match side {
            Side::Confirmed => maps.confirmed.insert(name, value),
            Side::Predicted => maps.predicted.insert(name, Some(value)),
        }
    }

    fn remove(&mut self, side: Side, name: &[u8]) {
        let maps = self.maps.get_or_insert_default();
        match side {
            Side::Confirmed => maps.confirmed.remove(name),
            Side::Predicted => maps.predicted.insert(name, None),
        }
    }

    fn clear(&mut self, side: Side) {
        let maps = self.maps.as_mut();
        match side {
            Side::Confirmed => {
                maps.into_iter().for_each(|maps| maps.confirmed.clear(FEW));
            }
            Side::Predicted => {
                maps.into_iter().for_each(|maps| maps.predicted.clear(FEW));
                self.cleared = true;
            }
        }
    }

    fn forget_predictions(&mut self) {
        self.cleared = false;
        if let Some(maps) = &mut self.maps {
            // The room for a few is kept: a client that prepares needs it in every group.
            maps.predicted.clear(FEW);
        }
    }

    /// The changes sent and not answered.
    fn changes(&self) -> Changes<T> {
        let predicted = self.maps.as_ref().map(|maps| maps.predicted.clone());
        (predicted.unwrap_or_default(), self.cleared)
    }

    fn restore(&mut self, (predicted, cleared): Changes<T>) {
        match &mut self.maps {
            None if predicted.is_empty() => {}
            maps => maps.get_or_insert_default().predicted = predicted,
        }
        self.cleared = cleared;
    }

    /// Puts a value in the place of another, wherever that stands under this name.
    fn renew(&mut self, name: &[u8], old: &Arc<T>, new: &Arc<T>) {
        let Some(maps) = &mut self.maps else {
            return;
        };
        if let Some(Some(predicted)) = maps.predicted.get_mut(name)
            && Arc::ptr_eq(predicted, old)
        {
            *predicted = Arc::clone(new);
        }
        if let Some(confirmed) = maps.confirmed.get_mut(name)
            && Arc::ptr_eq(confirmed, old)
        {
            *confirmed = Arc::clone(new);
        }
    }

    fn len(&self) -> usize {
        self.maps
            .as_ref()
            .map_or(0, |maps| maps.confirmed.len().saturating_add(maps.predicted.len()))
    }
}

/// Changes sent and not answered, of one name space, and whether everything is removed.
type Changes<T> = (Named<Option<Arc<T>>>, bool);

/// What is predicted of both name spaces.
#[derive(Debug)]
pub(super) struct Predictions {
    statements: Changes<Prepared>,
    portals: Changes<Portal>,
}

/// The prepared statements and portals of a session: one name space for the protocol and for SQL,
/// as on the server.
#[derive(Debug)]
pub(super) struct Registry {
    statements: Names<Prepared>,
    portals: Names<Portal>,
    limit: usize,
}

impl Registry {
    pub(super) const fn new(limit: usize) -> Self {
        Self { statements: Names::new(), portals: Names::new(), limit }
    }

    /// Whether one more would be more than the configuration allows.
    pub(super) fn is_full(&self) -> bool {
        self.statements.len().saturating_add(self.portals.len()) >= self.limit
    }

    /// How many statements and how many portals are remembered, removals that are not answered
    /// included.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.statements.len(), self.portals.len())
    }

    /// The statement that a Bind sent now would find.
    pub(super) fn statement(&self, name: &[u8]) -> Option<&Arc<Prepared>> {
        self.statements.get(name)
    }

    /// The portal that an Execute sent now would find.
    pub(super) fn portal(&self, name: &[u8]) -> Option<&Arc<Portal>> {
        self.portals.get(name)
    }

    /// The statement that the server has now.
    pub(super) fn confirmed_statement(&self, name: &[u8]) -> Option<&Arc<Prepared>> {
        self.statements.confirmed(name)
    }

    /// The portal that the server has now.
    pub(super) fn confirmed_portal(&self, name: &[u8]) -> Option<&Arc<Portal>> {
        self.portals.confirmed(name)
    }

    pub(super) fn put_statement(&mut self, side: Side, name: &[u8], value: Arc<Prepared>) {
        self.statements.put(side, name, value);
    }

    pub(super) fn put_portal(&mut self, side: Side, name: &[u8], value: Arc<Portal>) {
        self.portals.put(side, name, value);
    }

    pub(super) fn remove_statement(&mut self, side: Side, name: &[u8]) {
        self.statements.remove(side, name);
    }

    pub(super) fn remove_portal(&mut self, side: Side, name: &[u8]) {
        self.portals.remove(side, name);
    }

    pub(super) fn clear_statements(&mut self, side: Side) {
        self.statements.clear(side);
    }

    pub(super) fn clear_portals(&mut self, side: Side) {
        self.portals.clear(side);
    }

    /// The transaction has ended: portals are gone, WITH HOLD cursors excepted.
    pub(super) fn end_transaction(&mut self) {
        if let Some(portals) = &mut self.portals.maps {
            portals.confirmed.retain(|portal| portal.hold);
        }
    }

    /// Every answer has come: what is confirmed is all there is.
    pub(super) fn forget_predictions(&mut self) {
        self.statements.forget_predictions();
        self.portals.forget_predictions();
    }

    /// The predicted changes, to be restored if what is being judged is refused.
    pub(super) fn predictions(&self) -> Predictions {
        let Self { statements, portals, limit: _ } = self;
        Predictions { statements: statements.changes(), portals: portals.changes() }
    }

    pub(super) fn restore(&mut self, predictions: Predictions) {
        self.statements.restore(predictions.statements);
        self.portals.restore(predictions.portals);
    }

    /// A statement was planned anew.
    pub(super) fn renew(&mut self, name: &[u8], old: &Arc<Prepared>, new: &Arc<Prepared>) {
        self.statements.renew(name, old, new);
    }

    /// The server told the types of a statement's parameters.
    pub(super) fn learn_types(&mut self, name: &[u8], types: Vec<u32>) {
        let Some(old) = self.statements.confirmed(name).cloned() else {
            return;
        };
        if old.types == types {
            return;
        }
        let new =
            Arc::new(Prepared { statement: old.statement.clone(), types, injected: old.injected });
        self.statements.renew(name, &old, &new);
    }
}
