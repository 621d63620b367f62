//! A server with TLS and every kind of login, and certificates.
#![allow(dead_code, reason = "each test program uses its own part")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use orgguard::cli::Throwaway;

pub(crate) const PASSWORD: &str = "open sesame";

/// Certificates, and a server that has one of them.
pub(crate) struct Setting {
    pub(crate) directory: PathBuf,
    pub(crate) server: Throwaway,
}

impl Setting {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("orgguard-logins-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir(&directory).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["server", "guard"] {
            make(&directory, name);
        }
        let hba = "host all postgres 127.0.0.1/32 trust\n\
                   local all postgres trust\n\
                   host all app 127.0.0.1/32 scram-sha-256\n\
                   host all old 127.0.0.1/32 md5\n\
                   host all bare 127.0.0.1/32 password\n\
                   hostnossl all encrypted 127.0.0.1/32 reject\n\
                   host all all 127.0.0.1/32 scram-sha-256\n";
        fs::write(directory.join("hba.conf"), hba).unwrap();
        own_by_the_server(&directory);
        let path = |name: &str| directory.join(name).to_str().unwrap().to_owned();
        let server = Throwaway::start_with(&[
            ("ssl", "on"),
            ("ssl_cert_file", &path("server.crt")),
            ("ssl_key_file", &path("server.key")),
            ("ssl_ca_file", &path("guard.crt")),
            ("hba_file", &path("hba.conf")),
            ("unix_socket_directories", &path("")),
        ])
        .unwrap();
        let setting = Self { directory, server };
        let sql = format!(
            "CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'; CREATE ROLE bare LOGIN PASSWORD '{PASSWORD}'; \
             CREATE ROLE encrypted LOGIN PASSWORD '{PASSWORD}'; \
             CREATE VIEW wire AS SELECT ssl, client_dn, client_addr FROM pg_stat_ssl \
             JOIN pg_stat_activity USING (pid) WHERE pid = pg_backend_pid(); \
             GRANT SELECT ON wire TO PUBLIC; SET password_encryption = md5; \
             CREATE ROLE old LOGIN PASSWORD '{PASSWORD}'"
        );
        let port = setting.server.port();
        setting.psql(port, "user=postgres sslmode=disable", &sql).unwrap();
        setting
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.directory.join(name).to_str().unwrap().to_owned()
    }

    /// What a query gives over this connection, or what psql says went wrong.
    pub(crate) fn psql(&self, port: u16, connection: &str, query: &str) -> Result<String, String> {
        let connection = format!("host=127.0.0.1 port={port} dbname=postgres {connection}");
        let output = Command::new(self.server.programs().join("psql"))
            .args(["-XAtq", "-c", query, &connection])
            .env("PGPASSWORD", PASSWORD)
            .output()
            .unwrap();
        if output.status.success() {
            Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        }
    }

    /// The role's secret as the server keeps it.
    pub(crate) fn secret(&self, role: &str) -> String {
        let query = format!("SELECT rolpassword FROM pg_authid WHERE rolname = '{role}'");
        self.psql(self.server.port(), "user=postgres sslmode=disable", &query).unwrap()
    }

    pub(crate) fn client_tls(&self, certificate: &str) -> String {
        format!(
            "[client_tls]\ncertificate = {:?}\nkey = {:?}\n",
            self.path(&format!("{certificate}.crt")),
            self.path(&format!("{certificate}.key")),
        )
    }

    /// Makes a certificate for `localhost` and its key, in place of what was there.
    pub(crate) fn make(&self, name: &str) {
        make(&self.directory, name);
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn make(directory: &Path, name: &str) {
    // The name that verify-full is tried with; "127.0.0.1" is another one.
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(directory.join(format!("{name}.crt")), made.cert.pem()).unwrap();
    fs::write(directory.join(format!("{name}.key")), made.signing_key.serialize_pem()).unwrap();
}

/// The server reads a key only if it is its own, and nobody else's.
fn own_by_the_server(directory: &Path) {
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let owner = root.then(|| {
        let passwd = fs::read_to_string("/etc/passwd").unwrap();
        let line = passwd.lines().find(|line| line.starts_with("postgres:")).unwrap();
        line.split(':').nth(2).unwrap().parse::<u32>().unwrap()
    });
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "key") {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        chown(&path, owner, None).unwrap();
    }
    chown(directory, owner, None).unwrap();
}
