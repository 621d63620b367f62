//! What is enough for a statement to hold: found once, when it is planned, so that settling the
//! plan compares a few operands with the tenant and solves nothing.

use super::graph::{Graph, Named, Operand, OperandId};
use super::judge;
use super::solve::Truth;
use super::verdict::{Advice, Rule};
use crate::tenant::Tenant;

/// Trials at most, and what the size of the graph allows.
const TRIALS: usize = 32;
const WORK: usize = 50_000;

/// Operands that prove every obligation if each of them is the tenant, whatever the others are.
#[derive(Debug)]
pub(super) struct Shortcut {
    pub(super) operands: Vec<OperandId>,
    /// The advice that is given then.
    pub(super) advice: Vec<Advice>,
}

impl Shortcut {
    /// The one tenant for whom the statement holds whatever is bound, without advice: all that it
    /// takes are constants, and each of them is this tenant.
    pub(super) fn sole_tenant<'a>(&self, operands: &'a [Operand]) -> Option<&'a Tenant> {
        let mut named = self.operands.iter().map(|at| match operands.get(*at)? {
            Operand::Constant(Named { tenant, slot: _ }) => tenant.as_ref(),
            Operand::NotNull(_)
            | Operand::All(_)
            | Operand::Null
            | Operand::Setting
            | Operand::Parameter { .. }
            | Operand::Elements { .. }
            | Operand::Unnested { .. } => None,
        });
        let first = named.next()??;
        (self.advice.is_empty() && named.all(|other| other == Some(first))).then_some(first)
    }
}

/// These operands, in ascending order, are the tenant, and no other is.
struct Only<'a>(&'a [OperandId]);

impl Truth for Only<'_> {
    fn matches(&self, operand: OperandId) -> bool {
        self.0.binary_search(&operand).is_ok()
    }

    fn is_tenant(&self, operand: OperandId) -> bool {
        self.0.binary_search(&operand).is_ok()
    }
}

/// A set of operands that is enough, as small as a few trials make it; `None` if not even all are.
///
/// A proof grows with the operands that are the tenant: none is lost when one more of them is. So
/// a statement that holds by `operands` alone holds whatever the others turn out to be.
pub(super) fn find(graph: &Graph, provable: &[bool]) -> Option<Shortcut> {
    let enough = |operands: &[OperandId]| {
        let verdict = judge::verdict(graph, provable, &Only(operands), Rule::ForeignTenant);
        verdict.holds().then_some(verdict.advice)
    };
    let mut operands: Vec<OperandId> = (0..graph.operands.len()).collect();
    let mut advice = enough(&operands)?;
    let size = graph.contexts.len().saturating_mul(graph.columns.len()).saturating_add(1);
    let mut trials = WORK.checked_div(size).unwrap_or_default().min(TRIALS);
    let mut step = operands.len().div_ceil(2);
    while step > 0 && trials > 0 {
        let mut from = 0_usize;
        while from < operands.len() && trials > 0 {
            trials = trials.saturating_sub(1);
            let upto = from.saturating_add(step).min(operands.len());
            let mut fewer = operands.clone();
            fewer.drain(from..upto);
            match enough(&fewer) {
                Some(own) => {
                    operands = fewer;
                    advice = own;
                }
                None => from = upto,
            }
        }
        step = if step == 1 { 0 } else { step.div_ceil(2) };
    }
    Some(Shortcut { operands, advice })
}
