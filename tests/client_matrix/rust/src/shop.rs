//! The repository's functions, over the connection of either driver.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::scope::Scope;

pub(crate) const ACME: Uuid = Uuid::from_u128(0x01900000_0000_7000_8000_00000000000a);
const BOLT: Uuid = Uuid::from_u128(0x01900000_0000_7000_8000_00000000000b);

/// An error of the server.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: String,
    pub(crate) message: String,
}

/// A parameter of a statement.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Id(Uuid),
    Ids(Vec<Uuid>),
    Text(String),
    Texts(Vec<String>),
    Int(i32),
    Numeric(Decimal),
    Time(DateTime<Utc>),
}

/// Rows, and how many there are or were changed.
pub(crate) struct Answer {
    pub(crate) rows: Vec<Vec<Json>>,
    pub(crate) count: u64,
}

impl Answer {
    fn column(self) -> Json {
        self.rows.into_iter().map(|mut row| row.swap_remove(0)).collect()
    }

    fn value(mut self) -> Json {
        self.rows.swap_remove(0).swap_remove(0)
    }
}

/// A driver.
pub(crate) trait Connection: Sized {
    const NAME: &str;

    /// Steps that the driver's own interface has.
    const OWN: &[&str];

    async fn connect(organization: Option<Uuid>) -> Self;

    async fn run(&mut self, text: &str, values: &[Value]) -> Result<Answer, Failure>;

    /// Opens a transaction, or in one a savepoint.
    async fn begin(&mut self) -> Result<(), Failure>;

    async fn commit(&mut self) -> Result<(), Failure>;

    /// Ends what `begin` opened last.
    async fn rollback(&mut self);

    async fn own(shop: &mut Shop<Self>, name: &str) -> Result<Json, Failure>;
}

/// A block of statements.sql.
struct Statement {
    name: String,
    shape: String,
    parameters: Vec<String>,
    text: String,
}

impl Statement {
    fn reads(&self) -> bool {
        !["INSERT", "UPDATE", "WITH moved"].iter().any(|word| self.text.starts_with(word))
    }
}

pub(crate) struct Shop<C> {
    pub(crate) connection: C,
    pub(crate) scope: Scope,
    statements: Vec<Statement>,
    words: usize,
}

fn row(tail: &str) -> Uuid {
    format!("01900000-0000-7000-8000-{tail:0>12}").parse().unwrap()
}

impl<C: Connection> Shop<C> {
    pub(crate) async fn open(text: &str) -> Self {
        let statements = text.split("\n\n").skip(1).map(|block| {
            let (head, text) = block.trim().split_once('\n').unwrap();
            let mut words = head.split(' ').skip(1).map(str::to_owned);
            Statement {
                name: words.next().unwrap(),
                shape: words.next().unwrap(),
                parameters: words.collect(),
                text: text.to_owned(),
            }
        });
        let statements = statements.collect();
        Self {
            connection: C::connect(Some(ACME)).await,
            scope: Scope::default(),
            statements,
            words: 0,
        }
    }

    /// All steps; reads come first, since later steps change what they see.
    pub(crate) fn step_names(&self) -> Vec<String> {
        let plain = self.statements.iter().filter(|statement| statement.shape != "part");
        let (reads, changes): (Vec<_>, Vec<_>) = plain.partition(|statement| statement.reads());
        let name = |statement: &Statement| statement.name.clone();
        let first = ["for_update", "prepared", "pool", "organization_in_transaction"];
        let last = [
            "insert",
            "soft_delete",
            "delete_junction",
            "transaction",
            "rollback",
            "savepoint",
            "server_error",
        ];
        let mut names: Vec<String> = reads.into_iter().map(name).collect();
        names.extend(first.iter().chain(C::OWN).map(|name| (*name).to_owned()));
        names.extend(changes.into_iter().map(name));
        names.extend(last.map(str::to_owned));
        names
    }

    pub(crate) async fn step(&mut self, name: &str) -> Result<Json, Failure> {
        self.scope.clear();
        match name {
            "for_update" => self.for_update().await,
            "prepared" => self.prepared().await,
            "pool" => self.pool().await,
            "organization_in_transaction" => self.organization_in_transaction().await,
            "insert" => self.insert().await,
            "soft_delete" => self.soft_delete().await,
            "delete_junction" => self.delete_junction().await,
            "transaction" => self.transaction().await,
            "rollback" => self.rollback().await,
            "savepoint" => self.savepoint().await,
            "server_error" => self.server_error().await,
            own if C::OWN.contains(&own) => C::own(self, own).await,
            plain => self.plain(plain).await,
        }
    }

    pub(crate) async fn pid(&mut self) -> Result<Json, Failure> {
        Ok(self.connection.run("SELECT pg_backend_pid()", &[]).await?.value())
    }

    fn statement(&self, name: &str) -> &Statement {
        self.statements.iter().find(|statement| statement.name == name).unwrap()
    }

    /// The text of a statement with its filters, and the organization that it is given.
    pub(crate) fn filtered(&mut self, name: &str) -> (String, Value) {
        let text = self.statement(name).text.clone();
        let text = self.scope.filters(&text);
        let wrong = text.contains("org_") && self.scope.place(&["another organization"]).is_some();
        (text, Value::Id(if wrong { BOLT } else { ACME }))
    }

    pub(crate) fn fresh(&mut self, word: &str) -> String {
        self.words += 1;
        format!("{word}-{}", self.words)
    }

    fn value(&mut self, parameter: &str) -> Value {
        let (kind, text) = parameter.split_once(':').unwrap_or((parameter, ""));
        match kind {
            "new" => Value::Id(Uuid::now_v7()),
            "fresh" => Value::Text(self.fresh(text)),
            "uuid" => Value::Id(row(text)),
            "uuids" => Value::Ids(text.split(',').map(row).collect()),
            "new_ids" => {
                Value::Ids((0..text.parse().unwrap()).map(|_: usize| Uuid::now_v7()).collect())
            }
            "fresh_texts" => Value::Texts(text.split(',').map(|word| self.fresh(word)).collect()),
            "text" => Value::Text(text.to_owned()),
            "int" => Value::Int(text.parse().unwrap()),
            "numeric" => Value::Numeric(text.parse().unwrap()),
            "time" => Value::Time(text.parse().unwrap()),
            other => panic!("no type {other}"),
        }
    }

    /// The answer to a statement with these values, and before them the organization.
    async fn ask(&mut self, name: &str, values: &[Value]) -> Result<Answer, Failure> {
        let (text, whose) = self.filtered(name);
        let values = [&[whose], values].concat();
        self.connection.run(&text, &values).await
    }

    /// The same with the values of its block.
    async fn ask_plainly(&mut self, name: &str) -> Result<Answer, Failure> {
        let parameters = self.statement(name).parameters.clone();
        let values: Vec<Value> = parameters.iter().map(|parameter| self.value(parameter)).collect();
        self.ask(name, &values).await
    }

    async fn plain(&mut self, name: &str) -> Result<Json, Failure> {
        let mut answer = self.ask_plainly(name).await?;
        Ok(match self.statement(name).shape.as_str() {
            "rows" => json!(answer.rows),
            "column" => answer.column(),
            "row" => answer.rows.swap_remove(0).into(),
            "value" => answer.value(),
            "count" => answer.count.into(),
            other => panic!("no shape {other}"),
        })
    }

    async fn insert_tag(&mut self, id: Uuid, name: &str) -> Result<(), Failure> {
        self.ask("insert_tag", &[Value::Id(id), Value::Text(name.to_owned())]).await.map(|_| ())
    }

    async fn count_tags(&mut self, name: &str) -> Result<Json, Failure> {
        Ok(self.ask("count_tags", &[Value::Text(name.to_owned())]).await?.value())
    }

    /// Commits what went well and rolls back what did not.
    async fn end<T>(&mut self, result: Result<T, Failure>) -> Result<T, Failure> {
        match &result {
            Ok(_) => self.connection.commit().await?,
            Err(_) => self.connection.rollback().await,
        }
        result
    }

    async fn for_update(&mut self) -> Result<Json, Failure> {
        self.connection.begin().await?;
        let result = self.ask_plainly("for_update").await.map(Answer::column);
        self.end(result).await
    }

    async fn prepared(&mut self) -> Result<Json, Failure> {
        let (text, whose) = self.filtered("by_sku");
        let mut counts = Vec::new();
        for sku in ["ANVIL", "HAMMER"].into_iter().cycle().take(12) {
            let values = [whose.clone(), Value::Text(sku.to_owned())];
            counts.push(self.connection.run(&text, &values).await?.rows.len());
        }
        Ok(json!(counts))
    }

    async fn pool(&mut self) -> Result<Json, Failure> {
        let mut connections = Vec::new();
        for _ in 0..4 {
            connections.push(C::connect(Some(ACME)).await);
        }
        let mut counts = Vec::new();
        for table in ["customers", "orders", "products"] {
            let (text, whose) = self.filtered(&format!("count_{table}"));
            for connection in &mut connections {
                let count = connection.run(&text, std::slice::from_ref(&whose)).await?.value();
                counts.push(format!("{table} {count}"));
            }
        }
        counts.dedup();
        Ok(json!(counts))
    }

    async fn organization_in_transaction(&mut self) -> Result<Json, Failure> {
        let mut other = C::connect(None).await;
        other.begin().await?;
        let organization = Value::Text(ACME.to_string());
        other.run("SELECT set_config('app.organization_id', $1, true)", &[organization]).await?;
        let (text, whose) = self.filtered("list");
        let found = other.run(&text, &[whose]).await?;
        other.commit().await?;
        Ok(found.column())
    }

    async fn insert(&mut self) -> Result<Json, Failure> {
        let (lamp, sku) = (Value::Id(Uuid::now_v7()), self.fresh("LAMP"));
        let values = [lamp.clone(), Value::Text(sku), Value::Text("Lamp".to_owned())];
        self.ask("insert_product", &values).await?;
        Ok(self.ask("product_name", &[lamp]).await?.column())
    }

    async fn soft_delete(&mut self) -> Result<Json, Failure> {
        let (gone, name) = (Uuid::now_v7(), self.fresh("gone"));
        self.insert_tag(gone, &name).await?;
        let changed = self.ask("delete_tag", &[Value::Id(gone)]).await?.count;
        Ok(json!([changed, self.count_tags(&name).await?]))
    }

    async fn delete_junction(&mut self) -> Result<Json, Failure> {
        self.ask_plainly("insert_link").await?;
        Ok(self.ask_plainly("delete_link").await?.count.into())
    }

    async fn transaction(&mut self) -> Result<Json, Failure> {
        self.connection.begin().await?;
        let result = self.place_order().await;
        self.end(result).await
    }

    async fn place_order(&mut self) -> Result<Json, Failure> {
        let alan = self.ask_plainly("customer_id").await?.value();
        let alan = Value::Id(alan.as_str().unwrap().parse().unwrap());
        let [order, left, right] = [(); 3].map(|()| Value::Id(Uuid::now_v7()));
        let status = self.ask("insert_order", &[order.clone(), alan]).await?.value();
        self.ask("insert_items", &[left, order.clone(), Value::Id(row("1a3")), right]).await?;
        self.ask_plainly("take_stock").await?;
        Ok(json!([status, self.ask("count_items", &[order]).await?.value()]))
    }

    async fn rollback(&mut self) -> Result<Json, Failure> {
        let name = self.fresh("lost");
        self.connection.begin().await?;
        let inserted = self.insert_tag(Uuid::now_v7(), &name).await;
        self.connection.rollback().await;
        inserted?;
        self.count_tags(&name).await
    }

    async fn savepoint(&mut self) -> Result<Json, Failure> {
        self.connection.begin().await?;
        let result = self.kept_and_lost().await;
        self.end(result).await
    }

    async fn kept_and_lost(&mut self) -> Result<Json, Failure> {
        let (kept, lost) = (self.fresh("kept"), self.fresh("lost"));
        self.insert_tag(Uuid::now_v7(), &kept).await?;
        self.connection.begin().await?;
        let inserted = self.insert_tag(Uuid::now_v7(), &lost).await;
        self.connection.rollback().await;
        inserted?;
        Ok(json!([self.count_tags(&kept).await?, self.count_tags(&lost).await?]))
    }

    async fn server_error(&mut self) -> Result<Json, Failure> {
        match self.insert_tag(row("4a1"), "twin").await {
            Ok(()) => Ok("none".into()),
            Err(failure) if failure.code == "23505" => Ok(failure.code.into()),
            Err(failure) => Err(failure),
        }
    }
}
