//! tokio-postgres: every statement prepared under a name, parameters and results in binary.

use futures_util::future::try_join_all;
use serde_json::{Value as Json, json};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, NoTls, Row};
use uuid::Uuid;

use crate::shop::{Answer, Connection, Failure, Shop, Value};

pub(crate) struct Client {
    client: tokio_postgres::Client,
    depth: usize,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let said = error.as_db_error().unwrap_or_else(|| panic!("{error}"));
        Self { code: said.code().code().to_owned(), message: said.message().to_owned() }
    }
}

fn bound(value: &Value) -> &(dyn ToSql + Sync) {
    match value {
        Value::Id(id) => id,
        Value::Ids(ids) => ids,
        Value::Text(text) => text,
        Value::Texts(texts) => texts,
        Value::Int(int) => int,
        Value::Numeric(numeric) => numeric,
        Value::Time(time) => time,
    }
}

fn plain(row: &Row) -> Vec<Json> {
    let columns = row.columns().iter().enumerate();
    let values = columns.map(|(at, column)| match column.type_() {
        &Type::INT4 => json!(row.get::<_, Option<i32>>(at)),
        &Type::INT8 => json!(row.get::<_, Option<i64>>(at)),
        &Type::NUMERIC => {
            json!(row.get::<_, Option<rust_decimal::Decimal>>(at).map(|number| number.to_string()))
        }
        &Type::TEXT => json!(row.get::<_, Option<String>>(at)),
        &Type::TEXT_ARRAY => json!(row.get::<_, Option<Vec<String>>>(at)),
        &Type::TIMESTAMPTZ => {
            json!(
                row.get::<_, Option<chrono::DateTime<chrono::Utc>>>(at)
                    .map(|time| time.timestamp())
            )
        }
        &Type::UUID => json!(row.get::<_, Option<Uuid>>(at).map(|id| id.to_string())),
        other => panic!("no {other} is expected"),
    });
    values.collect()
}

impl Connection for Client {
    const NAME: &str = "tokio-postgres";
    const OWN: &[&str] = &["stream", "pipeline"];

    async fn connect(organization: Option<Uuid>) -> Self {
        let url = std::env::var("DATABASE_URL").unwrap();
        let mut config: tokio_postgres::Config = url.parse().unwrap();
        config.application_name("shop");
        if let Some(organization) = organization {
            config.options(format!("-c app.organization_id={organization}"));
        }
        let (client, connection) = config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        Self { client, depth: 0 }
    }

    async fn run(&mut self, text: &str, values: &[Value]) -> Result<Answer, Failure> {
        let statement = self.client.prepare(text).await?;
        let values: Vec<_> = values.iter().map(bound).collect();
        if statement.columns().is_empty() {
            let count = self.client.execute(&statement, &values).await?;
            return Ok(Answer { rows: Vec::new(), count });
        }
        let rows: Vec<_> =
            self.client.query(&statement, &values).await?.iter().map(plain).collect();
        Ok(Answer { count: rows.len() as u64, rows })
    }

    async fn begin(&mut self) -> Result<(), Failure> {
        let text = if self.depth == 0 { "BEGIN" } else { "SAVEPOINT nested" };
        self.client.batch_execute(text).await?;
        self.depth += 1;
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), Failure> {
        self.depth = 0;
        Ok(self.client.batch_execute("COMMIT").await?)
    }

    async fn rollback(&mut self) {
        self.depth -= 1;
        let text = if self.depth == 0 { "ROLLBACK" } else { "ROLLBACK TO nested" };
        self.client.batch_execute(text).await.unwrap();
    }

    async fn own(shop: &mut Shop<Self>, name: &str) -> Result<Json, Failure> {
        if name == "stream" {
            // A named portal, read in two Executes.
            let (text, whose) = shop.filtered("list");
            let transaction = shop.connection.client.transaction().await?;
            let portal = transaction.bind(&text, &[bound(&whose)]).await?;
            let mut batches = Vec::new();
            for _ in 0..2 {
                let rows = transaction.query_portal(&portal, 2).await?;
                batches.push(rows.iter().map(|row| row.get(0)).collect::<Vec<String>>());
            }
            transaction.commit().await?;
            return Ok(json!(batches));
        }
        // Sent at once, before the first is answered.
        let (text, whose) = shop.filtered("by_sku");
        let client = &shop.connection.client;
        let values: Vec<Vec<&(dyn ToSql + Sync)>> = vec![
            vec![bound(&whose), &"ANVIL"],
            vec![bound(&whose), &"CHISEL"],
            vec![bound(&whose), &"HAMMER"],
        ];
        let found = try_join_all(values.iter().map(|values| client.query(&text, values))).await?;
        Ok(json!(found.iter().map(Vec::len).collect::<Vec<_>>()))
    }
}
