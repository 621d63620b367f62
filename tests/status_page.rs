//! The status page in headless Chromium, dark and light, wide and narrow.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/clients.rs"]
mod clients;
#[path = "support/serving.rs"]
mod serving;

use std::path::PathBuf;

use orgguard::cli::Throwaway;
use serde_json::Value;
use tokio_postgres::NoTls;

use serving::Serving;

/// A name that would run if it were taken for HTML.
const EVIL: &str = "<img/src=x/onerror=alert(1)>";

const CONFIG: &str = "mode = \"audit\"
[[rollout]]
mode = \"enforce\"
tables = [\"org_orders\"]
roles = [\"app\"]
[[exemption]]
name = \"monthly-report\"
reason = \"sums over all organizations until the warehouse is there\"
expires = 2999-12-31
rules = [\"visible-deleted\"]
tables = [\"org_customers\"]
[[exemption]]
name = \"import-2024\"
reason = \"the old importer\"
expires = 2024-12-31
rules = [\"unbound-tenant\"]
[migrations]
roles = [\"migrator\"]
";

const SCHEMA: &str = "
CREATE TABLE org_products (id int, organization_id uuid, name text, deleted_at timestamptz);
CREATE TABLE org_customers (id int, organization_id uuid, email text, deleted_at timestamptz);
CREATE TABLE org_orders (id int, organization_id uuid, total numeric, deleted_at timestamptz);
CREATE ROLE app LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO app;
";

const ORGANIZATION: &str = "organization_id = '11111111-1111-1111-1111-111111111111'";

async fn traffic(guard: &Serving) {
    let dsn = guard.dsn("app", &format!("'{EVIL}'"));
    let (client, driver) = tokio_postgres::connect(&dsn, NoTls).await.unwrap();
    tokio::spawn(driver);
    for round in 0..40 {
        for sql in [
            format!("SELECT name FROM org_products WHERE {ORGANIZATION} AND deleted_at IS NULL"),
            format!("SELECT email FROM org_customers WHERE {ORGANIZATION} AND id = {round}"),
            format!("SELECT id FROM org_products WHERE name = 'secret {round}'"),
            "SELECT 1".to_owned(),
        ] {
            client.simple_query(&sql).await.unwrap();
        }
        if round % 4 == 0 {
            let sql = "UPDATE org_orders SET total = 0 WHERE deleted_at IS NULL";
            client.simple_query(sql).await.unwrap_err();
        }
    }
}

fn chromium() -> PathBuf {
    let named = std::env::var_os("ORGGUARD_CHROMIUM").map(PathBuf::from);
    let usual = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
    let found = named.or_else(|| usual.iter().map(PathBuf::from).find(|path| path.is_file()));
    found.unwrap_or_else(|| {
        panic!(
            "no Chromium: install one (Debian: apt-get install chromium) or set ORGGUARD_CHROMIUM"
        )
    })
}

#[test]
fn it_looks_right_in_a_browser() {
    let chromium = chromium();
    let folder = clients::install_node("browser");
    let server = Throwaway::start().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (client, driver) =
            tokio_postgres::connect(&server.connection_string(), NoTls).await.unwrap();
        tokio::spawn(driver);
        client.batch_execute(SCHEMA).await.unwrap();
    });
    let guard = Serving::start(&server.address().to_string(), CONFIG);
    runtime.block_on(traffic(&guard));

    let mut command = clients::node(&folder, "page.js");
    command.arg(format!("http://{}/", guard.admin)).arg(chromium).arg(&folder);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let pages: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(pages.len(), 4);
    for page in &pages {
        looks_right(page, &guard.admin);
        println!("{}", page["picture"].as_str().unwrap());
    }
}

fn looks_right(page: &Value, admin: &str) {
    let text = |key: &str| page[key].as_str().unwrap();
    assert_eq!(page["errors"], serde_json::json!([]), "{page:#}");
    assert_eq!(page["hosts"], serde_json::json!([admin]), "it asks nobody else");
    assert_eq!(page["overflow"], 0, "it is wider than the screen: {page:#}");
    assert_eq!(page["columns"], if page["name"] == "wide" { 2 } else { 1 });
    assert_eq!(page["dark"], page["colorScheme"] == "dark");
    // Web Content Accessibility Guidelines 2.2, 1.4.3: for text of this size.
    assert!(page["contrast"].as_f64().unwrap() >= 4.5, "{}: {}", page["contrast"], page["lowest"]);

    assert_eq!((text("mode"), text("ready")), ("audit", "serving"));
    assert_eq!(text("verdict"), "not ready to enforce");
    assert_eq!(page["shapes"], 2, "what is exempt is not refused");
    let statements = text("statements");
    for part in [
        "SELECT id FROM org_products WHERE name = ?",
        "unbound-tenant on org_products at character 16",
        "Fix: ",
        "40 attempts",
        "judged under enforce",
        EVIL,
    ] {
        assert!(statements.contains(part), "{part}: {statements}");
    }
    assert_eq!(page["images"], 0, "a name has become HTML");
    assert!(!page.to_string().contains("secret"), "{page:#}");
    assert!(text("tiles").contains("10\nrefused"), "{}", text("tiles"));
    for (table, verdict) in
        [("org_customers", "ready"), ("org_orders", "not ready"), ("org_products", "not ready")]
    {
        let row = text("tables").lines().skip_while(|line| !line.starts_with(table)).take(3);
        let row: String = row.collect::<Vec<_>>().join("\n");
        assert!(row.contains(&format!("{verdict}\t")), "{row}");
    }
    assert!(text("rules").contains("visible-deleted"));
    assert!(text("config").contains("none: names alone decide"));
    let stages = text("rollouts");
    for part in ["tables org_orders; roles app", "monthly-report", "used 40 times", "expired"] {
        assert!(stages.contains(part), "{part}: {stages}");
    }
}
