//! `orgguard serve` as a process, with its admin port.
#![allow(dead_code, reason = "each test program uses its own part")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A guard that runs until it is dropped.
pub(crate) struct Serving {
    child: Child,
    /// Where clients connect.
    pub(crate) listen: String,
    /// Its admin port.
    pub(crate) admin: String,
    /// Its configuration's file.
    pub(crate) config: PathBuf,
    log: PathBuf,
}

impl Serving {
    /// Starts a guard with a configuration whose `mode` and what follows are given, and waits
    /// until it is ready.
    pub(crate) fn start(upstream: &str, text: &str) -> Self {
        let (listen, admin) = (free_address(), free_address());
        let top =
            format!("listen = \"{listen}\"\nadmin = \"{admin}\"\nupstream = \"{upstream}\"\n");
        let config = new_file("serving.toml", &format!("{top}{text}"));
        let log = config.with_extension("log");
        let child = Command::new(env!("CARGO_BIN_EXE_orgguard"))
            .arg("serve")
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut serving = Self { child, listen, admin, config, log };
        while get(&serving.admin, "/readyz").0 != 200 {
            let ended = serving.child.try_wait().unwrap();
            assert_eq!(ended, None, "it ended before it was ready: {}", serving.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        serving
    }

    /// Writes the configuration anew, with the same addresses.
    pub(crate) fn configure(&self, text: &str) {
        let old = std::fs::read_to_string(&self.config).unwrap();
        let top: String = old.split_inclusive('\n').take(3).collect();
        let new = self.config.with_extension("new");
        std::fs::write(&new, format!("{top}{text}")).unwrap();
        std::fs::rename(&new, &self.config).unwrap();
    }

    /// Sends a signal, such as `-HUP`.
    pub(crate) fn signal(&self, signal: &str) {
        let process = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &process]).status().unwrap().success());
    }

    /// Ends it by SIGTERM; what it logged.
    pub(crate) fn stop(mut self) -> String {
        self.signal("-TERM");
        let status = self.child.wait().unwrap();
        let log = self.log();
        assert!(status.success(), "{log}");
        log
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// The value of a metric, its labels written out; 0 if it is not there.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let (_, text) = get(&self.admin, "/metrics");
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().unwrap())
    }

    /// A connection string through it.
    pub(crate) fn dsn(&self, user: &str, application: &str) -> String {
        let (host, port) = self.listen.split_once(':').unwrap();
        format!(
            "host={host} port={port} user={user} dbname=postgres application_name={application}"
        )
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address of this machine at which nobody listens.
pub(crate) fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// A new file with this text, in a directory that cargo cleans.
pub(crate) fn new_file(name: &str, text: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("{}-{count}-{name}", std::process::id());
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// The status and body of an admin page, 0 if nobody listens.
pub(crate) fn get(admin: &str, path: &str) -> (u16, String) {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).build().into();
    match agent.get(format!("http://{admin}{path}")).call() {
        Ok(mut answer) => (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap()),
        Err(_) => (0, String::new()),
    }
}

/// The program with these arguments: exit code, output, errors.
pub(crate) fn orgguard(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_orgguard"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let Output { status, stdout, stderr } = output;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}
