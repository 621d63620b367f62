//! Staged rollout, exemptions, the role of migrations, and reloading under load.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/serving.rs"]
mod serving;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use orgguard::cli::Throwaway;
use serde_json::Value;
use tokio_postgres::{Client, NoTls};

use serving::{Serving, get, new_file, orgguard};

const SCHEMA: &str = "
CREATE TABLE org_products (id int, organization_id uuid NOT NULL, deleted_at timestamptz);
CREATE TABLE org_orders (id int, organization_id uuid NOT NULL, deleted_at timestamptz);
CREATE TABLE notes (id int);
CREATE ROLE app LOGIN; CREATE ROLE legacy LOGIN; CREATE ROLE migrator LOGIN SUPERUSER;
GRANT ALL ON ALL TABLES IN SCHEMA public TO app, legacy, migrator;
INSERT INTO org_products VALUES (1, gen_random_uuid()), (2, gen_random_uuid());
";

/// Violates unbound-tenant.
const PRODUCTS: &str = "SELECT id FROM org_products WHERE deleted_at IS NULL";
const ORDERS: &str = "SELECT id FROM org_orders WHERE deleted_at IS NULL";
/// Violates visible-deleted.
const DELETED: &str = "SELECT id FROM org_orders WHERE organization_id = \
                       '11111111-1111-1111-1111-111111111111'";

fn server() -> Throwaway {
    let server = Throwaway::start().unwrap();
    block_on(async {
        connect(&server.connection_string()).await.batch_execute(SCHEMA).await.unwrap();
    });
    server
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}

async fn connect(dsn: &str) -> Client {
    let (client, driver) = tokio_postgres::connect(dsn, NoTls).await.unwrap();
    tokio::spawn(driver);
    client
}

/// Whether a statement is refused; any other error fails.
async fn refused(client: &Client, sql: &str) -> bool {
    match client.simple_query(sql).await {
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error.code().map(|it| it.code().to_owned()).as_deref(), Some("42501"));
            true
        }
    }
}

/// Whether a statement is refused to a new session of this role and application name.
fn refuses(guard: &Serving, role: &str, application: &str, sql: &str) -> bool {
    block_on(async { refused(&connect(&guard.dsn(role, application)).await, sql).await })
}

/// Writes a configuration and waits until the guard has looked at it.
fn reload(guard: &Serving, text: &str, result: &str) {
    let metric = format!("orgguard_config_reloads_total{{result=\"{result}\"}}");
    let before = guard.metric(&metric);
    guard.configure(text);
    guard.signal("-HUP");
    wait(|| guard.metric(&metric) > before, || guard.log());
}

fn wait(mut done: impl FnMut() -> bool, why: impl Fn() -> String) {
    let asked = Instant::now();
    while !done() {
        assert!(asked.elapsed() < Duration::from_secs(30), "{}", why());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_mode_for_each_rule_table_role_database_and_name() {
    let server = server();
    let guard = Serving::start(
        &server.address().to_string(),
        "mode = \"audit\"\n\
         [[rollout]]\nmode = \"enforce\"\ntables = [\"org_products\"]\nroles = [\"app\"]\n\
         [[rollout]]\nmode = \"enforce\"\nrules = [\"visible-deleted\"]\ndatabases = [\"postgres\"]\n\
         [[rollout]]\nmode = \"enforce\"\napplication_names = [\"careful\"]\n\
         [migrations]\nroles = [\"migrator\"]\n",
    );
    for (role, application, sql, wanted) in [
        ("app", "api", PRODUCTS, true),
        ("app", "api", ORDERS, false),
        ("app", "api", DELETED, true),
        ("legacy", "api", PRODUCTS, false),
        ("legacy", "api", DELETED, true),
        ("legacy", "careful", PRODUCTS, true),
        ("legacy", "careful", ORDERS, true),
        ("migrator", "careful", ORDERS, false),
        ("migrator", "api", "ALTER TABLE org_products ADD note text", false),
        ("migrator", "api", "DO $$ BEGIN EXECUTE 'CREATE TABLE org_made (id int)'; END $$", false),
    ] {
        let found = refuses(&guard, role, application, sql);
        assert_eq!(found, wanted, "{role} {application} {sql}");
    }
    // What is forwarded is counted as audited, what is refused as enforced.
    for (mode, table) in [("enforce", "org_products"), ("audit", "org_orders")] {
        let metric = format!(
            "orgguard_violations_total{{mode=\"{mode}\",rule=\"unbound-tenant\",table=\"{table}\"}}"
        );
        wait(|| guard.metric(&metric) > 0, || metric.clone());
    }
    let (code, shown, _) = orgguard(&["config", "show", &format!("http://{}", guard.admin)]);
    assert_eq!(code, 0);
    for line in [
        "mode audit, in force since ",
        "rollout: enforce; tables org_products; roles app\n",
        "rollout: enforce; application names careful\n",
        "audited for migrations: migrator\n",
    ] {
        assert!(shown.contains(line), "{shown}");
    }
}

#[test]
fn a_share_of_the_sessions() {
    let server = server();
    let guard = Serving::start(
        &server.address().to_string(),
        "mode = \"audit\"\n[[rollout]]\nmode = \"enforce\"\nsessions_percent = 50\n",
    );
    let refused = (0..60).filter(|_| refuses(&guard, "app", "api", PRODUCTS)).count();
    // Below 10 or above 50 of 60 at one half: less than once in ten million runs.
    assert!((10..=50).contains(&refused), "{refused}");
}

fn exemption(expires: &str) -> String {
    format!(
        "mode = \"enforce\"\n[[exemption]]\nname = \"monthly\"\nreason = \"until the warehouse\"\n\
         expires = {expires}\nrules = [\"unbound-tenant\"]\ntables = [\"org_products\"]\n\
         roles = [\"app\"]\n"
    )
}

#[test]
fn an_exemption_is_counted_and_ends() {
    let server = server();
    let guard = Serving::start(&server.address().to_string(), &exemption("2999-12-31"));
    assert!(!refuses(&guard, "app", "api", PRODUCTS));
    assert!(refuses(&guard, "legacy", "api", PRODUCTS));
    assert!(refuses(&guard, "app", "api", ORDERS));
    let used = "orgguard_exempted_total{exemption=\"monthly\"}";
    assert_eq!(guard.metric(used), 1);
    let shown = |source: &str| orgguard(&["config", "show", source]).1;
    let url = format!("http://{}", guard.admin);
    assert!(
        shown(&url).contains("exemption monthly: until 3000-01-01T00:00:00.000Z, used 1 times")
    );

    // One that ends while a session is open: the session is held to it at once.
    let ends = SystemTime::now() + Duration::from_secs(4);
    let ends = humantime::format_rfc3339_millis(ends).to_string();
    block_on(async {
        let client = connect(&guard.dsn("app", "api")).await;
        assert!(!refused(&client, PRODUCTS).await);
        reload(&guard, &exemption(&format!("\"{ends}\"")), "changed");
        assert!(!refused(&client, PRODUCTS).await);
        let asked = Instant::now();
        while !refused(&client, PRODUCTS).await {
            assert!(asked.elapsed() < Duration::from_secs(30));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    wait(|| guard.log().contains("exemption expired"), || guard.log());
    assert!(shown(&url).contains("exemption monthly: EXPIRED "), "{}", shown(&url));
    // The same in a file, where nothing has been used.
    let file = guard.config.to_str().unwrap();
    assert!(shown(file).contains("exemption monthly: EXPIRED "), "{}", shown(file));
}

#[test]
fn an_exemption_for_one_shape() {
    let server = server();
    let file = new_file("shape.sql", PRODUCTS);
    let checked = orgguard(&["check", "--format", "sarif", file.to_str().unwrap()]);
    let log: Value = serde_json::from_str(&checked.1).unwrap();
    let print = &log["runs"][0]["results"][0]["partialFingerprints"]["orgguard/v1"];
    let print = print.as_str().unwrap().split(':').next().unwrap().to_owned();
    let guard = Serving::start(
        &server.address().to_string(),
        &format!(
            "mode = \"enforce\"\n[[exemption]]\nname = \"one\"\nreason = \"one\"\n\
             expires = 2999-12-31\nfingerprints = [\"{print}\"]\n"
        ),
    );
    assert!(!refuses(&guard, "app", "api", PRODUCTS));
    assert!(refuses(&guard, "app", "api", &format!("{PRODUCTS} AND id > 1")));
}

#[test]
fn what_is_wrong_in_a_configuration_is_said() {
    for (text, wanted) in [
        ("[[rollout]]\nrules = [\"unbound-tenant\"]\n", "`mode` is missing"),
        ("[[rollout]]\nmode = \"enforce\"\n", "is for everything"),
        ("[[rollout]]\nmode = \"enforce\"\nrules = [\"unbound\"]\n", "no rule \"unbound\""),
        (
            "[[rollout]]\nmode = \"audit\"\napplication_names = [\"api\"]\n",
            "may make a mode stricter",
        ),
        (
            "[[exemption]]\nname = \"a\"\nexpires = 2999-12-31\nrules = [\"opaque-sql\"]\n",
            "`reason`",
        ),
        ("[[exemption]]\nname = \"a\"\nreason = \"b\"\nrules = [\"opaque-sql\"]\n", "`expires`"),
        (
            "[[exemption]]\nname = \"a\"\nreason = \"b\"\nexpires = \"soon\"\nrules = [\"opaque-sql\"]\n",
            "must be a day",
        ),
        (
            "[[exemption]]\nname = \"a\"\nreason = \"b\"\nexpires = 2999-12-31\n",
            "never for everything",
        ),
        (
            "[[exemption]]\nname = \"a\"\nreason = \"b\"\nexpires = 2999-12-31\nrules = [\"session-escape\"]\n",
            "cannot be exempt",
        ),
        (
            "[[exemption]]\nname = \"a\"\nreason = \"b\"\nexpires = 2999-12-31\nfingerprints = [\"12\"]\n",
            "16 hexadecimal digits",
        ),
    ] {
        let file = new_file("wrong.toml", &format!("mode = \"enforce\"\n{text}"));
        let (code, _, error) = orgguard(&["config", "show", file.to_str().unwrap()]);
        assert!(code == 2 && error.contains(wanted), "{text}\n{error}");
    }
}

/// The configuration of the reloads: with or without `notes` among the guarded tables, and with or
/// without enforcement of one table.
fn turn(number: usize) -> String {
    let tables = if number.is_multiple_of(2) { "\"org_*\"" } else { "\"org_*\", \"notes\"" };
    let exempt = if number.is_multiple_of(3) {
        "[[exemption]]\nname = \"all\"\nreason = \"turn\"\nexpires = 2999-12-31\n\
         rules = [\"unbound-tenant\"]\ntables = [\"org_products\"]\n"
    } else {
        ""
    };
    format!("mode = \"enforce\"\n{exempt}[guard]\ntables = [{tables}]\n")
}

/// `ORGGUARD_RELOADS=100 cargo test --test rollout reloads_under_load` makes a hundred.
fn reloads() -> usize {
    std::env::var("ORGGUARD_RELOADS").map_or(12, |count| count.parse().unwrap())
}

#[test]
fn reloads_under_load() {
    let server = server();
    let guard = Serving::start(&server.address().to_string(), &turn(0));
    let script = new_file(
        "load.sql",
        "\\set id random(1, 1000)\nSELECT id FROM org_products WHERE organization_id = \
         '11111111-1111-1111-1111-111111111111' AND deleted_at IS NULL AND id = :id;\n",
    );
    let (host, port) = guard.listen.split_once(':').unwrap();
    let pgbench = pgbench(&server);
    let mut load = Command::new(pgbench)
        .args(["-h", host, "-p", port, "-U", "app", "-n", "-c", "4", "-j", "1", "-T", "3600"])
        .args(["-M", "prepared", "-f", script.to_str().unwrap(), "postgres"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let judged =
        "orgguard_statements_total{decision=\"forward\",kind=\"select\",verdict=\"holds\"}";
    wait(|| guard.metric(judged) > 100, || guard.log());

    block_on(async {
        let old = connect(&guard.dsn("app", "old")).await;
        let prepared = old.prepare("SELECT id FROM notes").await.unwrap();
        for number in 1..=reloads() {
            reload(&guard, &turn(number), "changed");
            // In force at once: for a session that is open, for what it prepared before, and for a
            // new one; and not a statement later.
            let guarded = !number.is_multiple_of(2);
            let bound = old.query(&prepared, &[]).await;
            assert_eq!(bound.is_err(), guarded, "{number}");
            let new = connect(&guard.dsn("app", "new")).await;
            let exempt = number.is_multiple_of(3);
            for client in [&old, &new] {
                assert_eq!(refused(client, "SELECT id FROM notes").await, guarded, "{number}");
                assert_eq!(refused(client, PRODUCTS).await, !exempt, "{number}");
            }
        }
    });
    // A file that is wrong, or that needs a restart, changes nothing.
    let before = get(&guard.admin, "/config").1;
    reload(&guard, "mode = \"enforce\"\n[guard]\ntabels = []\n", "invalid");
    reload(&guard, "mode = \"enforce\"\n[limits]\nconnections = 7\n", "needs_restart");
    assert_eq!(get(&guard.admin, "/config").1, before);

    assert_eq!(load.try_wait().unwrap(), None, "pgbench has ended");
    let running = guard.metric(judged);
    wait(|| guard.metric(judged) > running + 100, || guard.log());
    let process = load.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &process]).status().unwrap().success());
    let said = String::from_utf8(load.wait_with_output().unwrap().stderr).unwrap();
    assert!(!said.contains("ERROR") && !said.contains("aborted"), "{said}");
    wait(|| guard.metric("orgguard_connections") == 0, || guard.log());
}

/// pgbench of this server, or the one on the PATH.
fn pgbench(server: &Throwaway) -> std::path::PathBuf {
    let own = server.programs().join("pgbench");
    if own.is_file() { own } else { "pgbench".into() }
}

#[test]
fn a_changed_file_is_taken_without_a_signal() {
    let server = server();
    let guard = Serving::start(&server.address().to_string(), "mode = \"audit\"\n");
    assert!(!refuses(&guard, "app", "api", PRODUCTS));
    guard.configure("mode = \"enforce\"\n");
    wait(|| guard.metric("orgguard_config_info{mode=\"enforce\"}") == 1, || guard.log());
    assert!(refuses(&guard, "app", "api", PRODUCTS));
    assert_eq!(guard.metric("orgguard_config_info{mode=\"audit\"}"), 0);
}
