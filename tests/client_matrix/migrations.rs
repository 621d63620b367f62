//! drizzle-kit through a guard that enforces: a role of `[migrations]` migrates an empty database and
//! changes rows of every organization, and the same change by the application's role is refused.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use orgguard::cli::Throwaway;

use super::clients::Client;
use super::support::{GuardProcess, batch, finish, folder};
use super::{Measured, TENANT, judged};

/// What a migration does that no application may.
const BACKFILL: &str = "UPDATE \"org_products\" SET \"name\" = upper(\"name\");\n";

/// The columns that a database has after its migrations.
const COLUMNS: &str = "SELECT table_name, column_name, data_type, is_nullable, column_default \
     FROM information_schema.columns WHERE table_schema = 'public' ORDER BY table_name, ordinal_position";

pub(crate) fn measure(client: &Client, server: &Throwaway) -> Measured {
    let kit = Kit { client, folder: client.kind.command().get_current_dir().unwrap().to_owned() };
    let direct = server.address().to_string();
    let _ = fs::remove_dir_all(kit.folder.join("migrations"));
    kit.generate(&["--name", "tables"]);
    kit.add_backfill("first");

    empty_database(server);
    assert!(kit.migrate("migrator", &direct), "not even PostgreSQL itself takes the migrations");
    let truth = columns(server);

    empty_database(server);
    let tenant = format!("{TENANT}\n[migrations]\nroles = [\"migrator\"]");
    let guard =
        GuardProcess::start(server, &folder("client_matrix"), client.name, "enforce", &tenant);
    let listen = guard.listen.to_string();
    let mut measured =
        Measured { versions: kit.versions(), steps: 2, forgotten: 1, ..Measured::default() };
    if !kit.migrate("migrator", &listen) || columns(server) != truth {
        measured.problems.push("the migrations through the guard are not those without".to_owned());
    }
    let metrics = guard.metrics();
    measured.statements = judged(&metrics, "");
    if judged(&metrics, "decision=\"refuse\"") != 0 {
        measured.problems.push("statements of the migration role were refused".to_owned());
    }
    kit.add_backfill("second");
    if kit.migrate("app", &listen) || judged(&guard.metrics(), "decision=\"refuse\"") != 1 {
        measured.problems.push("the backfill by the application's role was not refused".to_owned());
    }
    if !kit.migrate("migrator", &listen) {
        measured.problems.push("the migration role could not go on after the refusal".to_owned());
    }
    guard.stop();
    measured
}

struct Kit<'a> {
    client: &'a Client,
    folder: std::path::PathBuf,
}

impl Kit<'_> {
    fn generate(&self, arguments: &[&str]) {
        let mut command = self.client.kind.command();
        command.arg("generate").args(arguments);
        finish(command, "drizzle-kit generate");
    }

    /// Makes a migration of its own and writes the change into it.
    fn add_backfill(&self, name: &str) {
        let before = sql_files(&self.folder.join("migrations"));
        self.generate(&["--custom", "--name", name]);
        let mut made = sql_files(&self.folder.join("migrations"));
        made.retain(|path| !before.contains(path));
        assert_eq!(made.len(), 1, "drizzle-kit made {made:?}");
        fs::write(&made[0], BACKFILL).unwrap();
    }

    /// Whether drizzle-kit applied what the database has not.
    fn migrate(&self, role: &str, address: &str) -> bool {
        let mut command = self.client.kind.command();
        command.arg("migrate").env("MIGRATE_URL", format!("postgres://{role}@{address}/migrated"));
        command.stdin(Stdio::null()).output().unwrap().status.success()
    }

    fn versions(&self) -> Vec<String> {
        ["drizzle-kit", "drizzle-orm", "pg"]
            .map(|name| {
                let package = self.folder.join("node_modules").join(name).join("package.json");
                let package: serde_json::Value =
                    serde_json::from_str(&fs::read_to_string(package).unwrap()).unwrap();
                format!("{name} {}", package["version"].as_str().unwrap())
            })
            .to_vec()
    }
}

/// The files of migrations: 0.45 has them in one folder, 1.0 each in a folder of its own.
fn sql_files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sql_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "sql") {
            found.push(path);
        }
    }
    found
}

/// An empty database of the role that migrates, which the application's role could change as well
/// if PostgreSQL alone decided.
fn empty_database(server: &Throwaway) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let texts = [
        "DROP DATABASE IF EXISTS migrated WITH (FORCE)",
        "DROP DATABASE IF EXISTS shop WITH (FORCE)",
        "DROP ROLE IF EXISTS app",
        "DROP ROLE IF EXISTS migrator",
        "CREATE ROLE migrator LOGIN",
        "CREATE ROLE app LOGIN IN ROLE migrator",
        "CREATE DATABASE migrated OWNER migrator",
    ];
    runtime.block_on(batch(server, "postgres", "postgres", &texts));
}

fn columns(server: &Throwaway) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let address = server.address();
        let parameters =
            format!("host={} port={} user=postgres dbname=migrated", address.ip(), address.port());
        let (client, driver) =
            tokio_postgres::connect(&parameters, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(driver);
        let rows = client.simple_query(COLUMNS).await.unwrap();
        rows.iter().map(|row| format!("{row:?}")).collect()
    })
}
