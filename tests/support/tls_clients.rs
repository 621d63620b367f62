//! Clients of every kind that log in with or without TLS, and run the same statements then.
//!
//! Each says what came of it in one line, with tabs between its fields: `in`, `t` or `f` as the
//! server's leg is encrypted or not, the names that the admitted statement gave, SQLSTATE and message
//! of the refused one; or `out`, SQLSTATE (nothing where it was no server that said so) and message.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use serde_json::json;
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::legs::Setting;
use super::support;

/// Whether the server's leg is encrypted, by the server's word.
const ENCRYPTED: &str = "SELECT ssl FROM wire";

/// The guarded table of the statements, and a row of each of two organizations.
pub(crate) const TABLE: &str = "CREATE TABLE org_notes (name text, organization_id uuid, deleted_at timestamptz); \
     INSERT INTO org_notes VALUES ('ours', '01900000-0000-7000-8000-00000000000a'), \
     ('theirs', '01900000-0000-7000-8000-00000000000b'); GRANT SELECT ON org_notes TO app";

/// Bound to one organization.
const ADMITTED: &str = "SELECT name FROM org_notes \
     WHERE organization_id = '01900000-0000-7000-8000-00000000000a' AND deleted_at IS NULL";

/// Not bound: it would give both rows.
const REFUSED: &str = "SELECT name FROM org_notes WHERE deleted_at IS NULL";

/// How a client is to bind its login to its TLS connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    Disable,
    Prefer,
    Require,
}

impl Binding {
    pub(crate) const ALL: [Self; 3] = [Self::Disable, Self::Prefer, Self::Require];

    fn name(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
        }
    }
}

/// One login.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt<'a> {
    pub(crate) port: u16,
    pub(crate) tls: bool,
    pub(crate) binding: Binding,
    pub(crate) password: &'a str,
}

/// What came of a login.
#[derive(Debug)]
pub(crate) enum Answer {
    /// There was one.
    In {
        /// The server's leg.
        encrypted: bool,
        /// What the admitted statement gave.
        admitted: String,
        /// What was said to the other one.
        refused: Told,
    },
    /// There was none.
    Out(Told),
}

/// Why not.
#[derive(Debug)]
pub(crate) struct Told {
    /// SQLSTATE; nothing where the client itself says so. libpq keeps it for itself as long as there
    /// is no session: `FATAL` then.
    pub(crate) code: String,
    pub(crate) message: String,
}

impl Answer {
    fn read(line: &str) -> Self {
        let fields: Vec<_> = line.trim_end_matches('\n').split('\t').collect();
        let told = |code: &str, message: &str| Told { code: code.into(), message: message.into() };
        match fields[..] {
            ["in", encrypted @ ("t" | "f"), admitted, code, message] => Self::In {
                encrypted: encrypted == "t",
                admitted: admitted.into(),
                refused: told(code, message),
            },
            ["out", code, message] => Self::Out(told(code, message)),
            _ => panic!("no answer: {line:?}"),
        }
    }
}

/// A client of some kind.
pub(crate) trait Client {
    fn name(&self) -> &'static str;
    /// Whether it can be told so.
    fn knows(&self, binding: Binding) -> bool;
    /// What it says in its SCRAM login where it is to prefer channel binding and has no TLS to bind
    /// to: that it could bind and takes it that the server cannot (`y` of RFC 5802, 7), or that it
    /// cannot (`n`).
    fn claims_to_bind_in_clear(&self) -> bool;
    fn log_in(&mut self, attempt: Attempt<'_>) -> Answer;
}

/// libpq, in psql.
pub(crate) struct Libpq<'a>(pub(crate) &'a Setting);

impl Client for Libpq<'_> {
    fn name(&self) -> &'static str {
        "libpq"
    }

    fn knows(&self, _binding: Binding) -> bool {
        true
    }

    /// `conn->ssl_in_use` decides (fe-auth-scram.c).
    fn claims_to_bind_in_clear(&self) -> bool {
        false
    }

    fn log_in(&mut self, attempt: Attempt<'_>) -> Answer {
        let Attempt { port, tls, binding, password } = attempt;
        let sslmode = if tls { "require" } else { "disable" };
        let output = Command::new(self.0.server.programs().join("psql"))
            .args([
                "-XAtq",
                "-v",
                "VERBOSITY=verbose",
                "-c",
                ENCRYPTED,
                "-c",
                ADMITTED,
                "-c",
                REFUSED,
            ])
            .arg(format!(
                "host=127.0.0.1 port={port} dbname=postgres user=app sslmode={sslmode} \
                 channel_binding={} connect_timeout=60",
                binding.name()
            ))
            .env("PGPASSWORD", password)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap().replace(['\t', '\n'], " ");
        // No connection (psql(1), "Exit Status").
        if output.status.code() == Some(2) {
            let code = if said.contains("FATAL:") { "FATAL" } else { "" };
            return Answer::read(&format!("out\t{code}\t{said}"));
        }
        let rows = String::from_utf8(output.stdout).unwrap();
        let (encrypted, names) = rows.trim_end().split_once('\n').unwrap();
        let names = names.replace('\n', ",");
        let error = said.strip_prefix("ERROR:  ").and_then(|error| error.split_once(": "));
        let (code, message) = error.unwrap_or(("", &said));
        Answer::read(&format!("in\t{encrypted}\t{names}\t{code}\t{message}"))
    }
}

/// All others; what they need is installed.
pub(crate) fn others() -> Vec<Box<dyn Client>> {
    let node = support::node(&support::install_node("clients/drizzle"), "login.js");
    let python = support::python(&support::install_python("clients/python"), "login.py");
    let mut java = Command::new("java");
    let driver = std::env::var("ORGGUARD_PGJDBC");
    let driver = driver.unwrap_or_else(|_| "/usr/share/java/postgresql.jar".to_owned());
    assert!(fs::exists(&driver).unwrap(), "{driver} is missing (Debian: libpostgresql-jdbc-java)");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/java/Login.java");
    java.args(["-cp", &driver, source]);
    let both = &[Binding::Disable, Binding::Prefer];
    let none = &[Binding::Disable];
    let json = |Attempt { port, tls, binding, password }: Attempt<'_>| {
        json!({
            "port": port, "tls": tls, "binding": binding.name(), "password": password,
            "encrypted": ENCRYPTED, "admitted": ADMITTED, "refused": REFUSED,
        })
        .to_string()
    };
    let fields = |Attempt { port, tls, binding, password }: Attempt<'_>| {
        let binding = binding.name();
        format!("{port}\t{tls}\t{binding}\t{password}\t{ENCRYPTED}\t{ADMITTED}\t{REFUSED}")
    };
    vec![
        // With `enableChannelBinding` it says `y` whenever it was not offered (pg/lib/crypto/sasl.js).
        Box::new(Program::start("node-postgres", both, true, node, json)),
        Box::new(Program::start("asyncpg", none, false, python, json)),
        Box::new(Program::start("pgjdbc", none, false, java, fields)),
        Box::new(TokioPostgres),
    ]
}

/// A program that logs in for each line that it is given.
struct Program {
    name: &'static str,
    known: &'static [Binding],
    claims_to_bind_in_clear: bool,
    line: fn(Attempt<'_>) -> String,
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Program {
    fn start(
        name: &'static str,
        known: &'static [Binding],
        claims_to_bind_in_clear: bool,
        mut command: Command,
        line: fn(Attempt<'_>) -> String,
    ) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        let (asks, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let answers = BufReader::new(answers);
        Self { name, known, claims_to_bind_in_clear, line, child, asks, answers }
    }
}

impl Client for Program {
    fn name(&self) -> &'static str {
        self.name
    }

    fn knows(&self, binding: Binding) -> bool {
        self.known.contains(&binding)
    }

    fn claims_to_bind_in_clear(&self) -> bool {
        self.claims_to_bind_in_clear
    }

    fn log_in(&mut self, attempt: Attempt<'_>) -> Answer {
        writeln!(self.asks, "{}", (self.line)(attempt)).unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        Answer::read(&answer)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct TokioPostgres;

impl Client for TokioPostgres {
    fn name(&self) -> &'static str {
        "tokio-postgres"
    }

    fn knows(&self, _binding: Binding) -> bool {
        true
    }

    /// Without TLS the stream has nothing to bind to (`ChannelBinding::none`).
    fn claims_to_bind_in_clear(&self) -> bool {
        false
    }

    fn log_in(&mut self, attempt: Attempt<'_>) -> Answer {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(attempt.port).user("app").dbname("postgres");
        config.password(attempt.password).connect_timeout(Duration::from_secs(60));
        config.ssl_mode(if attempt.tls { SslMode::Require } else { SslMode::Disable });
        config.channel_binding(match attempt.binding {
            Binding::Disable => ChannelBinding::Disable,
            Binding::Prefer => ChannelBinding::Prefer,
            Binding::Require => ChannelBinding::Require,
        });
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate))
            .with_no_client_auth();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let connected = config.connect(MakeRustlsConnect::new(tls)).await;
            let (client, driver) = match connected {
                Ok(connected) => connected,
                Err(error) => return Answer::Out(told(&error)),
            };
            tokio::spawn(driver);
            let encrypted = client.query_one(ENCRYPTED, &[]).await.unwrap().get(0);
            let rows = client.query(ADMITTED, &[]).await.unwrap();
            let names: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
            let refused = told(&client.query(REFUSED, &[]).await.unwrap_err());
            Answer::In { encrypted, admitted: names.join(","), refused }
        })
    }
}

/// The driver's own text leaves out what it came from.
fn told(error: &tokio_postgres::Error) -> Told {
    let code = error.code().map_or_else(String::new, |code| code.code().to_owned());
    let cause = std::error::Error::source(error).map(ToString::to_string);
    Told { code, message: format!("{error}: {}", cause.unwrap_or_default()) }
}

/// As `sslmode=require`: encrypted, whoever it is.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _stapled: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
