//! A plan used for another text of the same shape: a literal that nobody has read is settled with
//! its value in that text, and every place moves with the literals before it. What comes out is
//! what planning the other text would give.

use std::sync::Arc;

use super::effect::Effect;
use super::graph::{Graph, Named, Obligation, Operand, Reference};
use super::kind::Kind;
use super::memo::Memo;
use super::plan::{Owed, Plan, StatementPlan};
use super::shortcut::Shortcut;
use super::verdict::{Advice, Verdict, Violation};
use crate::sql::{Shape, Slots, Span};
use crate::tenant::TenantType;

/// For which other texts a plan can be used.
#[derive(Debug)]
pub(super) struct Reuse {
    shape: Arc<Shape>,
    /// The literals that may have any other value of their class.
    free: Vec<bool>,
}

impl Reuse {
    /// Of a plan for which so many readings of its text have been just the same; `None` if it holds
    /// for its own text alone.
    pub(super) fn of(slots: &Slots, readings: usize, statements: &[StatementPlan]) -> Option<Self> {
        let free = slots.free(readings);
        let fit = free.contains(&true) && statements.iter().all(is_fit);
        fit.then(|| Self { shape: Arc::new(slots.shape().clone()), free })
    }
}

/// Whether everything in a plan can be moved to another text.
fn is_fit(plan: &StatementPlan) -> bool {
    matches!(plan.effect, Effect::None)
        && plan.kind != Kind::NotUnderstood
        && plan.copy.is_none()
        && plan.schema_change.is_none()
        // What stands in a view's definition has its place there.
        && plan.owed.graph.viewed.is_empty()
}

impl Plan {
    /// The shape of its text, if the plan can be used for other texts of that shape.
    #[must_use]
    pub fn shape(&self) -> Option<&Shape> {
        self.reuse.as_ref().map(|reuse| &*reuse.shape)
    }

    /// What planning another text would give; `None` if that is not sure. `own` is the text that
    /// this plan was made of, `shape` the other one's.
    #[must_use]
    pub fn reused(&self, own: &str, text: &str, shape: &Shape) -> Option<Self> {
        let Reuse { shape: from, free } = self.reuse.as_ref()?;
        if !from.is_of_same_shape(own, (shape, text), free) {
            return None;
        }
        let passage = Arc::new(Passage { from: Arc::clone(from), to: shape.clone() });
        let statements = self.statements.iter().map(|it| passage.statement(it, text));
        Some(Self {
            statements: statements.collect::<Option<_>>()?,
            comment: self.comment.clone(),
            disagreement: self.disagreement,
            reuse: None,
        })
    }
}

/// What is other in a plan that was made of another text of the shape.
#[derive(Debug)]
pub(super) struct Moved {
    /// The graph's, with this text's literals.
    operands: Vec<Operand>,
    passage: Arc<Passage>,
}

impl Moved {
    pub(super) fn operands(&self) -> &[Operand] {
        &self.operands
    }

    /// About how much memory it takes beside what is shared.
    pub(super) fn bytes(&self) -> usize {
        const EACH: usize = 64;
        let literals = self.passage.to.literals().len();
        self.operands.len().saturating_add(literals).saturating_mul(EACH)
    }

    /// Puts a verdict in its places in this text.
    pub(super) fn place(&self, verdict: &mut Verdict) {
        let Verdict { violations, advice } = verdict;
        for violation in violations {
            violation.span = self.passage.span(violation.span);
        }
        for advice in advice {
            advice.span = self.passage.span(advice.span);
        }
    }

    /// What is owed, as planning this text would give it.
    pub(super) fn whole(&self, owed: &Owed) -> Owed {
        let Owed { graph, violations, advice, provable, shortcut } = owed;
        let passage = &*self.passage;
        Owed {
            graph: Graph { operands: self.operands.clone(), ..passage.graph(graph) },
            violations: violations.iter().map(|it| passage.violation(it)).collect(),
            advice: passage.advice(advice),
            provable: provable.clone(),
            shortcut: shortcut.as_ref().map(|Shortcut { operands, advice }| Shortcut {
                operands: operands.clone(),
                advice: passage.advice(advice),
            }),
        }
    }
}

/// From the text that was planned to another one of its shape.
#[derive(Debug)]
struct Passage {
    from: Arc<Shape>,
    to: Shape,
}

impl Passage {
    fn span(&self, span: Span) -> Span {
        let moved = |at| self.from.moved(&self.to, at);
        Span { start: moved(span.start), end: moved(span.end) }
    }

    fn statement(self: &Arc<Self>, plan: &StatementPlan, text: &str) -> Option<StatementPlan> {
        let StatementPlan {
            kind,
            span,
            effect: _,
            tenant_type,
            owed,
            moved: _,
            unknown_relation,
            schema_change: _,
            may_set_tenant,
            copy: _,
            unbound: _,
            sole: _,
        } = plan;
        let operands = owed.graph.operands.iter();
        let operands = operands.map(|it| operand(it, *tenant_type, (text, &self.to)));
        let operands = operands.collect::<Option<_>>()?;
        Some(StatementPlan {
            kind: *kind,
            span: self.span(*span),
            effect: Effect::None,
            tenant_type: *tenant_type,
            owed: Arc::clone(owed),
            moved: Some(Moved { operands, passage: Arc::clone(self) }),
            unknown_relation: *unknown_relation,
            schema_change: None,
            may_set_tenant: *may_set_tenant,
            copy: None,
            unbound: Memo::new(),
            sole: Memo::new(),
        })
    }

    fn violation(&self, violation: &Violation) -> Violation {
        Violation { span: self.span(violation.span), ..violation.clone() }
    }

    fn advice(&self, advice: &[Advice]) -> Vec<Advice> {
        let moved = |it: &Advice| Advice { span: self.span(it.span), ..it.clone() };
        advice.iter().map(moved).collect()
    }

    /// The graph in the places of the other text, without its operands.
    fn graph(&self, graph: &Graph) -> Graph {
        let Graph {
            references,
            contexts,
            columns,
            outputs,
            operands: _,
            obligations,
            viewed,
            early,
        } = graph;
        let reference = |it: &Reference| Reference { span: self.span(it.span), ..it.clone() };
        Graph {
            references: references.iter().map(reference).collect(),
            contexts: contexts.clone(),
            columns: columns.clone(),
            outputs: outputs.clone(),
            operands: Vec::new(),
            obligations: obligations.iter().map(|it| self.obligation(it)).collect(),
            viewed: viewed.clone(),
            early: early.clone(),
        }
    }

    fn obligation(&self, obligation: &Obligation) -> Obligation {
        match obligation {
            Obligation::Written { table, span, column, values } => Obligation::Written {
                table: table.clone(),
                span: self.span(*span),
                column: column.clone(),
                values: values.clone(),
            },
            Obligation::Kept { table, span, column, value } => Obligation::Kept {
                table: table.clone(),
                span: self.span(*span),
                column: column.clone(),
                value: value.clone(),
            },
            Obligation::Bound { .. } | Obligation::Live { .. } => obligation.clone(),
        }
    }
}

/// The operand as the builder would make it of this text's literal.
fn operand(
    made: &Operand,
    tenant_type: TenantType,
    (text, shape): (&str, &Shape),
) -> Option<Operand> {
    let again = |it: &Operand| operand(it, tenant_type, (text, shape));
    Some(match made {
        Operand::Constant(Named { tenant: _, slot: Some(slot) }) => {
            let value = shape.value(text, slot.index)?;
            let tenant = if slot.negated {
                tenant_type.parse(&format!("-{value}"))
            } else {
                tenant_type.parse(&value)
            };
            Operand::Constant(Named { tenant, slot: Some(*slot) })
        }
        Operand::NotNull(inner) => Operand::NotNull(Box::new(again(inner)?)),
        Operand::Unnested { array, beside } => {
            Operand::Unnested { array: Box::new(again(array)?), beside: beside.clone() }
        }
        Operand::All(all) => Operand::All(all.iter().map(again).collect::<Option<_>>()?),
        Operand::Constant(Named { slot: None, .. })
        | Operand::Null
        | Operand::Parameter { .. }
        | Operand::Elements { .. }
        | Operand::Setting => made.clone(),
    })
}
