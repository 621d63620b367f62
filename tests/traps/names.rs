//! What a text names, and what the catalogue says of it.

use super::shop::{A, B, Shop, rows, run};
use super::{after, assert_honest, assert_honest_write, assert_leaks, assert_refused};
use tokio_postgres::Client;

#[test]
fn trap_06_unicode_escapes_in_identifiers() {
    run(async {
        let shop = Shop::open().await;
        let guard = shop.guard("").await;
        let client = guard.session().await;
        for leak in [
            r#"SELECT name FROM U&"org\005fproducts""#,
            r#"SELECT name FROM U&"org!005fproducts" UESCAPE '!'"#,
            r#"SELECT name FROM public.u&"\006frg_products" p"#,
            r#"SELECT name FROM U&"\+00006frg_products""#,
        ] {
            assert_leaks(&shop, leak).await;
            assert_refused(&client, leak, "unbound-tenant|not-understood").await;
        }
        // What the tokens alone would be judged by.
        for utility in [
            r#"VACUUM U&"org\005fproducts""#,
            r#"ALTER TABLE U&"org\005fproducts" RENAME TO plain"#,
            "ALTER TABLE org_products RENAME TO plain",
            "ALTER TABLE plans RENAME TO org_plans",
        ] {
            assert_refused(&client, utility, "not-understood|guarded-ddl|opaque-sql").await;
        }
        let bound = format!(
            "SELECT name FROM org_products WHERE organization_id = '{A}' AND deleted_at IS NULL"
        );
        assert_honest(&shop, &client, &bound).await;
        assert_honest(&shop, &client, r"SELECT U&'\0061 lamp' AS word").await;
    });
}

#[test]
fn trap_07_views_and_sql_functions_are_read_in_their_place() {
    run(async {
        let shop = Shop::open().await;
        shop.both(
            "CREATE VIEW liar AS SELECT name, supplier_id AS organization_id, deleted_at FROM org_products; \
             CREATE VIEW open AS SELECT * FROM org_products; \
             CREATE VIEW deep AS SELECT name, organization_id, deleted_at FROM open; \
             CREATE MATERIALIZED VIEW kept AS SELECT name FROM org_products; \
             CREATE FUNCTION names() RETURNS SETOF text LANGUAGE sql STABLE AS 'SELECT name FROM org_products'; \
             CREATE FUNCTION label(int) RETURNS text LANGUAGE sql STABLE AS 'SELECT ''x'''; \
             CREATE FUNCTION label(text) RETURNS text LANGUAGE sql STABLE AS \
               'SELECT name FROM org_products WHERE name LIKE ''B %'' LIMIT 1'; \
             CREATE FUNCTION net(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 81 / 100'",
        )
        .await;
        let guard = shop.guard("").await;
        let client = guard.session().await;
        let bound = format!("organization_id = '{A}' AND deleted_at IS NULL");
        for (leak, rule) in [
            ("SELECT name FROM open".to_owned(), "unbound-tenant"),
            (format!("SELECT name FROM liar WHERE {bound}"), "unbound-tenant"),
            ("SELECT name FROM deep".to_owned(), "unbound-tenant"),
            ("SELECT names()".to_owned(), "opaque-sql"),
            ("SELECT * FROM names()".to_owned(), "opaque-sql|hidden-relation"),
            ("SELECT label('x'::text)".to_owned(), "opaque-sql"),
        ] {
            assert_leaks(&shop, &leak).await;
            assert_refused(&client, &leak, rule).await;
        }
        // PostgreSQL reads under the policies of whoever refreshes it.
        let kept = rows(&shop.direct, "SELECT name FROM kept").await.unwrap();
        assert!(kept.iter().any(|name| name.starts_with("B ")));
        assert_refused(&client, "SELECT name FROM kept", "hidden-relation").await;
        assert_refused(&client, "SELECT label(1)", "opaque-sql").await;
        for honest in ["open", "deep"] {
            assert_honest(&shop, &client, &format!("SELECT name FROM {honest} WHERE {bound}"))
                .await;
        }
        assert_honest(&shop, &client, "SELECT net(100)").await;
    });
}

#[test]
fn trap_15_row_estimates_come_from_everyones_statistics() {
    run(async {
        let shop = Shop::open().await;
        let own = format!(
            "SELECT name FROM org_products WHERE organization_id = '{A}' AND deleted_at IS NULL AND price = 4711"
        );
        let explain = format!("EXPLAIN {own}");
        let estimate = async |client: &Client| {
            let plan = rows(client, &explain).await.unwrap();
            let found = plan.iter().find_map(|line| line.split_once("rows=")?.1.split_once(' '));
            found.map(|(rows, _)| rows.parse::<u64>().unwrap()).unwrap()
        };
        shop.direct.batch_execute("ANALYZE org_products").await.unwrap();
        let before = estimate(&shop.direct).await;
        // Not one of these rows is A's.
        let more = format!(
            "INSERT INTO org_products (id, organization_id, sku, name, price) \
             SELECT gen_random_uuid(), '{B}', 'M' || n, 'B many', 4711 FROM generate_series(1, 5000) n; \
             INSERT INTO org_products (id, organization_id, sku, name, price) \
             SELECT gen_random_uuid(), '{A}', 'M' || n, 'A many', 1 FROM generate_series(1, 5000) n"
        );
        shop.direct.batch_execute(&more).await.unwrap();
        shop.direct.batch_execute("ANALYZE org_products").await.unwrap();
        let after = estimate(&shop.direct).await;
        assert!(rows(&shop.direct, &own).await.unwrap().is_empty());
        assert!(after > before + 100, "no leak: {before} and {after} rows");
        let guard = shop.guard("").await;
        let client = guard.session().await;
        for leak in [
            explain.clone(),
            format!("EXPLAIN ANALYZE {own}"),
            format!("EXPLAIN (COSTS ON) {own}"),
            format!("EXPLAIN (FORMAT JSON) {own}"),
            format!("EXPLAIN (COSTS OFF, COSTS) {own}"),
        ] {
            assert_refused(&client, &leak, "statistics-leak|not-understood").await;
        }
        assert_refused(
            &client,
            "SELECT most_common_vals FROM pg_stats WHERE tablename = 'org_products'",
            "statistics-leak",
        )
        .await;
        let honest = rows(&client, &format!("EXPLAIN (COSTS OFF) {own}")).await.unwrap();
        assert!(!honest.iter().any(|line| line.contains("rows=")), "{honest:?}");
        rows(&client, "EXPLAIN SELECT name FROM plans").await.unwrap();
    });
}

#[test]
fn trap_19_a_default_that_is_the_tenants_setting() {
    run(async {
        let shop = Shop::open().await;
        shop.both(&format!(
            "ALTER TABLE org_notes ALTER organization_id SET DEFAULT current_setting('app.organization_id')::uuid; \
             ALTER TABLE org_tags ALTER organization_id SET DEFAULT '{B}'; \
             ALTER TABLE org_members ALTER organization_id SET DEFAULT current_setting('app.other')::uuid"
        ))
        .await;
        let guard = shop.guard("").await;
        let client = guard.session().await;
        let leak = "INSERT INTO org_tags (id, label) VALUES (gen_random_uuid(), 'planted')";
        let planted = format!(
            "SELECT count(*) FROM org_tags WHERE label = 'planted' AND organization_id = '{B}'"
        );
        assert_eq!(after(&shop.direct, leak, &planted).await, ["1"], "no leak");
        assert_refused(&client, leak, "foreign-insert").await;
        let other = "INSERT INTO org_members (id, user_id) VALUES (gen_random_uuid(), 'c0000000-0000-4000-8000-000000000001')";
        assert_refused(&client, other, "foreign-insert").await;
        let honest = "INSERT INTO org_notes (id, body) VALUES ('a5000000-0000-4000-8000-0000000000aa', 'made by default')";
        assert_honest_write(&shop, &client, honest, "org_notes").await;
        let default = "INSERT INTO org_notes (id, organization_id, body) VALUES ('a5000000-0000-4000-8000-0000000000ab', DEFAULT, 'again')";
        assert_honest_write(&shop, &client, default, "org_notes").await;
    });
}

#[test]
fn trap_22_names_that_only_look_like_guarded_tables() {
    run(async {
        let shop = Shop::open().await;
        shop.both(
            "CREATE TYPE org_status AS ENUM ('open', 'paid'); \
             ALTER TABLE plans ADD CONSTRAINT org_plans_price CHECK (price >= 0)",
        )
        .await;
        let guard = shop.guard("").await;
        let client = guard.session().await;
        let bound =
            |alias: &str| format!("{alias}.organization_id = '{A}' AND {alias}.deleted_at IS NULL");
        // The same words where they are a table.
        let leak = "SELECT org_notes.body FROM org_notes";
        assert_leaks(&shop, leak).await;
        assert_refused(&client, leak, "unbound-tenant").await;
        for honest in [
            "SELECT 'open'::org_status, CAST('paid' AS org_status)".to_owned(),
            format!(
                "SELECT org_notes.body FROM org_notes AS org_notes WHERE {}",
                bound("org_notes")
            ),
            format!("SELECT org_notes.body FROM org_notes org_notes WHERE {}", bound("org_notes")),
            format!("SELECT public.org_notes.body FROM org_notes WHERE {}", bound("org_notes")),
            format!("SELECT 1 AS org_notes FROM org_notes n WHERE {}", bound("n")),
            format!("SELECT body FROM org_notes n WHERE {} ORDER BY n.body", bound("n")),
            "SELECT name AS org_name FROM plans AS org_plans".to_owned(),
        ] {
            assert_honest(&shop, &client, &honest).await;
        }
        for sequence in [
            &["BEGIN", "SAVEPOINT org_point", "RELEASE SAVEPOINT org_point", "ROLLBACK"][..],
            &["LISTEN org_channel", "NOTIFY org_channel", "UNLISTEN org_channel"],
            &[
                "BEGIN",
                "DECLARE org_cursor CURSOR FOR SELECT 1",
                "FETCH 1 FROM org_cursor",
                "CLOSE org_cursor",
                "COMMIT",
            ],
            &["CREATE INDEX org_units_name ON orgunits (name)"],
            &[
                "INSERT INTO countries (code, name) VALUES ('DE', 'x') ON CONFLICT ON CONSTRAINT countries_pkey DO NOTHING",
            ],
            &["PREPARE org_plan AS SELECT 1", "EXECUTE org_plan", "DEALLOCATE org_plan"],
        ] {
            for text in sequence {
                rows(&client, text).await.unwrap_or_else(|error| panic!("{text}: {error:?}"));
            }
        }
    });
}
