//! Rewrite mode through a real guard with a real driver: prepared statements of both kinds under
//! two tenants on one connection, cursors, COPY, places of errors, soft deletion.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/guard.rs"]
mod guard;

use std::net::SocketAddr;
use std::sync::Arc;

use guard::{Guard, field, message};
use orgguard::cli::Throwaway;
use tokio_postgres::error::ErrorPosition;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

const A: &str = "11111111-1111-4111-8111-111111111111";
const B: &str = "22222222-2222-4222-8222-222222222222";

/// Products of two organizations, some deleted, and their tags.
async fn tables(server: &Throwaway) {
    let direct = connect(server.address()).await;
    let made = format!(
        "CREATE TABLE org_products (id int PRIMARY KEY, organization_id uuid NOT NULL, \
           name text NOT NULL, price int NOT NULL DEFAULT 1, deleted_at timestamptz, \
           twice int GENERATED ALWAYS AS (price * 2) STORED); \
         CREATE TABLE org_tags (id int PRIMARY KEY, organization_id uuid NOT NULL, \
           product_id int, label text NOT NULL, deleted_at timestamptz); \
         INSERT INTO org_products (id, organization_id, name, deleted_at) VALUES \
           (1, '{A}', 'lamp', NULL), (2, '{A}', 'desk', NULL), (3, '{A}', 'gone', now()), \
           (4, '{B}', 'bolt', NULL), (5, '{B}', 'nut', NULL), (6, '{B}', 'lost', now()); \
         INSERT INTO org_tags (id, organization_id, product_id, label) VALUES \
           (1, '{A}', 1, 'sale'), (2, '{B}', 1, 'theirs'), (3, '{B}', 4, 'heavy')"
    );
    direct.batch_execute(&made).await.unwrap();
}

async fn connect(address: SocketAddr) -> Client {
    let settings =
        format!("host={} port={} user=postgres dbname=postgres", address.ip(), address.port());
    let (client, connection) = tokio_postgres::connect(&settings, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn become_tenant(client: &Client, tenant: &str) {
    client.batch_execute(&format!("SET app.organization_id = '{tenant}'")).await.unwrap();
}

/// The rows of a simple query, columns joined.
async fn simple(client: &Client, text: &str) -> Vec<String> {
    let mut rows = Vec::new();
    for message in client.simple_query(text).await.unwrap() {
        if let SimpleQueryMessage::Row(row) = message {
            let values: Vec<&str> = (0..row.len()).map(|at| row.get(at).unwrap_or("∅")).collect();
            rows.push(values.join("|"));
        }
    }
    rows
}

fn with_guard<F: Future<Output = ()>>(more: &str, body: impl FnOnce(Arc<Guard>, Client) -> F) {
    let server = Throwaway::start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(tables(&server));
    let guard = Arc::new(Guard::start("rewrite", server.address(), more));
    let address = guard.address();
    runtime.block_on(async {
        let client = connect(address).await;
        body(Arc::clone(&guard), client).await;
    });
}

#[test]
fn statements_prepared_once_give_each_tenant_its_own_rows() {
    with_guard("", |guard, client| async move {
        become_tenant(&client, A).await;
        let text = "SELECT p.name, t.label FROM org_products p \
                    LEFT JOIN org_tags t ON t.product_id = p.id WHERE p.price > $1 ORDER BY p.id";
        let prepared = client.prepare(text).await.unwrap();
        // The driver encodes by what it is told: its own parameter alone.
        assert_eq!(prepared.params(), [Type::INT4]);
        let names: Vec<&str> = prepared.columns().iter().map(|column| column.name()).collect();
        assert_eq!(names, ["name", "label"]);
        client
            .batch_execute(
                "PREPARE s (int) AS SELECT name FROM org_products WHERE price > $1 ORDER BY id",
            )
            .await
            .unwrap();
        client.batch_execute("PREPARE n AS SELECT count(*) FROM org_products").await.unwrap();
        let a = [("lamp", Some("sale")), ("desk", None)];
        let b = [("bolt", Some("heavy")), ("nut", None)];
        for (tenant, expected) in [(A, a), (B, b), (A, a)] {
            become_tenant(&client, tenant).await;
            let rows = client.query(&prepared, &[&0_i32]).await.unwrap();
            let rows: Vec<(&str, Option<&str>)> =
                rows.iter().map(|row| (row.get(0), row.get(1))).collect();
            assert_eq!(rows, expected);
            let rows = simple(&client, "EXECUTE s (0)").await;
            assert_eq!(rows, expected.map(|(name, _)| name.to_owned()));
            assert_eq!(simple(&client, "EXECUTE n").await, ["2"]);
        }
        let rewritten =
            "orgguard_rewrites_total{rule=\"unbound-tenant\",sent=\"yes\",table=\"org_products\"}";
        assert_eq!(guard.metric(rewritten), 3);
    });
}

#[test]
fn writes_cursors_and_whole_rows() {
    with_guard("", |_guard, client| async move {
        become_tenant(&client, A).await;
        let insert = client
            .query_one("INSERT INTO org_products (id, name) VALUES ($1, $2) RETURNING organization_id::text, name", &[&7_i32, &"stool"])
            .await
            .unwrap();
        assert_eq!((insert.get::<_, &str>(0), insert.get::<_, &str>(1)), (A, "stool"));
        // Another tenant's row, and a deleted one, are not there.
        for id in [4_i32, 3] {
            let text = "UPDATE org_products SET price = 9 WHERE id = $1";
            assert_eq!(client.execute(text, &[&id]).await.unwrap(), 0);
            let text = "DELETE FROM org_products WHERE id = $1";
            assert_eq!(client.execute(text, &[&id]).await.unwrap(), 0);
        }
        assert_eq!(
            client.execute("DELETE FROM org_products WHERE id = $1", &[&7_i32]).await.unwrap(),
            1
        );
        let upsert = "INSERT INTO org_products (id, name) VALUES ($1, 'x') \
                      ON CONFLICT (id) DO UPDATE SET name = excluded.name";
        assert_eq!(client.execute(upsert, &[&2_i32]).await.unwrap(), 1);
        let error = client.execute(upsert, &[&4_i32]).await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "42501");
        let cursor = "BEGIN; DECLARE c CURSOR FOR SELECT p FROM org_products p ORDER BY id FOR UPDATE; FETCH ALL FROM c; COMMIT";
        let rows = simple(&client, cursor).await;
        assert_eq!(rows.len(), 2, "{rows:?}");
        let rows = simple(
            &client,
            "SELECT to_jsonb(p) ->> 'name' FROM org_products p GROUP BY p.id ORDER BY p.id",
        )
        .await;
        assert_eq!(rows, ["lamp", "x"]);
    });
}

#[test]
fn a_copy_of_a_table_is_one_of_the_tenants_rows() {
    let server = Throwaway::start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(tables(&server));
    let dsn = format!("[catalog]\ndsn = \"{}\"\n", server.connection_string());
    let guard = Guard::start("rewrite", server.address(), &dsn);
    let mut client = guard.login();
    client.query(&format!("SET app.organization_id = '{B}'"));
    let copied = collect(&mut client, "COPY org_products (id, name) TO STDOUT");
    assert_eq!(copied, "4\tbolt\n5\tnut\n");
    let copied = collect(&mut client, "COPY org_tags TO STDOUT");
    assert_eq!(copied, format!("2\t{B}\t1\ttheirs\t\\N\n3\t{B}\t4\theavy\t\\N\n"));
    // Without a list: not the generated column.
    let copied = collect(&mut client, "COPY org_products TO STDOUT");
    assert_eq!(copied, format!("4\t{B}\tbolt\t1\t\\N\n5\t{B}\tnut\t1\t\\N\n"));
}

/// What COPY TO gives, as text.
fn collect(client: &mut guard::Client, text: &str) -> String {
    client.send(&message(b'Q', format!("{text}\0").as_bytes()));
    let mut copied = Vec::new();
    loop {
        match client.message() {
            (b'd', part) => copied.extend_from_slice(&part),
            (b'Z', _) => return String::from_utf8(copied).unwrap(),
            (b'E', body) => panic!("{}", field(&body, b'M')),
            _ => {}
        }
    }
}

#[test]
fn an_error_shows_the_place_in_the_clients_own_text() {
    with_guard("", |_guard, client| async move {
        become_tenant(&client, A).await;
        let text = "SELECT 'é', name FROM org_products ORDER BY wrong";
        for error in
            [client.simple_query(text).await.unwrap_err(), client.prepare(text).await.unwrap_err()]
        {
            let position = error.as_db_error().unwrap().position();
            assert_eq!(position, Some(&ErrorPosition::Original(45)));
        }
    });
}

#[test]
fn a_delete_may_be_a_soft_one() {
    with_guard("[rewrite]\nsoft_delete = true\n", |_guard, client| async move {
        become_tenant(&client, A).await;
        let text = "DELETE FROM org_products WHERE id = $1";
        assert_eq!(client.execute(text, &[&1_i32]).await.unwrap(), 1);
        assert_eq!(client.execute(text, &[&1_i32]).await.unwrap(), 0);
        let messages = client.simple_query("DELETE FROM org_products").await.unwrap();
        assert!(matches!(messages.as_slice(), [SimpleQueryMessage::CommandComplete(1)]));
        assert_eq!(simple(&client, "SELECT count(*) FROM org_products").await, ["0"]);
        become_tenant(&client, B).await;
        client
            .batch_execute("PREPARE d (int) AS DELETE FROM org_products WHERE id = $1")
            .await
            .unwrap();
        let messages = client.simple_query("EXECUTE d (4); EXECUTE d (1)").await.unwrap();
        let counts: Vec<u64> = messages
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::CommandComplete(count) => Some(*count),
                _ => None,
            })
            .collect();
        assert_eq!(counts, [1, 0]);
        assert_eq!(simple(&client, "SELECT id FROM org_products").await, ["5"]);
    });
}

/// `to_date(…) IS NOT NULL` costs what the tenant predicate costs, so PostgreSQL takes what is
/// written first.
#[test]
fn behind_a_fence_no_expression_sees_another_tenants_row() {
    let leaky = "SELECT id FROM org_codes WHERE to_date(code, 'YYYY') IS NOT NULL ORDER BY id";
    let message = |error: tokio_postgres::Error| {
        let error = error.as_db_error().unwrap().clone();
        format!("{} {}", error.message(), error.detail().unwrap_or_default())
    };
    let server = Throwaway::start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let direct = connect(server.address()).await;
        let made = format!(
            "CREATE TABLE org_codes (id int PRIMARY KEY, organization_id uuid NOT NULL, \
               code text NOT NULL, deleted_at timestamptz); \
             INSERT INTO org_codes (id, organization_id, code) VALUES \
               (1, '{B}', 'secret'), (2, '{A}', '2026'), (3, '{A}', '2027')"
        );
        direct.batch_execute(&made).await.unwrap();
    });
    let start = |order: &str, more: &str| {
        let text = Guard::text("rewrite", &server.address().to_string(), more);
        let guard = format!("[guard]\nevaluation_order = \"{order}\"");
        Guard::start_text(&text.replace("[guard]", &guard))
    };
    let ask = |guard: &Guard, text: &str| {
        let address = guard.address();
        let text = text.to_owned();
        runtime.block_on(async move {
            let client = connect(address).await;
            become_tenant(&client, A).await;
            client
                .query(&text, &[])
                .await
                .map(|rows| rows.iter().map(|row| row.get::<_, i32>(0)).collect::<Vec<_>>())
        })
    };
    let open = start("ignore", "");
    assert!(message(ask(&open, leaky).unwrap_err()).contains("secr"), "no leak");
    let refuses = start("refuse", "");
    assert!(message(ask(&refuses, leaky).unwrap_err()).contains("early-evaluation"));
    let fenced = start("refuse", "[rewrite]\nfence = true\n");
    assert_eq!(ask(&fenced, leaky).unwrap(), [2, 3]);
    let metric =
        "orgguard_rewrites_total{rule=\"early-evaluation\",sent=\"yes\",table=\"org_codes\"}";
    assert_eq!(fenced.metric(metric), 1);
    // What a derived table computes is compared where its rows are read, too.
    let computed = "SELECT q.id FROM (SELECT id, to_date(code, 'YYYY') AS day FROM org_codes) q \
                    WHERE q.day IS NOT NULL ORDER BY q.id";
    assert!(message(ask(&open, computed).unwrap_err()).contains("secr"), "no leak");
    assert_eq!(ask(&fenced, computed).unwrap(), [2, 3]);
    // What the fence does not hold back is the tenant's own.
    let own = "SELECT id FROM org_codes WHERE code::uuid IS NOT NULL";
    assert!(message(ask(&fenced, own).unwrap_err()).contains("2026"));
}

/// A view that exports a table's columns as they are is bound like the table; of any other the
/// statement is refused, since a filter on what comes out of it is another.
#[test]
fn a_view_is_bound_by_the_columns_that_it_exports() {
    let server = Throwaway::start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(tables(&server));
    runtime.block_on(async {
        let direct = connect(server.address()).await;
        let views = "CREATE VIEW v AS SELECT id, organization_id AS tenant, name, deleted_at AS gone \
                       FROM org_products WHERE price > 0; \
                     CREATE VIEW deep (k, t, n, g) AS SELECT v.id, v.tenant, v.name, v.gone FROM v; \
                     CREATE VIEW both_sides AS SELECT p.name, t.label, p.organization_id AS a, \
                       p.deleted_at AS b, t.organization_id AS c, t.deleted_at AS d \
                       FROM org_products p JOIN org_tags t ON t.product_id = p.id; \
                     CREATE VIEW outer_side AS SELECT p.name, t.label, p.organization_id AS a, \
                       p.deleted_at AS b, t.organization_id AS c, t.deleted_at AS d \
                       FROM org_products p LEFT JOIN org_tags t ON t.product_id = p.id; \
                     CREATE VIEW newest AS SELECT DISTINCT ON (price) price, name, organization_id, \
                       deleted_at FROM org_products ORDER BY price, id; \
                     CREATE VIEW counted AS SELECT organization_id, deleted_at, count(*) \
                       OVER () AS n FROM org_products; \
                     CREATE VIEW names AS SELECT name FROM org_products; \
                     CREATE VIEW three AS SELECT * FROM org_products LIMIT 3; \
                     CREATE VIEW nulls AS SELECT name, organization_id, deleted_at + '1 day' AS \
                       deleted_at FROM org_products";
        direct.batch_execute(views).await.unwrap();
    });
    let dsn = format!("[catalog]\ndsn = \"{}\"\n", server.connection_string());
    let guard = Guard::start("rewrite", server.address(), &dsn);
    runtime.block_on(async {
        let client = connect(guard.address()).await;
        become_tenant(&client, A).await;
        for (text, expected) in [
            ("SELECT name FROM v ORDER BY id", vec!["lamp", "desk"]),
            ("SELECT n FROM deep AS d ORDER BY k", vec!["lamp", "desk"]),
            ("SELECT name, label FROM both_sides", vec!["lamp|sale"]),
            (
                "SELECT t.label, x.name FROM org_tags t LEFT JOIN v x ON x.id = t.product_id",
                vec!["sale|lamp"],
            ),
            (
                "SELECT t.label, x.b FROM org_tags t LEFT JOIN v AS x (a, b, c) ON x.a = t.id",
                vec![&*format!("sale|{A}")],
            ),
        ] {
            assert_eq!(simple(&client, text).await, expected, "{text}");
        }
        for view in ["outer_side", "newest", "counted", "names", "three", "nulls"] {
            let text = format!("SELECT * FROM {view}");
            let error = client.simple_query(&text).await.unwrap_err();
            assert_eq!(error.code().unwrap().code(), "42501", "{text}");
        }
    });
}

/// A reference whose columns have other names is bound by the table's own inside.
#[test]
fn column_aliases_with_a_catalogue() {
    let server = Throwaway::start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(tables(&server));
    let dsn = format!("[catalog]\ndsn = \"{}\"\n", server.connection_string());
    let guard = Guard::start("rewrite", server.address(), &dsn);
    runtime.block_on(async {
        let client = connect(guard.address()).await;
        become_tenant(&client, A).await;
        let text = "SELECT p.c FROM org_products AS p (a, b, c, d, e) ORDER BY p.a";
        assert_eq!(simple(&client, text).await, ["lamp", "desk"]);
    });
}
