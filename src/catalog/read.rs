use std::collections::HashMap;
use std::hash::BuildHasher;

use tokio_postgres::{Client, Row};

use super::queries;
use crate::policy::{
    Catalog, CatalogColumn, CatalogRelation, CatalogRoutine, RelationKind, RelationName, Tables,
};

/// The catalogue could not be read.
#[derive(Debug, thiserror::Error)]
pub enum NotRead {
    /// The server, or the way to it.
    #[error("{0}")]
    Database(#[from] tokio_postgres::Error),
    /// `pg_class` has a kind of relation that was not asked for.
    #[error("a relation of kind {0:?}")]
    Kind(char),
    /// The server did not answer in time.
    #[error("no answer in time")]
    TooLate,
}

/// What the database says now.
#[derive(Debug)]
pub struct Snapshot {
    /// Relations and routines.
    pub catalog: Catalog,
    /// Equal for equal contents, if the hasher is the same.
    pub digest: u64,
}

/// Rows of the catalogue as they were read, in an order that is the same each time.
#[derive(Debug, Hash)]
struct Rows {
    relations: Vec<RelationRow>,
    columns: Vec<ColumnRow>,
    /// Child and parent.
    family: Vec<(u32, u32)>,
    /// The referenced table and the one with the foreign key.
    references: Vec<(u32, u32)>,
    routines: Vec<RoutineRow>,
}

#[derive(Debug, Hash)]
struct RelationRow {
    oid: u32,
    schema: Box<str>,
    name: Box<str>,
    kind: char,
    /// Outside the server's own schemas.
    own: bool,
    definition: Option<Box<str>>,
    has_rules_or_triggers: bool,
}

#[derive(Debug, Hash)]
struct ColumnRow {
    relation: u32,
    name: Box<str>,
    type_name: Box<str>,
    not_null: bool,
    default: Option<Box<str>>,
    generated: bool,
}

#[derive(Debug, Hash)]
struct RoutineRow {
    schema: Box<str>,
    name: Box<str>,
    language: Box<str>,
    is_volatile: bool,
    body: Option<Box<str>>,
    extension: Option<Box<str>>,
}

/// Reads what a database says of its relations and routines, in one transaction.
///
/// The connection's search path is emptied first, so that every name in a view's definition comes
/// out qualified: the connection should be used for nothing else. After an error it may be in a
/// transaction that failed: connect anew. Needs no privilege, since everybody may read
/// `pg_catalog`; works on PostgreSQL 13 to 18.
///
/// # Errors
/// If the server does not answer as it should.
pub async fn read(
    client: &Client,
    tables: &Tables,
    hasher: &impl BuildHasher,
) -> Result<Snapshot, NotRead> {
    client.batch_execute(queries::BEGIN).await?;
    let rows = Rows {
        relations: all(client, queries::RELATIONS, relation_row).await?,
        columns: all(client, queries::COLUMNS, column_row).await?,
        family: all(client, queries::FAMILY, pair_row).await?,
        references: all(client, queries::REFERENCES, pair_row).await?,
        routines: all(client, queries::ROUTINES, routine_row).await?,
    };
    client.batch_execute(queries::COMMIT).await?;
    let digest = hasher.hash_one(&rows);
    Ok(Snapshot { catalog: rows.into_catalog(tables)?, digest })
}

async fn all<T>(
    client: &Client,
    query: &str,
    take: fn(&Row) -> Result<T, tokio_postgres::Error>,
) -> Result<Vec<T>, NotRead> {
    let rows = client.query(query, &[]).await?;
    Ok(rows.iter().map(take).collect::<Result<_, _>>()?)
}

/// A character of the type `"char"`.
fn letter(row: &Row, at: usize) -> Result<char, tokio_postgres::Error> {
    Ok(char::from(row.try_get::<_, i8>(at)?.unsigned_abs()))
}

fn text(row: &Row, at: usize) -> Result<Box<str>, tokio_postgres::Error> {
    Ok(row.try_get::<_, &str>(at)?.into())
}

fn text_or_null(row: &Row, at: usize) -> Result<Option<Box<str>>, tokio_postgres::Error> {
    Ok(row.try_get::<_, Option<&str>>(at)?.map(Into::into))
}

fn relation_row(row: &Row) -> Result<RelationRow, tokio_postgres::Error> {
    Ok(RelationRow {
        oid: row.try_get(0)?,
        schema: text(row, 1)?,
        name: text(row, 2)?,
        kind: letter(row, 3)?,
        own: row.try_get(4)?,
        definition: text_or_null(row, 5)?,
        has_rules_or_triggers: row.try_get(6)?,
    })
}

fn column_row(row: &Row) -> Result<ColumnRow, tokio_postgres::Error> {
    Ok(ColumnRow {
        relation: row.try_get(0)?,
        name: text(row, 1)?,
        type_name: text(row, 2)?,
        not_null: row.try_get(3)?,
        default: text_or_null(row, 4)?,
        generated: row.try_get(5)?,
    })
}

fn pair_row(row: &Row) -> Result<(u32, u32), tokio_postgres::Error> {
    Ok((row.try_get(0)?, row.try_get(1)?))
}

fn routine_row(row: &Row) -> Result<RoutineRow, tokio_postgres::Error> {
    Ok(RoutineRow {
        schema: text(row, 0)?,
        name: text(row, 1)?,
        language: text(row, 2)?,
        is_volatile: row.try_get(3)?,
        body: text_or_null(row, 4)?,
        extension: text_or_null(row, 5)?,
    })
}

impl Rows {
    fn into_catalog(self, tables: &Tables) -> Result<Catalog, NotRead> {
        let mut names = HashMap::new();
        let mut relations = HashMap::new();
        for row in self.relations {
            let name = RelationName { schema: row.schema, name: row.name };
            let relation = CatalogRelation {
                kind: kind(row.kind, row.own)?,
                columns: Vec::new(),
                definition: row.definition,
                family: Vec::new(),
                referenced_by: Vec::new(),
                has_rules_or_triggers: row.has_rules_or_triggers,
            };
            names.insert(row.oid, name.clone());
            relations.insert(name, relation);
        }
        // What is not among the relations is an index's family, or was made a moment later.
        for row in self.columns {
            let found = names.get(&row.relation).and_then(|name| relations.get_mut(name));
            if let Some(relation) = found {
                relation.columns.push(CatalogColumn {
                    name: row.name,
                    type_name: row.type_name,
                    not_null: row.not_null,
                    default: row.default,
                    generated: row.generated,
                });
            }
        }
        for (child, parent) in self.family {
            let (Some(child), Some(parent)) = (names.get(&child), names.get(&parent)) else {
                continue;
            };
            for (one, other) in [(child, parent), (parent, child)] {
                if let Some(relation) = relations.get_mut(one) {
                    relation.family.push(other.clone());
                }
            }
        }
        for (referenced, referring) in self.references {
            let found = names.get(&referenced).and_then(|name| relations.get_mut(name));
            if let (Some(relation), Some(referring)) = (found, names.get(&referring)) {
                relation.referenced_by.push(referring.clone());
            }
        }
        let mut routines: HashMap<Box<str>, Vec<CatalogRoutine>> = HashMap::new();
        for row in self.routines {
            routines.entry(row.name).or_default().push(CatalogRoutine {
                schema: row.schema,
                language: row.language,
                is_volatile: row.is_volatile,
                body: row.body,
                extension: row.extension,
            });
        }
        Ok(Catalog::new(relations, routines, tables))
    }
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
