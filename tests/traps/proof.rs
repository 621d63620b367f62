//! What a predicate proves.

use super::shop::{self, A, B, Server, Shop, rows, run};
use super::{after, assert_honest, assert_honest_write, assert_leaks, assert_refused, postgres18};
use tokio_postgres::Client;

#[test]
fn trap_01_merge_when_not_matched_by_source() {
    let head = format!(
        "MERGE INTO org_notes t USING (SELECT 'a5000000-0000-4000-8000-000000000001'::uuid AS id) s \
         ON t.id = s.id AND t.organization_id = '{A}' AND t.deleted_at IS NULL \
         WHEN MATCHED THEN UPDATE SET body = 'matched'"
    );
    let bare = format!("{head} WHEN NOT MATCHED BY SOURCE THEN UPDATE SET body = 'taken'");
    let delete = format!("{head} WHEN NOT MATCHED BY SOURCE THEN DELETE");
    let half = format!(
        "{head} WHEN NOT MATCHED BY SOURCE AND t.deleted_at IS NULL THEN UPDATE SET body = 'taken'"
    );
    let bound = format!(
        "{head} WHEN NOT MATCHED BY SOURCE AND t.organization_id = '{A}' AND t.deleted_at IS NULL \
         THEN UPDATE SET body = 'own'"
    );
    let taken = format!(
        "SELECT count(*) FROM org_notes WHERE organization_id = '{B}' AND body NOT LIKE '%B %'"
    );
    run(async {
        // PostgreSQL 15 and 16 do not know the clause.
        let usual = Server::usual().await;
        if usual.version().await < 170_000 {
            let shop = Shop::on(usual).await;
            assert_eq!(rows(&shop.direct, &bare).await.unwrap_err().code().code(), "42601");
            let guard = shop.guard("").await;
            assert_refused(&guard.session().await, &bare, "unbound-tenant|not-understood").await;
            assert_honest_write(&shop, &guard.session().await, &head, "org_notes").await;
        }
        let programs = tokio::task::spawn_blocking(postgres18::programs).await.unwrap();
        let server = Server::of(Some(programs)).await;
        assert!(server.version().await >= 170_000);
        let shop = Shop::on(server).await;
        assert_eq!(after(&shop.direct, &bare, &taken).await, ["4"], "no leak");
        let guard = shop.guard("").await;
        let client = guard.session().await;
        for leak in [&bare, &delete, &half] {
            assert_refused(&client, leak, "unbound-tenant").await;
        }
        assert_honest_write(&shop, &client, &bound, "org_notes").await;
    });
}

#[test]
fn trap_02_volatile_functions_beside_the_predicates() {
    run(async {
        let shop = Shop::open().await;
        let bound = format!("organization_id = '{A}' AND deleted_at IS NULL");
        let leak = format!(
            "SELECT id FROM org_products WHERE pg_notify('names', name) IS NOT NULL AND {bound}"
        );
        let (ears, heard) = shop::listen(shop.server.address(), "app", &shop.database).await;
        ears.batch_execute("LISTEN names").await.unwrap();
        shop.direct.batch_execute("ANALYZE org_products").await.unwrap();
        rows(&shop.direct, &leak).await.unwrap();
        let foreign = || heard.lock().unwrap().iter().any(|name| name.starts_with("B "));
        for _ in 0..100 {
            if foreign() {
                break;
            }
            // Notifications come with the answer to the next question, or the one after it.
            rows(&ears, "SELECT pg_sleep(0.05)").await.unwrap();
        }
        assert!(foreign(), "no leak");
        let in_join = format!(
            "SELECT o.id FROM org_orders o JOIN org_products p ON pg_notify('names', p.name) IS NOT NULL \
             WHERE o.organization_id = '{A}' AND o.deleted_at IS NULL \
             AND p.organization_id = '{A}' AND p.deleted_at IS NULL"
        );
        let behind = format!(
            "SELECT id FROM org_products WHERE {bound} AND pg_notify('names', name) IS NOT NULL"
        );
        let delete =
            format!("DELETE FROM org_notes WHERE {bound} AND pg_notify('names', body) IS NOT NULL");
        // Whatever the order of evaluation may be.
        for order in ["ignore", "advise", "refuse"] {
            let guard = shop.guard(&format!("[guard]\nevaluation_order = \"{order}\"")).await;
            let client = guard.session().await;
            heard.lock().unwrap().clear();
            for leak in [&leak, &in_join, &behind, &delete] {
                assert_refused(&client, leak, "opaque-sql").await;
            }
            rows(&ears, "SELECT pg_sleep(0.05)").await.unwrap();
            assert!(heard.lock().unwrap().is_empty());
            let honest = format!("SELECT id, upper(name) FROM org_products WHERE {bound}");
            assert_honest(&shop, &client, &honest).await;
        }
    });
}

#[test]
fn trap_03_a_cte_hides_no_target_and_not_its_own_body() {
    run(async {
        let shop = Shop::open().await;
        let guard = shop.guard("").await;
        let client = guard.session().await;
        let left = "SELECT count(*) FROM org_notes";
        for (text, rules) in [
            ("WITH org_notes AS (SELECT 1 AS id) DELETE FROM org_notes", "unbound-tenant"),
            (
                "WITH org_notes AS (SELECT 1 AS id) UPDATE org_notes SET body = 'taken'",
                "unbound-tenant",
            ),
        ] {
            let taken = "SELECT count(*) FROM org_notes WHERE body LIKE 'B %'";
            assert_eq!(after(&shop.direct, text, taken).await, ["0"], "no leak: {text}");
            assert_refused(&client, text, rules).await;
        }
        let own_name =
            "WITH org_products AS (SELECT * FROM org_products) SELECT name FROM org_products";
        assert_leaks(&shop, own_name).await;
        assert_refused(&client, own_name, "unbound-tenant").await;
        assert_eq!(rows(&shop.direct, left).await.unwrap(), ["8"]);
        let bound = format!("organization_id = '{A}' AND deleted_at IS NULL");
        assert_honest(
            &shop,
            &client,
            &format!("WITH org_products AS (SELECT * FROM org_products WHERE {bound}) SELECT name FROM org_products"),
        )
        .await;
        assert_honest(
            &shop,
            &client,
            "WITH org_products AS (SELECT 1 AS id) SELECT id FROM org_products",
        )
        .await;
        let delete =
            format!("WITH org_notes AS (SELECT 1 AS id) DELETE FROM org_notes WHERE {bound}");
        assert_honest_write(&shop, &client, &delete, "org_notes").await;
    });
}

#[test]
fn trap_04_comparisons_that_are_not_the_columns_own_equality() {
    run(async {
        let shop = Shop::open().await;
        // A third organization whose id begins and ends like A's, for what compares a part.
        let near = "11111111-1111-4111-8111-1111111111f1";
        let plant = format!(
            "INSERT INTO organizations VALUES ('{near}', 'Near', 'near', 1); \
             INSERT INTO org_notes (id, organization_id, body) VALUES (gen_random_uuid(), '{near}', 'B near')"
        );
        shop.direct.batch_execute(&plant).await.unwrap();
        let guard = shop.guard("").await;
        let client = guard.session().await;
        for comparison in [
            format!("organization_id::varchar(8) = '{A}'::varchar(8)"),
            format!("organization_id::text::varchar(8) = '{A}'::varchar(8)"),
            format!("organization_id::text::\"char\" = '{A}'::\"char\""),
            format!(
                "organization_id::text::name = '{A}'::name OR organization_id::text::char(4) = '{A}'::char(4)"
            ),
            format!(
                "('x' || translate(left(organization_id::text, 8), '-', ''))::bit(32)::int::float8 = ('x' || left('{A}', 8))::bit(32)::int::float8"
            ),
            format!("organization_id >= '{A}'"),
            format!("NOT (organization_id < '{A}')"),
        ] {
            let leak =
                format!("SELECT body FROM org_notes WHERE {comparison} AND deleted_at IS NULL");
            assert_leaks(&shop, &leak).await;
            assert_refused(&client, &leak, "unbound-tenant").await;
        }
        // An `=` of one's own between uuid and text, which the column's own would not be.
        shop.both(
            "CREATE FUNCTION yes(uuid, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'; \
             CREATE OPERATOR = (LEFTARG = uuid, RIGHTARG = text, FUNCTION = yes)",
        )
        .await;
        let own = format!(
            "SELECT body FROM org_notes WHERE organization_id = '{A}'::text AND deleted_at IS NULL"
        );
        assert_leaks(&shop, &own).await;
        assert_refused(&client, &own, "unbound-tenant").await;
        let spelled = format!(
            "SELECT body FROM org_notes WHERE organization_id OPERATOR(public.=) '{A}'::text AND deleted_at IS NULL"
        );
        assert_leaks(&shop, &spelled).await;
        assert_refused(&client, &spelled, "unbound-tenant|not-understood").await;
        let prepared = "PREPARE own (text) AS SELECT body FROM org_notes WHERE organization_id = $1 AND deleted_at IS NULL";
        shop.direct.batch_execute(prepared).await.unwrap();
        assert_leaks_prepared(&shop.direct).await;
        let admitted = match rows(&client, prepared).await {
            Ok(_) => rows(&client, &format!("EXECUTE own('{A}')")).await,
            Err(error) => Err(error),
        };
        assert_eq!(admitted.unwrap_err().code().code(), "42501");
        for making in [
            "CREATE TYPE pg_temp.uuid AS ENUM ('a')",
            "CREATE DOMAIN uuid AS text",
            "CREATE OPERATOR = (LEFTARG = text, RIGHTARG = uuid, FUNCTION = yes)",
            "CREATE CAST (text AS boolean) WITH INOUT AS IMPLICIT",
            "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false)",
            "CREATE EXTENSION citext",
            "CREATE FUNCTION no(uuid, text) RETURNS boolean LANGUAGE sql AS 'SELECT false'",
        ] {
            assert_refused(&client, making, "opaque-sql|session-escape|not-understood").await;
        }
        for honest in [
            format!("organization_id = '{A}'"),
            format!("organization_id = '{A}'::uuid"),
            format!("'{A}' = organization_id"),
            format!("organization_id = CAST('{A}' AS uuid)"),
        ] {
            let honest =
                format!("SELECT body FROM org_notes WHERE {honest} AND deleted_at IS NULL");
            assert_honest(&shop, &client, &honest).await;
        }
    });
}

async fn assert_leaks_prepared(direct: &Client) {
    let seen = rows(direct, &format!("EXECUTE own('{A}')")).await.unwrap();
    assert!(seen.iter().any(|row| row.starts_with("B ")), "no leak: {seen:?}");
}

#[test]
fn trap_23_tables_that_another_column_binds() {
    run(async {
        let shop = Shop::open().await;
        let user = "c0000000-0000-4000-8000-000000000001";
        let switcher = format!(
            "SELECT organization_id, role FROM org_members WHERE user_id = '{user}' AND deleted_at IS NULL ORDER BY 1"
        );
        let junction =
            format!("SELECT product_id FROM org_product_tags WHERE organization_id = '{A}'");
        let strict = shop.guard("").await;
        assert_refused(&strict.session().await, &switcher, "unbound-tenant").await;
        let guard = shop
            .guard(
                "[[guard.table]]\nname = \"org_members\"\nbound_by = [\"organization_id\", \"user_id\"]\n\
                 [[guard.table]]\nname = \"org_product_tags\"\nsoft_delete = false",
            )
            .await;
        let client = guard.session().await;
        // The user's memberships everywhere, which row-level security by organization cannot give.
        let seen = rows(&client, &switcher).await.unwrap();
        assert_eq!(seen, rows(&shop.direct, &switcher).await.unwrap());
        assert_eq!(seen.len(), 2, "{seen:?}");
        for leak in [
            "SELECT user_id, role FROM org_members WHERE deleted_at IS NULL".to_owned(),
            "SELECT role FROM org_members WHERE user_id IS NOT NULL AND deleted_at IS NULL"
                .to_owned(),
            format!(
                "SELECT m.role, n.body FROM org_members m JOIN org_notes n ON n.organization_id = m.organization_id WHERE m.user_id = '{user}' AND m.deleted_at IS NULL AND n.deleted_at IS NULL"
            ),
            "SELECT product_id FROM org_product_tags".to_owned(),
        ] {
            let all = rows(&shop.direct, &leak).await.unwrap().len();
            let twin = rows(&shop.twin, &leak).await.unwrap().len();
            assert!(all > twin, "no leak: {leak}");
            assert_refused(&client, &leak, "unbound-tenant").await;
        }
        let member = format!(
            "SELECT role FROM org_members WHERE organization_id = '{A}' AND deleted_at IS NULL"
        );
        assert_honest(&shop, &client, &member).await;
        assert_honest(&shop, &client, &junction).await;
    });
}
