//! Whose rows a statement gave.

use std::collections::HashMap;
use std::error::Error;

use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, SimpleQueryMessage};

use super::story::{ACME, GLOBEX, Sent};
use crate::tenant::Uuid;

/// How many rows of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rows {
    /// Live rows of the demo's own organization, and rows of tables that belong to nobody.
    pub(super) own: usize,
    /// Rows in which something of the other organization shows.
    pub(super) other: usize,
    /// Rows of the own organization in which something shows that was deleted.
    pub(super) deleted: usize,
}

/// Whose a row is, in the order of what weighs more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    Own,
    Deleted,
    Other,
}

/// Every id of the demo's tables, and whose it is.
#[derive(Debug, Default)]
pub(super) struct Owners {
    by_id: HashMap<[u8; 16], Owner>,
}

impl Owners {
    /// Asks the database, as it is before the demo.
    pub(super) async fn read(client: &Client) -> Result<Self, tokio_postgres::Error> {
        let mut by_id = HashMap::new();
        for table in ["org_products", "org_customers", "org_orders", "org_order_items"] {
            let sql = format!("SELECT id, organization_id, deleted_at IS NOT NULL FROM {table}");
            for row in client.query(&sql, &[]).await? {
                let (Id(id), Id(organization), deleted) = (row.get(0), row.get(1), row.get(2));
                let owner = match (Some(organization) == Uuid::parse(ACME), deleted) {
                    (false, true | false) => Owner::Other,
                    (true, true) => Owner::Deleted,
                    (true, false) => Owner::Own,
                };
                by_id.insert(*id.as_bytes(), owner);
            }
        }
        for (organization, owner) in [(ACME, Owner::Own), (GLOBEX, Owner::Other)] {
            by_id.extend(Uuid::parse(organization).map(|id| (*id.as_bytes(), owner)));
        }
        Ok(Self { by_id })
    }

    /// Runs a statement and sorts the rows it gives.
    pub(super) async fn ask(
        &self,
        client: &Client,
        sql: &str,
        sent: Sent,
    ) -> Result<Rows, tokio_postgres::Error> {
        let mut rows = Rows::default();
        match sent {
            Sent::Simple => {
                for message in client.simple_query(sql).await? {
                    if let SimpleQueryMessage::Row(row) = message {
                        let ids = (0..row.len()).filter_map(|at| Uuid::parse(row.get(at)?));
                        rows.add(self.owner(ids));
                    }
                }
            }
            Sent::Bound(organization) => {
                let organization = Uuid::parse(organization).map(Id);
                for row in client.query(sql, &[&organization]).await? {
                    let ids = row.columns().iter().enumerate();
                    let ids = ids.filter(|(_, column)| *column.type_() == Type::UUID);
                    let ids = ids.filter_map(|(at, _)| row.get::<_, Option<Id>>(at));
                    rows.add(self.owner(ids.map(|Id(id)| id)));
                }
            }
        }
        Ok(rows)
    }

    fn owner(&self, ids: impl Iterator<Item = Uuid>) -> Owner {
        ids.filter_map(|id| self.by_id.get(id.as_bytes())).max().copied().unwrap_or(Owner::Own)
    }
}

impl Rows {
    const fn add(&mut self, owner: Owner) {
        let count = match owner {
            Owner::Own => &mut self.own,
            Owner::Deleted => &mut self.deleted,
            Owner::Other => &mut self.other,
        };
        *count = count.saturating_add(1);
    }
}

/// A uuid on its way to or from the driver.
#[derive(Clone, Copy, Debug)]
struct Id(Uuid);

impl<'a> FromSql<'a> for Id {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Uuid::from_bytes(raw.try_into()?)))
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::UUID
    }
}

impl ToSql for Id {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::UUID
    }

    to_sql_checked!();
}
