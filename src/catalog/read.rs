use std::hash::BuildHasher;

use tokio_postgres::{Client, Row};

use super::join::join;
use super::queries;
use crate::database::NotConnected;
use crate::policy::{Catalog, Tables};

/// The catalogue could not be read.
#[derive(Debug, thiserror::Error)]
pub enum NotRead {
    /// The server, or the way to it.
    #[error("{0}")]
    Database(#[from] tokio_postgres::Error),
    /// There is no connection.
    #[error(transparent)]
    Unconnected(#[from] NotConnected),
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
pub(super) struct Rows {
    pub(super) relations: Vec<RelationRow>,
    pub(super) columns: Vec<ColumnRow>,
    /// Child and parent.
    pub(super) family: Vec<(u32, u32)>,
    pub(super) references: Vec<ReferenceRow>,
    pub(super) rules: Vec<RuleRow>,
    pub(super) triggers: Vec<TriggerRow>,
    pub(super) unique: Vec<UniqueRow>,
    pub(super) routines: Vec<RoutineRow>,
    pub(super) settings: Vec<SettingRow>,
    pub(super) roles: Vec<Box<str>>,
}

#[derive(Debug, Hash)]
pub(super) struct RelationRow {
    pub(super) oid: u32,
    pub(super) schema: Box<str>,
    pub(super) name: Box<str>,
    pub(super) kind: char,
    /// Outside the server's own schemas.
    pub(super) own: bool,
    pub(super) definition: Option<Box<str>>,
}

#[derive(Debug, Hash)]
pub(super) struct ReferenceRow {
    pub(super) referenced: u32,
    pub(super) referring: u32,
    pub(super) columns: Vec<Box<str>>,
    pub(super) on_delete: char,
    pub(super) on_update: char,
}

#[derive(Debug, Hash)]
pub(super) struct RuleRow {
    pub(super) relation: u32,
    pub(super) name: Box<str>,
    pub(super) event: char,
}

#[derive(Debug, Hash)]
pub(super) struct TriggerRow {
    pub(super) relation: u32,
    pub(super) name: Box<str>,
    pub(super) bits: i16,
    pub(super) schema: Box<str>,
    pub(super) routine: Box<str>,
}

#[derive(Debug, Hash)]
pub(super) struct UniqueRow {
    pub(super) relation: u32,
    pub(super) name: Box<str>,
    pub(super) columns: Option<Vec<Box<str>>>,
    pub(super) is_whole: bool,
}

#[derive(Debug, Hash)]
pub(super) struct SettingRow {
    pub(super) role: Option<Box<str>>,
    pub(super) settings: Vec<Box<str>>,
}

#[derive(Debug, Hash)]
pub(super) struct ColumnRow {
    pub(super) relation: u32,
    pub(super) name: Box<str>,
    pub(super) type_name: Box<str>,
    pub(super) not_null: bool,
    pub(super) default: Option<Box<str>>,
    pub(super) generated: bool,
}

#[derive(Debug, Hash)]
pub(super) struct RoutineRow {
    pub(super) schema: Box<str>,
    pub(super) name: Box<str>,
    pub(super) language: Box<str>,
    pub(super) is_volatile: bool,
    pub(super) body: Option<Box<str>>,
    pub(super) extension: Option<Box<str>>,
    pub(super) settings: Vec<Box<str>>,
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
        references: all(client, queries::REFERENCES, reference_row).await?,
        rules: all(client, queries::RULES, rule_row).await?,
        triggers: all(client, queries::TRIGGERS, trigger_row).await?,
        unique: all(client, queries::UNIQUE, unique_row).await?,
        routines: all(client, queries::ROUTINES, routine_row).await?,
        settings: all(client, queries::SETTINGS, setting_row).await?,
        roles: all(client, queries::ROLES, |row| text(row, 0)).await?,
    };
    client.batch_execute(queries::COMMIT).await?;
    let digest = hasher.hash_one(&rows);
    Ok(Snapshot { catalog: join(rows, tables)?, digest })
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

fn texts(row: &Row, at: usize) -> Result<Option<Vec<Box<str>>>, tokio_postgres::Error> {
    let texts = row.try_get::<_, Option<Vec<&str>>>(at)?;
    Ok(texts.map(|texts| texts.into_iter().map(Into::into).collect()))
}

fn relation_row(row: &Row) -> Result<RelationRow, tokio_postgres::Error> {
    Ok(RelationRow {
        oid: row.try_get(0)?,
        schema: text(row, 1)?,
        name: text(row, 2)?,
        kind: letter(row, 3)?,
        own: row.try_get(4)?,
        definition: text_or_null(row, 5)?,
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

fn reference_row(row: &Row) -> Result<ReferenceRow, tokio_postgres::Error> {
    Ok(ReferenceRow {
        referenced: row.try_get(0)?,
        referring: row.try_get(1)?,
        columns: texts(row, 2)?.unwrap_or_default(),
        on_delete: letter(row, 3)?,
        on_update: letter(row, 4)?,
    })
}

fn rule_row(row: &Row) -> Result<RuleRow, tokio_postgres::Error> {
    Ok(RuleRow { relation: row.try_get(0)?, name: text(row, 1)?, event: letter(row, 2)? })
}

fn trigger_row(row: &Row) -> Result<TriggerRow, tokio_postgres::Error> {
    Ok(TriggerRow {
        relation: row.try_get(0)?,
        name: text(row, 1)?,
        bits: row.try_get(2)?,
        schema: text(row, 3)?,
        routine: text(row, 4)?,
    })
}

fn unique_row(row: &Row) -> Result<UniqueRow, tokio_postgres::Error> {
    Ok(UniqueRow {
        relation: row.try_get(0)?,
        name: text(row, 1)?,
        columns: texts(row, 2)?,
        is_whole: row.try_get(3)?,
    })
}

fn setting_row(row: &Row) -> Result<SettingRow, tokio_postgres::Error> {
    Ok(SettingRow { role: text_or_null(row, 0)?, settings: texts(row, 1)?.unwrap_or_default() })
}

fn routine_row(row: &Row) -> Result<RoutineRow, tokio_postgres::Error> {
    Ok(RoutineRow {
        schema: text(row, 0)?,
        name: text(row, 1)?,
        language: text(row, 2)?,
        is_volatile: row.try_get(3)?,
        body: text_or_null(row, 4)?,
        extension: text_or_null(row, 5)?,
        settings: texts(row, 6)?.unwrap_or_default(),
    })
}
