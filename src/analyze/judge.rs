//! From a solution to violations: which obligation is not proved, and why.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the texts of the rules that have no text of their own"
)]

use super::arguments::Arguments;
use super::graph::{Graph, Obligation, Operand, ReferenceId, Source};
use super::plan::SessionTenant;
use super::settle::{Compared, candidates};
use super::solve::{Solver, Truth};
use super::verdict::{Advice, Rule, Verdict, Violation};
use crate::sql::Span;
use crate::tenant::TenantType;

/// Judges a statement's obligations for one session. The operands are those of its text, which may
/// be another one than the graph was built of.
pub(super) fn judge(
    (graph, operands): (&Graph, &[Operand]),
    provable: &[bool],
    tenant_type: TenantType,
    tenant: SessionTenant<'_>,
    arguments: Arguments<'_>,
) -> Verdict {
    match tenant {
        SessionTenant::Known(tenant) => {
            let truth = Compared { operands, tenant_type, tenant, arguments };
            verdict(graph, provable, &truth, Rule::ForeignTenant)
        }
        SessionTenant::Required => Verdict {
            violations: graph.obligations.iter().filter_map(|o| no_tenant(graph, o)).collect(),
            advice: Vec::new(),
        },
        SessionTenant::Any => {
            let mut nearest: Option<Verdict> = None;
            for tenant in candidates(operands, tenant_type, arguments) {
                let truth = Compared { operands, tenant_type, tenant: &tenant, arguments };
                let verdict = verdict(graph, provable, &truth, Rule::MixedTenants);
                if verdict.holds() {
                    return verdict;
                }
                if nearest.as_ref().is_none_or(|n| verdict.violations.len() < n.violations.len()) {
                    nearest = Some(verdict);
                }
            }
            nearest.unwrap_or_else(|| {
                no_candidate((graph, operands), provable, tenant_type, arguments)
            })
        }
    }
}

/// No operand names a tenant: every value is unknown, or none is a tenant's.
fn no_candidate(
    (graph, operands): (&Graph, &[Operand]),
    provable: &[bool],
    tenant_type: TenantType,
    arguments: Arguments<'_>,
) -> Verdict {
    let nobody = match tenant_type {
        TenantType::Bigint => crate::tenant::Tenant::Bigint(i64::MIN),
        TenantType::Text => crate::tenant::Tenant::Text("\u{0}".into()),
        TenantType::Uuid => crate::tenant::Tenant::Uuid(crate::tenant::Uuid::from_bytes([0; 16])),
    };
    let truth = Compared { operands, tenant_type, tenant: &nobody, arguments };
    verdict(graph, provable, &truth, Rule::ForeignTenant)
}

/// Violations and advice where `truth` says which operands are the tenant.
pub(super) fn verdict<T: Truth>(
    graph: &Graph,
    provable: &[bool],
    truth: &T,
    foreign: Rule,
) -> Verdict {
    let solver = Solver::new(graph, truth);
    let solution = solver.solve();
    let mut verdict = Verdict::default();
    for (obligation, provable) in graph.obligations.iter().zip(provable) {
        match obligation {
            Obligation::Bound { reference, conflict } => {
                if !solver.is_bound(*reference, &solution) {
                    let rule = match (provable, conflict) {
                        (_, true) => Rule::UnguardedConflict,
                        (true, false) => foreign,
                        (false, false) => Rule::UnboundTenant,
                    };
                    verdict.violations.extend(unbound(graph, *reference, rule));
                }
            }
            Obligation::Live { reference, conflict } => {
                if solver.is_live(*reference, false) {
                    continue;
                }
                if solver.is_live(*reference, true) && !conflict {
                    verdict.advice.extend(advice(graph, *reference));
                } else {
                    let rule =
                        if *conflict { Rule::UnguardedConflict } else { Rule::VisibleDeleted };
                    verdict.violations.extend(deleted(graph, *reference, rule));
                }
            }
            Obligation::Written { table, span, column, values } => {
                if values.is_empty()
                    || !values.iter().all(|value| solver.is_written(value, &solution))
                {
                    verdict.violations.push(written(table, *span, column, *provable));
                }
            }
            Obligation::Kept { table, span, column, value } => {
                if !solver.is_written(value, &solution) {
                    verdict.violations.push(moved(table, *span, column));
                }
            }
        }
    }
    // An advice says that no deleted row comes out; that is worth nothing beside a foreign one.
    if !verdict.violations.is_empty() {
        for advice in std::mem::take(&mut verdict.advice) {
            let concerned =
                verdict.violations.iter().any(|violation| violation.span == advice.span);
            if !concerned {
                verdict.advice.push(advice);
            }
        }
    }
    verdict
}

struct Named<'a> {
    table: &'a str,
    alias: &'a str,
    span: Span,
    tenant: &'a str,
    live: Option<&'a str>,
}

fn named(graph: &Graph, reference: ReferenceId) -> Option<Named<'_>> {
    let reference = graph.references.get(reference)?;
    let Source::Guarded(guarded) = &reference.source else {
        return None;
    };
    Some(Named {
        table: &reference.table,
        alias: &reference.alias,
        span: reference.span,
        tenant: &guarded.tenant,
        live: guarded.live.as_deref(),
    })
}

/// A name as SQL writes it.
pub(crate) fn quoted(name: &str) -> String {
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

fn unbound(graph: &Graph, reference: ReferenceId, rule: Rule) -> Option<Violation> {
    let Named { table, alias, span, tenant, live: _ } = named(graph, reference)?;
    let column = format!("{}.{}", quoted(alias), quoted(tenant));
    let (detail, hint) = match rule {
        Rule::ForeignTenant => (
            format!("{column} is bound to a value that is not the session's tenant"),
            format!("compare {column} with the session's own tenant"),
        ),
        Rule::MixedTenants => (
            format!("{column} is bound to another tenant than the rest of the statement"),
            "bind every guarded table of a statement to the same tenant".to_owned(),
        ),
        Rule::UnguardedConflict => (
            "ON CONFLICT DO UPDATE may change a row of another tenant".to_owned(),
            format!(
                "add WHERE {column} = <tenant> to DO UPDATE, or make the tenant column part of the conflict target"
            ),
        ),
        _ => (
            format!("no predicate binds {column} to one tenant for every row"),
            format!("add {column} = <tenant>"),
        ),
    };
    Some(Violation {
        rule,
        table: Some(table.into()),
        span,
        detail: detail.into(),
        hint: hint.into(),
    })
}

fn deleted(graph: &Graph, reference: ReferenceId, rule: Rule) -> Option<Violation> {
    let Named { table, alias, span, tenant: _, live } = named(graph, reference)?;
    let column = format!("{}.{}", quoted(alias), quoted(live.unwrap_or_default()));
    let (detail, hint) = match rule {
        Rule::UnguardedConflict => (
            "ON CONFLICT DO UPDATE may change a soft-deleted row".to_owned(),
            format!("add WHERE {column} IS NULL to DO UPDATE"),
        ),
        _ => (
            format!("no predicate keeps out rows whose {column} is set"),
            format!("add {column} IS NULL"),
        ),
    };
    Some(Violation {
        rule,
        table: Some(table.into()),
        span,
        detail: detail.into(),
        hint: hint.into(),
    })
}

fn advice(graph: &Graph, reference: ReferenceId) -> Option<Advice> {
    let Named { table, alias, span, tenant: _, live } = named(graph, reference)?;
    let column = format!("{}.{}", quoted(alias), quoted(live.unwrap_or_default()));
    Some(Advice {
        rule: Rule::VisibleDeleted,
        table: table.into(),
        span,
        detail: format!(
            "{column} IS NULL stands above an outer join: rows whose match is soft-deleted are lost; \
             write it in ON"
        )
        .into(),
    })
}

fn written(table: &str, span: Span, column: &str, provable: bool) -> Violation {
    let column = quoted(column);
    let detail = if provable {
        format!("{column} is written with a value that is not the session's tenant")
    } else {
        format!("{column} is not written with one tenant in every row")
    };
    Violation {
        rule: Rule::ForeignInsert,
        table: Some(table.into()),
        span,
        detail: detail.into(),
        hint: format!(
            "name {column} in the column list and give it the session's tenant in every row"
        )
        .into(),
    }
}

fn moved(table: &str, span: Span, column: &str) -> Violation {
    let column = quoted(column);
    Violation {
        rule: Rule::TenantMove,
        table: Some(table.into()),
        span,
        detail: format!("{column} is set to a value that is not surely the row's own tenant")
            .into(),
        hint: format!("leave {column} out of SET").into(),
    }
}

fn no_tenant(graph: &Graph, obligation: &Obligation) -> Option<Violation> {
    let (table, span) = match obligation {
        Obligation::Bound { reference, conflict: _ } => {
            let reference = graph.references.get(*reference)?;
            (reference.table.clone(), reference.span)
        }
        Obligation::Live { .. } => return None,
        Obligation::Written { table, span, .. } | Obligation::Kept { table, span, .. } => {
            (table.clone(), *span)
        }
    };
    Some(Violation {
        rule: Rule::UnboundTenant,
        table: Some(table),
        span,
        detail: "the session has no tenant".into(),
        hint: "set the session's tenant before the first statement on a guarded table".into(),
    })
}
