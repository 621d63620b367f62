use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Programs of a server installation that are needed; they live in one directory.
const PROGRAMS: [&str; 3] = ["initdb", "pg_ctl", "postgres"];

/// Where distributions put server programs that they do not put on the PATH: a directory whose
/// entries are versions, the prefix of those entries, and the directory below.
const USUAL_PLACES: [(&str, &str, &str); 4] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local", "pgsql", "bin"),
];

/// Tries to find a port that nobody else takes between the look and the start.
const ATTEMPTS: usize = 5;

/// No throwaway PostgreSQL could be started. Each message is one line.
#[derive(Debug, thiserror::Error)]
pub enum NoPostgres {
    /// The programs are not here.
    #[error(
        "PostgreSQL is missing: no initdb, pg_ctl and postgres in {looked}; install the server \
         (Debian: apt-get install postgresql) or set ORGGUARD_PG_BIN to the directory of its programs"
    )]
    Missing {
        /// Where they were looked for.
        looked: String,
    },
    /// A program could not be run at all.
    #[error("could not run {program}: {source}")]
    NotRun {
        /// Its name.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// A program failed.
    #[error("{program} failed: {said}")]
    Failed {
        /// Its name.
        program: String,
        /// The last line of what it said.
        said: String,
    },
    /// The data directory could not be written.
    #[error("could not write {}: {source}", file.display())]
    NotWritten {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A PostgreSQL server with nothing in it, on a free port of 127.0.0.1, with trust authentication
/// and no care for crashes. Dropping it stops the server and removes its data.
///
/// Starting and stopping wait for the server's programs, about a second altogether: call them
/// where that may block.
#[derive(Debug)]
pub struct Throwaway {
    programs: PathBuf,
    data: PathBuf,
    port: u16,
}

impl Throwaway {
    /// Starts a server of the newest version found: in `ORGGUARD_PG_BIN`, on the PATH, or where
    /// distributions put it.
    ///
    /// # Errors
    /// If PostgreSQL is missing or does not start.
    pub fn start() -> Result<Self, NoPostgres> {
        Self::start_with(&[])
    }

    /// The same with settings of `postgresql.conf`, as names and values.
    ///
    /// # Errors
    /// If PostgreSQL is missing or does not start.
    pub fn start_with(settings: &[(&str, &str)]) -> Result<Self, NoPostgres> {
        Self::start_from(find_programs()?, settings)
    }

    /// The same with the programs of this directory.
    ///
    /// # Errors
    /// If PostgreSQL does not start.
    pub fn start_from(programs: PathBuf, settings: &[(&str, &str)]) -> Result<Self, NoPostgres> {
        let mut server = Self { programs, data: new_path(), port: 0 };
        let mut initdb = server.command("initdb");
        initdb.arg("-D").arg(&server.data);
        initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]);
        run(initdb, "initdb")?;
        let mut attempt = 0_usize;
        loop {
            attempt = attempt.saturating_add(1);
            server.port = free_port().map_err(|source| NoPostgres::NotRun {
                program: "postgres on 127.0.0.1".to_owned(),
                source,
            })?;
            server.configure(settings)?;
            let mut start = server.command("pg_ctl");
            start.arg("-D").arg(&server.data).arg("-l").arg(server.log());
            start.args(["-w", "-t", "60", "-s", "start"]);
            match run(start, "postgres") {
                Ok(()) => return Ok(server),
                Err(error) if attempt >= ATTEMPTS => return Err(error),
                Err(_)
                    if fs::read_to_string(server.log()).is_ok_and(|log| log.contains("bind")) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The port it listens on.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The directory of the server's programs; `psql` and `pgbench` are often there too.
    #[must_use]
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// A connection string for the superuser `postgres` and the database `postgres`.
    #[must_use]
    pub fn connection_string(&self) -> String {
        connection_string(self.address())
    }

    /// Stops the server and starts it again, with the data it has. `how` is a mode of `pg_ctl stop`:
    /// `fast` ends its sessions, `immediate` is a crash.
    ///
    /// # Errors
    /// If it does not start again.
    pub fn restart(&self, how: &str) -> Result<(), NoPostgres> {
        let mut restart = self.command("pg_ctl");
        restart.arg("-D").arg(&self.data).arg("-l").arg(self.log());
        restart.args(["-m", how, "-w", "-t", "60", "-s", "restart"]);
        run(restart, "postgres")
    }

    fn log(&self) -> PathBuf {
        self.data.join("server.log")
    }

    /// A program of the server, as a user that it accepts: PostgreSQL refuses to run as root.
    fn command(&self, program: &str) -> Command {
        let path = self.programs.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        // A directory that the other user may not enter makes the programs complain.
        command.current_dir("/").stdin(Stdio::null());
        command
    }

    fn configure(&self, settings: &[(&str, &str)]) -> Result<(), NoPostgres> {
        let port = self.port.to_string();
        let standard = [
            ("listen_addresses", "127.0.0.1"),
            ("port", &*port),
            ("unix_socket_directories", ""),
            ("fsync", "off"),
            ("synchronous_commit", "off"),
            ("full_page_writes", "off"),
            ("shared_buffers", "16MB"),
        ];
        let mut text = String::from("\n");
        for (name, value) in standard.iter().chain(settings) {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name} = '{}'", value.replace('\'', "''"));
        }
        let file = self.data.join("postgresql.conf");
        let append = |text: &str| {
            let mut file = fs::OpenOptions::new().append(true).open(&file)?;
            io::Write::write_all(&mut file, text.as_bytes())
        };
        append(&text).map_err(|source| NoPostgres::NotWritten { file: file.clone(), source })
    }
}

impl Drop for Throwaway {
    fn drop(&mut self) {
        if self.data.join("postmaster.pid").exists() {
            let mut stop = self.command("pg_ctl");
            stop.arg("-D").arg(&self.data).args(["-m", "immediate", "-w", "-s", "stop"]);
            // Nobody is left to tell if it fails; the data is removed all the same.
            let _ = stop.stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
        let _ = fs::remove_dir_all(&self.data);
    }
}

/// A connection string for the superuser of a throwaway server, through any address.
pub(super) fn connection_string(address: SocketAddr) -> String {
    format!("host={} port={} user=postgres dbname=postgres", address.ip(), address.port())
}

/// Runs a program to its end. Its output goes to files that nobody else holds: a server started
/// by `pg_ctl` would keep a pipe open.
fn run(mut command: Command, program: &str) -> Result<(), NoPostgres> {
    let not_run = |source| NoPostgres::NotRun { program: program.to_owned(), source };
    let (path, file) = new_file(program).map_err(not_run)?;
    let copy = file.try_clone().map_err(not_run)?;
    let status = command.stdout(file).stderr(copy).status().map_err(not_run);
    let text = fs::read_to_string(&path).unwrap_or_default();
    let _ = fs::remove_file(&path);
    if status?.success() {
        return Ok(());
    }
    let said = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("nothing said");
    Err(NoPostgres::Failed { program: program.to_owned(), said: said.trim().to_owned() })
}

fn new_file(program: &str) -> io::Result<(PathBuf, fs::File)> {
    let path = new_path().with_extension(format!("{program}.out"));
    let file = fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
    Ok((path, file))
}

/// A path in the directory for temporary files that this process has not used yet.
fn new_path() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("orgguard-postgres-{}-{count}", std::process::id()))
}

fn is_root() -> bool {
    // The owner of /proc/self is the effective user; where there is no /proc, initdb itself says
    // whether it accepts the user.
    fs::metadata("/proc/self").is_ok_and(|data| data.uid() == 0)
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn find_programs() -> Result<PathBuf, NoPostgres> {
    let complete = |directory: &PathBuf| PROGRAMS.iter().all(|p| directory.join(p).is_file());
    if let Some(chosen) = std::env::var_os("ORGGUARD_PG_BIN") {
        let chosen = PathBuf::from(chosen);
        let looked = format!("{} (ORGGUARD_PG_BIN)", chosen.display());
        return Some(chosen).filter(complete).ok_or(NoPostgres::Missing { looked });
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).find(complete).map(|found| behind_links(&found));
    on_path.or_else(|| usual_directories().into_iter().find(complete)).ok_or_else(|| {
        let looked = "PATH, /usr/lib/postgresql/*/bin, /usr/pgsql-*/bin".to_owned();
        NoPostgres::Missing { looked }
    })
}

/// Where the programs really are, beside the others of their version, if those on the PATH are
/// links.
fn behind_links(directory: &Path) -> PathBuf {
    let real = fs::canonicalize(directory.join("initdb"));
    let parent = real.ok().and_then(|program| program.parent().map(Path::to_owned));
    parent
        .filter(|parent| PROGRAMS.iter().all(|p| parent.join(p).is_file()))
        .unwrap_or_else(|| directory.to_owned())
}

/// The usual directories that exist here, newest version first.
fn usual_directories() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for (parent, prefix, below) in USUAL_PLACES {
        let Ok(entries) = fs::read_dir(parent) else {
            continue;
        };
        for entry in entries.filter_map(Result::ok) {
            let name = entry.file_name();
            if let Some(version) = name.to_str().and_then(|name| name.strip_prefix(prefix)) {
                let version: u32 = version.parse().unwrap_or(0);
                found.push((version, entry.path().join(below)));
            }
        }
    }
    found.sort_by(|(one, _), (other, _)| other.cmp(one));
    found.into_iter().map(|(_, directory)| directory).collect()
}
