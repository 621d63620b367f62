//! The clients of the matrix, and how the program of each is run.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::support::{finish, folder, install_node_of, install_python, node, python};

/// A client, and how its program is run.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// A version of Drizzle, and the driver.
    Drizzle(&'static str, &'static str),
    /// drizzle-kit beside a version of Drizzle.
    Migrations(&'static str),
    Kysely,
    Prisma,
    Python(&'static str),
    Rust(&'static str),
    Java,
}

pub(crate) struct Client {
    /// What `ORGGUARD_CLIENTS` calls it.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// For the table: what who uses the client should know.
    pub(crate) to_know: &'static str,
}

pub(crate) const CLIENTS: [Client; 17] = [
    Client {
        name: "drizzle-0.45-node-postgres",
        kind: Kind::Drizzle("drizzle-0.45", "node-postgres"),
        to_know: "a to-one relation takes no `where` and cannot be filtered: join instead. `and(undefined, …)` drops a filter silently",
    },
    Client {
        name: "drizzle-0.45-postgres.js",
        kind: Kind::Drizzle("drizzle-0.45", "postgres.js"),
        to_know: "",
    },
    Client {
        name: "drizzle-0.45-bun",
        kind: Kind::Drizzle("drizzle-0.45", "bun"),
        to_know: "the SQLSTATE is in `error.cause.errno`; ids from `Bun.randomUUIDv7()`",
    },
    Client {
        name: "drizzle-1.0-node-postgres",
        kind: Kind::Drizzle("drizzle-1.0", "node-postgres"),
        to_know: "every relation takes `where`, so relational queries can be filtered at each level, and so can filters over relations",
    },
    Client {
        name: "drizzle-1.0-postgres.js",
        kind: Kind::Drizzle("drizzle-1.0", "postgres.js"),
        to_know: "",
    },
    Client {
        name: "drizzle-1.0-bun",
        kind: Kind::Drizzle("drizzle-1.0", "bun"),
        to_know: "as with 0.45",
    },
    Client {
        name: "drizzle-kit-0.45",
        kind: Kind::Migrations("drizzle-0.45"),
        to_know: "`generate` and `migrate` with a role of `[migrations]`; what it says when it is refused is only the exit code 1",
    },
    Client { name: "drizzle-kit-1.0", kind: Kind::Migrations("drizzle-1.0"), to_know: "" },
    Client {
        name: "kysely",
        kind: Kind::Kysely,
        to_know: "a condition under `$if` is a filter that can be left out",
    },
    Client {
        name: "prisma",
        kind: Kind::Prisma,
        to_know: "a required relation takes no `where`: load it with its own `findMany`. `upsert` takes no condition on the row that is there: write it in SQL. `organizationId: undefined` drops the filter. Its pool closes a connection on which a statement failed",
    },
    Client {
        name: "sqlalchemy",
        kind: Kind::Python("sqlalchemy"),
        to_know: "statements, not the unit of work: `session.delete` and changed attributes write by primary key alone",
    },
    Client {
        name: "django",
        kind: Kind::Python("django"),
        to_know: "querysets, not `save()` and `delete()` of an instance, which write by primary key alone; `update_conflicts` takes no WHERE: write it in SQL",
    },
    Client { name: "psycopg", kind: Kind::Python("psycopg"), to_know: "" },
    Client { name: "asyncpg", kind: Kind::Python("asyncpg"), to_know: "" },
    Client { name: "tokio-postgres", kind: Kind::Rust("tokio-postgres"), to_know: "" },
    Client {
        name: "sqlx",
        kind: Kind::Rust("sqlx"),
        to_know: "after any error that answers `copy_out_raw` it reads one message too late, on PostgreSQL as well: drop that connection",
    },
    Client { name: "pgjdbc", kind: Kind::Java, to_know: "" },
];

/// The clients that `ORGGUARD_CLIENTS` names: all, a list, or without it the first.
pub(crate) fn chosen() -> Vec<&'static Client> {
    let wanted = std::env::var("ORGGUARD_CLIENTS").unwrap_or_else(|_| CLIENTS[0].name.to_owned());
    if wanted == "all" {
        return CLIENTS.iter().collect();
    }
    let named = |name| CLIENTS.iter().find(|client| client.name == name);
    wanted
        .split(',')
        .map(|name| named(name).unwrap_or_else(|| panic!("ORGGUARD_CLIENTS has no {name}")))
        .collect()
}

/// The file of a package that this test has under `tests`.
fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/client_matrix").join(path)
}

/// The Drizzle programs beside a version of Drizzle.
pub(crate) fn install_drizzle(version: &str) -> PathBuf {
    let from = ["node", "drizzle", version].map(|name| format!("client_matrix/{name}"));
    install_node_of(&format!("client_matrix/{version}"), &from.each_ref().map(String::as_str))
}

impl Kind {
    /// The program, with what it needs installed or built.
    pub(crate) fn command(self) -> Command {
        match self {
            Self::Drizzle(version, "bun") => {
                let bun = install_node_of("client_matrix/bun", &["client_matrix/bun"]);
                let mut command =
                    Command::new(bun.join("node_modules/@oven/bun-linux-x64/bin/bun"));
                command.arg("main.js").current_dir(install_drizzle(version));
                command.env("DRIVER", "bun");
                command
            }
            Self::Drizzle(version, driver) => {
                let mut command = node(&install_drizzle(version), "main.js");
                command.env("DRIVER", driver);
                command
            }
            Self::Migrations(version) => {
                let kit = "node_modules/drizzle-kit/bin.cjs";
                node(&install_drizzle(version), kit)
            }
            Self::Kysely => node(&install_plain("kysely"), "main.js"),
            Self::Prisma => {
                let folder = install_plain("prisma");
                let mut generate = node(&folder, "node_modules/prisma/build/index.js");
                generate.args(["generate", "--no-hints"]).env("CHECKPOINT_DISABLE", "1");
                // Only `migrate` runs the engine, which no package registry has.
                generate.env("PRISMA_SCHEMA_ENGINE_BINARY", "/bin/true");
                finish(generate, "prisma generate");
                node(&folder, "main.js")
            }
            Self::Python(name) => {
                python(&install_python("client_matrix/python"), &format!("with_{name}.py"))
            }
            Self::Rust(driver) => {
                let target = folder("client_matrix/rust");
                let mut cargo = Command::new(env!("CARGO"));
                cargo.args(["build", "--locked", "--quiet", "--manifest-path"]);
                cargo.arg(source("rust/Cargo.toml")).arg("--target-dir").arg(&target);
                finish(cargo, "cargo build");
                let mut command = Command::new(target.join("debug/orgguard-matrix-rust"));
                command.arg(driver);
                command
            }
            Self::Java => {
                let driver = Path::new("/usr/share/java/postgresql.jar");
                assert!(driver.is_file(), "install Debian's package libpostgresql-jdbc-java");
                let mut command = Command::new("java");
                command.arg("-cp").arg(driver).arg(source("java/Matrix.java"));
                command
            }
        }
    }
}

fn install_plain(name: &str) -> PathBuf {
    let own = format!("client_matrix/{name}");
    install_node_of(&own, &["client_matrix/node", &own])
}

/// The statements of the programs that write SQL themselves.
pub(crate) fn statements() -> PathBuf {
    source("raw/statements.sql")
}
