//! The guard's own connections to the database use TLS: by sslmode of the connection string, and by
//! what `[upstream_tls]` asks of a server. The role `encrypted` gets in over TLS alone.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/guard.rs"]
mod guard;
#[path = "support/legs.rs"]
mod legs;

use std::error::Error as _;
use std::fs;
use std::process::{Command, Output};

use guard::Guard;
use legs::{PASSWORD, Setting};
use orgguard::cli::Throwaway;
use orgguard::config::{self, Overrides};
use orgguard::database::{NotConnected, connect};

/// `[upstream_tls]`, and the guard's other sections.
fn config(setting: &Setting, mode: &str, ca: &str) -> String {
    let ca = match ca {
        "" => String::new(),
        ca => format!("ca = {:?}\n", setting.path(ca)),
    };
    let upstream = format!("localhost:{}", setting.server.port());
    Guard::text("enforce", &upstream, &format!("[upstream_tls]\nmode = {mode:?}\n{ca}"))
}

/// Whether the connection is encrypted, by the server's word; or why there is none.
fn encrypted(text: &str, dsn: &str) -> Result<bool, String> {
    let upstream = config::parse(text, &Overrides::default()).unwrap().upstream;
    let connection = dsn.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        match connect(&connection, upstream.tls_of(&connection).as_ref()).await {
            Ok((client, _driver)) => {
                let query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
                Ok(client.query_one(query, &[]).await.unwrap().get(0))
            }
            Err(NotConnected::Database(error)) => {
                Err(format!("{error}: {}", error.source().unwrap()))
            }
            Err(error @ NotConnected::Tls(_)) => Err(error.to_string()),
        }
    })
}

#[test]
fn tls_is_what_the_configuration_asks_and_no_less_than_the_connection_string() {
    let setting = Setting::new();
    let port = setting.server.port();
    let dsn = |host: &str, more: &str| {
        format!("host={host} port={port} user=app password='{PASSWORD}' dbname=postgres {more}")
    };
    let off = Guard::text("enforce", "localhost:1", "");
    let of = |mode: &str, ca: &str| config(&setting, mode, ca);
    let bound = "sslmode=require channel_binding=require";
    for (text, host, more, expected) in [
        (&off, "127.0.0.1", "", Ok(true)),
        (&off, "127.0.0.1", "sslmode=prefer", Ok(true)),
        (&off, "127.0.0.1", "sslmode=disable", Ok(false)),
        (&off, "127.0.0.1", "sslmode=require", Ok(true)),
        (&off, "127.0.0.1", bound, Ok(true)),
        (&of("off", ""), "127.0.0.1", "", Ok(true)),
        (&of("prefer", "server.crt"), "127.0.0.1", "", Ok(true)),
        // As sessions: a server that is not whom it must be is not spoken to in clear either.
        (&of("prefer", "guard.crt"), "127.0.0.1", "", Err("certificate")),
        (&of("require", ""), "127.0.0.1", "", Ok(true)),
        (&of("verify-ca", "server.crt"), "127.0.0.1", "", Ok(true)),
        (&of("verify-ca", "guard.crt"), "127.0.0.1", "", Err("certificate")),
        (&of("verify-full", "server.crt"), "localhost", "", Ok(true)),
        (&of("verify-full", "server.crt"), "localhost", bound, Ok(true)),
        (&of("verify-full", "server.crt"), "127.0.0.1", "", Err("certificate")),
        // It asks for no less than the configuration, and for no more.
        (&of("verify-full", "server.crt"), "127.0.0.1", "sslmode=require", Err("certificate")),
        (&of("verify-full", "server.crt"), "127.0.0.1", "sslmode=disable", Ok(false)),
        (&of("verify-full", "nowhere.crt"), "localhost", "", Err("nowhere.crt")),
    ] {
        let got = encrypted(text, &dsn(host, more));
        match expected {
            Ok(expected) => assert_eq!(got, Ok(expected), "{text}: {host} {more}"),
            Err(part) => assert!(got.clone().is_err_and(|it| it.contains(part)), "{got:?}"),
        }
    }
    // Without a name the address is what is verified; a Unix socket has neither, and no TLS.
    let nameless =
        format!("hostaddr=127.0.0.1 port={port} user=app password='{PASSWORD}' dbname=postgres");
    assert_eq!(encrypted(&off, &nameless), Ok(true));
    let got = encrypted(&of("verify-full", "server.crt"), &nameless);
    assert!(got.clone().is_err_and(|it| it.contains("certificate")), "{got:?}");
    let near = format!("host={} port={port} user=postgres dbname=postgres", setting.path(""));
    assert_eq!(encrypted(&of("verify-full", "server.crt"), &near), Ok(false));
}

#[test]
fn a_server_without_tls_is_spoken_to_in_clear_only_where_nothing_asks_for_it() {
    let server = Throwaway::start().unwrap();
    let dsn = |more: &str| {
        let port = server.port();
        format!("host=127.0.0.1 port={port} user=postgres dbname=postgres {more}")
    };
    let off = Guard::text("enforce", "localhost:1", "");
    let required = Guard::text("enforce", "localhost:1", "[upstream_tls]\nmode = \"require\"\n");
    assert_eq!(encrypted(&off, &dsn("")), Ok(false));
    for (text, more) in [(&off, "sslmode=require"), (&required, ""), (&required, "sslmode=prefer")]
    {
        let got = encrypted(text, &dsn(more));
        assert!(got.clone().is_err_and(|it| it.contains("does not support TLS")), "{got:?}");
    }
}

fn orgguard(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_orgguard");
    Command::new(program).args(arguments).env("PGPASSWORD", PASSWORD).output().unwrap()
}

#[test]
fn doctor_and_learn_get_in_where_tls_is_asked_for() {
    let setting = Setting::new();
    let (file, port) = (setting.path("orgguard.toml"), setting.server.port());
    fs::write(&file, config(&setting, "verify-full", "server.crt")).unwrap();
    let dsn = |host: &str, more: &str| {
        format!("host={host} port={port} user=encrypted dbname=postgres {more}")
    };
    for (dsn, config, refused) in [
        (dsn("127.0.0.1", ""), None, None),
        (dsn("127.0.0.1", "sslmode=require"), None, None),
        (dsn("127.0.0.1", "sslmode=disable"), None, Some("no encryption")),
        (dsn("127.0.0.1", "sslmode=verify-full"), None, Some("[upstream_tls]")),
        (dsn("localhost", ""), Some(&file), None),
        (dsn("127.0.0.1", ""), Some(&file), Some("certificate")),
    ] {
        let more: Vec<&str> = config.iter().flat_map(|file| ["--config", file.as_str()]).collect();
        for command in [&["doctor", &dsn][..], &["learn", "--dsn", &dsn]] {
            let output = orgguard(&[command, &more].concat());
            let error = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code() == Some(2), refused.is_some(), "{command:?} {error}");
            assert!(error.contains(refused.unwrap_or_default()), "{command:?} {error}");
        }
    }
}

#[test]
fn the_catalogue_is_read_over_tls() {
    let setting = Setting::new();
    let port = setting.server.port();
    let sql = "CREATE TABLE notes (name text); GRANT SELECT ON notes TO app";
    setting.psql(port, "user=postgres sslmode=disable", sql).unwrap();
    let catalog = |host: &str, more: &str| {
        format!(
            "[catalog]\ndsn = \"host={host} port={port} user=encrypted password='{PASSWORD}' \
             dbname=postgres {more}\"\n"
        )
    };
    let verified = config(&setting, "verify-full", "server.crt");
    let off = Guard::text("enforce", &format!("localhost:{port}"), "");
    for (text, more, is_read) in [
        (&off, catalog("127.0.0.1", ""), true),
        (&off, catalog("127.0.0.1", "sslmode=require"), true),
        (&off, catalog("127.0.0.1", "sslmode=disable"), false),
        (&verified, catalog("localhost", ""), true),
        (&verified, catalog("127.0.0.1", ""), false),
    ] {
        let guard = Guard::start_text(&format!("{text}{more}"));
        let answer = setting.psql(
            guard.address().port(),
            "user=app sslmode=disable",
            "SELECT count(*) FROM notes",
        );
        if is_read {
            assert_eq!(answer.as_deref(), Ok("0"), "{more}");
        } else {
            assert!(answer.clone().is_err_and(|it| it.contains("hidden-relation")), "{answer:?}");
        }
    }
}
