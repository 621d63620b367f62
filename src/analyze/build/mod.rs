//! From the model of a statement to its graph: obligations first, then facts.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "over our own model, a wildcard arm says that nothing is known: it never proves"
)]

mod aggregate;
mod block;
mod call;
mod early;
mod join;
mod merge;
mod operand;
mod overlaid;
mod predicate;
mod query;
mod reach;
mod reduce;
mod relation;
mod strict;
mod unnest;
mod using;
mod write;

pub(super) use call::sole_call;
pub(super) use reach::{Touched, touched};

use super::graph::{
    ColumnId, ContextId, Graph, Operand, OutputId, ReferenceId, Source as GraphSource, Term,
};
use super::has::Has;
use super::reader::Reader;
use super::verdict::{Advice, Rule, Violation};
use crate::policy::Policy;
use crate::sql::Span;
use crate::sql::model::{Body, Expr, Grouping, Item, Name, Query, TypeName};
use crate::tenant::TenantType;

/// What a statement is made into.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) graph: Graph,
    /// Violations whatever the tenant.
    pub(super) violations: Vec<Violation>,
    /// Advice whatever the tenant.
    pub(super) advice: Vec<Advice>,
    /// Where a routine stands of which nothing is known but that the configuration vouches for it.
    pub(super) vouched: Option<Span>,
    /// Whether a relation is named that the catalogue does not know (yet).
    pub(super) unknown_relation: bool,
}

/// Builds the graph of a query or write.
pub(super) fn build(query: &Query, policy: &Policy, reader: Reader) -> Built {
    let sole_item = sole_call(query).map(|call| call.name.span);
    let mut builder = Builder { sole_item, ..Builder::new(policy, reader, 0) };
    let root = builder.graph.context(None, Vec::new());
    builder.query(query, root, None);
    let Builder { graph, violations, advice, vouched, unknown_relation, .. } = builder;
    Built { graph, violations, advice, vouched, unknown_relation }
}

struct Builder<'p> {
    policy: &'p Policy,
    reader: Reader,
    graph: Graph,
    violations: Vec<Violation>,
    advice: Vec<Advice>,
    /// Where `SELECT set_config(…)` stands as the whole of a statement.
    sole_item: Option<Span>,
    /// Where a routine stands of which nothing is known but that the configuration vouches for it.
    vouched: Option<Span>,
    unknown_relation: bool,
    /// Where the view stands whose definition is being read: what is found in it stands there.
    inside_view: Option<Span>,
    view_depth: usize,
}

/// What names mean at one level of a statement, and outside it.
#[derive(Debug, Default)]
struct Scope<'s> {
    references: Vec<ReferenceId>,
    /// Columns merged by USING; `None` if the merged column is no column of one side.
    merged: Vec<(Box<str>, Option<ColumnId>)>,
    /// A NATURAL join merged columns that are not known.
    natural: bool,
    ctes: Vec<(Box<str>, CteEntry)>,
    outer: Option<&'s Self>,
}

#[derive(Clone, Copy, Debug)]
enum CteEntry {
    Output(OutputId),
    Recursion(OutputId),
}

impl<'s> Scope<'s> {
    fn inside(outer: Option<&'s Self>) -> Self {
        Self { outer, ..Self::default() }
    }

    /// The CTE of this name, from the inside out.
    fn cte(&self, name: &str) -> Option<CteEntry> {
        let here = self.ctes.iter().rev().find(|(own, _)| **own == *name).map(|(_, entry)| *entry);
        here.or_else(|| self.outer?.cte(name))
    }

    fn has_outer_references(&self) -> bool {
        self.outer.is_some_and(|outer| !outer.references.is_empty() || outer.has_outer_references())
    }
}

/// Where an expression stands, as far as its routines are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clause {
    /// WHERE, ON, or anything evaluated before rows are known to be the tenant's.
    Filter,
    /// Anything else.
    Value,
}

impl<'p> Builder<'p> {
    fn new(policy: &'p Policy, reader: Reader, view_depth: usize) -> Self {
        Self {
            policy,
            reader,
            graph: Graph::default(),
            violations: Vec::new(),
            advice: Vec::new(),
            sole_item: None,
            vouched: None,
            unknown_relation: false,
            inside_view: None,
            view_depth,
        }
    }
}

impl Builder<'_> {
    fn violate(&mut self, rule: Rule, name: Option<&str>, span: Span, detail: String, hint: &str) {
        self.violations.push(Violation {
            rule,
            table: name.map(Into::into),
            span: self.shown(span),
            detail: detail.into(),
            hint: hint.into(),
        });
    }

    /// Where in the statement something stands that may stand in a view's definition.
    fn shown(&self, span: Span) -> Span {
        self.inside_view.unwrap_or(span)
    }

    /// The column that a name means; `None` if that is not certain.
    fn resolve(&mut self, parts: &[Name], scope: &Scope<'_>) -> Option<ColumnId> {
        match parts {
            [name] => self.resolve_bare(&name.text, scope),
            [qualifier, name] => {
                let reference = self.by_alias(&qualifier.text, scope)?;
                Some(self.graph.column(reference, &name.text))
            }
            [schema, table, name] => {
                let reference = self.by_table(&schema.text, &table.text, scope)?;
                Some(self.graph.column(reference, &name.text))
            }
            _ => None,
        }
    }

    /// An unqualified name is a column of the innermost level that has one. A level with two is an
    /// error to PostgreSQL, so one that surely has it decides, whatever others may have.
    fn resolve_bare(&mut self, name: &str, scope: &Scope<'_>) -> Option<ColumnId> {
        if let Some((_, merged)) = scope.merged.iter().rev().find(|(own, _)| **own == *name) {
            return *merged;
        }
        if scope.natural {
            return None;
        }
        let mut sure = None;
        let mut maybe = false;
        for reference in &scope.references {
            match self.graph.has(*reference, name) {
                Has::No => {}
                Has::Maybe => maybe = true,
                Has::Sure if sure.is_some() => return None,
                Has::Sure => sure = Some(*reference),
            }
        }
        if let Some(reference) = sure {
            return Some(self.graph.column(reference, name));
        }
        if maybe {
            return match scope.references.as_slice() {
                [only] if !scope.has_outer_references() => Some(self.graph.column(*only, name)),
                _ => None,
            };
        }
        self.resolve_bare(name, scope.outer?)
    }

    fn by_alias(&self, alias: &str, scope: &Scope<'_>) -> Option<ReferenceId> {
        self.find(scope, &|reference| *reference.alias == *alias)
    }

    /// `schema.table.column` means the relation itself, at whatever level it stands without an
    /// alias. A reference without a schema may or may not be that relation, so it counts only when
    /// no other could be meant.
    fn by_table(&self, schema: &str, table: &str, scope: &Scope<'_>) -> Option<ReferenceId> {
        let mut found = Vec::new();
        let mut level = Some(scope);
        while let Some(here) = level {
            found.extend(here.references.iter().copied().filter(|id| {
                self.graph.references.get(*id).is_some_and(|reference| {
                    !reference.aliased
                        && *reference.table == *table
                        && reference.schema.as_deref().is_none_or(|own| own == schema)
                })
            }));
            level = here.outer;
        }
        match found.as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    }

    fn find(
        &self,
        scope: &Scope<'_>,
        wanted: &dyn Fn(&super::graph::Reference) -> bool,
    ) -> Option<ReferenceId> {
        let mut found = scope
            .references
            .iter()
            .copied()
            .filter(|id| self.graph.references.get(*id).is_some_and(wanted));
        match (found.next(), found.next()) {
            (Some(only), None) => Some(only),
            (Some(_), Some(_)) => None,
            (None, _) => self.find(scope.outer?, wanted),
        }
    }

    /// An operand of an equality: a bare column, or a value of the tenant's type.
    fn term(&mut self, expr: &Expr, scope: &Scope<'_>) -> Option<Term> {
        if let Expr::Column(parts) = expr {
            return self.resolve(parts, scope).map(Term::Column);
        }
        if let Expr::Field { base, name } = expr {
            let reference = self.whole_row(base, scope)?;
            return Some(Term::Column(self.graph.column(reference, &name.text)));
        }
        // A column of a query, cast to the tenant's type, is the same tenant or an error.
        if let Expr::Cast { expr, target: TypeName::Plain("uuid") } = expr
            && let Expr::Column(parts) = &**expr
            && self.policy.tenant_type == TenantType::Uuid
        {
            let column = self.resolve(parts, scope)?;
            let reference = self.graph.columns.get(column)?.reference;
            return match self.source_of(reference)? {
                GraphSource::Output(_) => Some(Term::Column(column)),
                GraphSource::Guarded(_) | GraphSource::Unknown | GraphSource::Recursion(_) => None,
            };
        }
        self.value(expr).map(|operand| Term::Operand(self.graph.operand(operand)))
    }

    fn source_of(&self, reference: ReferenceId) -> Option<&GraphSource> {
        self.graph.references.get(reference).map(|reference| &reference.source)
    }

    /// Visits an expression for its subqueries and routines.
    fn walk(&mut self, expr: &Expr, scope: &Scope<'_>, context: ContextId, clause: Clause) {
        match expr {
            Expr::Call(call) => self.call(call, scope, clause),
            Expr::Column(parts) => self.attribute(parts, scope),
            Expr::Field { base, name } => self.field(base, name, scope),
            _ => {}
        }
        let mut parts = Vec::new();
        let mut queries = Vec::new();
        expr.parts(&mut |part| parts.push(part), &mut |query| queries.push(query));
        for part in parts {
            self.walk(part, scope, context, clause);
        }
        for query in queries {
            self.query(query, context, Some(scope));
        }
    }
}

/// The one value of `(SELECT value)`, a query without anything else.
fn sole_value(query: &Query) -> Option<&Expr> {
    match sole_row(query)? {
        [Item::Expr { expr, label: _ }] => Some(expr),
        _ => None,
    }
}

/// The columns of a query that gives one row, whatever is in any table.
fn sole_row(query: &Query) -> Option<&[Item]> {
    let Body::Block(block) = &query.body else {
        return None;
    };
    let plain = query.with.is_empty()
        && query.order_by.is_empty()
        && !query.limited
        && block.from.is_empty()
        && block.filter.is_none()
        && block.having.is_none()
        && matches!(block.grouping, Grouping::None);
    plain.then_some(block.items.as_slice())
}
