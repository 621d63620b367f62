//! PgBouncer in front of any server.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A PgBouncer that runs until it is dropped.
pub(crate) struct PgBouncer {
    process: Child,
    pub(crate) address: SocketAddr,
    directory: PathBuf,
}

impl PgBouncer {
    /// Starts one that leads to this server, with one connection for each user and database, these
    /// lines more of `[databases]` and these of `[pgbouncer]`.
    pub(crate) fn start(server: SocketAddr, mode: &str, databases: &str, more: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("orgguard-pgbouncer-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir(&directory).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let users = directory.join("users");
        fs::write(&users, "\"app\" \"\"\n\"postgres\" \"\"\n").unwrap();
        let text = format!(
            "[databases]\n{databases}\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\n\
             pool_mode = {mode}\ndefault_pool_size = 1\n{more}\n",
            server.ip(),
            server.port(),
            address.port(),
            users.display(),
        );
        let file = directory.join("pgbouncer.ini");
        fs::write(&file, text).unwrap();
        // It refuses to run as root, as PostgreSQL does.
        let root = fs::metadata("/proc/self").unwrap().uid() == 0;
        let program = "/usr/sbin/pgbouncer";
        let program = if fs::exists(program).unwrap() { program } else { "pgbouncer" };
        let mut command = if root {
            let mut command = Command::new("setpriv");
            let user = ["--reuid=postgres", "--regid=postgres", "--clear-groups", program];
            command.args(user);
            command
        } else {
            Command::new(program)
        };
        let log = fs::File::create(directory.join("log")).unwrap();
        command.arg("-q").arg(&file).current_dir("/").stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let process = command.spawn().expect("PgBouncer is missing (Debian: pgbouncer)");
        let mut started = Self { process, address, directory };
        let asked = Instant::now();
        while TcpStream::connect(address).is_err() {
            let ended = started.process.try_wait().unwrap();
            assert!(
                ended.is_none() && asked.elapsed() < Duration::from_secs(30),
                "{}",
                started.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        started
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap()
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}
