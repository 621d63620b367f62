//! A plan for a reader: each guarded reference, what it owes, and whether that can be proved.

use super::graph::{Graph, Obligation};
use super::judge::quoted;
use crate::sql::Span;

/// One obligation of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The guarded table.
    pub table: Box<str>,
    /// Where it stands in the whole text.
    pub span: Span,
    /// What is owed.
    pub owes: String,
    /// Whether some tenant and some values of the parameters would prove it.
    pub provable: bool,
}

pub(super) fn explain(graph: &Graph, provable: &[bool]) -> Vec<Explained> {
    graph
        .obligations
        .iter()
        .zip(provable)
        .filter_map(|(obligation, provable)| {
            let (table, span, owes) = owed(graph, obligation)?;
            Some(Explained { table, span, owes, provable: *provable })
        })
        .collect()
}

fn owed(graph: &Graph, obligation: &Obligation) -> Option<(Box<str>, Span, String)> {
    let column = |reference: usize, name: &str| {
        let reference = graph.references.get(reference)?;
        Some((
            reference.table.clone(),
            reference.span,
            format!("{}.{}", quoted(&reference.alias), quoted(name)),
        ))
    };
    let guarded = |reference: usize| match &graph.references.get(reference)?.source {
        super::graph::Source::Guarded(guarded) => Some(guarded),
        super::graph::Source::Unknown
        | super::graph::Source::Output(_)
        | super::graph::Source::Recursion(_) => None,
    };
    Some(match obligation {
        Obligation::Bound { reference, conflict: _ } => {
            let (table, span, column) = column(*reference, &guarded(*reference)?.tenant)?;
            (table, span, format!("{column} is the tenant in every row"))
        }
        Obligation::Live { reference, conflict: _ } => {
            let (table, span, column) = column(*reference, guarded(*reference)?.live.as_deref()?)?;
            (table, span, format!("{column} is NULL in every row"))
        }
        Obligation::Written { table, span, column, values: _ } => {
            (table.clone(), *span, format!("{} is the tenant in every row written", quoted(column)))
        }
        Obligation::Kept { table, span, column, value: _ } => (
            table.clone(),
            *span,
            format!("{} is set to the tenant and nothing else", quoted(column)),
        ),
    })
}
