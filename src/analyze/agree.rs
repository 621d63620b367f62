//! Whether two readings of a text agree: whether the plan of the first claims anything that the plan
//! of the second does not.
//!
//! Both must see the same statements, relations and obligations. Of proofs and violations it is
//! enough that the first is the stricter one: a statement holds only if it holds in both.

use super::effect::Effect;
use super::graph::{Graph, Obligation, Operand, OperandId, ReferenceId, Source};
use super::plan::StatementPlan;
use super::solve::{Solver, Truth};
use crate::sql::Span;
use crate::tenant::Tenant;

/// In what two plans differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The number of statements.
    Statements,
    /// The kind of a statement, or what it does to its session.
    Kind,
    /// The relations that a statement names.
    Relations,
    /// What is owed for them.
    Obligations,
    /// What the first can prove of it.
    Proofs,
    /// What is refused about a statement whatever the tenant.
    Violations,
}

impl Difference {
    /// In words.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::Statements => "PostgreSQL's grammar sees another number of statements",
            Self::Kind => "PostgreSQL's grammar sees a statement of another kind",
            Self::Relations => "PostgreSQL's grammar sees other relations",
            Self::Obligations => "PostgreSQL's grammar sees relations in other places",
            Self::Proofs => "PostgreSQL's grammar does not see every proof",
            Self::Violations => "PostgreSQL's grammar sees something that is refused",
        }
    }
}

/// The first difference between two plans of a text, if there is one.
pub(super) fn difference(first: &[StatementPlan], second: &[StatementPlan]) -> Option<Difference> {
    if first.len() != second.len() {
        return Some(Difference::Statements);
    }
    first.iter().zip(second).find_map(|(first, second)| statements(first, second))
}

fn statements(first: &StatementPlan, second: &StatementPlan) -> Option<Difference> {
    if first.kind != second.kind || (second.may_set_tenant && !first.may_set_tenant) {
        return Some(Difference::Kind);
    }
    if let Some(difference) = effects(&first.effect, &second.effect) {
        return Some(difference);
    }
    let more = second.owed.violations.iter().any(|violation| {
        !first
            .owed
            .violations
            .iter()
            .any(|own| own.rule == violation.rule && own.table == violation.table)
    });
    if more {
        return Some(Difference::Violations);
    }
    graphs(&first.owed.graph, &second.owed.graph)
}

fn effects(first: &Effect, second: &Effect) -> Option<Difference> {
    if let (
        Effect::Prepare { name, types, statement },
        Effect::Prepare { name: own_name, types: own_types, statement: own },
    ) = (first, second)
    {
        let same = name == own_name && types == own_types;
        return if same { statements(statement, own) } else { Some(Difference::Kind) };
    }
    // Of every other effect, its whole text.
    let same = format!("{first:?}") == format!("{second:?}");
    (!same).then_some(Difference::Kind)
}

fn graphs(first: &Graph, second: &Graph) -> Option<Difference> {
    if first == second {
        return None;
    }
    if relations(first) != relations(second) {
        return Some(Difference::Relations);
    }
    let (owed, own) = (obligations(first), obligations(second));
    if !owed.iter().map(|(key, _)| key).eq(own.iter().map(|(key, _)| key)) {
        return Some(Difference::Obligations);
    }
    let groups = groups(first, second);
    for assumed in assumptions(&groups) {
        let claimed = claims(first, &owed, &assumed);
        let granted = claims(second, &own, &assumed);
        if claimed.iter().zip(granted).any(|(claim, grant)| *claim && !grant) {
            return Some(Difference::Proofs);
        }
    }
    None
}

/// Where a table is named, and how; sorted.
type Place<'g> = (u32, &'g str, Option<&'g str>, u8);

fn relations(graph: &Graph) -> Vec<Place<'_>> {
    let mut places: Vec<Place<'_>> = graph
        .references
        .iter()
        .filter_map(|reference| {
            let source = match reference.source {
                Source::Guarded(_) => 0,
                // Functions and merged columns stand nowhere.
                Source::Unknown if reference.span == Span::default() => return None,
                Source::Unknown => 1,
                Source::Output(_) if reference.table.is_empty() => return None,
                Source::Output(_) => 2,
                Source::Recursion(_) => 3,
            };
            let schema = reference.schema.as_deref();
            Some((reference.span.start, &*reference.table, schema, source))
        })
        .collect();
    places.sort_unstable();
    places
}

/// What an obligation is about: its kind, its place, its table, its column.
type Key<'g> = (u8, u32, &'g str, &'g str);

/// The obligations in an order that does not depend on how they were found.
fn obligations(graph: &Graph) -> Vec<(Key<'_>, &Obligation)> {
    let place = |reference: ReferenceId| {
        graph
            .references
            .get(reference)
            .map_or((0, ""), |reference| (reference.span.start, &*reference.table))
    };
    let mut keyed: Vec<(Key<'_>, &Obligation)> = graph
        .obligations
        .iter()
        .map(|obligation| {
            let key = match obligation {
                Obligation::Bound { reference, conflict } => {
                    let (start, table) = place(*reference);
                    (u8::from(*conflict), start, table, "")
                }
                Obligation::Live { reference, conflict } => {
                    let (start, table) = place(*reference);
                    (2_u8.saturating_add(u8::from(*conflict)), start, table, "")
                }
                Obligation::Written { table, span, column, values: _ } => {
                    (4, span.start, &**table, &**column)
                }
                Obligation::Kept { table, span, column, value: _ } => {
                    (5, span.start, &**table, &**column)
                }
            };
            (key, obligation)
        })
        .collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed
}

/// Operands are taken for the tenant alone, and all but one; of many, in groups.
const GROUPS: usize = 8;

/// The operands of two graphs that could be the tenant, told apart by what they are.
fn groups(first: &Graph, second: &Graph) -> Vec<Vec<String>> {
    let mut atoms = Vec::new();
    for operand in first.operands.iter().chain(&second.operands) {
        collect(operand, &mut atoms);
    }
    atoms.sort_unstable();
    atoms.dedup();
    let mut groups: Vec<Vec<String>> = Vec::new();
    for (index, atom) in atoms.into_iter().enumerate() {
        match groups.get_mut(index.checked_rem(GROUPS).unwrap_or(0)) {
            Some(group) => group.push(atom),
            None => groups.push(vec![atom]),
        }
    }
    groups
}

fn collect(operand: &Operand, atoms: &mut Vec<String>) {
    match operand {
        Operand::Constant(named) => atoms.extend(named.tenant.as_ref().map(constant)),
        Operand::Null => {}
        Operand::Parameter { .. } | Operand::Elements { .. } | Operand::Setting => {
            atoms.push(format!("{operand:?}"));
        }
        Operand::All(operands) => operands.iter().for_each(|operand| collect(operand, atoms)),
        Operand::NotNull(inner) | Operand::Unnested { array: inner, beside: _ } => {
            collect(inner, atoms);
        }
    }
}

fn constant(tenant: &Tenant) -> String {
    format!("{tenant:?}")
}

/// Which operands to take for the tenant: none, all, each group, and all but each group.
fn assumptions(groups: &[Vec<String>]) -> Vec<Vec<&String>> {
    let mut assumptions = vec![Vec::new(), groups.iter().flatten().collect()];
    for (index, group) in groups.iter().enumerate() {
        assumptions.push(group.iter().collect());
        let others = groups.iter().enumerate().filter(|(other, _)| *other != index);
        assumptions.push(others.flat_map(|(_, group)| group).collect());
    }
    assumptions
}

/// What a graph proves of its obligations if these operands are the tenant; of soft deletion also
/// whether it is proved but for a weaker flaw.
fn claims(graph: &Graph, obligations: &[(Key<'_>, &Obligation)], assumed: &[&String]) -> Vec<bool> {
    let tell = |null_matches: bool| {
        graph.operands.iter().map(|operand| holds(operand, null_matches, assumed)).collect()
    };
    let assumed = Assumed { matches: tell(true), is_tenant: tell(false) };
    let solver = Solver::new(graph, &assumed);
    let solution = solver.solve();
    let mut claims = Vec::with_capacity(obligations.len());
    for (_, obligation) in obligations {
        match obligation {
            Obligation::Bound { reference, conflict: _ } => {
                claims.push(solver.is_bound(*reference, &solution));
            }
            Obligation::Live { reference, conflict: _ } => {
                claims.push(solver.is_live(*reference, false));
                claims.push(solver.is_live(*reference, true));
            }
            Obligation::Written { values, .. } => claims.push(
                !values.is_empty()
                    && values.iter().all(|value| solver.is_written(value, &solution)),
            ),
            Obligation::Kept { value, .. } => claims.push(solver.is_written(value, &solution)),
        }
    }
    claims
}

fn holds(operand: &Operand, null_matches: bool, assumed: &[&String]) -> bool {
    match operand {
        Operand::Null => null_matches,
        Operand::Constant(named) => named
            .tenant
            .as_ref()
            .map(constant)
            .is_some_and(|text| assumed.iter().any(|own| **own == text)),
        Operand::Parameter { .. } | Operand::Elements { .. } | Operand::Setting => {
            let text = format!("{operand:?}");
            assumed.iter().any(|own| **own == text)
        }
        Operand::All(operands) => {
            operands.iter().all(|operand| holds(operand, null_matches, assumed))
        }
        Operand::NotNull(inner) => holds(inner, false, assumed),
        Operand::Unnested { array, beside: _ } => holds(array, null_matches, assumed),
    }
}

/// Which operands are taken for the tenant.
struct Assumed {
    matches: Vec<bool>,
    is_tenant: Vec<bool>,
}

impl Truth for Assumed {
    fn matches(&self, operand: OperandId) -> bool {
        self.matches.get(operand).copied().unwrap_or(false)
    }

    fn is_tenant(&self, operand: OperandId) -> bool {
        self.is_tenant.get(operand).copied().unwrap_or(false)
    }
}
