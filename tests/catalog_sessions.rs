//! What a catalogue means to one session: temporary tables, plans that it has overtaken, what a
//! write sets off, settings of roles, and what errors may quote.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/catalog.rs"]
mod support;

use support::{Guard, NEVER, assert_refused, assert_runs, connect, refused, run, server, until};
use tokio_postgres::{Client, NoTls};

const A: &str = "11111111-1111-4111-8111-111111111111";
const B: &str = "22222222-2222-4222-8222-222222222222";

const SCHEMA: &str = "
CREATE TABLE org_products (id int PRIMARY KEY, organization_id uuid NOT NULL,
  name text, barcode text UNIQUE, during int4range, deleted_at timestamptz,
  EXCLUDE USING gist (during WITH &&));
INSERT INTO org_products VALUES
  (1, '11111111-1111-4111-8111-111111111111', 'mine', 'own', '[1,2)'),
  (2, '22222222-2222-4222-8222-222222222222', 'secret', 'theirs', '[10,77)');
CREATE TABLE plain (id int, name text);
CREATE TABLE parent (id int PRIMARY KEY);
INSERT INTO parent VALUES (1);
CREATE TABLE org_children (organization_id uuid, deleted_at timestamptz,
  parent int REFERENCES parent ON DELETE CASCADE);
INSERT INTO org_children VALUES ('22222222-2222-4222-8222-222222222222', NULL, 1);
CREATE VIEW v_plain AS SELECT name FROM plain;
CREATE ROLE app LOGIN SUPERUSER";

const BOUND: &str =
    "organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL";

async fn rows(client: &Client, sql: &str) -> usize {
    let messages =
        client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let is_row = |it: &&tokio_postgres::SimpleQueryMessage| {
        matches!(it, tokio_postgres::SimpleQueryMessage::Row(_))
    };
    messages.iter().filter(is_row).count()
}

#[test]
fn temporary_tables_are_the_sessions_own() {
    run(async {
        let (server, _owner) = server(SCHEMA).await;
        let guard = Guard::start("enforce", server.address(), server.address(), NEVER).await;
        let client = connect(guard.address).await;
        let other = connect(guard.address).await;
        assert_runs(&client, "CREATE TEMP TABLE picked (id int)").await;
        let fill = format!("INSERT INTO picked SELECT id FROM org_products WHERE {BOUND}");
        assert_runs(&client, &fill).await;
        let join = format!(
            "SELECT p.name FROM org_products p JOIN picked t USING (id) \
                            WHERE p.organization_id = '{A}' AND p.deleted_at IS NULL"
        );
        assert_eq!(rows(&client, &join).await, 1);
        assert_eq!(client.query(&join, &[]).await.unwrap().len(), 1);
        // Its columns are not known, so it lends a guarded table no proof.
        let bare = format!(
            "SELECT name FROM org_products WHERE deleted_at IS NULL \
             AND EXISTS (SELECT FROM picked WHERE organization_id = '{A}')"
        );
        assert_refused(&client, &bare, "unbound-tenant").await;
        // Another session has no such table.
        assert_refused(&other, "SELECT id FROM picked", "hidden-relation").await;

        // In one string, and as the result of a query.
        let made = format!(
            "CREATE TEMP TABLE kept AS SELECT id FROM org_products WHERE {BOUND}; SELECT id FROM kept"
        );
        assert_eq!(rows(&client, &made).await, 1);
        assert_refused(
            &client,
            "CREATE TEMP TABLE all_of_it AS SELECT * FROM org_products",
            "unbound-tenant",
        )
        .await;
        assert_runs(&client, "DROP TABLE kept").await;
        assert_refused(&client, "SELECT id FROM kept", "hidden-relation").await;
        assert_runs(&client, "DISCARD TEMP").await;
        assert_refused(&client, "SELECT id FROM picked", "hidden-relation").await;
    });
}

#[test]
fn what_shadows_a_relation_is_not_taken_for_it() {
    run(async {
        let (server, _owner) = server(SCHEMA).await;
        let guard = Guard::start("enforce", server.address(), server.address(), NEVER).await;
        let client = connect(guard.address).await;
        // As `plain` has no such column, the predicate is about the guarded table.
        let sql = format!(
            "SELECT name FROM org_products p WHERE deleted_at IS NULL \
             AND EXISTS (SELECT FROM plain WHERE organization_id = '{A}')"
        );
        assert_runs(&client, &sql).await;
        let prepared = client.prepare(&sql).await.unwrap();
        client.batch_execute(&format!("PREPARE p AS {sql}")).await.unwrap();
        let make = format!("CREATE TEMP TABLE plain AS SELECT '{A}'::uuid AS organization_id");
        assert_runs(&client, &make).await;
        assert_refused(&client, &sql, "hidden-relation").await;
        assert_refused(&client, "EXECUTE p", "hidden-relation").await;
        let error = client.query(&prepared, &[]).await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "42501");
        assert_runs(&client, "SELECT name FROM public.plain").await;
        assert_refused(&client, "CREATE TEMP TABLE org_products (id int)", "guarded-ddl").await;

        // What an open transaction changes, the catalogue has not seen.
        let client = connect(guard.address).await;
        client.batch_execute("BEGIN").await.unwrap();
        assert_runs(&client, &sql).await;
        assert_runs(&client, "ALTER TABLE plain ADD COLUMN organization_id uuid").await;
        assert_refused(&client, &sql, "unbound-tenant").await;
        client.batch_execute("ROLLBACK").await.unwrap();
        assert_runs(&client, &sql).await;
        client.batch_execute("BEGIN").await.unwrap();
        assert_runs(&client, "CREATE TABLE fresh (organization_id uuid)").await;
        assert_runs(&client, "SELECT * FROM fresh").await;
        client.batch_execute("ROLLBACK").await.unwrap();
        assert_refused(&client, "SELECT * FROM fresh", "hidden-relation").await;
    });
}

#[test]
fn prepared_statements_and_cursors_follow_the_catalogue() {
    run(async {
        let (server, owner) = server(SCHEMA).await;
        let guard = Guard::start("enforce", server.address(), server.address(), "50ms").await;
        let client = connect(guard.address).await;
        client.batch_execute("PREPARE p AS SELECT name FROM v_plain").await.unwrap();
        client.batch_execute("EXECUTE p").await.unwrap();
        let execute = client.prepare("EXECUTE p").await.unwrap();
        client.query(&execute, &[]).await.unwrap();
        let change = "CREATE OR REPLACE VIEW v_plain AS SELECT name FROM org_products";
        owner.batch_execute(change).await.unwrap();
        until(change, async || refused(&client, "SELECT name FROM v_plain").await.is_some()).await;
        assert_refused(&client, "EXECUTE p", "unbound-tenant").await;
        assert!(client.query(&execute, &[]).await.is_err());

        // A portal and a cursor outlive a change that is none of theirs.
        let mut client = connect(guard.address).await;
        let transaction = client.transaction().await.unwrap();
        let bound = format!("SELECT name FROM org_products WHERE {BOUND}");
        let one = transaction.bind("SELECT generate_series(1, 3)", &[]).await.unwrap();
        let by_value = transaction
            .bind_raw("SELECT name FROM org_products WHERE id = 1 AND organization_id = '11111111-1111-4111-8111-111111111111' AND deleted_at IS NULL AND name = $1", ["mine"])
            .await
            .unwrap();
        transaction.batch_execute(&format!("DECLARE c CURSOR FOR {bound}")).await.unwrap();
        let generation = guard.policies.generation();
        owner.batch_execute("CREATE TABLE elsewhere (a int)").await.unwrap();
        until("seen", async || guard.policies.generation() > generation).await;
        assert_eq!(transaction.query_portal(&one, 1).await.unwrap().len(), 1);
        assert_eq!(transaction.query_portal(&by_value, 0).await.unwrap().len(), 1);
        assert_eq!(transaction.query("FETCH ALL FROM c", &[]).await.unwrap().len(), 1);
        transaction.commit().await.unwrap();
    });
}

#[test]
fn a_write_counts_as_what_it_sets_off() {
    run(async {
        let (server, owner) = server(SCHEMA).await;
        owner
            .batch_execute(&format!(
                "CREATE TABLE org_fed (organization_id uuid, name text, deleted_at timestamptz);
                 CREATE TABLE org_touched (organization_id uuid, name text, deleted_at timestamptz);
                 CREATE FUNCTION plant() RETURNS trigger LANGUAGE plpgsql AS
                   'BEGIN NEW.organization_id := ''{B}''; RETURN NEW; END';
                 CREATE FUNCTION tidy_up() RETURNS trigger LANGUAGE plpgsql AS
                   'BEGIN NEW.name := lower(NEW.name); RETURN NEW; END';
                 CREATE TRIGGER t BEFORE INSERT ON org_fed FOR EACH ROW EXECUTE FUNCTION plant();
                 CREATE TRIGGER t BEFORE INSERT ON org_touched
                   FOR EACH ROW EXECUTE FUNCTION tidy_up()"
            ))
            .await
            .unwrap();
        let guard = Guard::start("enforce", server.address(), server.address(), NEVER).await;
        let client = connect(guard.address).await;
        let insert = |table: &str| {
            format!("INSERT INTO {table} (organization_id, name) VALUES ('{A}', 'X')")
        };
        // Without the guard the row is another tenant's.
        owner.batch_execute(&insert("org_fed")).await.unwrap();
        let planted = format!("SELECT name FROM org_fed WHERE organization_id = '{B}'");
        assert_eq!(owner.query(&planted, &[]).await.unwrap().len(), 1);
        assert_refused(&client, &insert("org_fed"), "opaque-sql").await;
        assert_runs(&client, &insert("org_touched")).await;
        let merge = format!(
            "MERGE INTO org_fed f USING (SELECT '{A}'::uuid AS o) s ON f.organization_id = s.o \
             AND f.deleted_at IS NULL AND f.organization_id = '{A}' \
             WHEN NOT MATCHED THEN INSERT (organization_id, name) VALUES ('{A}', 'X')"
        );
        assert_refused(&client, &merge, "opaque-sql").await;
        assert_refused(&client, "COPY plain TO PROGRAM 'true'", "opaque-sql").await;

        // A delete of a parent takes other tenants' rows with it.
        assert_refused(&client, "DELETE FROM parent WHERE id = 1", "hidden-relation").await;
        assert_eq!(owner.query("SELECT FROM org_children", &[]).await.unwrap().len(), 1);

        owner
            .batch_execute("CREATE RULE r AS ON DELETE TO plain DO ALSO DELETE FROM org_products")
            .await
            .unwrap();
        assert_runs(&client, "INSERT INTO plain VALUES (1)").await;
        let delete = "DELETE FROM plain";
        let more = "[routines]\nallow = [\"public.plant\"]\n[guard]\ncascades = [\"parent\"]\n";
        let lenient =
            Guard::start_with("enforce", server.address(), server.address(), NEVER, more).await;
        let lenient = connect(lenient.address).await;
        assert_refused(&lenient, delete, "hidden-relation").await;
        assert_runs(&lenient, &insert("org_fed")).await;
        assert_runs(&lenient, "DELETE FROM parent WHERE id = 1").await;
    });
}

#[test]
fn roles_that_come_with_other_settings_are_refused() {
    run(async {
        let (server, owner) = server(SCHEMA).await;
        owner
            .batch_execute(
                "CREATE ROLE bent LOGIN; CREATE ROLE mighty; GRANT mighty TO bent;
                 ALTER ROLE bent SET role = 'mighty';
                 CREATE ROLE plain_role LOGIN; ALTER ROLE plain_role SET work_mem = '8MB';
                 ALTER ROLE plain_role SET standard_conforming_strings = off",
            )
            .await
            .unwrap();
        let guard = Guard::start("enforce", server.address(), server.address(), NEVER).await;
        assert_runs(&connect(guard.address).await, "SELECT name FROM plain").await;
        let dsn = |role: &str, guard: &Guard| {
            format!("host=127.0.0.1 port={} user={role} dbname=postgres", guard.address.port())
        };
        let error = tokio_postgres::connect(&dsn("bent", &guard), NoTls).await.err().unwrap();
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), "42501");
        assert!(error.message().contains("ALTER ROLE"), "{error:?}");
        // The startup packet overrides what it pins.
        assert!(tokio_postgres::connect(&dsn("plain_role", &guard), NoTls).await.is_ok());
        let audit = Guard::start("audit", server.address(), server.address(), NEVER).await;
        until("read", async || audit.policies.is_settled()).await;
        assert!(tokio_postgres::connect(&dsn("bent", &audit), NoTls).await.is_ok());
        let counted = "orgguard_violations_total{mode=\"audit\",rule=\"session-escape\",\
                       table=\"other\"}";
        until("counted", async || audit.metric(counted).is_some()).await;
    });
}

#[test]
fn errors_do_not_quote_other_tenants_rows() {
    run(async {
        let (server, owner) = server(SCHEMA).await;
        let insert = format!(
            "INSERT INTO org_products (id, organization_id, during) VALUES (9, '{A}', '[11,12)')"
        );
        let detail = async |client: &Client, sql: &str| {
            let error = client.batch_execute(sql).await.unwrap_err();
            let error = error.as_db_error().unwrap().clone();
            (error.code().code().to_owned(), format!("{error:?}"))
        };
        let (code, shown) = detail(&owner, &insert).await;
        assert_eq!(code, "23P01");
        assert!(shown.contains("77"), "PostgreSQL itself shows the other row: {shown}");
        let guard = Guard::start("enforce", server.address(), server.address(), NEVER).await;
        let client = connect(guard.address).await;
        let (code, shown) = detail(&client, &insert).await;
        assert_eq!(code, "23P01");
        assert!(!shown.contains("77") && shown.contains("org_products"), "{shown}");
        assert!(shown.contains("masked by orgguard"), "{shown}");

        let early = format!("SELECT 1 FROM org_products WHERE name::int > 0 AND {BOUND}");
        let more = "[guard]\nmask_errors = \"all\"\n";
        let all =
            Guard::start_with("enforce", server.address(), server.address(), NEVER, more).await;
        let all = connect(all.address).await;
        for sql in [early.as_str(), "SELECT 1; COMMIT; SELECT 'x'::int"] {
            let (_, shown) = detail(&client, sql).await;
            assert!(shown.contains("invalid input syntax"), "{shown}");
        }
        let (code, shown) = detail(&all, &early).await;
        assert_eq!(code, "22P02");
        assert!(!shown.contains("invalid input") && !shown.contains("mine"), "{shown}");
        let audit = Guard::start("audit", server.address(), server.address(), NEVER).await;
        assert!(detail(&connect(audit.address).await, &insert).await.1.contains("77"));
    });
}
