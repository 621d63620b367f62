//! The configuration files that ship with orgguard, and what is said about wrong ones.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::assertions_on_constants,
    reason = "a test may stop at the first surprise"
)]

use std::path::Path;
use std::time::Duration;

use orgguard::config::{self, Config, Limits, Overrides, Place, Problem};
use orgguard::policy::ReadingLimits;
use orgguard::session::{Mode, Rebinding, UnknownTenant};
use orgguard::tenant::TenantType;

fn shipped(name: &str) -> Config {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name);
    config::load(&file, &Overrides::default()).unwrap_or_else(|invalid| panic!("{invalid}"))
}

fn problems(text: &str) -> Vec<Problem> {
    match config::parse(text, &Overrides::default()) {
        Ok(_) => panic!("accepted: {text}"),
        Err(problems) => problems,
    }
}

/// The only problem of a text that has a mode on its first line.
fn only_problem(text: &str) -> (usize, String) {
    let problems = problems(&format!("mode = \"enforce\"\n{text}"));
    let [Problem { place: Place::Line(line), message }] = &*problems else {
        panic!("{text}: {problems:?}");
    };
    (*line, message.clone())
}

#[test]
fn the_commented_file_shows_the_defaults() {
    let config = shipped("orgguard.toml");
    assert_eq!(config.mode, Mode::Enforce);
    assert_eq!(config.listen[0].to_string(), "127.0.0.1:6432");
    assert_eq!(config.upstream.to_string(), "127.0.0.1:5432");
    assert_eq!(config.admin.as_ref().unwrap().address.to_string(), "127.0.0.1:9187");
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.policy.limits, ReadingLimits::default());
    assert_eq!(config.client_tls, None);
    let tables = &config.policy.tables;
    assert_eq!(tables.guard("org_orders").unwrap().soft_delete_column, Some("deleted_at"));
    assert_eq!(tables.guard("org_product_tags").unwrap().soft_delete_column, None);
    assert!(tables.guard("organizations").is_none());

    let bare = config::parse("mode = \"enforce\"", &Overrides::default()).unwrap();
    assert_eq!(bare.listen, config.listen);
    assert_eq!(bare.upstream, config.upstream);
    assert_eq!(bare.admin, None);
    assert_eq!(bare.tenant, config.tenant);
    assert_eq!(bare.policy.tenant_type, TenantType::Uuid);
    assert_eq!(bare.policy.tables.patterns, tables.patterns);
    assert_eq!(bare.policy.tables.tenant_column, tables.tenant_column);
    assert_eq!(bare.policy.tables.soft_delete_column, tables.soft_delete_column);
    assert_eq!(bare.policy.tables.hard_delete, tables.hard_delete);
}

#[test]
fn hard_delete_is_said_for_all_tables_and_for_one() {
    let config = config::parse(
        "mode = \"enforce\"\n[guard]\nhard_delete = \"refuse\"\n\
         [[guard.table]]\nname = \"org_sessions\"\nhard_delete = \"allow\"\n\
         [[guard.table]]\nname = \"org_logs\"",
        &Overrides::default(),
    )
    .unwrap();
    let allows = |table| config.policy.tables.guard(table).unwrap().hard_delete;
    assert!(allows("org_sessions") && !allows("org_logs") && !allows("org_orders"));
    assert!(shipped("orgguard.toml").policy.tables.guard("org_orders").unwrap().hard_delete);
}

#[test]
fn every_key_is_in_the_commented_file() {
    // The loader names the keys it knows when it meets one that it does not know.
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/orgguard.toml"))
            .unwrap();
    let probe = "mode = \"audit\"\nx = 1\n[guard]\nx = 1\n[guard.reading]\nx = 1\n\
                 [[guard.table]]\nname = \"a\"\nx = 1\n[tenant]\nx = 1\n[session]\nx = 1\n\
                 [routines]\nx = 1\n[limits]\nx = 1\n[client_tls]\ncertificate = \"a\"\n\
                 key = \"b\"\nx = 1\n[upstream_tls]\nmode = \"off\"\nx = 1\n\
                 [login]\nmode = \"relay\"\nx = 1\n[catalog]\ndsn = \"host=h user=u dbname=d\"\nx = 1\n\
                 [rewrite]\nx = 1\n[admin_tls]\nx = 1\n[upstream_probe]\nx = 1\n";
    let unknown = |problem: &Problem| problem.message.contains("known there: ");
    let problems: Vec<_> = problems(probe).into_iter().filter(unknown).collect();
    assert_eq!(problems.len(), 15, "{problems:?}");
    for Problem { message, .. } in problems {
        let (_, known) = message.split_once("known there: ").unwrap();
        for key in known.split(", ") {
            let shown = text.lines().any(|line| {
                let line = line.trim_start_matches("# ").trim_matches(['[', ']']);
                line.starts_with(&format!("{key} ="))
                    || line == key
                    || line.ends_with(&format!(".{key}"))
            });
            assert!(shown, "`{key}` is not in config/orgguard.toml");
        }
    }
}

#[test]
fn the_other_files_load() {
    assert_eq!(shipped("audit.toml").mode, Mode::Audit);
    let staging = shipped("staging-sidecar.toml");
    assert_eq!(staging.mode, Mode::Audit);
    assert_eq!(staging.limits.drain, Duration::from_secs(20));
    let production = shipped("production-guard.toml");
    assert_eq!(production.mode, Mode::Enforce);
    assert_eq!(production.tenant.unknown, UnknownTenant::Refuse);
    assert_eq!(production.tenant.rebinding, Rebinding::Transaction);
    assert!(production.client_tls.unwrap().required);
}

#[test]
fn all_problems_are_reported_at_once_by_line() {
    let problems = problems(
        r#"listen = "nowhere"
upstream = "db"
spelled_wrong = 1
[guard]
tables = ["org_*", "*_org", 7]
tenant_type = "int"
[guard.reading]
nesting = 100_000
[[guard.table]]
soft_delete = "no"
[tenant]
sources = ["header"]
setting = "organization"
[limits]
drain = "30"
connections = 0
[client_tls]
certificate = "a.pem"
"#,
    );
    let places: Vec<_> = problems.iter().map(|problem| problem.place).collect();
    let lines = [1, 2, 3, 5, 5, 6, 8, 9, 10, 12, 13, 15, 16].map(Place::Line);
    // Missing: the mode, and the key of [client_tls].
    let expected: Vec<_> = [Place::File; 2].into_iter().chain(lines).collect();
    assert_eq!(places, expected, "{problems:#?}");
}

#[test]
fn each_problem_says_what_would_be_right() {
    for (text, line, part) in [
        ("[guard]\ntabels = []", 3, "known there: tables, tenant_column"),
        ("[gaurd]\ntables = []", 2, "unknown key `gaurd`"),
        ("[guard]\ntables = []", 3, "nothing is guarded"),
        ("[guard]\ntables = \"org_*\"", 3, "a list of strings, not a string"),
        ("[guard]\nsoft_delete_column = \"organization_id\"", 3, "different columns"),
        ("[[guard.table]]\nname = \"org_*\"", 3, "without `*`"),
        ("[[guard.table]]\nname = \"a\"\n[[guard.table]]\nname = \"A\"", 5, "two [[guard.table]]"),
        ("[[guard.table]]\nname = \"a\"\nbound_by = []", 4, "`bound_by` is empty"),
        ("[guard]\nhard_delete = false", 3, "hard_delete"),
        ("admin = \"127.0.0.1:6432\"", 2, "different addresses"),
        ("upstream = \"127.0.0.1:6432\"", 2, "the guard itself"),
        ("listen = [\"/run/a\", \"127.0.0.1:1\", \"/run/a\"]", 2, "twice"),
        ("listen = \"/run/a\"\nunix_socket_permissions = \"0999\"", 3, "in octal"),
        ("unix_socket_permissions = \"0660\"", 2, "needs a Unix socket"),
        ("admin_token_file = \"/t\"", 2, "needs `admin`"),
        (
            "[login]\nmode = \"guard\"\nauth_query = \"SELECT 1\"\nauth_dsn = \"user=a dbname=d\"",
            4,
            "$1",
        ),
        ("[login]\nmode = \"guard\"\nauth_query = \"SELECT $1\"", 4, "go together"),
        ("[login]\nmode = \"relay\"\nauth_dsn = \"user=a dbname=d\"", 4, "needs mode = \"guard\""),
        ("upstream = \"127.0.0.1:0\"", 2, "HOST:PORT"),
        ("[tenant]\nsources = []", 3, "`sources` is empty: write [\"none\"]"),
        (
            "[tenant]\nsources = [\"role\", \"none\"]\nrole_pattern = \"{tenant}\"",
            3,
            "stands alone",
        ),
        ("[tenant]\nsources = [\"setting\", \"setting\"]", 3, "\"setting\" twice"),
        ("[tenant]\nsources = [\"comment\", \"setting\"]", 3, "must be the last"),
        (
            "[tenant]\nsources = [\"certificate\"]\ncertificate_pattern = \"CN={tenant}\"",
            3,
            "client_ca",
        ),
        ("[tenant]\nrole_pattern = \"app_{tenant}\"", 3, "\"role\" is not among `sources`"),
        ("[tenant]\nsources = [\"role\"]\nrole_pattern = \"app_*\"", 4, "{tenant} in it once"),
        ("[tenant]\nsources = [\"role\"]\n[tenant.roles]\napp = \"no uuid\"", 5, "is no uuid"),
        ("[tenant]\nsources = [\"none\"]\nsetters = [\"set_tenant\"]", 4, "it is no source"),
        ("[tenant]\nsetting = \"app.x'); --\"", 3, "letters, digits"),
        ("[tenant]\nsources = [\"setting\"]\ncomment_key = \"org\"", 4, "\"comment\" is not among"),
        ("[tenant]\nsources = [\"none\"]\nunknown = \"refuse\"", 4, "every guarded statement"),
        ("[tenant]\nsources = [\"none\"]\nrebinding = \"never\"", 4, "needs a tenant source"),
        ("[tenant]\nrebinding = \"always\"", 3, "\"never\" or \"transaction\" or \"free\""),
        ("[limits]\nlogin_timeout = 30", 3, "a string, not a whole number"),
        ("[limits]\nlogin_timeout = \"2d\"", 3, "\"500ms\""),
        ("[limits]\nmessage_bytes = 3_000_000_000", 3, "1024 to 2147483647"),
        ("[catalog]\ndsn = \"host=\"", 3, "a connection string such as"),
        ("[catalog]\ndsn = \"host=db user=guard\"", 3, "host, user and dbname"),
        ("[catalog]\ndsn = \"postgres://u@db/shop?sslmode=verify-full\"", 3, "[upstream_tls]"),
        ("[catalog]\ndsn = \"host=h user=u dbname=d\"\nrefresh = 5", 4, "a string, not a whole"),
        ("limits = 3", 2, "a table, [limits]"),
        ("guard = { table = 3 }", 2, "tables, [[guard.table]]"),
    ] {
        let (at, message) = only_problem(text);
        assert_eq!(at, line, "{text}: {message}");
        assert!(message.contains(part), "{text}: {message}");
    }
}

#[test]
fn a_mode_must_be_written() {
    for (text, part) in [
        ("", "`mode` is missing"),
        ("mode = 1", "must be a string"),
        ("mode = \"log\"", "\"audit\" or \"enforce\" or \"rewrite\""),
    ] {
        let problems = problems(text);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems.iter().all(|problem| problem.message.contains(part)), "{problems:?}");
    }
}

#[test]
fn what_goes_together_is_asked_for() {
    for (text, part) in [
        ("target_session_attrs = \"primary\"", "needs [upstream_probe]"),
        ("[upstream_probe]\ndsn = \"user=a dbname=d\"", "needs `target_session_attrs`"),
        ("[login]\nmode = \"guard\"", "`secrets` or `auth_query` is missing"),
        ("[admin_tls]\ncertificate = \"a\"\nkey = \"b\"", "needs `admin`"),
        ("admin = \"127.0.0.1:1\"\n[admin_tls]\nkey = \"b\"", "go together in [admin_tls]"),
    ] {
        let problems = problems(&format!("mode = \"enforce\"\n{text}"));
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].message.contains(part), "{text}: {problems:?}");
    }
}

#[test]
fn rewriting_is_a_mode_with_a_section_of_its_own() {
    let text = "mode = \"rewrite\"\n[rewrite]\ndry_run = true\nsoft_delete = true";
    let config = config::parse(text, &Overrides::default()).unwrap();
    assert_eq!(config.mode, Mode::Rewrite);
    assert!(config.dry_run && config.policy.soft_deletes);
    let bare = config::parse("mode = \"rewrite\"", &Overrides::default()).unwrap();
    assert!(!bare.dry_run && !bare.policy.soft_deletes);
}

#[test]
fn a_fence_is_for_what_would_be_refused_in_rewrite_mode() {
    let text = |mode: &str, order: &str| {
        format!(
            "mode = \"{mode}\"\n[guard]\nevaluation_order = \"{order}\"\n[rewrite]\nfence = true"
        )
    };
    let config = config::parse(&text("rewrite", "refuse"), &Overrides::default()).unwrap();
    assert!(config.policy.fences);
    for (mode, order, part) in
        [("rewrite", "advise", "evaluation_order"), ("enforce", "refuse", "mode = \"rewrite\"")]
    {
        let problems = problems(&text(mode, order));
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].message.contains(part), "{problems:?}");
        assert_eq!(problems[0].place, Place::Line(5));
    }
    // A mode of the command line is for this once.
    let once = Overrides { mode: Some("enforce".to_owned()), ..Overrides::default() };
    assert!(!config::parse(&text("rewrite", "refuse"), &once).unwrap().policy.fences);
}

#[test]
fn broken_toml_is_reported_without_what_follows_from_it() {
    let problems = problems("mode = enforce\n[guard]\ntables = [\"org_*\"\nx = 1\n");
    assert!(!problems.is_empty());
    assert!(
        problems
            .iter()
            .all(|problem| problem.message.starts_with("not TOML") && problem.place != Place::File),
        "{problems:?}"
    );
    assert_eq!(problems.first().unwrap().place, Place::Line(1));
}

#[test]
fn the_command_line_takes_the_place_of_the_file() {
    let overrides = Overrides {
        mode: Some("audit".to_owned()),
        listen: Some("localhost:7000".to_owned()),
        upstream: Some("[::1]:5433".to_owned()),
        admin: Some("127.0.0.1:7001".to_owned()),
    };
    let config = config::parse("mode = \"enforce\"\nlisten = \"bad\"", &overrides).unwrap();
    assert_eq!(config.mode, Mode::Audit);
    assert_eq!(config.listen[0].tcp().unwrap().port(), 7000);
    assert_eq!(config.upstream.to_string(), "[::1]:5433");
    assert_eq!(config.admin.unwrap().address.port(), 7001);

    let overrides = Overrides { mode: Some("off".to_owned()), ..Overrides::default() };
    let problems = config::parse("mode = \"enforce\"", &overrides).unwrap_err();
    assert_eq!(problems.first().unwrap().place, Place::Option("--mode"));
    assert_eq!(config::standard(&Overrides::default()).unwrap().mode, Mode::Enforce);
    assert!(config::standard(&overrides).unwrap_err().to_string().starts_with("--mode: "));
}

#[test]
fn a_file_that_is_not_there_is_one_clear_line() {
    let invalid = config::load(Path::new("no/such/file.toml"), &Overrides::default()).unwrap_err();
    let text = invalid.to_string();
    assert!(text.starts_with("no/such/file.toml: could not be read: "), "{text}");
    assert_eq!(text.lines().count(), 1);
}

/// A binary without PostgreSQL's grammar does not promise what only that can give.
#[test]
fn a_second_reading_is_required_only_where_there_is_one() {
    use orgguard::policy::SecondReading;
    use orgguard::sql::HAS_SECOND_READING;

    let config = |text: &str| {
        let text = format!("mode = \"enforce\"\n{text}[guard]\ntables = [\"org_*\"]\n");
        config::parse(&text, &Overrides::default())
    };
    let standard = if HAS_SECOND_READING { SecondReading::Required } else { SecondReading::Off };
    assert_eq!(config("").unwrap().policy.second_reading, standard);
    let off = config("[reading]\nsecond = \"off\"\n").unwrap();
    assert_eq!(off.policy.second_reading, SecondReading::Off);
    match config("[reading]\nsecond = \"required\"\n") {
        Ok(config) => {
            assert!(HAS_SECOND_READING);
            assert_eq!(config.policy.second_reading, SecondReading::Required);
        }
        Err(problems) => {
            assert!(!HAS_SECOND_READING);
            let problem = problems.first().unwrap();
            assert_eq!(problem.place, Place::Line(3));
            assert!(problem.message.contains("--features postgres-grammar"), "{problem:?}");
        }
    }
}
