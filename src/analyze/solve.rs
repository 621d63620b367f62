//! Least fixpoint: which references are bound when some operands equal the tenant.
//!
//! Nothing is ever assumed of another side. A reference is bound when its tenant column is known
//! in its own context; a column is known when it equals an operand that is the tenant, a known
//! column, or a column of a reference that is bound already. So every proof rests on constants.
//! The one hypothesis made, for a recursive CTE, is the induction step, and it is tried apart.

use std::collections::HashSet;

use super::graph::{
    Column, ColumnId, Context, ContextId, Fact, Graph, OperandId, OutputId, ReferenceId, Source,
    Term, Written, WrittenValue,
};
use super::push::Index;

/// Which of a graph's operands are the tenant.
pub(super) trait Truth {
    /// Whether every value of the operand is the tenant or NULL.
    fn matches(&self, operand: OperandId) -> bool;
    /// Whether it is the tenant and surely not NULL.
    fn is_tenant(&self, operand: OperandId) -> bool;
}

#[derive(Debug, Default)]
pub(super) struct Solution {
    known: HashSet<(ContextId, ColumnId)>,
    bound: HashSet<ReferenceId>,
    /// Columns of recursive CTEs that carry the tenant from step to step.
    carried: HashSet<(OutputId, usize)>,
}

pub(super) struct Solver<'a, T> {
    pub(super) graph: &'a Graph,
    pub(super) index: Index,
    truth: &'a T,
}

impl<'a, T: Truth> Solver<'a, T> {
    pub(super) fn new(graph: &'a Graph, truth: &'a T) -> Self {
        Self { graph, index: Index::of(graph), truth }
    }

    pub(super) fn solve(&self) -> Solution {
        let mut solution = Solution::default();
        self.run(&mut solution, None);
        for (id, output) in self.graph.outputs.iter().enumerate() {
            if output.base_arms.is_some() {
                let carried = self.induct(id, &solution);
                if !carried.is_empty() {
                    solution.carried.extend(carried);
                    self.run(&mut solution, None);
                }
            }
        }
        solution
    }

    /// Induction over the rows of a recursive CTE: the columns that the base surely fills with the
    /// tenant, and that the step fills with it if its own reference to the CTE does. While the step
    /// is tried, nothing may rest on what comes out of the CTE.
    fn induct(&self, output: OutputId, before: &Solution) -> HashSet<(OutputId, usize)> {
        let Some(found) = self.graph.outputs.get(output) else {
            return HashSet::new();
        };
        let base = found.base_arms.unwrap_or_default();
        let positions = self.graph.columns.iter().filter_map(|column| {
            let Some(Source::Recursion(of)) = self.source(column.reference) else {
                return None;
            };
            (*of == output).then_some(column.position?)
        });
        let mut candidates: HashSet<(OutputId, usize)> = positions
            .filter(|position| (0..base).all(|arm| self.comes_out(output, arm, *position, before)))
            .map(|position| (output, position))
            .collect();
        while !candidates.is_empty() {
            let mut trial = Solution { carried: before.carried.clone(), ..Solution::default() };
            trial.carried.extend(candidates.iter().copied());
            self.run(&mut trial, Some(output));
            let kept: HashSet<(OutputId, usize)> = candidates
                .iter()
                .copied()
                .filter(|(_, position)| {
                    (base..found.arms.len())
                        .all(|arm| self.comes_out(output, arm, *position, &trial))
                })
                .collect();
            if kept.len() == candidates.len() {
                return kept;
            }
            candidates = kept;
        }
        candidates
    }

    fn comes_out(
        &self,
        output: OutputId,
        arm: usize,
        position: usize,
        solution: &Solution,
    ) -> bool {
        let Some(found) = self.graph.outputs.get(output).and_then(|output| output.arms.get(arm))
        else {
            return false;
        };
        !found.comes_out
            || self
                .graph
                .at(output, arm, position)
                .is_some_and(|term| self.holds(found.context, term, solution))
    }

    fn run(&self, solution: &mut Solution, withheld: Option<OutputId>) {
        loop {
            let before = (solution.known.len(), solution.bound.len());
            for context in 0..self.graph.contexts.len() {
                self.close(context, solution, withheld);
            }
            for (id, reference) in self.graph.references.iter().enumerate() {
                let Source::Guarded(guarded) = &reference.source else {
                    continue;
                };
                let known = self.index.columns(id).iter().any(|column| {
                    self.graph.columns.get(*column).is_some_and(|it| it.name == guarded.tenant)
                        && reference.aliases.is_empty()
                        && solution.known.contains(&(reference.context, *column))
                });
                if known {
                    solution.bound.insert(id);
                }
            }
            if before == (solution.known.len(), solution.bound.len()) {
                return;
            }
        }
    }

    /// Adds to what is known in one context until nothing more follows.
    fn close(&self, context: ContextId, solution: &mut Solution, withheld: Option<OutputId>) {
        if !self.index.spend(self.graph.columns.len()) {
            return;
        }
        for (column, _) in self.graph.columns.iter().enumerate() {
            if !solution.known.contains(&(context, column))
                && self.is_seed(context, column, solution, withheld)
            {
                solution.known.insert((context, column));
            }
        }
        let facts = self.facts(context);
        while self.index.spend(facts.len()) {
            let mut learnt = Vec::new();
            for fact in &facts {
                self.learn(context, fact, solution, withheld, &mut learnt);
            }
            let before = solution.known.len();
            solution.known.extend(learnt.into_iter().map(|column| (context, column)));
            if solution.known.len() == before {
                return;
            }
        }
    }

    /// The facts that hold in a context: its own and its ancestors', less the masked ones.
    pub(super) fn facts(&self, context: ContextId) -> Vec<&'a Fact> {
        let mut facts = Vec::new();
        let mut masked: Vec<ReferenceId> = Vec::new();
        let mut next = Some(context);
        while let Some(Context { parent, masked: own, facts: here }) =
            next.and_then(|id| self.graph.contexts.get(id))
        {
            facts.extend(here.iter().filter(|fact| !self.mentions(fact, &masked)));
            masked.extend(own);
            next = *parent;
        }
        facts
    }

    pub(super) fn mentions(&self, fact: &Fact, masked: &[ReferenceId]) -> bool {
        let column = |id: &ColumnId| {
            self.graph.columns.get(*id).is_some_and(|column| masked.contains(&column.reference))
        };
        let term = |term: &Term| match term {
            Term::Column(id) => column(id),
            Term::Operand(_) => false,
        };
        match fact {
            Fact::Equal(left, right) => term(left) || term(right),
            Fact::Null(id) | Fact::Member(id, _, _) => column(id),
            Fact::Any(arms) => arms.iter().flatten().any(|fact| self.mentions(fact, masked)),
        }
    }

    /// What follows from one fact.
    fn learn(
        &self,
        context: ContextId,
        fact: &Fact,
        solution: &Solution,
        withheld: Option<OutputId>,
        learnt: &mut Vec<ColumnId>,
    ) {
        match fact {
            Fact::Equal(left, right) => {
                for (from, to) in [(left, right), (right, left)] {
                    if let Term::Column(column) = to
                        && self.holds(context, *from, solution)
                    {
                        learnt.push(*column);
                    }
                }
            }
            Fact::Null(_) => {}
            Fact::Member(column, output, position) => {
                if withheld != Some(*output) && self.all_come_out(*output, *position, solution) {
                    learnt.push(*column);
                }
            }
            Fact::Any(arms) => {
                let mut common: Option<HashSet<ColumnId>> = None;
                for arm in arms {
                    let own = self.arm(context, arm, solution, withheld);
                    common = Some(match common {
                        None => own,
                        Some(common) => common.intersection(&own).copied().collect(),
                    });
                }
                learnt.extend(common.unwrap_or_default());
            }
        }
    }

    /// What is known in one arm of an OR, beside what is known in its context.
    fn arm(
        &self,
        context: ContextId,
        facts: &[Fact],
        solution: &Solution,
        withheld: Option<OutputId>,
    ) -> HashSet<ColumnId> {
        if !self.index.spend(solution.known.len()) {
            return HashSet::new();
        }
        let mut inside = Solution {
            known: solution.known.iter().filter(|(at, _)| *at == context).copied().collect(),
            bound: solution.bound.clone(),
            carried: solution.carried.clone(),
        };
        let all: Vec<&Fact> = self
            .facts(context)
            .into_iter()
            .filter(|fact| !matches!(fact, Fact::Any(_)))
            .chain(facts)
            .collect();
        while self.index.spend(all.len()) {
            let mut learnt = Vec::new();
            for fact in &all {
                // Members and outputs are looked up in the whole solution, columns in the arm.
                if let Fact::Member(..) = fact {
                    self.learn(context, fact, solution, withheld, &mut learnt);
                } else {
                    self.learn(context, fact, &inside, withheld, &mut learnt);
                }
            }
            let before = inside.known.len();
            inside.known.extend(learnt.into_iter().map(|column| (context, column)));
            if inside.known.len() == before {
                break;
            }
        }
        inside.known.into_iter().map(|(_, column)| column).collect()
    }

    /// Whether a column is the tenant's wherever it is seen, or is filtered from outside.
    fn is_seed(
        &self,
        context: ContextId,
        column: ColumnId,
        solution: &Solution,
        withheld: Option<OutputId>,
    ) -> bool {
        let Some(found) = self.graph.columns.get(column) else {
            return false;
        };
        let reference = self.graph.references.get(found.reference);
        let own = match reference.map(|reference| &reference.source) {
            Some(Source::Guarded(guarded)) => {
                found.name == guarded.tenant && solution.bound.contains(&found.reference)
            }
            Some(Source::Output(output)) => {
                withheld != Some(*output) && self.links_hold(*output, &found.links, solution)
            }
            Some(Source::Recursion(output)) => found
                .position
                .is_some_and(|position| solution.carried.contains(&(*output, position))),
            Some(Source::Unknown) | None => false,
        };
        own || self.is_known_above(context, found, column, solution)
            || self.is_filtered_from_outside(context, column, solution)
    }

    /// What is known where a context lies is known in it, save of null-extended references.
    fn is_known_above(
        &self,
        context: ContextId,
        found: &Column,
        column: ColumnId,
        solution: &Solution,
    ) -> bool {
        self.graph.contexts.get(context).is_some_and(|here| {
            !here.masked.contains(&found.reference)
                && here.parent.is_some_and(|parent| solution.known.contains(&(parent, column)))
        })
    }

    /// Whether every row that comes out of an output has the tenant in a column, by its links.
    fn links_hold(&self, output: OutputId, links: &[Option<Term>], solution: &Solution) -> bool {
        let Some(output) = self.graph.outputs.get(output) else {
            return false;
        };
        !output.arms.is_empty()
            && output.arms.len() == links.len()
            && output.arms.iter().zip(links).all(|(arm, link)| {
                !arm.comes_out || link.is_some_and(|term| self.holds(arm.context, term, solution))
            })
    }

    fn all_come_out(&self, output: OutputId, position: usize, solution: &Solution) -> bool {
        let arms = self.graph.outputs.get(output).map_or(0, |output| output.arms.len());
        arms > 0 && (0..arms).all(|arm| self.comes_out(output, arm, position, solution))
    }

    /// Whether every use of the output that this column comes out of knows it there, so that the
    /// filter may be pushed in.
    fn is_filtered_from_outside(
        &self,
        context: ContextId,
        column: ColumnId,
        solution: &Solution,
    ) -> bool {
        self.pushed(context, column, &|at, term| match term {
            Term::Column(outer) => solution.known.contains(&(at, outer)),
            Term::Operand(_) => self.holds(at, term, solution),
        })
    }

    pub(super) fn holds(&self, context: ContextId, term: Term, solution: &Solution) -> bool {
        match term {
            Term::Operand(operand) => self.truth.matches(operand),
            Term::Column(column) => {
                solution.known.contains(&(context, column))
                    || self.graph.columns.get(column).is_some_and(|found| {
                        solution.bound.contains(&found.reference)
                            && matches!(self.source(found.reference), Some(Source::Guarded(guarded)) if found.name == guarded.tenant)
                    })
            }
        }
    }

    fn source(&self, reference: ReferenceId) -> Option<&'a Source> {
        self.graph.references.get(reference).map(|reference| &reference.source)
    }

    pub(super) fn is_bound(&self, reference: ReferenceId, solution: &Solution) -> bool {
        solution.bound.contains(&reference) || self.is_bound_otherwise(reference)
    }

    /// `bound_by`: another column of the table equals any constant or parameter.
    fn is_bound_otherwise(&self, reference: ReferenceId) -> bool {
        let Some(found) = self.graph.references.get(reference) else {
            return false;
        };
        let Source::Guarded(guarded) = &found.source else {
            return false;
        };
        if guarded.bound_by.is_empty() || !found.aliases.is_empty() {
            return false;
        }
        let facts = self.facts(found.context);
        self.graph.columns.iter().enumerate().any(|(column, own)| {
            own.reference == reference
                && guarded.bound_by.contains(&own.name)
                && own.name != guarded.tenant
                && facts.iter().any(|fact| equals_operand(fact, column))
        })
    }

    /// Whether a value written is the tenant.
    pub(super) fn is_written(&self, written: &Written, solution: &Solution) -> bool {
        match written.value {
            None => false,
            Some(WrittenValue::Term(Term::Operand(operand))) => self.truth.is_tenant(operand),
            Some(WrittenValue::Term(term)) => self.holds(written.context, term, solution),
            Some(WrittenValue::Output(output, position)) => {
                self.all_come_out(output, position, solution)
                    && self.is_never_null(output, position, &mut HashSet::new())
            }
        }
    }

    /// Whether no operand that comes out in a column is NULL, which a comparison would keep out but
    /// which is no tenant where it is written. What does not match comes out only of rows that were
    /// compared.
    fn is_never_null(
        &self,
        output: OutputId,
        position: usize,
        seen: &mut HashSet<(OutputId, usize)>,
    ) -> bool {
        let arms = self.graph.outputs.get(output).map_or(0, |output| output.arms.len());
        !seen.insert((output, position))
            || (0..arms).all(|arm| match self.graph.at(output, arm, position) {
                Some(Term::Operand(operand)) => {
                    self.truth.is_tenant(operand) || !self.truth.matches(operand)
                }
                Some(Term::Column(column)) => match self.graph.columns.get(column) {
                    Some(Column { reference, position: Some(position), .. }) => {
                        match self.source(*reference) {
                            Some(Source::Output(output) | Source::Recursion(output)) => {
                                self.is_never_null(*output, *position, seen)
                            }
                            Some(Source::Guarded(_) | Source::Unknown) | None => true,
                        }
                    }
                    Some(_) | None => true,
                },
                None => true,
            })
    }
}

fn equals_operand(fact: &Fact, column: ColumnId) -> bool {
    match fact {
        Fact::Equal(Term::Column(own), Term::Operand(_))
        | Fact::Equal(Term::Operand(_), Term::Column(own)) => *own == column,
        Fact::Any(arms) => {
            arms.iter().all(|arm| arm.iter().any(|fact| equals_operand(fact, column)))
        }
        Fact::Equal(..) | Fact::Null(_) | Fact::Member(..) => false,
    }
}
