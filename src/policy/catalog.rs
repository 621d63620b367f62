use std::collections::{HashMap, HashSet};

use super::relation::{CatalogRelation, RelationKind, Write};
use super::setting::{SettingClass, Settings};
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
    /// The names of those relations.
    guarded_names: HashSet<Box<str>>,
    /// Settings that roles and the database come with.
    settings: Vec<CatalogSetting>,
    /// Roles that may log in: each may have a schema of its own name, which `"$user"` is.
    roles: HashSet<Box<str>>,
}

/// A relation's schema and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelationName {
    /// The schema (`pg_namespace.nspname`).
    pub schema: Box<str>,
    /// The name (`pg_class.relname`).
    pub name: Box<str>,
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
    /// The body, written as a string, of a routine in SQL or of a trigger's in PL/pgSQL, if it runs
    /// with the rights and settings of its caller.
    pub body: Option<Box<str>>,
    /// The extension that it belongs to.
    pub extension: Option<Box<str>>,
    /// Names of settings that have another value while it runs (`pg_proc.proconfig`).
    pub settings: Vec<Box<str>>,
}

/// A setting that sessions start with (`pg_db_role_setting`), in this database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogSetting {
    /// The role; `None` for every role of the database.
    pub role: Option<Box<str>>,
    /// The setting.
    pub name: Box<str>,
    /// Its value.
    pub value: Box<str>,
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
        let guarded_names = guarded.iter().map(|name| name.name.clone()).collect();
        Self { relations, routines, guarded, guarded_names, ..Self::default() }
    }

    /// With the settings that sessions start with, and the roles that may log in.
    #[must_use]
    pub fn with_roles(self, settings: Vec<CatalogSetting>, roles: HashSet<Box<str>>) -> Self {
        Self { settings, roles, ..self }
    }

    /// Settings with which a session of this role would start, on whose values the guard relies and
    /// which have others.
    pub fn broken_pins<'a>(
        &'a self,
        role: &'a str,
        settings: &'a Settings,
    ) -> impl Iterator<Item = &'a CatalogSetting> {
        self.settings.iter().filter(move |setting| {
            setting.role.as_deref().is_none_or(|own| own == role)
                && settings.class(&setting.name, &[&setting.value]) == SettingClass::PinnedBroken
        })
    }

    /// Every relation that a write of a relation may reach, with the kind of write: itself, those
    /// that share its rows, and what foreign keys do to tables that reference them.
    ///
    /// `columns` are those that an UPDATE sets; `None` if any may be.
    #[must_use]
    pub fn reach(
        &self,
        name: &RelationName,
        write: Write,
        columns: Option<&[Box<str>]>,
    ) -> Vec<(RelationName, Write)> {
        let mut found: Vec<(RelationName, Write)> = Vec::new();
        let mut next = vec![(name.clone(), write, columns.map(<[_]>::to_vec))];
        while let Some((name, write, columns)) = next.pop() {
            if found.iter().any(|(own, kind)| *own == name && *kind == write) {
                continue;
            }
            if let Some(relation) = self.relations.get(&name) {
                let family = relation.family.iter().cloned();
                next.extend(family.map(|own| (own, write, columns.clone())));
                for reference in &relation.references {
                    if let Some(then) = reference.action(write, columns.as_deref()) {
                        next.push((reference.table.clone(), then, None));
                    }
                }
            }
            found.push((name, write));
        }
        found
    }

    /// The same relations and routines, guarded by other rules.
    #[must_use]
    pub fn guarded_by(self, tables: &Tables) -> Self {
        Self::new(self.relations, self.routines, tables)
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

    /// The relation that a name means: the one in its schema, or the only one of this name in the
    /// schemas that a search path may name.
    ///
    /// A session may put those schemas in any order, and `"$user"` is another schema for each role,
    /// so an unqualified name that several of them have is [`Found::Several`].
    #[must_use]
    pub fn find(&self, schema: Option<&str>, name: &str, search_path: &[Box<str>]) -> Found {
        let in_schema = |schema: &str| {
            let full = RelationName { schema: schema.into(), name: name.into() };
            self.relations.contains_key(&full).then_some(full)
        };
        // pg_catalog comes first where a search path does not name it (documentation, 5.10.5).
        let first = in_schema(schema.unwrap_or("pg_catalog"));
        if let Some(full) = first {
            return Found::One(full);
        }
        if schema.is_some() {
            return Found::None;
        }
        let mut found = self.schemas(search_path).into_iter().filter_map(in_schema);
        match (found.next(), found.next()) {
            (None, _) => Found::None,
            (Some(one), None) => Found::One(one),
            (Some(_), Some(_)) => Found::Several,
        }
    }

    /// The schemas that a search path of these entries may lead to.
    fn schemas<'a>(&'a self, search_path: &'a [Box<str>]) -> HashSet<&'a str> {
        let mut schemas: HashSet<&str> = search_path.iter().map(|schema| &**schema).collect();
        if schemas.remove("$user") {
            schemas.extend(self.roles.iter().map(|role| &**role));
        }
        schemas
    }

    /// Whether an unqualified name may mean something in a schema.
    #[must_use]
    pub fn is_on_path(&self, schema: &str, search_path: &[Box<str>]) -> bool {
        search_path
            .iter()
            .any(|own| **own == *schema || (&**own == "$user" && self.roles.contains(schema)))
    }

    /// Whether a name is that of a guarded relation, in any schema.
    #[must_use]
    pub fn is_guarded_name(&self, name: &str) -> bool {
        self.guarded_names.contains(name)
    }

    /// Whether there is a schema of this name with a relation in it.
    #[must_use]
    pub fn has_schema(&self, name: &str) -> bool {
        self.relations.keys().any(|own| *own.schema == *name)
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

/// What a catalogue has under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    None,
    /// This relation.
    One(RelationName),
    /// One of several, which one depends on the session.
    Several,
}
