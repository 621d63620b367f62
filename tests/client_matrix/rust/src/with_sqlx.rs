//! sqlx: a pool of one connection, statements prepared under a name and cached, parameters and
//! results in binary.

use futures_util::TryStreamExt as _;
use serde_json::{Value as Json, json};
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgRow, Postgres};
use sqlx::query::Query;
use sqlx::{
    AssertSqlSafe, Column as _, Error, PgPool, PgTransaction, Row as _, TypeInfo as _, raw_sql,
};
use uuid::Uuid;

use crate::shop::{Answer, Connection, Failure, Shop, Value};

pub(crate) struct Client {
    pool: PgPool,
    transaction: Option<PgTransaction<'static>>,
    /// Whether a savepoint is open in the transaction.
    inner: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let said = error.as_database_error().unwrap_or_else(|| panic!("{error}"));
        Self { code: said.code().unwrap().into_owned(), message: said.message().to_owned() }
    }
}

fn query(text: &str, values: &[Value]) -> Query<'static, Postgres, PgArguments> {
    values.iter().fold(sqlx::query(AssertSqlSafe(text.to_owned())), |query, value| {
        match value.clone() {
            Value::Id(id) => query.bind(id),
            Value::Ids(ids) => query.bind(ids),
            Value::Text(text) => query.bind(text),
            Value::Texts(texts) => query.bind(texts),
            Value::Int(int) => query.bind(int),
            Value::Numeric(numeric) => query.bind(numeric),
            Value::Time(time) => query.bind(time),
        }
    })
}

fn plain(row: &PgRow) -> Vec<Json> {
    let columns = row.columns().iter().enumerate();
    let values = columns.map(|(at, column)| match column.type_info().name() {
        "INT4" => json!(row.get::<Option<i32>, _>(at)),
        "INT8" => json!(row.get::<Option<i64>, _>(at)),
        "NUMERIC" => {
            json!(row.get::<Option<rust_decimal::Decimal>, _>(at).map(|number| number.to_string()))
        }
        "TEXT" => json!(row.get::<Option<String>, _>(at)),
        "TEXT[]" => json!(row.get::<Option<Vec<String>>, _>(at)),
        "TIMESTAMPTZ" => {
            json!(
                row.get::<Option<chrono::DateTime<chrono::Utc>>, _>(at)
                    .map(|time| time.timestamp())
            )
        }
        "UUID" => json!(row.get::<Option<Uuid>, _>(at).map(|id| id.to_string())),
        other => panic!("no {other} is expected"),
    });
    values.collect()
}

impl Connection for Client {
    const NAME: &str = "sqlx";
    const OWN: &[&str] = &["stream"];

    async fn connect(organization: Option<Uuid>) -> Self {
        let url = std::env::var("DATABASE_URL").unwrap();
        let mut options: PgConnectOptions = url.parse().unwrap();
        options = options.application_name("shop");
        if let Some(organization) = organization {
            options = options.options([("app.organization_id", organization)]);
        }
        let pool = PgPoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
        Self { pool, transaction: None, inner: false }
    }

    async fn run(&mut self, text: &str, values: &[Value]) -> Result<Answer, Failure> {
        let query = query(text, values);
        let reads = text.starts_with("SELECT") || text.starts_with("WITH");
        if reads || text.contains("RETURNING") {
            let rows = match &mut self.transaction {
                Some(transaction) => query.fetch_all(&mut **transaction).await?,
                None => query.fetch_all(&self.pool).await?,
            };
            let rows: Vec<_> = rows.iter().map(plain).collect();
            return Ok(Answer { count: rows.len() as u64, rows });
        }
        let done = match &mut self.transaction {
            Some(transaction) => query.execute(&mut **transaction).await?,
            None => query.execute(&self.pool).await?,
        };
        Ok(Answer { rows: Vec::new(), count: done.rows_affected() })
    }

    async fn begin(&mut self) -> Result<(), Failure> {
        match &mut self.transaction {
            Some(transaction) => {
                raw_sql("SAVEPOINT nested").execute(&mut **transaction).await?;
                self.inner = true;
            }
            None => self.transaction = Some(self.pool.begin().await?),
        }
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), Failure> {
        Ok(self.transaction.take().unwrap().commit().await?)
    }

    async fn rollback(&mut self) {
        if std::mem::take(&mut self.inner) {
            let transaction = self.transaction.as_mut().unwrap();
            raw_sql("ROLLBACK TO nested").execute(&mut **transaction).await.unwrap();
        } else {
            self.transaction.take().unwrap().rollback().await.unwrap();
        }
    }

    async fn own(shop: &mut Shop<Self>, _name: &str) -> Result<Json, Failure> {
        // Rows as they come.
        let (text, whose) = shop.filtered("list");
        let values = [whose];
        let mut rows = query(&text, &values).fetch(&shop.connection.pool);
        let mut batches = vec![Vec::new(), Vec::new()];
        let mut at = 0;
        while let Some(row) = rows.try_next().await? {
            batches[at / 2].push(row.get::<String, _>(0));
            at += 1;
        }
        Ok(json!(batches))
    }
}
