//! The guard with a catalogue, in front of a real server: what is made while it runs is guarded,
//! and a catalogue whose connection is lost stays in force.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/catalog.rs"]
mod support;

use std::net::SocketAddr;

use orgguard::catalog::Health;
use support::{Guard, NEVER, assert_refused, assert_runs, connect, refused, run, server, until};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_postgres::NoTls;

const TENANT: &str = "11111111-1111-4111-8111-111111111111";

const SCHEMA: &str = "
CREATE TABLE base (organization_id uuid, deleted_at timestamptz, name text);
CREATE TABLE org_products (id int) INHERITS (base);
CREATE TABLE org_events (organization_id uuid, deleted_at timestamptz, at date)
  PARTITION BY RANGE (at);
CREATE TABLE notes (name text);
CREATE TABLE plain (organization_id uuid, deleted_at timestamptz, name text);
CREATE VIEW harmless AS SELECT name FROM plain;
CREATE FUNCTION tally() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM public.plain';
CREATE ROLE app LOGIN SUPERUSER";

/// A statement over a relation that is not bound, and the same bound to the tenant.
fn open(relation: &str) -> String {
    format!("SELECT * FROM {relation}")
}

fn bound(relation: &str) -> String {
    format!("SELECT * FROM {relation} WHERE organization_id = '{TENANT}' AND deleted_at IS NULL")
}

#[test]
fn what_is_made_beside_the_guard_is_guarded_when_it_is_first_named() {
    run(async {
        let (server, owner) = server(SCHEMA).await;
        let guard = Guard::start("enforce", server.address(), server.address(), NEVER).await;
        let client = connect(guard.address).await;
        assert_runs(&client, &open("plain")).await;
        assert_refused(&client, &open("org_products"), "unbound-tenant").await;
        assert_refused(&client, &open("base"), "unbound-tenant").await;
        assert_refused(&client, &open("nowhere"), "hidden-relation").await;
        for (relation, sql) in [
            ("products_view", "CREATE VIEW products_view AS SELECT * FROM org_products"),
            (
                "events_2026",
                "CREATE TABLE events_2026 PARTITION OF org_events \
                 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
            ),
            ("old_products", "CREATE TABLE old_products () INHERITS (org_products)"),
        ] {
            owner.batch_execute(sql).await.unwrap();
            assert_refused(&client, &open(relation), "unbound-tenant").await;
            assert_runs(&client, &bound(relation)).await;
        }
        owner.batch_execute("CREATE TABLE nowhere (a int)").await.unwrap();
        assert_runs(&client, &open("nowhere")).await;
        assert_eq!(client.query(&open("nowhere"), &[]).await.unwrap().len(), 0);
    });
}

#[test]
fn what_changes_beside_the_guard_is_seen_within_the_interval() {
    run(async {
        let (server, owner) = server(SCHEMA).await;
        let guard = Guard::start("enforce", server.address(), server.address(), "50ms").await;
        let client = connect(guard.address).await;
        let prepared = client.prepare("SELECT name FROM harmless").await.unwrap();
        client.query(&prepared, &[]).await.unwrap();
        for (sql, change) in [
            (
                "SELECT name FROM harmless",
                "CREATE OR REPLACE VIEW harmless AS SELECT name FROM org_products",
            ),
            (
                "SELECT tally()",
                "CREATE OR REPLACE FUNCTION tally() RETURNS bigint LANGUAGE sql STABLE \
                 AS 'SELECT count(*) FROM public.org_products'",
            ),
            ("SELECT name FROM plain", "ALTER TABLE plain INHERIT base"),
        ] {
            assert_runs(&client, sql).await;
            owner.batch_execute(change).await.unwrap();
            until(change, async || refused(&client, sql).await.is_some()).await;
        }
        let error = client.query(&prepared, &[]).await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "42501", "a plan outlived its catalogue");
        let readings = guard.metric("orgguard_catalog_refreshes_total{result=\"changed\"}");
        assert!(readings.unwrap().parse::<u32>().unwrap() >= 4);
    });
}

#[test]
fn what_is_made_through_the_guard_is_known_at_once() {
    run(async {
        let (server, _owner) = server(SCHEMA).await;
        let guard = Guard::start("enforce", server.address(), server.address(), NEVER).await;
        let (client, other) = (connect(guard.address).await, connect(guard.address).await);
        // The column is the guarded table's own as long as `notes` has none of this name.
        let sql = format!(
            "SELECT id FROM org_products WHERE deleted_at IS NULL \
             AND EXISTS (SELECT FROM notes WHERE organization_id = '{TENANT}')"
        );
        let (add, drop) = (
            "ALTER TABLE notes ADD COLUMN organization_id uuid",
            "ALTER TABLE notes DROP COLUMN organization_id",
        );
        assert_runs(&other, &sql).await;
        assert_runs(&client, add).await;
        assert_refused(&other, &sql, "unbound-tenant").await;
        assert_runs(&client, drop).await;
        assert_runs(&other, &sql).await;

        // Within a block it is committed first, and seen by others then; extended protocol too.
        client.execute("BEGIN", &[]).await.unwrap();
        client.execute(add, &[]).await.unwrap();
        client.execute("COMMIT", &[]).await.unwrap();
        assert_refused(&other, &sql, "unbound-tenant").await;
        client.execute(drop, &[]).await.unwrap();
        assert_runs(&other, &sql).await;
        // What makes a table one of a guarded family is DDL on that family.
        assert_refused(&client, "ALTER TABLE plain INHERIT base", "guarded-ddl").await;
        assert_runs(&client, "CREATE TABLE made (a int); INSERT INTO plain VALUES (NULL)").await;
        assert_runs(&other, "SELECT * FROM made").await;
    });
}

#[test]
fn a_lost_connection_leaves_the_last_catalogue_in_force() {
    run(async {
        let (server, owner) = server(SCHEMA).await;
        let mut way = Way::open(server.address()).await;
        let guard = Guard::start("enforce", server.address(), way.address, NEVER).await;
        let client = connect(guard.address).await;
        assert_runs(&client, &bound("base")).await;
        assert_eq!(guard.ready().await, (200, "ready\n".to_owned()));
        assert_eq!(guard.metric("orgguard_catalog_up").unwrap(), "1");
        assert!(guard.metric("orgguard_catalog_relations").unwrap().parse::<u32>().unwrap() > 60);

        // A session that is ended is replaced.
        owner
            .batch_execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE application_name = 'orgguard catalogue'",
            )
            .await
            .unwrap();
        let unchanged = "orgguard_catalog_refreshes_total{result=\"unchanged\"}";
        until("read again", async || guard.metric(unchanged).is_some()).await;
        assert_eq!(guard.policies.health(), Health::Fresh);

        way.close().await;
        until("down", async || guard.metric("orgguard_catalog_up").unwrap() == "0").await;
        owner.batch_execute("CREATE TABLE later (a int)").await.unwrap();
        assert_refused(&client, &open("base"), "unbound-tenant").await;
        assert_runs(&client, &bound("base")).await;
        assert_runs(&client, &open("plain")).await;
        assert_refused(&client, &open("later"), "hidden-relation").await;
        let (status, body) = guard.ready().await;
        assert_eq!(status, 200);
        assert!(body.starts_with("ready\ncatalogue: stale, read "), "{body}");

        way.open_again(server.address()).await;
        until("up", async || guard.metric("orgguard_catalog_up").unwrap() == "1").await;
        assert_runs(&client, &open("later")).await;
        assert_eq!(guard.ready().await, (200, "ready\n".to_owned()));
    });
}

#[test]
fn a_catalogue_that_was_never_read_knows_nothing() {
    run(async {
        let (server, _owner) = server(SCHEMA).await;
        let mut way = Way::open(server.address()).await;
        way.close().await;
        let guard = Guard::start("enforce", server.address(), way.address, NEVER).await;
        let client = connect(guard.address).await;
        let (status, body) = guard.ready().await;
        assert_eq!(status, 503);
        assert!(body.contains("the catalogue has not been read yet"), "{body}");
        assert_refused(&client, &open("plain"), "hidden-relation").await;

        // Audit does not wait for it, and everything passes.
        let audit = Guard::start("audit", server.address(), way.address, NEVER).await;
        assert_runs(&connect(audit.address).await, &open("org_products")).await;
        let counted = "orgguard_violations_total{mode=\"audit\",rule=\"hidden-relation\",\
                       table=\"org_products\"}";
        until("counted", async || audit.metric(counted).is_some()).await;

        // A statement that waits goes on as soon as the catalogue is there.
        let text = open("plain");
        let waiting = client.simple_query(&text);
        let opened = way.open_again(server.address());
        let (answer, ()) = tokio::join!(waiting, opened);
        answer.unwrap();
        assert_eq!(guard.ready().await, (200, "ready\n".to_owned()));
    });
}

#[test]
fn a_session_of_another_database_is_refused() {
    run(async {
        let (server, _owner) = server(SCHEMA).await;
        let guard = Guard::start("enforce", server.address(), server.address(), NEVER).await;
        let address = guard.address;
        let dsn =
            format!("host={} port={} user=app dbname=template1", address.ip(), address.port());
        let error = tokio_postgres::connect(&dsn, NoTls).await.err().unwrap();
        let error = error.as_db_error().unwrap();
        assert!(error.message().contains("\"database\" names another database"), "{error:?}");
        let audit = Guard::start("audit", server.address(), server.address(), NEVER).await;
        let dsn = dsn.replace(&address.port().to_string(), &audit.address.port().to_string());
        assert!(tokio_postgres::connect(&dsn, NoTls).await.is_ok());
    });
}

/// A way to the server that can be closed while the server stays.
struct Way {
    address: SocketAddr,
    tasks: JoinSet<()>,
}

impl Way {
    async fn open(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut way = Self { address, tasks: JoinSet::new() };
        way.tasks.spawn(forward(listener, server));
        way
    }

    async fn close(&mut self) {
        self.tasks.shutdown().await;
    }

    async fn open_again(&mut self, server: SocketAddr) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.tasks.spawn(forward(listener, server));
    }
}

async fn forward(listener: TcpListener, server: SocketAddr) {
    let mut connections = JoinSet::new();
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        connections.spawn(async move {
            let mut server = TcpStream::connect(server).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        });
    }
}
