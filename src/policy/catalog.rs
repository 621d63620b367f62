use std::collections::{HashMap, HashSet};

use super::table::Tables;

/// What one database says of its relations and routines, at one moment.
///
/// Only a value: the room `catalog` reads it from `pg_catalog` and replaces it as a whole.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    relations: HashMap<RelationName, CatalogRelation>,
    routines: HashMap<Box<str>, Vec<CatalogRoutine>>,
    /// Relations that are guarded, whatever their names.
    guarded: HashSet<RelationName>,
}

/// A relation's schema and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelationName {
    /// The schema (`pg_namespace.nspname`).
    pub schema: Box<str>,
    /// The name (`pg_class.relname`).
    pub name: Box<str>,
}

/// What a relation is (`pg_class.relkind`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelationKind {
    /// `f`: its rows are on another server.
    Foreign,
    /// `m`: it keeps rows that its definition once gave.
    MaterializedView,
    /// `r` or `p`.
    Table,
    /// `v`: its definition is read in its place.
    View,
}

/// One relation.
#[derive(Clone, Debug)]
pub struct CatalogRelation {
    /// What it is.
    pub kind: RelationKind,
    /// Its columns in order, dropped ones left out.
    pub columns: Vec<CatalogColumn>,
    /// The definition of a view or materialized view, as `pg_get_viewdef` gives it under an empty
    /// search path: every name in it is qualified.
    pub definition: Option<Box<str>>,
    /// Its direct parents and children, by inheritance and by partition: they share rows.
    pub family: Vec<RelationName>,
    /// Tables with a foreign key on this one: writes and TRUNCATE … CASCADE reach them.
    pub referenced_by: Vec<RelationName>,
    /// Whether it has rewrite rules other than a view's own, or triggers of the user's.
    pub has_rules_or_triggers: bool,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogColumn {
    /// `pg_attribute.attname`.
    pub name: Box<str>,
    /// The type, as `format_type` gives it.
    pub type_name: Box<str>,
    /// NOT NULL.
    pub not_null: bool,
    /// The DEFAULT expression, as `pg_get_expr` gives it.
    pub default: Option<Box<str>>,
    /// GENERATED ALWAYS AS (…): computed, and left out of a COPY of the table.
    pub generated: bool,
}

/// One routine outside `pg_catalog`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogRoutine {
    /// Its schema.
    pub schema: Box<str>,
    /// `sql`, `plpgsql`, `c`, `internal` …
    pub language: Box<str>,
    /// `pg_proc.provolatile` is `v`.
    pub is_volatile: bool,
    /// The body of a routine in SQL written as a string.
    pub body: Option<Box<str>>,
    /// The extension that it belongs to.
    pub extension: Option<Box<str>>,
}

impl Catalog {
    /// Takes what was read, and decides which relations are guarded: those whose names are, and
    /// every relation of their families, upwards and downwards.
    #[must_use]
    pub fn new(
        relations: HashMap<RelationName, CatalogRelation>,
        routines: HashMap<Box<str>, Vec<CatalogRoutine>>,
        tables: &Tables,
    ) -> Self {
        let mut guarded = HashSet::new();
        let mut next: Vec<RelationName> = relations
            .iter()
            .filter(|(name, relation)| {
                relation.kind != RelationKind::View && tables.guard(&name.name).is_some()
            })
            .map(|(name, _)| name.clone())
            .collect();
        while let Some(name) = next.pop() {
            let family = relations.get(&name).map(|relation| relation.family.clone());
            if guarded.insert(name) {
                next.extend(family.unwrap_or_default());
            }
        }
        Self { relations, routines, guarded }
    }

    /// The relation of this name, if there is one.
    #[must_use]
    pub fn relation(&self, name: &RelationName) -> Option<&CatalogRelation> {
        self.relations.get(name)
    }

    /// Whether a relation is guarded by its own name or by its family's.
    #[must_use]
    pub fn is_guarded(&self, name: &RelationName) -> bool {
        self.guarded.contains(name)
    }

    /// A relation and every one with which it shares rows, upwards and downwards.
    #[must_use]
    pub fn family<'a>(&'a self, name: &'a RelationName) -> HashSet<&'a RelationName> {
        let mut family = HashSet::new();
        let mut next = vec![name];
        while let Some(name) = next.pop() {
            if family.insert(name) {
                next.extend(self.relation(name).into_iter().flat_map(|found| &found.family));
            }
        }
        family
    }

    /// The relations that a name may mean: the one in its schema, or those in the schemas of a
    /// search path, the first of which it is.
    #[must_use]
    pub fn find(
        &self,
        schema: Option<&str>,
        name: &str,
        search_path: &[Box<str>],
    ) -> Option<RelationName> {
        let in_schema = |schema: &str| {
            let full = RelationName { schema: schema.into(), name: name.into() };
            self.relations.contains_key(&full).then_some(full)
        };
        match schema {
            Some(schema) => in_schema(schema),
            // pg_catalog comes first where a search path does not name it (documentation, 5.10.5).
            None => in_schema("pg_catalog")
                .or_else(|| search_path.iter().find_map(|schema| in_schema(schema))),
        }
    }

    /// Every routine of this name.
    #[must_use]
    pub fn routines(&self, name: &str) -> &[CatalogRoutine] {
        self.routines.get(name).map_or(&[], Vec::as_slice)
    }

    /// How many relations it knows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.relations.len()
    }

    /// Whether it knows none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.relations.is_empty()
    }
}

impl CatalogRelation {
    /// Whether it has a column of this name.
    #[must_use]
    pub fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|own| *own.name == *column)
    }
}
