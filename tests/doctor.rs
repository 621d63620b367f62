//! `orgguard doctor`: each planted flaw is found, and mended by the SQL printed for it; a clean
//! database is passed over in silence.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use orgguard::cli::Throwaway;
use serde_json::Value;
use tokio_postgres::{Client, NoTls};

/// The style guide's schema with every one of its traps avoided.
const CLEAN: &str = "
CREATE TABLE organizations (id uuid PRIMARY KEY, name text NOT NULL UNIQUE,
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz);
CREATE TABLE countries (code text PRIMARY KEY);
CREATE TABLE org_products (id uuid PRIMARY KEY,
  organization_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
  sku text NOT NULL, country text REFERENCES countries,
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz, UNIQUE (organization_id, id));
CREATE UNIQUE INDEX org_products_sku ON org_products (organization_id, lower(sku))
  WHERE deleted_at IS NULL;
CREATE TABLE org_categories (id uuid PRIMARY KEY,
  organization_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
  parent_id uuid, is_default boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz, UNIQUE (organization_id, id),
  FOREIGN KEY (organization_id, parent_id) REFERENCES org_categories (organization_id, id));
CREATE UNIQUE INDEX ON org_categories (organization_id) WHERE is_default;
CREATE TABLE org_products_to_categories (
  organization_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
  product_id uuid, category_id uuid, deleted_at timestamptz,
  PRIMARY KEY (organization_id, product_id, category_id),
  FOREIGN KEY (organization_id, product_id) REFERENCES org_products (organization_id, id),
  FOREIGN KEY (organization_id, category_id) REFERENCES org_categories (organization_id, id));
CREATE TABLE org_events (id uuid,
  organization_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE, at date,
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz, PRIMARY KEY (organization_id, id, at)) PARTITION BY RANGE (at);
CREATE TABLE org_events_2026 PARTITION OF org_events
  FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE VIEW live_products WITH (security_invoker = true) AS
  SELECT * FROM org_products WHERE deleted_at IS NULL;
CREATE VIEW country_codes AS SELECT code FROM countries;
CREATE MATERIALIZED VIEW product_count AS SELECT count(*) FROM org_products;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN NEW.updated_at := now(); /* as org_products has it */ RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE UPDATE ON org_products FOR EACH ROW EXECUTE FUNCTION touch();
DO $$ DECLARE t text; BEGIN
  FOREACH t IN ARRAY ARRAY['org_products', 'org_categories', 'org_products_to_categories',
                           'org_events'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY own ON %I USING (organization_id = '
      'current_setting(''app.organization_id'')::uuid)', t);
  END LOOP; END $$;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO app;
REVOKE ALL ON product_count FROM app;
";

/// Columns of a table that is as it should be.
const COLUMNS: &str = "id uuid PRIMARY KEY, \
  organization_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE, \
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(), \
  deleted_at timestamptz";

struct Server {
    postgres: Throwaway,
}

/// One server for the tests that run at a time; the last of them stops it.
fn server() -> Arc<Server> {
    static SERVER: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let mut shared = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = shared.upgrade() {
        return server;
    }
    let server = Arc::new(Server { postgres: Throwaway::start().unwrap() });
    server.sql("postgres", "CREATE ROLE app LOGIN");
    server.sql("postgres", "CREATE DATABASE clean");
    server.sql("clean", CLEAN);
    *shared = Arc::downgrade(&server);
    server
}

impl Server {
    fn dsn(&self, database: &str) -> String {
        let address = self.postgres.address();
        format!("host={} port={} user=postgres dbname={database}", address.ip(), address.port())
    }

    fn sql(&self, database: &str, sql: &str) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (client, driver) =
                tokio_postgres::connect(&self.dsn(database), NoTls).await.unwrap();
            let driver = tokio::spawn(driver);
            client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}\n{error:?}"));
            drop(client);
            // The server has let the session go, so that its database can be a template.
            driver.await.unwrap().unwrap();
        });
    }

    /// A copy of the clean database.
    fn database(&self) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let name = format!("shop_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        self.sql("postgres", &format!("CREATE DATABASE {name} TEMPLATE clean"));
        name
    }

    fn doctor(&self, database: &str, more: &[&str]) -> (i32, String, String) {
        let mut arguments = vec!["doctor".to_owned(), self.dsn(database)];
        arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        run(&arguments)
    }

    fn findings(&self, database: &str, more: &[&str]) -> (i32, Vec<Value>) {
        let json = ["--format", "json"];
        let (code, output, error) = self.doctor(database, &[more, &json].concat());
        assert!(error.is_empty(), "{error}");
        let report: Value = serde_json::from_str(&output).unwrap();
        (code, report["findings"].as_array().unwrap().clone())
    }
}

fn run(arguments: &[String]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_orgguard")).args(arguments).output().unwrap();
    let Output { status, stdout, stderr } = output;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn names(findings: &[Value]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    findings.iter().map(|it| (text(&it["flaw"]), text(&it["object"]))).collect()
}

/// Plants a flaw, looks that it and nothing else is found, mends it by the SQL printed for it if
/// there is any, and looks that nothing is left.
fn planted(plant: &str, role: &str, wanted: &[(&str, &str)], mended: bool) {
    let server = server();
    let database = server.database();
    server.sql(&database, plant);
    let (code, findings) = server.findings(&database, &["--role", role]);
    let owned: Vec<_> = wanted.iter().map(|(f, o)| ((*f).to_owned(), (*o).to_owned())).collect();
    assert_eq!(names(&findings), owned, "{findings:#?}");
    let only_notes = findings.iter().all(|finding| finding["level"] == "note");
    assert_eq!(code, i32::from(!only_notes));
    for finding in &findings {
        let fix = finding["fix"].as_array().unwrap();
        assert_eq!(!fix.is_empty(), mended, "{finding:#?}");
        for statement in fix {
            server.sql(&database, statement.as_str().unwrap());
        }
    }
    if mended {
        let (_, left) = server.findings(&database, &["--role", role]);
        assert_eq!(left, Vec::<Value>::new());
    }
}

#[test]
fn a_clean_database_has_no_findings() {
    let server = server();
    let database = server.database();
    let (code, findings) = server.findings(&database, &["--role", "app"]);
    assert_eq!((code, findings), (0, Vec::new()));
    let (code, output, error) = server.doctor(&database, &["--role", "app"]);
    assert_eq!((code, &*error), (0, ""));
    let (first, last) = output.trim_end().split_once('\n').unwrap();
    assert!(first.starts_with(&format!("0 errors, 0 warnings, 0 notes in database {database}")));
    assert_eq!(last, "roles looked at: app");
}

#[test]
fn missing_tenant_column() {
    let plant = "CREATE TABLE org_notes (id uuid PRIMARY KEY, \
      created_at timestamptz, updated_at timestamptz, deleted_at timestamptz)";
    let server = server();
    let database = server.database();
    server.sql(&database, plant);
    let (_, findings) = server.findings(&database, &["--role", "app"]);
    let flaw = ("missing-tenant-column".to_owned(), "public.org_notes".to_owned());
    assert_eq!(names(&findings), [flaw]);
    // Only with the column the rest can be told; three rounds at most mend it all.
    for _ in 0..3 {
        for finding in server.findings(&database, &["--role", "app"]).1 {
            for statement in finding["fix"].as_array().unwrap() {
                server.sql(&database, statement.as_str().unwrap());
            }
        }
    }
    assert_eq!(server.findings(&database, &["--role", "app"]).1, Vec::<Value>::new());
}

#[test]
fn tenant_column_of_another_type() {
    let plant = "CREATE TABLE org_notes (id uuid PRIMARY KEY, organization_id text NOT NULL, \
      created_at timestamptz, updated_at timestamptz, deleted_at timestamptz); \
      CREATE INDEX ON org_notes (organization_id); \
      ALTER TABLE org_notes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; \
      CREATE POLICY none ON org_products AS RESTRICTIVE USING (true)";
    let server = server();
    let database = server.database();
    server.sql(&database, plant);
    let (_, findings) = server.findings(&database, &["--role", "app"]);
    assert!(names(&findings)[0].0 == "missing-tenant-column", "{findings:#?}");
    let detail = findings[0]["detail"].as_str().unwrap();
    assert_eq!(detail, "organization_id is text, and the configuration says uuid");
    for finding in &findings {
        for statement in finding["fix"].as_array().unwrap() {
            server.sql(&database, statement.as_str().unwrap());
        }
    }
    assert_eq!(server.findings(&database, &["--role", "app"]).1, Vec::<Value>::new());
}

#[test]
fn nullable_tenant() {
    let plant = "ALTER TABLE org_products ALTER organization_id DROP NOT NULL";
    planted(plant, "app", &[("nullable-tenant", "public.org_products")], true);
}

#[test]
fn missing_soft_delete() {
    let wanted = [("missing-soft-delete", "public.org_categories")];
    planted("ALTER TABLE org_categories DROP deleted_at", "app", &wanted, true);
}

#[test]
fn soft_delete_that_cannot_work() {
    for change in
        ["TYPE timestamp", "SET NOT NULL", "SET DEFAULT now()", "TYPE date USING deleted_at::date"]
    {
        let plant = format!("ALTER TABLE org_categories ALTER deleted_at {change}");
        planted(&plant, "app", &[("missing-soft-delete", "public.org_categories")], true);
    }
}

#[test]
fn missing_timestamps() {
    let plant = "ALTER TABLE org_categories DROP created_at, DROP updated_at";
    planted(plant, "app", &[("missing-timestamps", "public.org_categories")], true);
    let plant = "ALTER TABLE org_categories ALTER created_at TYPE timestamp";
    planted(plant, "app", &[("missing-timestamps", "public.org_categories")], true);
}

#[test]
fn no_tenant_index() {
    let plant = format!(
        "CREATE TABLE org_notes ({COLUMNS}); \
         ALTER TABLE org_notes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; \
         CREATE POLICY own ON org_notes USING (organization_id IS NOT NULL); \
         CREATE INDEX ON org_notes (deleted_at, organization_id); \
         CREATE INDEX ON org_notes (organization_id) WHERE deleted_at IS NOT NULL"
    );
    planted(&plant, "app", &[("no-tenant-index", "public.org_notes")], true);
}

#[test]
fn unique_without_tenant() {
    let wanted = [("unique-without-tenant", "public.org_products")];
    planted("ALTER TABLE org_products ADD UNIQUE (sku)", "app", &wanted, true);
    let index = "CREATE UNIQUE INDEX \"by (name)\" ON org_products (lower(sku)) WHERE sku > 'a'";
    planted(index, "app", &wanted, true);
    let exclude = "ALTER TABLE org_products ADD EXCLUDE USING hash (sku WITH =)";
    let server = server();
    let database = server.database();
    server.sql(&database, exclude);
    // With a role: without one, the session that planted the flaw may still count as the application's.
    let (_, findings) = server.findings(&database, &["--role", "app"]);
    assert_eq!(names(&findings)[0].0, "unique-without-tenant");
}

#[test]
fn one_row_for_each_organization() {
    let wanted = [("one-row-per-tenant", "public.org_products")];
    for keys in ["organization_id", "deleted_at", "organization_id, deleted_at"] {
        let plant = format!("CREATE UNIQUE INDEX ON org_products ({keys})");
        planted(&plant, "app", &wanted, true);
    }
    let plant = format!(
        "CREATE TABLE org_notes ({COLUMNS}, UNIQUE (organization_id)); \
         ALTER TABLE org_notes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; \
         CREATE POLICY own ON org_notes USING (organization_id IS NOT NULL)"
    );
    planted(&plant, "app", &[("one-row-per-tenant", "public.org_notes")], true);
}

#[test]
fn crossing_foreign_key() {
    let wanted = [("crossing-foreign-key", "public.org_products")];
    for action in ["", "ON DELETE CASCADE", "ON DELETE SET NULL", "DEFERRABLE INITIALLY DEFERRED"] {
        let plant = format!(
            "ALTER TABLE org_products ADD category_id uuid REFERENCES org_categories (id) {action}"
        );
        planted(&plant, "app", &wanted, true);
    }
    // Also to its own table, whose unique constraint is missing.
    let plant = "ALTER TABLE org_events ADD UNIQUE (organization_id, at, id); \
      ALTER TABLE org_categories DROP CONSTRAINT org_categories_organization_id_parent_id_fkey, \
      ADD FOREIGN KEY (parent_id) REFERENCES org_categories (id)";
    planted(plant, "app", &[("crossing-foreign-key", "public.org_categories")], true);
}

#[test]
fn unguarded_child() {
    let plant = "CREATE TABLE notes (id uuid PRIMARY KEY, product uuid REFERENCES org_products)";
    planted(plant, "app", &[("unguarded-child", "public.notes")], false);
}

#[test]
fn unguarded_tenant_table() {
    let plant = format!(
        "CREATE TABLE notes ({COLUMNS}); CREATE INDEX ON notes (organization_id); \
         ALTER TABLE notes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; \
         CREATE POLICY own ON notes USING (organization_id IS NOT NULL)"
    );
    planted(&plant, "app", &[("unguarded-tenant-table", "public.notes")], true);
    // A partition under another name is the same rows by another way.
    let plant = "CREATE TABLE \"Events 2027\" PARTITION OF org_events \
      FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')";
    planted(plant, "app", &[("unguarded-tenant-table", "public.\"Events 2027\"")], true);
}

#[test]
fn missing_tenant_reference() {
    let plant = "ALTER TABLE org_products DROP CONSTRAINT org_products_organization_id_fkey";
    planted(plant, "app", &[("missing-tenant-reference", "public.org_products")], true);
}

#[test]
fn superuser_role() {
    let plant = "CREATE ROLE boss LOGIN SUPERUSER";
    planted(plant, "boss", &[("superuser-role", "boss")], true);
    let plant = "CREATE ROLE root_like SUPERUSER; CREATE ROLE apprentice LOGIN IN ROLE root_like";
    planted(plant, "apprentice", &[("superuser-role", "apprentice")], true);
}

#[test]
fn bypassrls_role() {
    let plant = "CREATE ROLE \"by-pass\" LOGIN BYPASSRLS";
    planted(plant, "by-pass", &[("bypassrls-role", "\"by-pass\"")], true);
}

#[test]
fn owner_role() {
    let plant = "CREATE ROLE maker LOGIN; ALTER TABLE org_products OWNER TO maker";
    planted(plant, "maker", &[("owner-role", "maker")], true);
    let plant = "CREATE ROLE owners; CREATE ROLE worker LOGIN IN ROLE owners; \
      ALTER TABLE org_products OWNER TO owners";
    planted(plant, "worker", &[("owner-role", "worker")], true);
}

#[test]
fn definer_view() {
    let plant = "CREATE VIEW all_products AS SELECT * FROM org_products";
    planted(plant, "app", &[("definer-view", "public.all_products")], true);
    let plant = "CREATE VIEW skus AS SELECT sku FROM live_products";
    planted(plant, "app", &[("definer-view", "public.skus")], true);
}

#[test]
fn guarded_matview() {
    let plant = "CREATE MATERIALIZED VIEW kept AS SELECT * FROM live_products; \
      GRANT SELECT ON kept TO app, PUBLIC";
    planted(plant, "app", &[("guarded-matview", "public.kept")], true);
}

#[test]
fn routines_that_read_guarded_tables() {
    let notes = [("reading-routine", "public.total(integer)")];
    for body in [
        "sql AS 'SELECT count(*) FROM org_products'",
        "sql BEGIN ATOMIC SELECT count(*) FROM live_products; END",
        "plpgsql AS $$ BEGIN EXECUTE 'SELECT count(*) FROM ' || 'org_products'; RETURN 1; END $$",
    ] {
        let plant = format!("CREATE FUNCTION total(int) RETURNS bigint LANGUAGE {body}");
        planted(&plant, "app", &notes, false);
    }
    let server = server();
    let database = server.database();
    let plant = "CREATE FUNCTION total(int) RETURNS bigint LANGUAGE sql SECURITY DEFINER \
      AS 'SELECT count(*) FROM org_products'";
    server.sql(&database, plant);
    let (code, findings) = server.findings(&database, &["--role", "app"]);
    assert_eq!(code, 1);
    assert_eq!(names(&findings)[0].0, "definer-routine");
    server.sql(&database, findings[0]["fix"][0].as_str().unwrap());
    let (code, findings) = server.findings(&database, &["--role", "app"]);
    assert_eq!((code, &*names(&findings)[0].0), (0, "reading-routine"));
}

#[test]
fn missing_rls() {
    let wanted = [("missing-rls", "public.org_products")];
    for change in ["DISABLE ROW LEVEL SECURITY", "NO FORCE ROW LEVEL SECURITY"] {
        planted(&format!("ALTER TABLE org_products {change}"), "app", &wanted, true);
    }
    planted("DROP POLICY own ON org_products", "app", &wanted, true);
}

/// The policies that are printed hold: a role that is held by them sees one organization.
#[test]
fn printed_policies_hold() {
    let server = server();
    let database = server.database();
    let one = "11111111-1111-1111-1111-111111111111";
    let rows = format!(
        "DROP POLICY own ON org_products; ALTER TABLE org_products DISABLE ROW LEVEL SECURITY;
         INSERT INTO organizations (id, name) VALUES ('{one}', 'a'), (gen_random_uuid(), 'b');
         INSERT INTO org_products (id, organization_id, sku)
           SELECT gen_random_uuid(), id, 'x' FROM organizations"
    );
    server.sql(&database, &rows);
    let (_, findings) = server.findings(&database, &["--role", "app"]);
    for statement in findings[0]["fix"].as_array().unwrap() {
        server.sql(&database, statement.as_str().unwrap());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let dsn = server.dsn(&database).replace("user=postgres", "user=app");
        let (client, driver) = tokio_postgres::connect(&dsn, NoTls).await.unwrap();
        tokio::spawn(driver);
        let count = async |client: &Client| {
            let row = client.query_one("SELECT count(*) FROM org_products", &[]).await.unwrap();
            row.get::<_, i64>(0)
        };
        assert_eq!(count(&client).await, 0, "no organization, no row");
        client.batch_execute(&format!("SET app.organization_id = '{one}'")).await.unwrap();
        assert_eq!(count(&client).await, 1);
        let theft = "INSERT INTO org_products (id, organization_id, sku) \
          SELECT gen_random_uuid(), id, 'y' FROM organizations WHERE name = 'b'";
        assert!(client.batch_execute(theft).await.is_err());
    });
}

/// The style guide's own example: a unique index on the organization alone.
const FLAWED: &str = "
DROP VIEW live_products;
ALTER TABLE org_products ALTER organization_id DROP NOT NULL, DROP updated_at;
CREATE UNIQUE INDEX org_products_org ON org_products (organization_id);
CREATE UNIQUE INDEX org_products_deleted ON org_products (deleted_at);
ALTER TABLE org_products ADD category_id uuid REFERENCES org_categories (id) ON DELETE SET NULL;
ALTER TABLE org_products ADD UNIQUE (sku);
ALTER TABLE org_products DISABLE ROW LEVEL SECURITY;
CREATE VIEW all_products AS SELECT * FROM org_products;
CREATE TABLE notes (id uuid PRIMARY KEY, organization_id uuid, deleted_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
";

#[test]
fn the_script_mends_a_whole_database() {
    let server = server();
    let database = server.database();
    server.sql(&database, FLAWED);
    let role = ["--role", "app"];
    assert!(server.findings(&database, &role).1.len() >= 9);
    // A table whose new name makes it guarded has its own flaws told only then.
    for _ in 0..2 {
        let (code, script, _) = server.doctor(&database, &["--role", "app", "--fix"]);
        assert_eq!(code, 1);
        for statement in statements(&script) {
            server.sql(&database, &statement);
        }
    }
    assert_eq!(server.findings(&database, &role), (0, Vec::new()));
}

/// The statements of a script whose every statement ends with its line.
fn statements(script: &str) -> Vec<String> {
    let code: Vec<_> = script.lines().filter(|line| !line.starts_with("--")).collect();
    let code = code.join("\n");
    code.split(";\n").map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect()
}

#[test]
fn sarif_names_rule_and_object_and_no_value_of_a_row() {
    let server = server();
    let database = server.database();
    server.sql(&database, FLAWED);
    let secret = "INSERT INTO organizations (id, name) VALUES (gen_random_uuid(), 'secret-name')";
    server.sql(&database, secret);
    let (code, output, _) = server.doctor(&database, &["--format", "sarif"]);
    assert_eq!(code, 1);
    let log: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let results = run["results"].as_array().unwrap();
    assert!(results.len() >= 8, "{results:#?}");
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        let object = &result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"];
        assert!(object.as_str().unwrap().starts_with("public."), "{result:#?}");
    }
    assert!(!output.contains("secret-name"));
}

#[test]
fn what_is_allowed_is_counted_and_not_told() {
    let server = server();
    let database = server.database();
    let plant = "ALTER TABLE org_products ADD CONSTRAINT by_sku UNIQUE (sku)";
    server.sql(&database, plant);
    for (allow, code) in [
        ("unique-without-tenant", 0),
        ("unique-without-tenant:org_products", 0),
        ("unique-without-tenant:public.org_products/by_sku", 0),
        ("unique-without-tenant:org_products/other", 1),
        ("no-tenant-index", 1),
    ] {
        let (found, output, _) = server.doctor(&database, &["--allow", allow, "--role", "app"]);
        assert_eq!(found, code, "{allow}: {output}");
        assert_eq!(output.contains("; 1 more allowed"), code == 0);
    }
    let (found, ..) = server.doctor(&database, &["--fail-on", "error"]);
    assert_eq!(found, 0);
}

#[test]
fn what_cannot_be_looked_at_is_said() {
    let run = |arguments: &[&str]| {
        let arguments: Vec<_> = arguments.iter().map(|it| (*it).to_owned()).collect();
        let (code, output, error) = run(&arguments);
        assert_eq!((code, &*output), (2, ""));
        error
    };
    assert!(run(&["doctor"]).contains("no DSN"));
    let error = run(&["doctor", "host=127.0.0.1 port=1 user=a password=hidden"]);
    assert!(error.contains("could not connect") && !error.contains("hidden"), "{error}");
    let error = run(&["doctor", "hidden nonsense ="]);
    assert!(!error.contains("hidden"), "{error}");
    let server = server();
    let dsn = server.dsn(&server.database());
    assert!(run(&["doctor", &dsn, "--allow", "no-such"]).contains("missing-rls"));
    assert!(run(&["doctor", &dsn, "--role", "nobody"]).contains("no such role"));
}

#[test]
fn every_flaw_is_described_with_its_level() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/doctor.md");
    let text = std::fs::read_to_string(path).unwrap();
    for flaw in orgguard::doctor::Flaw::ALL {
        let row = format!("| {} | {} |", flaw.name(), flaw.level().name());
        assert!(text.contains(&row), "docs/doctor.md lacks {row}");
    }
}
