//! A plan for a reader: each guarded reference, what it owes, and whether that can be proved.

use super::graph::{
    ColumnId, ContextId, Fact, Graph, Obligation, Operand, Source, Term, WrittenValue,
};
use super::judge::quoted;
use super::settle::Structure;
use super::solve::{Solution, Solver};
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
    /// The proof, or why there is none.
    pub because: String,
}

pub(super) fn explain(graph: &Graph, provable: &[bool]) -> Vec<Explained> {
    let solver = Solver::new(graph, &Structure);
    let solution = solver.solve();
    graph
        .obligations
        .iter()
        .zip(provable)
        .filter_map(|(obligation, provable)| {
            let (table, span, owes) = owed(graph, obligation)?;
            let because = because(&solver, &solution, obligation, *provable);
            Some(Explained { table, span, owes, provable: *provable, because })
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
        Source::Guarded(guarded) => Some(guarded),
        Source::Unknown | Source::Output(_) | Source::Recursion(_) => None,
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

fn because(
    solver: &Solver<'_, Structure>,
    solution: &Solution,
    obligation: &Obligation,
    provable: bool,
) -> String {
    let graph = solver.graph;
    let (reference, live) = match obligation {
        Obligation::Bound { reference, conflict: _ } => (*reference, false),
        Obligation::Live { reference, conflict: _ } => (*reference, true),
        Obligation::Written { values, .. } => {
            return match (provable, values.first().and_then(|first| first.value)) {
                (true, Some(WrittenValue::Term(term))) => format!("it is {}", named(graph, term)),
                (true, _) => "every row of the query has it".to_owned(),
                (false, _) => "some row has another value, or none that is known".to_owned(),
            };
        }
        Obligation::Kept { value, .. } => {
            return match (provable, value.value) {
                (true, Some(WrittenValue::Term(term))) => format!("it is {}", named(graph, term)),
                (true, _) => "the query that it is set to has it".to_owned(),
                (false, _) => "the value is not known to be the tenant".to_owned(),
            };
        }
    };
    let Some(found) = graph.references.get(reference) else {
        return String::new();
    };
    let Source::Guarded(guarded) = &found.source else {
        return String::new();
    };
    let name = if live { guarded.live.as_deref().unwrap_or_default() } else { &guarded.tenant };
    let column =
        graph.columns.iter().position(|own| own.reference == reference && *own.name == *name);
    let Some(column) = column else {
        return "nothing is said of the column".to_owned();
    };
    match (provable, live) {
        (true, false) => tenant_proof(solver, solution, found.context, column),
        (true, true) => "it is tested where its rows are filtered".to_owned(),
        (false, _)
            if graph
                .contexts
                .iter()
                .flat_map(|context| &context.facts)
                .any(|fact| speaks_of(fact, column)) =>
        {
            "what is said of the column stands where it does not filter every row: under OR, above \
             or beside an outer join, or equal to nothing that is bound"
                .to_owned()
        }
        (false, _) => "nothing in WHERE or ON says so for every row".to_owned(),
    }
}

fn tenant_proof(
    solver: &Solver<'_, Structure>,
    solution: &Solution,
    context: ContextId,
    column: ColumnId,
) -> String {
    let graph = solver.graph;
    for fact in solver.facts(context) {
        match fact {
            Fact::Equal(Term::Column(own), other) | Fact::Equal(other, Term::Column(own))
                if *own == column && solver.holds(context, *other, solution) =>
            {
                return format!("it equals {}", named(graph, *other));
            }
            Fact::Member(own, _, _) if *own == column => {
                return "it is in a query of which every row is the tenant's".to_owned();
            }
            Fact::Any(_) if speaks_of(fact, column) => {
                return "every arm of an OR binds it".to_owned();
            }
            Fact::Equal(..) | Fact::Null(_) | Fact::Member(..) | Fact::Any(_) => {}
        }
    }
    "it is filtered where the query is used, or by another column that bounds the table".to_owned()
}

fn named(graph: &Graph, term: Term) -> String {
    match term {
        Term::Column(id) => graph.columns.get(id).map_or_else(String::new, |column| {
            let alias = graph.references.get(column.reference).map_or("", |found| &*found.alias);
            format!("{}.{}, which is the tenant", quoted(alias), quoted(&column.name))
        }),
        Term::Operand(id) => match graph.operands.get(id) {
            Some(
                Operand::Parameter { number, cast: _ } | Operand::Elements { number, cast: _ },
            ) => {
                format!("${number}")
            }
            Some(Operand::Setting) => "the session's own setting".to_owned(),
            Some(Operand::All(_)) => "each of several values".to_owned(),
            Some(Operand::Unnested { .. }) => "each element of an array".to_owned(),
            Some(Operand::Constant(_) | Operand::Null | Operand::NotNull(_)) | None => {
                "a constant".to_owned()
            }
        },
    }
}

fn speaks_of(fact: &Fact, column: ColumnId) -> bool {
    match fact {
        Fact::Equal(left, right) => [left, right].contains(&&Term::Column(column)),
        Fact::Null(own) | Fact::Member(own, _, _) => *own == column,
        Fact::Any(arms) => arms.iter().flatten().any(|fact| speaks_of(fact, column)),
    }
}
