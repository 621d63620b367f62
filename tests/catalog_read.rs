//! What the catalogue's reader makes of a real database.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

use std::hash::RandomState;

use orgguard::catalog::{Snapshot, read};
use orgguard::cli::Throwaway;
use orgguard::config::{self, Overrides};
use orgguard::policy::{
    Catalog, CatalogReference, CatalogRelation, CatalogRule, CatalogTrigger, CatalogUnique, Found,
    RelationKind, RelationName, Settings, Write,
};
use tokio_postgres::{Client, NoTls};

const SCHEMA: &str = r#"
CREATE SCHEMA shop;
CREATE TABLE organizations (id uuid PRIMARY KEY);
CREATE TABLE org_products (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  organization_id uuid NOT NULL DEFAULT (current_setting('app.organization_id'))::uuid
    REFERENCES organizations,
  gone int, name varchar(20) NOT NULL, shout text GENERATED ALWAYS AS (upper(name)) STORED,
  deleted_at timestamptz);
ALTER TABLE org_products DROP COLUMN gone;
CREATE VIEW shop.live AS SELECT p.id, p.name FROM org_products p WHERE p.deleted_at IS NULL;
CREATE VIEW shop."Short; names" AS SELECT name AS n FROM shop.live;
CREATE MATERIALIZED VIEW kept AS SELECT organization_id, count(*) FROM org_products GROUP BY 1;

CREATE TABLE org_events (organization_id uuid, at date, n int) PARTITION BY RANGE (at);
CREATE TABLE events_2026 PARTITION OF org_events
  FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY LIST (n);
CREATE TABLE shop.events_2026_one PARTITION OF events_2026 FOR VALUES IN (1) PARTITION BY HASH (n);
CREATE TABLE events_2026_one_0 PARTITION OF shop.events_2026_one
  FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE TABLE other_base (a int);
CREATE TABLE archived_products (reason text) INHERITS (org_products, other_base);
CREATE TABLE other_sibling () INHERITS (other_base);

CREATE TABLE members (organization_id uuid
  REFERENCES organizations ON DELETE CASCADE ON UPDATE SET NULL, email text,
  CONSTRAINT one_email UNIQUE (organization_id, email));
CREATE UNIQUE INDEX shouted ON members (upper(email));
CREATE UNIQUE INDEX other_equality ON members (organization_id, email COLLATE "C");
CREATE UNIQUE INDEX some_emails ON members (email) INCLUDE (organization_id) WHERE email <> '';
ALTER ROLE ALL SET search_path = public, shop;
ALTER DATABASE postgres SET row_security = off;
CREATE TABLE ruled (a int);
CREATE TABLE ruled_too (a int);
CREATE RULE "off" AS ON DELETE TO ruled_too DO INSTEAD NOTHING;
ALTER TABLE ruled_too DISABLE RULE "off";
CREATE RULE "also" AS ON INSERT TO ruled DO ALSO NOTHING;
CREATE FUNCTION quiet() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER t BEFORE INSERT ON org_events FOR EACH ROW EXECUTE FUNCTION quiet();

CREATE FUNCTION shop.total(int) RETURNS bigint LANGUAGE sql STABLE
  AS 'SELECT count(*) FROM public.org_products';
CREATE FUNCTION public.total() RETURNS int LANGUAGE sql AS 'SELECT 1' SET search_path = shop;
CREATE FUNCTION public.total(text) RETURNS int LANGUAGE plpgsql IMMUTABLE
  AS 'BEGIN RETURN 1; END';

CREATE EXTENSION postgres_fdw;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw;
CREATE FOREIGN TABLE far (organization_id uuid) SERVER elsewhere;
CREATE TEMPORARY TABLE passing (a int);
CREATE ROLE nobody_special LOGIN;
CREATE ROLE bent LOGIN;
ALTER ROLE bent SET role = 'nobody_special';
ALTER ROLE bent IN DATABASE template1 SET session_replication_role = 'replica';
"#;

async fn connect(server: &Throwaway, user: &str) -> Client {
    let address = server.address();
    let dsn = format!("host={} port={} user={user} dbname=postgres", address.ip(), address.port());
    let (client, driver) = tokio_postgres::connect(&dsn, NoTls).await.unwrap();
    tokio::spawn(driver);
    client
}

fn relation<'a>(catalog: &'a Catalog, schema: &str, name: &str) -> &'a CatalogRelation {
    catalog.relation(&full(schema, name)).unwrap_or_else(|| panic!("no {schema}.{name}"))
}

fn full(schema: &str, name: &str) -> RelationName {
    RelationName { schema: schema.into(), name: name.into() }
}

fn start() -> Throwaway {
    Throwaway::start().unwrap()
}

#[tokio::test]
async fn what_is_read() {
    let server = start();
    let owner = connect(&server, "postgres").await;
    owner.batch_execute(SCHEMA).await.unwrap();
    let tables = &config::standard(&Overrides::default()).unwrap().policy.tables;
    // A role that may read none of the tables.
    let client = connect(&server, "nobody_special").await;
    let hasher = RandomState::new();
    let Snapshot { catalog, digest } = read(&client, tables, &hasher).await.unwrap();

    columns(&catalog);
    views(&catalog);
    families(&catalog);
    routines(&catalog);
    assert_eq!(relation(&catalog, "pg_catalog", "pg_class").kind, RelationKind::Table);
    assert_eq!(relation(&catalog, "information_schema", "tables").kind, RelationKind::Table);
    assert_eq!(relation(&catalog, "public", "far").kind, RelationKind::Foreign);
    assert_eq!(relation(&catalog, "public", "far").columns.len(), 1);
    let organizations = relation(&catalog, "public", "organizations");
    let reference = |table: &str, on_delete, on_update| CatalogReference {
        table: full("public", table),
        columns: vec!["id".into()],
        on_delete,
        on_update,
    };
    assert_eq!(
        organizations.references,
        [
            reference("org_products", None, None),
            reference("members", Some(Write::Delete), Some(Write::Update)),
        ]
    );
    rules_and_triggers(&catalog);
    roles(&catalog);
    let path = ["public".into(), "pg_temp".into()];
    assert_eq!(catalog.find(None, "passing", &path), Found::None);

    assert_eq!(read(&client, tables, &hasher).await.unwrap().digest, digest);
    for change in [
        "CREATE OR REPLACE VIEW shop.live AS SELECT p.id, p.name FROM org_products p",
        "ALTER TABLE org_products RENAME name TO title",
        "ALTER TABLE other_sibling NO INHERIT other_base",
        "ALTER FUNCTION shop.total(int) VOLATILE",
        "ALTER TABLE ruled ALTER a SET DEFAULT 3",
        "ALTER TABLE org_events DISABLE TRIGGER t",
        "ALTER ROLE nobody_special SET work_mem = '8MB'",
        "CREATE UNIQUE INDEX another ON ruled (a)",
    ] {
        let before = read(&client, tables, &hasher).await.unwrap().digest;
        owner.batch_execute(change).await.unwrap();
        let after = read(&client, tables, &hasher).await.unwrap().digest;
        assert_ne!(before, after, "not seen: {change}");
    }
}

fn columns(catalog: &Catalog) {
    let products = relation(catalog, "public", "org_products");
    let found: Vec<_> = products
        .columns
        .iter()
        .map(|it| (&*it.name, &*it.type_name, it.not_null, it.default.as_deref()))
        .collect();
    let setting = "(current_setting('app.organization_id'::text))::uuid";
    assert_eq!(
        found,
        [
            ("id", "bigint", true, None),
            ("organization_id", "uuid", true, Some(setting)),
            ("name", "character varying(20)", true, None),
            ("shout", "text", false, None),
            ("deleted_at", "timestamp with time zone", false, None),
        ]
    );
}

fn views(catalog: &Catalog) {
    let live = relation(catalog, "shop", "live");
    assert_eq!(live.kind, RelationKind::View);
    assert!(live.definition.as_deref().unwrap().contains("FROM public.org_products p"));
    let names: Vec<_> = live.columns.iter().map(|column| &*column.name).collect();
    assert_eq!(names, ["id", "name"]);
    let short = relation(catalog, "shop", "Short; names");
    assert!(short.definition.as_deref().unwrap().contains("FROM shop.live"));
    let kept = relation(catalog, "public", "kept");
    assert_eq!(kept.kind, RelationKind::MaterializedView);
    assert!(kept.definition.as_deref().unwrap().contains("public.org_products"));
    assert_eq!(live.rules, [], "a view's own rule is its definition");
}

fn rules_and_triggers(catalog: &Catalog) {
    let also = CatalogRule { name: "also".into(), write: Write::Insert };
    assert_eq!(relation(catalog, "public", "ruled").rules, [also]);
    assert_eq!(relation(catalog, "public", "ruled_too").rules, [], "it is disabled");
    let trigger = CatalogTrigger {
        name: "t".into(),
        routine: full("public", "quiet"),
        writes: vec![Write::Insert],
    };
    // A partition has its parent's.
    for name in ["org_events", "events_2026_one_0"] {
        assert_eq!(
            relation(catalog, "public", name).triggers,
            std::slice::from_ref(&trigger),
            "{name}"
        );
    }
    assert_eq!(relation(catalog, "public", "org_products").triggers, [], "foreign keys are not");
    let [quiet] = catalog.routines("quiet") else { panic!("one routine") };
    assert_eq!(quiet.body.as_deref(), Some("BEGIN RETURN NEW; END"));
    let unique = |name: &str, columns: Option<&[&str]>, is_whole| CatalogUnique {
        name: name.into(),
        columns: columns.map(|all| all.iter().map(|&column| column.into()).collect()),
        is_whole,
    };
    assert_eq!(
        relation(catalog, "public", "members").unique,
        [
            unique("one_email", Some(&["organization_id", "email"]), true),
            unique("other_equality", None, true),
            unique("shouted", None, true),
            unique("some_emails", Some(&["email"]), false),
        ]
    );
}

fn roles(catalog: &Catalog) {
    let path = |schemas: &[&str]| Settings {
        search_path: schemas.iter().map(|&schema| schema.into()).collect(),
        pooled: false,
        ..Settings::default()
    };
    let broken = |role: &str, settings: &Settings| {
        let names = catalog.broken_pins(role, settings).map(|setting| setting.name.to_string());
        names.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(broken("nobody_special", &path(&["public"])), "search_path, row_security");
    assert_eq!(broken("nobody_special", &path(&["public", "shop"])), "row_security");
    assert_eq!(broken("bent", &path(&["public", "shop"])), "role, row_security");
    assert!(catalog.is_on_path("bent", &["$user".into()]));
    assert!(!catalog.is_on_path("shop", &["$user".into(), "public".into()]));
}

fn families(catalog: &Catalog) {
    let middle = relation(catalog, "shop", "events_2026_one");
    assert_eq!(middle.family, [full("public", "events_2026"), full("public", "events_2026_one_0")]);
    for name in ["org_events", "events_2026", "events_2026_one_0", "archived_products"] {
        assert!(catalog.is_guarded(&full("public", name)), "{name}");
    }
    assert!(catalog.is_guarded(&full("shop", "events_2026_one")));
    assert!(catalog.is_guarded(&full("public", "other_base")), "it shows the rows of its child");
    assert!(!catalog.is_guarded(&full("public", "organizations")));
}

fn routines(catalog: &Catalog) {
    let found: Vec<_> = catalog
        .routines("total")
        .iter()
        .map(|it| (&*it.schema, &*it.language, it.is_volatile, it.body.as_deref()))
        .collect();
    assert_eq!(
        found,
        [
            ("shop", "sql", false, Some("SELECT count(*) FROM public.org_products")),
            ("public", "sql", true, None),
            ("public", "plpgsql", false, None),
        ]
    );
    let [of_extension] = catalog.routines("postgres_fdw_handler") else {
        panic!("one routine");
    };
    assert_eq!(of_extension.extension.as_deref(), Some("postgres_fdw"));
    assert_eq!(catalog.routines("lower"), []);
}
