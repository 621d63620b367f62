//! What a statement's text lacks: the obligations that nothing in it could prove.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a violation of any other rule is not mended by more text"
)]

use super::graph::{Graph, Obligation, ReferenceId, Source};
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
}

/// What is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    let mut gaps = Vec::new();
    for violation in violations {
        let kind = match violation.rule {
            Rule::GuardedCopy => GapKind::Copied,
            Rule::HardDelete => GapKind::Removed,
            _ => return None,
        };
        let table = violation.table.clone()?;
        gaps.push(Gap {
            kind,
            rule: violation.rule,
            table,
            span: violation.span,
            column: "".into(),
        });
    }
    for (obligation, _) in graph.obligations.iter().zip(provable).filter(|(_, it)| !**it) {
        gaps.push(match obligation {
            Obligation::Bound { reference, conflict: false } => {
                read(graph, *reference, GapKind::Tenant, Rule::UnboundTenant)?
            }
            Obligation::Bound { reference, conflict: true } => {
                read(graph, *reference, GapKind::ConflictTenant, Rule::UnguardedConflict)?
            }
            Obligation::Live { reference, conflict: true } => {
                read(graph, *reference, GapKind::ConflictLive, Rule::UnguardedConflict)?
            }
            Obligation::Live { reference, conflict: false } => {
                let kind = if solver.is_live(*reference, true) {
                    GapKind::AdvisedLive
                } else {
                    GapKind::Live
                };
                read(graph, *reference, kind, Rule::VisibleDeleted)?
            }
            Obligation::Written { table, span, column, values: _ } => Gap {
                kind: GapKind::Written,
                rule: Rule::ForeignInsert,
                table: table.clone(),
                span: *span,
                column: column.clone(),
            },
            // Whatever is set, it is not for the guard to set something else.
            Obligation::Kept { .. } => return None,
        });
    }
    Some(gaps)
}

/// The gap of a reference that stands in the text itself.
fn read(graph: &Graph, id: ReferenceId, kind: GapKind, rule: Rule) -> Option<Gap> {
    if graph.viewed.contains(&id) {
        return None;
    }
    let reference = graph.references.get(id)?;
    let Source::Guarded(guarded) = &reference.source else {
        return None;
    };
    let column = match kind {
        GapKind::Live | GapKind::AdvisedLive | GapKind::ConflictLive => guarded.live.clone()?,
        GapKind::Tenant
        | GapKind::ConflictTenant
        | GapKind::Written
        | GapKind::Copied
        | GapKind::Removed => guarded.tenant.clone(),
    };
    Some(Gap { kind, rule, table: reference.table.clone(), span: reference.span, column })
}
