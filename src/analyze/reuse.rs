//! A plan used for another text of the same shape: a literal that nobody has read is settled with
//! its value in that text, and every place moves with the literals before it. What comes out is
//! what planning the other text would give.

use super::effect::Effect;
use super::graph::{Graph, Named, Obligation, Operand, Reference};
use super::plan::{Kind, Plan, StatementPlan};
use super::shortcut::Shortcut;
use super::verdict::{Advice, Violation};
use crate::sql::{Shape, Slots, Span};
use crate::tenant::TenantType;

/// For which other texts a plan can be used.
#[derive(Debug)]
pub(super) struct Reuse {
    shape: Shape,
    /// The literals that may have any other value of their class.
    free: Vec<bool>,
}

impl Reuse {
    /// Of a plan for which so many readings of its text have been just the same; `None` if it holds
    /// for its own text alone.
    pub(super) fn of(slots: &Slots, readings: usize, statements: &[StatementPlan]) -> Option<Self> {
        let free = slots.free(readings);
        let fit = free.contains(&true) && statements.iter().all(is_fit);
        fit.then(|| Self { shape: slots.shape().clone(), free })
    }
}

/// Whether everything in a plan can be moved to another text.
fn is_fit(plan: &StatementPlan) -> bool {
    matches!(plan.effect, Effect::None)
        && plan.kind != Kind::NotUnderstood
        && plan.copy.is_none()
        && plan.schema_change.is_none()
        // What stands in a view's definition has its place there.
        && plan.graph.viewed.is_empty()
}

impl Plan {
    /// The shape of its text, if the plan can be used for other texts of that shape.
    #[must_use]
    pub fn shape(&self) -> Option<&Shape> {
        self.reuse.as_ref().map(|reuse| &reuse.shape)
    }

    /// What planning another text would give; `None` if that is not sure. `own` is the text that
    /// this plan was made of, `shape` the other one's.
    #[must_use]
    pub fn reused(&self, own: &str, text: &str, shape: &Shape) -> Option<Self> {
        let Reuse { shape: from, free } = self.reuse.as_ref()?;
        if !from.is_of_same_shape(own, (shape, text), free) {
            return None;
        }
        let passage = Passage { from, to: shape, text };
        let statements = self.statements.iter().map(|it| passage.statement(it));
        Some(Self {
            statements: statements.collect::<Option<_>>()?,
            comment: self.comment.clone(),
            disagreement: self.disagreement,
            reuse: None,
        })
    }
}

/// From the text that was planned to another one of its shape.
struct Passage<'a> {
    from: &'a Shape,
    to: &'a Shape,
    text: &'a str,
}

impl Passage<'_> {
    fn span(&self, span: Span) -> Span {
        let moved = |at| self.from.moved(self.to, at);
        Span { start: moved(span.start), end: moved(span.end) }
    }

    fn statement(&self, plan: &StatementPlan) -> Option<StatementPlan> {
        let StatementPlan {
            kind,
            span,
            effect: _,
            tenant_type,
            graph,
            violations,
            advice,
            provable,
            shortcut,
            unknown_relation,
            schema_change: _,
            may_set_tenant,
            copy: _,
        } = plan;
        Some(StatementPlan {
            kind: *kind,
            span: self.span(*span),
            effect: Effect::None,
            tenant_type: *tenant_type,
            graph: self.graph(graph, *tenant_type)?,
            violations: violations.iter().map(|it| self.violation(it)).collect(),
            advice: self.advice(advice),
            provable: provable.clone(),
            shortcut: shortcut.as_ref().map(|Shortcut { operands, advice }| Shortcut {
                operands: operands.clone(),
                advice: self.advice(advice),
            }),
            unknown_relation: *unknown_relation,
            schema_change: None,
            may_set_tenant: *may_set_tenant,
            copy: None,
        })
    }

    fn violation(&self, violation: &Violation) -> Violation {
        Violation { span: self.span(violation.span), ..violation.clone() }
    }

    fn advice(&self, advice: &[Advice]) -> Vec<Advice> {
        let moved = |it: &Advice| Advice { span: self.span(it.span), ..it.clone() };
        advice.iter().map(moved).collect()
    }

    fn graph(&self, graph: &Graph, tenant_type: TenantType) -> Option<Graph> {
        let Graph { references, contexts, columns, outputs, operands, obligations, viewed, early } =
            graph;
        let reference = |it: &Reference| Reference { span: self.span(it.span), ..it.clone() };
        let operands = operands.iter().map(|it| self.operand(it, tenant_type));
        Some(Graph {
            references: references.iter().map(reference).collect(),
            contexts: contexts.clone(),
            columns: columns.clone(),
            outputs: outputs.clone(),
            operands: operands.collect::<Option<_>>()?,
            obligations: obligations.iter().map(|it| self.obligation(it)).collect(),
            viewed: viewed.clone(),
            early: early.clone(),
        })
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

    /// The operand as the builder would make it of the other text's literal.
    fn operand(&self, operand: &Operand, tenant_type: TenantType) -> Option<Operand> {
        Some(match operand {
            Operand::Constant(Named { tenant: _, slot: Some(slot) }) => {
                let value = self.to.value(self.text, slot.index)?;
                let tenant = if slot.negated {
                    tenant_type.parse(&format!("-{value}"))
                } else {
                    tenant_type.parse(&value)
                };
                Operand::Constant(Named { tenant, slot: Some(*slot) })
            }
            Operand::NotNull(inner) => {
                Operand::NotNull(Box::new(self.operand(inner, tenant_type)?))
            }
            Operand::Unnested { array, beside } => Operand::Unnested {
                array: Box::new(self.operand(array, tenant_type)?),
                beside: beside.clone(),
            },
            Operand::All(all) => {
                let all = all.iter().map(|it| self.operand(it, tenant_type));
                Operand::All(all.collect::<Option<_>>()?)
            }
            Operand::Constant(Named { slot: None, .. })
            | Operand::Null
            | Operand::Parameter { .. }
            | Operand::Elements { .. }
            | Operand::Setting => operand.clone(),
        })
    }
}
