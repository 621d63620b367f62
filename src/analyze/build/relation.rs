//! What a name in FROM or behind INTO means: by the catalogue where there is one, else by the name
//! rule alone.

use std::sync::Arc;

use super::super::graph::{ArmColumn, ContextId, Guarded, OutputId, Source as GraphSource, Term};
use super::super::verdict::Rule;
use super::{Builder, Scope};
use crate::policy::{Catalog, CatalogRelation, Found, RelationKind, RelationName};
use crate::sql::StatementBody;
use crate::sql::model::{Body, Name, Query};

/// Views on views are followed so deep.
const VIEW_DEPTH: usize = 16;

/// What a relation is to the analysis.
#[derive(Debug)]
pub(super) struct Meaning {
    pub(super) source: GraphSource,
    /// Its columns in order, if they are known.
    pub(super) columns: Option<Vec<Box<str>>>,
}

impl Meaning {
    const fn unknown() -> Self {
        Self { source: GraphSource::Unknown, columns: None }
    }

    /// The same under column aliases, which rename the first columns.
    pub(super) fn renamed(mut self, aliases: &[Box<str>]) -> Self {
        let Some(columns) = &mut self.columns else {
            return self;
        };
        if let GraphSource::Guarded(guarded) = &mut self.source {
            let renamed = |own: &str| {
                let position = columns.iter().position(|column| **column == *own)?;
                aliases.get(position).or_else(|| columns.get(position)).cloned()
            };
            if let Some(tenant) = renamed(&guarded.tenant) {
                guarded.tenant = tenant;
            }
            guarded.live = guarded.live.as_deref().and_then(renamed);
            guarded.bound_by = guarded.bound_by.iter().filter_map(|own| renamed(own)).collect();
        }
        for (column, alias) in columns.iter_mut().zip(aliases) {
            column.clone_from(alias);
        }
        self
    }
}

impl Builder<'_> {
    /// The relation of a name that is no CTE's, read from.
    pub(super) fn relation_read(
        &mut self,
        qualifier: &[Name],
        name: &Name,
        context: ContextId,
    ) -> Meaning {
        self.statistics(name);
        let Some(catalog) = self.policy.catalog.clone() else {
            return self.by_name(name);
        };
        if let Some(meaning) = self.overlaid(&catalog, qualifier, name) {
            return meaning;
        }
        let Some((full, relation)) = self.look_up(&catalog, qualifier, name) else {
            return self.unknown(name);
        };
        match relation.kind {
            RelationKind::Table => self.stored(&catalog, &full, relation),
            RelationKind::Foreign => self.foreign(&catalog, &full, relation, name),
            RelationKind::View => self.view(relation, name, context),
            RelationKind::MaterializedView => self.materialized(relation, name),
        }
    }

    /// The relation of a name that is written to.
    pub(super) fn relation_written(&mut self, qualifier: &[Name], name: &Name) -> Meaning {
        let Some(catalog) = self.policy.catalog.clone() else {
            return self.by_name(name);
        };
        if let Some(meaning) = self.overlaid(&catalog, qualifier, name) {
            return meaning;
        }
        let Some((full, relation)) = self.look_up(&catalog, qualifier, name) else {
            return self.unknown(name);
        };
        match relation.kind {
            RelationKind::Table => self.stored(&catalog, &full, relation),
            RelationKind::Foreign => self.foreign(&catalog, &full, relation, name),
            RelationKind::View | RelationKind::MaterializedView => {
                if self.is_clear(relation) {
                    return Meaning { columns: Some(names(relation)), ..Meaning::unknown() };
                }
                self.hidden(name, "a write to a view over guarded rows");
                self.by_name(name)
            }
        }
    }

    pub(super) fn look_up<'c>(
        &self,
        catalog: &'c Catalog,
        qualifier: &[Name],
        name: &Name,
    ) -> Option<(RelationName, &'c CatalogRelation)> {
        let schema = qualifier.last().map(|schema| &*schema.text);
        let found = catalog.find(schema, &name.text, &self.policy.settings.search_path);
        let Found::One(found) = found else {
            return None;
        };
        let relation = catalog.relation(&found)?;
        Some((found, relation))
    }

    fn by_name(&self, name: &Name) -> Meaning {
        let source = self.guarded(&name.text).map_or(GraphSource::Unknown, GraphSource::Guarded);
        Meaning { source, columns: None }
    }

    /// A name that the loaded catalogue does not know may hide anything.
    pub(super) fn unknown(&mut self, name: &Name) -> Meaning {
        self.unknown_relation = true;
        self.hidden(name, "a relation that the catalogue does not know");
        self.by_name(name)
    }

    pub(super) fn hidden(&mut self, name: &Name, detail: &str) {
        self.violate(
            Rule::HiddenRelation,
            Some(&name.text),
            name.span,
            detail.to_owned(),
            "name the guarded table itself, bound to one tenant",
        );
    }

    /// A table: guarded by its name or its family's, with the columns that it really has.
    fn stored(
        &self,
        catalog: &Catalog,
        full: &RelationName,
        relation: &CatalogRelation,
    ) -> Meaning {
        let columns = (!relation.columns.is_empty()).then(|| names(relation));
        let guarded = self.guarded(&full.name).or_else(|| {
            catalog.is_guarded(full).then(|| Guarded {
                tenant: self.policy.tables.tenant_column.clone(),
                live: self.policy.tables.soft_delete_column.clone(),
                bound_by: Vec::new(),
            })
        });
        let source = guarded.map_or(GraphSource::Unknown, |mut guarded| {
            guarded.live = guarded.live.filter(|live| relation.has(live));
            GraphSource::Guarded(guarded)
        });
        Meaning { source, columns }
    }

    /// A foreign table's rows are another server's: guarded if it has the tenant column, else not
    /// known to be harmless.
    fn foreign(
        &mut self,
        catalog: &Catalog,
        full: &RelationName,
        relation: &CatalogRelation,
        name: &Name,
    ) -> Meaning {
        let tables = &self.policy.tables;
        if !relation.has(&tables.tenant_column) {
            self.hidden(name, "a foreign table without the tenant column");
            return Meaning { columns: Some(names(relation)), ..Meaning::unknown() };
        }
        let live = tables.soft_delete_column.clone().filter(|live| relation.has(live));
        let guarded = Guarded { tenant: tables.tenant_column.clone(), live, bound_by: Vec::new() };
        Meaning { source: GraphSource::Guarded(guarded), ..self.stored(catalog, full, relation) }
    }

    /// A view is read in its place, as a derived table: what it exports under a name may be
    /// anything.
    fn view(&mut self, relation: &CatalogRelation, name: &Name, context: ContextId) -> Meaning {
        let columns = Some(names(relation));
        let query = definition(relation).and_then(|text| self.read_definition(text));
        let (Some(query), true) = (query, self.view_depth < VIEW_DEPTH) else {
            self.hidden(name, "a view whose definition is not read");
            return Meaning { columns, ..Meaning::unknown() };
        };
        let before = self.inside_view.replace(self.inside_view.unwrap_or(name.span));
        self.view_depth = self.view_depth.saturating_add(1);
        let output = self.query(&query, context, None);
        self.view_depth = self.view_depth.saturating_sub(1);
        self.inside_view = before;
        if let Some(output) = self.graph.outputs.get_mut(output) {
            output.names = names(relation);
        }
        Meaning { source: GraphSource::Output(output), columns: None }
    }

    fn read_definition(&self, text: &str) -> Option<Arc<Query>> {
        let statements = self.reader.read(text, &self.policy.limits).ok()?;
        let mut statements = statements.into_iter();
        match (statements.next()?.body, statements.next()) {
            (StatementBody::Query(query), None) if !matches!(query.body, Body::Write(_)) => {
                Some(Arc::new(query))
            }
            (_, _) => None,
        }
    }

    /// A materialized view keeps the rows of every tenant: guarded by the columns that come from
    /// a guarded table's own, refused where none does.
    fn materialized(&mut self, relation: &CatalogRelation, name: &Name) -> Meaning {
        let columns = Some(names(relation));
        if self.is_clear(relation) {
            return Meaning { columns, ..Meaning::unknown() };
        }
        let tables = &self.policy.tables;
        let exports = |column: &str| self.exports(relation, column);
        let live = tables.soft_delete_column.as_deref();
        let has_live =
            live.is_some_and(|live| relation.has(live) && exports(live) == Exported::Live);
        if exports(&tables.tenant_column) != Exported::Tenant
            || (live.is_some() && !has_live && self.shows_deleted(relation))
        {
            self.hidden(name, "a materialized view that does not keep the tenant's own columns");
            return Meaning { columns, ..Meaning::unknown() };
        }
        let guarded = Guarded {
            tenant: tables.tenant_column.clone(),
            live: live.filter(|_| has_live).map(Into::into),
            bound_by: Vec::new(),
        };
        Meaning { source: GraphSource::Guarded(guarded), columns }
    }

    /// The graph of a view's definition by itself.
    pub(super) fn scratch(&self, relation: &CatalogRelation) -> Option<(Builder<'_>, OutputId)> {
        if self.view_depth >= VIEW_DEPTH {
            return None;
        }
        let query = self.read_definition(definition(relation)?)?;
        Some(self.apart(&query))
    }

    /// A query by itself, outside the statement.
    fn apart(&self, query: &Query) -> (Builder<'_>, OutputId) {
        let mut builder = Builder::new(self.policy, self.reader, self.view_depth.saturating_add(1));
        let root = builder.graph.context(None, Vec::new());
        let output = builder.query(query, root, None);
        (builder, output)
    }

    /// Whether a definition surely has nothing to do with a guarded table.
    fn is_clear(&self, relation: &CatalogRelation) -> bool {
        self.scratch(relation).is_some_and(|(builder, _)| {
            builder.graph.obligations.is_empty()
                && builder.violations.is_empty()
                && builder.vouched.is_none()
        })
    }

    /// Whether the statements of a routine in SQL surely have nothing to do with a guarded table.
    pub(super) fn is_clear_body(&self, body: &str) -> bool {
        let Ok(statements) = self.reader.read(body, &self.policy.limits) else {
            return false;
        };
        self.view_depth < VIEW_DEPTH
            && statements.iter().all(|statement| match &statement.body {
                StatementBody::Query(query) => {
                    let (builder, _) = self.apart(query);
                    builder.graph.obligations.is_empty() && builder.violations.is_empty()
                }
                _ => false,
            })
    }

    /// Whether a definition may take in rows that are soft-deleted.
    fn shows_deleted(&self, relation: &CatalogRelation) -> bool {
        self.scratch(relation).is_none_or(|(builder, _)| {
            let solver =
                super::super::solve::Solver::new(&builder.graph, &super::super::settle::Structure);
            builder.graph.obligations.iter().any(|obligation| match obligation {
                super::super::graph::Obligation::Live { reference, conflict: _ } => {
                    !solver.is_live(*reference, false)
                }
                _ => false,
            })
        })
    }

    /// What a column of a definition is.
    fn exports(&self, relation: &CatalogRelation, column: &str) -> Exported {
        let (Some((builder, output)), Some(position)) =
            (self.scratch(relation), names(relation).iter().position(|own| **own == *column))
        else {
            return Exported::Other;
        };
        let Some(found) = builder.graph.outputs.get(output) else {
            return Exported::Other;
        };
        if found.arms.is_empty() || !builder.violations.is_empty() {
            return Exported::Other;
        }
        let kinds: Vec<Exported> = found
            .arms
            .iter()
            .map(|arm| match arm.columns.get(position) {
                Some(ArmColumn::One { term: Some(Term::Column(id)), name: _ }) => {
                    builder.column_kind(*id)
                }
                Some(ArmColumn::One { .. } | ArmColumn::Rest(_)) | None => Exported::Other,
            })
            .collect();
        match kinds.first() {
            Some(first) if kinds.iter().all(|kind| kind == first) => *first,
            Some(_) | None => Exported::Other,
        }
    }

    fn column_kind(&self, id: usize) -> Exported {
        let Some(column) = self.graph.columns.get(id) else {
            return Exported::Other;
        };
        match self.source_of(column.reference) {
            Some(GraphSource::Guarded(guarded)) if guarded.tenant == column.name => {
                Exported::Tenant
            }
            Some(GraphSource::Guarded(guarded)) if guarded.live.as_ref() == Some(&column.name) => {
                Exported::Live
            }
            _ => Exported::Other,
        }
    }

    /// The columns of a table that a write names none of.
    pub(super) fn written_columns(&self, qualifier: &[Name], name: &Name) -> Option<Vec<Box<str>>> {
        let catalog = self.policy.catalog.as_ref()?;
        let (_, relation) = self.look_up(catalog, qualifier, name)?;
        (!relation.columns.is_empty()).then(|| names(relation))
    }

    /// The DEFAULT of a column, if it is the setting that holds the tenant.
    pub(super) fn default_is_tenant(
        &mut self,
        qualifier: &[Name],
        name: &Name,
        column: &str,
    ) -> Option<Term> {
        let catalog = self.policy.catalog.clone()?;
        let (_, relation) = self.look_up(&catalog, qualifier, name)?;
        let default = relation.columns.iter().find(|own| *own.name == *column)?.default.clone()?;
        let query = self.read_definition(&format!("SELECT {default}"))?;
        let value = super::sole_value(&query)?;
        match self.value(value)? {
            super::Operand::Setting => self.term(value, &Scope::default()),
            _ => None,
        }
    }
}

/// What a column of a definition comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exported {
    Tenant,
    Live,
    Other,
}

fn names(relation: &CatalogRelation) -> Vec<Box<str>> {
    relation.columns.iter().map(|column| column.name.clone()).collect()
}

fn definition(relation: &CatalogRelation) -> Option<&str> {
    relation.definition.as_deref().map(|text| text.trim_end().trim_end_matches(';'))
}
