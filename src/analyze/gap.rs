//! What a statement's text lacks: the obligations that nothing in it could prove.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a violation of any other rule is not mended by more text"
)]

use std::collections::HashMap;

use super::graph::{ArmColumn, ContextId, Graph, Obligation, ReferenceId, Source, Term};
use super::settle::Structure;
use super::solve::Solver;
use super::verdict::{Rule, Violation};
use crate::sql::Span;

/// A missing proof that more text could give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// What is missing.
    pub kind: GapKind,
    /// The rule that is broken without it.
    pub rule: Rule,
    /// The guarded table.
    pub table: Box<str>,
    /// Where its name stands in the whole text.
    pub span: Span,
    /// The tenant column, or the soft-delete column.
    pub column: Box<str>,
    /// An expression may run on the reference's rows before any predicate has filtered them: what
    /// is missing must stand behind a fence.
    pub fenced: bool,
    /// The reference is a view, and this a column by which it exports a table's.
    pub exported: bool,
}

/// What is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GapKind {
    /// A predicate that binds the tenant column.
    Tenant,
    /// A predicate that keeps soft-deleted rows out.
    Live,
    /// The same, where the statement holds with an advice without it.
    AdvisedLive,
    /// The target row of ON CONFLICT DO UPDATE may be another tenant's.
    ConflictTenant,
    /// The target row of ON CONFLICT DO UPDATE may be soft-deleted.
    ConflictLive,
    /// The rows written do not surely carry the tenant.
    Written,
    /// A whole table is copied to the client.
    Copied,
    /// Rows would be removed that are only ever to be soft-deleted.
    Removed,
}

pub(super) fn gaps(graph: &Graph, provable: &[bool], violations: &[Violation]) -> Option<Vec<Gap>> {
    let solver = Solver::new(graph, &Structure);
    let reader = Reader::new(graph);
    let mut gaps = Vec::new();
    let fenced = graph.exposed(&graph.early);
    for reference in &fenced {
        gaps.extend(reader.behind_fence(*reference)?);
    }
    for violation in violations {
        let kind = match violation.rule {
            Rule::GuardedCopy => GapKind::Copied,
            Rule::HardDelete => GapKind::Removed,
            Rule::EarlyEvaluation => continue,
            _ => return None,
        };
        let table = violation.table.clone()?;
        gaps.push(Gap {
            kind,
            rule: violation.rule,
            table,
            span: violation.span,
            column: "".into(),
            fenced: false,
            exported: false,
        });
    }
    for (obligation, _) in graph.obligations.iter().zip(provable).filter(|(_, it)| !**it) {
        gaps.push(match obligation {
            Obligation::Bound { reference, conflict: false }
            | Obligation::Live { reference, conflict: false }
                if fenced.contains(reference) =>
            {
                continue;
            }
            Obligation::Bound { reference, conflict: false } => {
                reader.read(*reference, GapKind::Tenant, Rule::UnboundTenant)?
            }
            Obligation::Bound { reference, conflict: true } => {
                reader.read(*reference, GapKind::ConflictTenant, Rule::UnguardedConflict)?
            }
            Obligation::Live { reference, conflict: true } => {
                reader.read(*reference, GapKind::ConflictLive, Rule::UnguardedConflict)?
            }
            Obligation::Live { reference, conflict: false } => {
                let kind = if solver.is_live(*reference, true) {
                    GapKind::AdvisedLive
                } else {
                    GapKind::Live
                };
                reader.read(*reference, kind, Rule::VisibleDeleted)?
            }
            Obligation::Written { table, span, column, values: _ } => Gap {
                kind: GapKind::Written,
                rule: Rule::ForeignInsert,
                table: table.clone(),
                span: *span,
                column: column.clone(),
                fenced: false,
                exported: false,
            },
            // Whatever is set, it is not for the guard to set something else.
            Obligation::Kept { .. } => return None,
        });
    }
    Some(gaps)
}

/// Finds where what a reference lacks can be written.
struct Reader<'g> {
    graph: &'g Graph,
    /// The reference to each query of one arm, by the context of the arm.
    around: HashMap<ContextId, ReferenceId>,
}

impl<'g> Reader<'g> {
    fn new(graph: &'g Graph) -> Self {
        let mut around = HashMap::new();
        if !graph.viewed.is_empty() {
            for (id, reference) in graph.references.iter().enumerate() {
                if let Source::Output(output) = &reference.source
                    && let Some([arm]) = graph.outputs.get(*output).map(|it| it.arms.as_slice())
                {
                    around.insert(arm.context, id);
                }
            }
        }
        Self { graph, around }
    }

    /// Whether a reference stands in a view's definition. They are numbered as they are found.
    fn is_viewed(&self, id: ReferenceId) -> bool {
        self.graph.viewed.binary_search(&id).is_ok()
    }

    /// What must stand behind a fence, whatever is proved outside it.
    fn behind_fence(&self, id: ReferenceId) -> Option<Vec<Gap>> {
        // Of a view in its place no fence is made.
        if self.is_viewed(id) {
            return None;
        }
        let source = self.graph.references.get(id).map(|reference| &reference.source);
        let soft = matches!(source, Some(Source::Guarded(guarded)) if guarded.live.is_some());
        let kinds = [GapKind::Tenant].into_iter().chain(soft.then_some(GapKind::Live));
        kinds
            .map(|kind| Some(Gap { fenced: true, ..self.read(id, kind, Rule::EarlyEvaluation)? }))
            .collect()
    }

    /// The gap of a reference; of one inside a view, that of the view itself, if it gives the same.
    fn read(&self, id: ReferenceId, kind: GapKind, rule: Rule) -> Option<Gap> {
        let reference = self.graph.references.get(id)?;
        let Source::Guarded(guarded) = &reference.source else {
            return None;
        };
        let (column, conflict) = match kind {
            GapKind::Live | GapKind::AdvisedLive => (guarded.live.clone()?, false),
            GapKind::ConflictLive => (guarded.live.clone()?, true),
            GapKind::ConflictTenant => (guarded.tenant.clone(), true),
            GapKind::Tenant | GapKind::Written | GapKind::Copied | GapKind::Removed => {
                (guarded.tenant.clone(), false)
            }
        };
        let (table, span) = (reference.table.clone(), reference.span);
        let own = Gap { kind, rule, table, span, column, fenced: false, exported: false };
        if !self.is_viewed(id) {
            return Some(own);
        }
        let (view, column) = self.exporter(id, own.column.clone()).filter(|_| !conflict)?;
        let span = self.graph.references.get(view)?.span;
        Some(Gap { span, column, exported: true, ..own })
    }

    /// The reference of the text that is a view around a reference, and its name for a column of
    /// that. A filter on it is the same as one on the reference if every query between only selects
    /// from it and joins it, other than as the nullable side: no groups, no LIMIT, no set operation.
    fn exporter(&self, id: ReferenceId, column: Box<str>) -> Option<(ReferenceId, Box<str>)> {
        let graph = self.graph;
        let (mut id, mut column) = (id, column);
        while self.is_viewed(id) {
            let inside = graph.contexts.get(graph.references.get(id)?.context)?.parent?;
            let outer = *self.around.get(&inside)?;
            let Source::Output(output) = &graph.references.get(outer)?.source else {
                return None;
            };
            let output = graph.outputs.get(*output)?;
            let arm = output.arms.first()?;
            if !arm.keys.is_empty() || !arm.witness || arm.closed {
                return None;
            }
            let is_column = |term: Option<Term>| match term {
                Some(Term::Column(own)) => graph
                    .columns
                    .get(own)
                    .is_some_and(|own| own.reference == id && own.name == column),
                Some(Term::Operand(_)) | None => false,
            };
            let mut exported = None;
            for (position, own) in arm.columns.iter().enumerate() {
                // Behind all columns of something no position is known.
                let ArmColumn::One { name, term } = own else { break };
                if is_column(*term) {
                    exported = output.names.get(position).or(name.as_ref()).cloned();
                    break;
                }
            }
            column = exported?;
            id = outer;
        }
        Some((id, column))
    }
}
