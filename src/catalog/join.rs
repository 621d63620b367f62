//! Rows of the catalogue put together.

use std::collections::HashMap;

use super::read::{NotRead, RoutineRow, Rows, SettingRow, TriggerRow};
use crate::policy::{
    Catalog, CatalogColumn, CatalogReference, CatalogRelation, CatalogRoutine, CatalogRule,
    CatalogSetting, CatalogTrigger, CatalogUnique, RelationKind, RelationName, Tables, Write,
};

/// Bits of `pg_trigger.tgtype` (`pg_trigger.h`).
const ON_INSERT: i16 = 1 << 2;
const ON_DELETE: i16 = 1 << 3;
const ON_UPDATE: i16 = 1 << 4;
const ON_TRUNCATE: i16 = 1 << 5;

/// Relations by name, and their names by oid.
#[derive(Default)]
struct Relations {
    names: HashMap<u32, RelationName>,
    relations: HashMap<RelationName, CatalogRelation>,
}

impl Relations {
    /// What is not among the relations is an index's, or was made a moment later.
    fn get(&mut self, oid: u32) -> Option<&mut CatalogRelation> {
        self.relations.get_mut(self.names.get(&oid)?)
    }
}

/// The catalogue that these rows are.
pub(super) fn join(rows: Rows, tables: &Tables) -> Result<Catalog, NotRead> {
    let Rows {
        relations,
        columns,
        family,
        references,
        rules,
        triggers,
        unique,
        routines,
        settings,
        roles,
    } = rows;
    let mut found = Relations::default();
    for row in relations {
        let name = RelationName { schema: row.schema, name: row.name };
        let relation = CatalogRelation {
            definition: row.definition,
            ..CatalogRelation::of(kind(row.kind, row.own)?)
        };
        found.names.insert(row.oid, name.clone());
        found.relations.insert(name, relation);
    }
    for row in columns {
        if let Some(relation) = found.get(row.relation) {
            relation.columns.push(CatalogColumn {
                name: row.name,
                type_name: row.type_name,
                not_null: row.not_null,
                default: row.default,
            });
        }
    }
    for (child, parent) in family {
        for (one, other) in [(child, parent), (parent, child)] {
            let other = found.names.get(&other).cloned();
            if let (Some(relation), Some(other)) = (found.get(one), other) {
                relation.family.push(other);
            }
        }
    }
    for row in references {
        let table = found.names.get(&row.referring).cloned();
        if let (Some(relation), Some(table)) = (found.get(row.referenced), table) {
            relation.references.push(CatalogReference {
                table,
                columns: row.columns,
                on_delete: on_delete(row.on_delete),
                on_update: on_delete(row.on_update).map(|_| Write::Update),
            });
        }
    }
    for row in rules {
        if let Some(relation) = found.get(row.relation) {
            relation.rules.push(CatalogRule { name: row.name, write: rule_event(row.event)? });
        }
    }
    for row in triggers {
        if let Some(relation) = found.get(row.relation) {
            relation.triggers.push(trigger(row));
        }
    }
    for row in unique {
        if let Some(relation) = found.get(row.relation) {
            relation.unique.push(CatalogUnique {
                name: row.name,
                columns: row.columns,
                is_whole: row.is_whole,
            });
        }
    }
    let settings = settings.into_iter().flat_map(role_settings).collect();
    let roles = roles.into_iter().collect();
    Ok(Catalog::new(found.relations, by_name(routines), tables).with_roles(settings, roles))
}

fn by_name(rows: Vec<RoutineRow>) -> HashMap<Box<str>, Vec<CatalogRoutine>> {
    let mut named: HashMap<Box<str>, Vec<CatalogRoutine>> = HashMap::new();
    for row in rows {
        named.entry(row.name).or_default().push(CatalogRoutine {
            schema: row.schema,
            language: row.language,
            is_volatile: row.is_volatile,
            body: row.body,
            extension: row.extension,
            settings: row.settings.iter().map(|one| split(one).0.into()).collect(),
        });
    }
    named
}

/// What a relation is. Of the server's own it only matters that they are there.
fn kind(letter: char, own: bool) -> Result<RelationKind, NotRead> {
    match letter {
        'f' => Ok(RelationKind::Foreign),
        'm' => Ok(RelationKind::MaterializedView),
        'r' | 'p' => Ok(RelationKind::Table),
        'v' if own => Ok(RelationKind::View),
        'v' => Ok(RelationKind::Table),
        other => Err(NotRead::Kind(other)),
    }
}

/// `pg_constraint.confdeltype`: no action and RESTRICT write nothing.
const fn on_delete(letter: char) -> Option<Write> {
    match letter {
        'a' | 'r' => None,
        'c' => Some(Write::Delete),
        _ => Some(Write::Update),
    }
}

/// `pg_rewrite.ev_type`.
fn rule_event(letter: char) -> Result<Write, NotRead> {
    match letter {
        '2' => Ok(Write::Update),
        '3' => Ok(Write::Insert),
        '4' => Ok(Write::Delete),
        other => Err(NotRead::Kind(other)),
    }
}

fn trigger(row: TriggerRow) -> CatalogTrigger {
    let bits = [
        (ON_INSERT, Write::Insert),
        (ON_UPDATE, Write::Update),
        (ON_DELETE, Write::Delete),
        (ON_TRUNCATE, Write::Truncate),
    ];
    let writes = bits.iter().filter(|(bit, _)| row.bits & bit != 0).map(|(_, write)| *write);
    CatalogTrigger {
        name: row.name,
        writes: writes.collect(),
        routine: RelationName { schema: row.schema, name: row.routine },
    }
}

/// `name=value` of a setting (`guc.c`, `ParseLongOption`).
fn split(text: &str) -> (&str, &str) {
    text.split_once('=').unwrap_or((text, ""))
}

fn role_settings(row: SettingRow) -> impl Iterator<Item = CatalogSetting> {
    let SettingRow { role, settings } = row;
    settings.into_iter().map(move |one| {
        let (name, value) = split(&one);
        CatalogSetting { role: role.clone(), name: name.into(), value: value.into() }
    })
}
