//! What happens beside the statement: in its tables, its session, other sessions, its errors.

use super::shop::{A, B, Shop, rows, run};
use super::{after, assert_honest, assert_refused};

#[test]
fn trap_05_unguarded_parents_reach_guarded_tables() {
    run(async {
        let shop = Shop::open().await;
        let guard = shop.guard("").await;
        let client = guard.session().await;
        let others = format!("SELECT count(*) FROM org_products WHERE organization_id = '{B}'");
        for (text, rules) in [
            ("TRUNCATE organizations CASCADE", "guarded-ddl|opaque-sql"),
            ("TRUNCATE plans, users CASCADE", "guarded-ddl|opaque-sql"),
        ] {
            assert_eq!(after(&shop.direct, text, &others).await, ["0"], "no leak: {text}");
            assert_refused(&client, text, rules).await;
        }
        let cascades = [
            format!("DELETE FROM organizations WHERE id = '{B}'"),
            "DELETE FROM organizations WHERE slug = 'beta'".to_string(),
        ];
        let relax = "ALTER TABLE org_order_items DROP CONSTRAINT org_order_items_product_id_fkey; \
                     ALTER TABLE org_orders DROP CONSTRAINT org_orders_customer_id_fkey, DROP CONSTRAINT org_orders_partner_id_fkey; \
                     ALTER TABLE org_customers DROP CONSTRAINT org_customers_parent_id_fkey; \
                     ALTER TABLE org_products DROP CONSTRAINT org_products_supplier_id_fkey; \
                     ALTER TABLE org_notes DROP CONSTRAINT org_notes_organization_id_fkey, \
                     ADD FOREIGN KEY (organization_id) REFERENCES organizations ON UPDATE CASCADE ON DELETE CASCADE";
        shop.both(relax).await;
        let guard = shop.guard("").await;
        let client = guard.session().await;
        for text in &cascades {
            assert_eq!(after(&shop.direct, text, &others).await, ["0"], "no leak: {text}");
            assert_refused(&client, text, "guarded-ddl|hidden-relation|unbound-tenant").await;
        }
        // The key moves another organization's rows.
        let key = format!("UPDATE organizations SET id = gen_random_uuid() WHERE id = '{B}'");
        assert_refused(&client, &key, "guarded-ddl|hidden-relation|unbound-tenant|tenant-move")
            .await;
        for ddl in [
            "DROP TABLE organizations CASCADE",
            "DROP SCHEMA public CASCADE",
            "DROP OWNED BY app",
            "DROP TABLE org_notes",
        ] {
            assert_refused(&client, ddl, "guarded-ddl|opaque-sql|session-escape").await;
        }
        assert_honest(&shop, &client, "SELECT id, name FROM organizations ORDER BY 1").await;
        rows(&client, "UPDATE organizations SET name = 'Alpha again' WHERE slug = 'alpha'")
            .await
            .unwrap();
        rows(&client, "DELETE FROM orgunits WHERE id = 1").await.unwrap();
    });
}

#[test]
fn trap_08_rules_and_triggers_of_a_written_relation() {
    run(async {
        let shop = Shop::open().await;
        shop.both(&format!(
            "CREATE TABLE inbox (body text); CREATE TABLE outbox (body text); \
             CREATE RULE also AS ON INSERT TO inbox DO ALSO DELETE FROM org_notes; \
             CREATE FUNCTION plant() RETURNS trigger LANGUAGE plpgsql AS \
               $$BEGIN NEW.organization_id = '{B}'; RETURN NEW; END$$; \
             CREATE TRIGGER plant BEFORE INSERT ON org_tags FOR EACH ROW EXECUTE FUNCTION plant(); \
             CREATE FUNCTION spill() RETURNS trigger LANGUAGE plpgsql AS \
               $$BEGIN UPDATE org_customers SET name = 'taken'; RETURN NULL; END$$; \
             CREATE TRIGGER spill AFTER UPDATE ON orgunits FOR EACH STATEMENT EXECUTE FUNCTION spill(); \
             CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS \
               $$BEGIN NEW.updated_at = now(); RETURN NEW; END$$; \
             CREATE TRIGGER touch BEFORE UPDATE ON org_products FOR EACH ROW EXECUTE FUNCTION touch()"
        ))
        .await;
        let guard = shop.guard("[routines]\nallow = [\"touch\"]").await;
        let client = guard.session().await;
        let plant = format!(
            "INSERT INTO org_tags (id, organization_id, label) VALUES (gen_random_uuid(), '{A}', 'planted')"
        );
        for (text, question, seen) in [
            (
                plant.as_str(),
                format!(
                    "SELECT count(*) FROM org_tags WHERE label = 'planted' AND organization_id = '{B}'"
                ),
                "1",
            ),
            (
                "INSERT INTO inbox VALUES ('x')",
                format!("SELECT count(*) FROM org_notes WHERE organization_id = '{B}'"),
                "0",
            ),
            (
                "UPDATE orgunits SET name = 'x'",
                format!(
                    "SELECT count(*) FROM org_customers WHERE organization_id = '{B}' AND name = 'taken'"
                ),
                "4",
            ),
        ] {
            assert_eq!(after(&shop.direct, text, &question).await, [seen], "no leak: {text}");
            assert_refused(&client, text, "opaque-sql|hidden-relation|unbound-tenant").await;
        }
        // Cascades run triggers of the tables they reach.
        shop.both("CREATE TRIGGER spill AFTER DELETE ON org_order_items FOR EACH STATEMENT EXECUTE FUNCTION spill()").await;
        let shop_guard = shop.guard("").await;
        let delete =
            format!("DELETE FROM org_orders WHERE organization_id = '{A}' AND deleted_at IS NULL");
        assert_refused(&shop_guard.session().await, &delete, "opaque-sql|hidden-relation").await;
        // A trigger that is vouched for, and a table without any.
        rows(&client, "INSERT INTO outbox VALUES ('x')").await.unwrap();
        let honest = format!(
            "UPDATE org_products SET stock = 1 WHERE organization_id = '{A}' AND deleted_at IS NULL"
        );
        rows(&client, &honest).await.unwrap();
        let stocks = format!(
            "SELECT count(*) FROM org_products WHERE stock = 1 AND organization_id = '{B}'"
        );
        assert_eq!(
            rows(&shop.direct, &stocks).await.unwrap(),
            ["1"],
            "another organization's rows changed"
        );
        // What it does is plain to see, without anyone's word for it.
        rows(&shop_guard.session().await, &honest).await.unwrap();
    });
}

#[test]
fn trap_09_names_are_resolved_per_role_and_session() {
    run(async {
        let shop = Shop::open().await;
        // Each role's own schema comes before public.
        shop.both(
            "CREATE SCHEMA guest; CREATE VIEW guest.plans AS SELECT id, name FROM public.org_products; \
             GRANT USAGE ON SCHEMA guest, public TO guest; GRANT SELECT ON ALL TABLES IN SCHEMA guest, public TO guest",
        )
        .await;
        let guard = shop.guard("").await;
        let text = "SELECT name FROM plans";
        let guest = shop.server.connect("guest", &shop.database).await;
        assert!(
            rows(&guest, text).await.unwrap().iter().any(|name| name.starts_with("B ")),
            "no leak"
        );
        // A name that depends on the role is refused to every role; with its schema it is one.
        let client = guard.session().await;
        for session in [&client, &guard.session_of("guest", A).await] {
            assert_refused(session, text, "hidden-relation").await;
        }
        assert_honest(&shop, &client, "SELECT name FROM public.plans").await;
        let whole = "SELECT name FROM guest.plans";
        assert_refused(&client, whole, "unbound-tenant").await;
        assert_refused(&guard.session_of("guest", A).await, whole, "unbound-tenant").await;

        // A temporary view shadows a shared table, for this session alone.
        let shadow = "CREATE TEMP VIEW regions AS SELECT id, name FROM org_products";
        shop.direct.batch_execute(shadow).await.unwrap();
        assert!(
            rows(&shop.direct, "SELECT name FROM regions")
                .await
                .unwrap()
                .iter()
                .any(|it| it.starts_with("B "))
        );
        shop.direct.batch_execute("DROP VIEW pg_temp.regions").await.unwrap();
        assert_refused(&client, shadow, "unbound-tenant|guarded-ddl").await;
        assert_honest(&shop, &client, "SELECT name FROM regions").await;
        // The same in a block that is not committed: no catalogue sees it.
        shop.direct
            .batch_execute("BEGIN; CREATE TABLE drafts () INHERITS (org_notes)")
            .await
            .unwrap();
        shop.direct.batch_execute("ROLLBACK").await.unwrap();
        rows(&client, "BEGIN").await.unwrap();
        assert_refused(
            &client,
            "CREATE TABLE drafts () INHERITS (org_notes)",
            "guarded-ddl|opaque-sql|hidden-relation",
        )
        .await;
        rows(&client, "ROLLBACK").await.unwrap();

        // What an admitted statement made is known to its session at once, and in its block.
        let own = format!(
            "CREATE TEMP TABLE mine AS SELECT name FROM org_products WHERE organization_id = '{A}' AND deleted_at IS NULL"
        );
        rows(&client, &own).await.unwrap();
        assert_eq!(rows(&client, "SELECT count(*) FROM mine").await.unwrap(), ["4"]);
        for text in [
            "BEGIN",
            "CREATE TABLE made (a int)",
            "INSERT INTO made VALUES (1)",
            "SELECT a FROM made",
            "ROLLBACK",
        ] {
            rows(&client, text).await.unwrap_or_else(|error| panic!("{text}: {error:?}"));
        }
        assert_refused(&guard.session().await, "SELECT count(*) FROM mine", "hidden-relation")
            .await;
    });
}

#[test]
fn trap_10_a_plan_is_used_only_where_it_was_made_for() {
    run(async {
        let shop = Shop::open().await;
        shop.both(
            "CREATE SCHEMA guest; CREATE VIEW guest.plans AS SELECT id, name FROM public.org_products; \
             GRANT USAGE ON SCHEMA guest, public TO guest; GRANT SELECT ON ALL TABLES IN SCHEMA guest, public TO guest; \
             CREATE FUNCTION yes(uuid, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'; \
             CREATE OPERATOR = (LEFTARG = uuid, RIGHTARG = text, FUNCTION = yes)",
        )
        .await;
        let guard = shop.guard("").await;
        let client = guard.session().await;
        // One text under two roles, the honest one first and afterwards again.
        let text = "SELECT name FROM plans";
        let guest = shop.server.connect("guest", &shop.database).await;
        assert!(
            rows(&guest, text).await.unwrap().iter().any(|name| name.starts_with("B ")),
            "no leak"
        );
        for _ in 0..2 {
            for role in ["app", "guest"] {
                let session = guard.session_of(role, A).await;
                assert_refused(&session, text, "hidden-relation").await;
                rows(&session, "SELECT name FROM public.plans").await.unwrap();
            }
        }
        // One text in two sessions, of which one has a table of its own by that name.
        let own = "SELECT count(*) FROM mine";
        rows(&client, "CREATE TEMP TABLE mine AS SELECT 1 AS a").await.unwrap();
        for _ in 0..2 {
            assert_eq!(rows(&client, own).await.unwrap(), ["1"]);
            assert_refused(&guard.session().await, own, "hidden-relation").await;
        }
        // One text for two organizations.
        let text = format!(
            "SELECT name FROM org_products WHERE organization_id = '{A}' AND deleted_at IS NULL"
        );
        let other = guard.session_of("app", B).await;
        for _ in 0..2 {
            assert_honest(&shop, &client, &text).await;
            assert_refused(&other, &text, "foreign-tenant").await;
        }
        // One text with two declared types of its parameter.
        let text = "SELECT body FROM org_notes WHERE organization_id = $1 AND deleted_at IS NULL";
        let (uuid, loose) = (tokio_postgres::types::Type::UUID, tokio_postgres::types::Type::TEXT);
        let leak = shop.direct.prepare_typed(text, std::slice::from_ref(&loose)).await.unwrap();
        let bodies = shop.direct.query(&leak, &[&A]).await.unwrap();
        assert!(bodies.iter().any(|row| row.get::<_, &str>(0).starts_with("B ")), "no leak");
        for _ in 0..2 {
            let honest = client.prepare_typed(text, std::slice::from_ref(&uuid)).await.unwrap();
            assert_eq!(client.query(&honest, &[&Uuid(A)]).await.unwrap().len(), 3);
            let refused = match client.prepare_typed(text, std::slice::from_ref(&loose)).await {
                Ok(leak) => client.query(&leak, &[&A]).await.map(|_| ()),
                Err(error) => Err(error),
            };
            assert_eq!(refused.unwrap_err().code().unwrap().code(), "42501");
        }
        // Two texts that differ in a literal that decides.
        let (fence, limit) = ("OFFSET 0", "OFFSET 1");
        for tail in [fence, limit, fence] {
            let text = format!(
                "SELECT name FROM (SELECT * FROM org_products WHERE organization_id = '{A}' AND deleted_at IS NULL {tail}) p \
                 WHERE p.organization_id = '{A}'"
            );
            assert!(rows(&client, &text).await.is_ok(), "{text}");
        }
    });
}

/// A uuid as a parameter.
#[derive(Debug)]
struct Uuid(&'static str);

impl tokio_postgres::types::ToSql for Uuid {
    fn to_sql(
        &self,
        _: &tokio_postgres::types::Type,
        out: &mut bytes::BytesMut,
    ) -> Result<tokio_postgres::types::IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let digits: Vec<u32> = self.0.chars().filter_map(|one| one.to_digit(16)).collect();
        let pairs = digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap());
        out.extend(pairs);
        Ok(tokio_postgres::types::IsNull::No)
    }

    fn accepts(own: &tokio_postgres::types::Type) -> bool {
        *own == tokio_postgres::types::Type::UUID
    }

    tokio_postgres::types::to_sql_checked!();
}

#[test]
fn trap_14_error_details_show_keys_of_others() {
    run(async {
        let shop = Shop::open().await;
        shop.both("CREATE TABLE org_bookings (id int PRIMARY KEY, organization_id uuid NOT NULL, deleted_at timestamptz, \
               during int4range, EXCLUDE USING gist (during WITH &&)); \
             CREATE TABLE countries_of (code char(2) REFERENCES countries)")
        .await;
        shop.direct
            .batch_execute(&format!(
                "INSERT INTO org_bookings VALUES (1, '{B}', NULL, '[421,433)')"
            ))
            .await
            .unwrap();
        let probe = format!(
            "INSERT INTO org_bookings (id, organization_id, during) VALUES (2, '{A}', '[1,1000)')"
        );
        let error = rows(&shop.direct, &probe).await.unwrap_err();
        assert_eq!(error.code().code(), "23P01");
        assert!(error.detail().unwrap().contains("[421,433)"), "no leak: {error:?}");
        let guard = shop.guard("").await;
        let client = guard.session().await;
        let unique = format!(
            "INSERT INTO org_products (id, organization_id, sku, name, barcode) VALUES (gen_random_uuid(), '{A}', 'n', 'n', 'BC-B1')"
        );
        for (text, code) in [(&probe, "23P01"), (&unique, "23505")] {
            let error = rows(&client, text).await.unwrap_err();
            assert_eq!(error.code().code(), code);
            assert!(!error.message().is_empty());
            let whole = format!("{error:?}");
            assert!(!whole.contains("421") && !whole.contains("BC-B1"), "{whole}");
        }
        // The session goes on, and an error that shows nothing of a guarded table keeps its words.
        let missing = rows(&client, "SELECT nothing FROM plans").await.unwrap_err();
        assert_eq!(missing.code().code(), "42703");
        assert!(missing.message().contains("nothing"), "{missing:?}");
        let text = format!(
            "SELECT name FROM org_products WHERE organization_id = '{A}' AND deleted_at IS NULL"
        );
        assert_honest(&shop, &client, &text).await;
    });
}
