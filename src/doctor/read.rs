use std::collections::HashMap;

use tokio_postgres::types::FromSql;
use tokio_postgres::{Client, Error, Row};

use super::queries;
use super::schema::{
    Column, ForeignKey, Index, Role, Routine, Schema, Table, TableKind, View, ViewKind,
};

/// The schema could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The server, or the way to it.
    #[error(transparent)]
    Database(#[from] Error),
    /// An answer without the row that was asked for.
    #[error("the server did not say which database this is")]
    Nothing,
}

/// Reads the schema of the database a client is connected to, in one transaction that only reads.
///
/// Needs no privilege, since everybody may read `pg_catalog`; a role that is no member of
/// `pg_read_all_stats` still sees which roles are connected. Works on PostgreSQL 13 to 18.
///
/// # Errors
/// If the server does not answer as it should.
pub async fn read(client: &Client) -> Result<Schema, Unreadable> {
    client.batch_execute(queries::BEGIN).await?;
    let server = client.query(queries::SERVER, &[]).await?;
    let server = server.first().ok_or(Unreadable::Nothing)?;
    let version: i32 = get(server, 1)?;
    let mut tables = all(client, queries::TABLES, table).await?;
    let columns = all(client, queries::COLUMNS, column).await?;
    let indexes = all(client, queries::INDEXES, index).await?;
    let schema = Schema {
        server_version: version.unsigned_abs(),
        database: get(server, 0)?,
        views: all(client, queries::VIEWS, view).await?,
        foreign_keys: all(client, queries::FOREIGN_KEYS, foreign_key).await?,
        routines: all(client, queries::ROUTINES, routine).await?,
        roles: all(client, queries::ROLES, role).await?,
        connected: all(client, queries::CONNECTED, |row| get(row, 0)).await?,
        tables: Vec::new(),
    };
    client.batch_execute(queries::COMMIT).await?;
    let places: HashMap<u32, usize> =
        tables.iter().enumerate().map(|(at, table)| (table.oid, at)).collect();
    let place = |oid: &u32| places.get(oid).copied();
    for (oid, column) in columns {
        if let Some(table) = place(&oid).and_then(|at| tables.get_mut(at)) {
            table.columns.push(column);
        }
    }
    for (oid, index) in indexes {
        if let Some(table) = place(&oid).and_then(|at| tables.get_mut(at)) {
            table.indexes.push(index);
        }
    }
    Ok(Schema { tables, ..schema })
}

async fn all<T>(
    client: &Client,
    query: &str,
    take: fn(&Row) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    client.query(query, &[]).await?.iter().map(take).collect()
}

fn get<'a, T: FromSql<'a>>(row: &'a Row, at: usize) -> Result<T, Error> {
    row.try_get(at)
}

fn table(row: &Row) -> Result<Table, Error> {
    let kind = match get(row, 3)? {
        "p" => TableKind::Partitioned,
        "f" => TableKind::Foreign,
        _ => TableKind::Plain,
    };
    Ok(Table {
        oid: get(row, 0)?,
        schema: get(row, 1)?,
        name: get(row, 2)?,
        kind,
        is_partition: get(row, 4)?,
        owner: get(row, 5)?,
        row_security: get(row, 6)?,
        forced: get(row, 7)?,
        policies: get(row, 8)?,
        columns: Vec::new(),
        indexes: Vec::new(),
    })
}

fn column(row: &Row) -> Result<(u32, Column), Error> {
    let column = Column {
        name: get(row, 1)?,
        type_name: get(row, 2)?,
        not_null: get(row, 3)?,
        has_default: get(row, 4)?,
    };
    Ok((get(row, 0)?, column))
}

fn index(row: &Row) -> Result<(u32, Index), Error> {
    let index = Index {
        name: get(row, 1)?,
        keys: get(row, 2)?,
        unique: get(row, 3)?,
        primary: get(row, 4)?,
        valid: get(row, 5)?,
        method: get(row, 6)?,
        predicate: get(row, 7)?,
        definition: get(row, 8)?,
        constraint: get(row, 9)?,
    };
    Ok((get(row, 0)?, index))
}

fn foreign_key(row: &Row) -> Result<ForeignKey, Error> {
    Ok(ForeignKey {
        name: get(row, 0)?,
        table: get(row, 1)?,
        columns: get(row, 2)?,
        target: get(row, 3)?,
        target_columns: get(row, 4)?,
        definition: get(row, 5)?,
    })
}

fn view(row: &Row) -> Result<View, Error> {
    let options: Vec<String> = get(row, 4)?;
    let invokes = |option: &String| {
        option.strip_prefix("security_invoker=").is_some_and(|value| {
            matches!(&*value.to_ascii_lowercase(), "true" | "on" | "yes" | "1")
        })
    };
    Ok(View {
        oid: get(row, 0)?,
        schema: get(row, 1)?,
        name: get(row, 2)?,
        kind: if get::<&str>(row, 3)? == "m" { ViewKind::Materialized } else { ViewKind::View },
        security_invoker: options.iter().any(invokes),
        uses: get(row, 5)?,
        grantees: get(row, 6)?,
    })
}

fn routine(row: &Row) -> Result<Routine, Error> {
    Ok(Routine {
        schema: get(row, 0)?,
        name: get(row, 1)?,
        arguments: get(row, 2)?,
        language: get(row, 3)?,
        security_definer: get(row, 4)?,
        body: get(row, 5)?,
        uses: get(row, 6)?,
    })
}

fn role(row: &Row) -> Result<Role, Error> {
    Ok(Role {
        name: get(row, 0)?,
        superuser: get(row, 1)?,
        bypass_rls: get(row, 2)?,
        member_of: get(row, 3)?,
    })
}
