//! Clients of every kind that log in with or without TLS.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use serde_json::json;
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::legs::Setting;
use super::support;

const QUERY: &str = "SELECT ssl FROM wire";

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
pub(crate) struct Attempt {
    pub(crate) port: u16,
    pub(crate) tls: bool,
    pub(crate) binding: Binding,
}

/// A client of some kind.
pub(crate) trait Client {
    fn name(&self) -> &'static str;
    /// Whether it can be told so.
    fn knows(&self, binding: Binding) -> bool;
    /// `t` or `f`, as the server's leg is encrypted or not; or `error: ` and why there is no login.
    fn log_in(&mut self, attempt: Attempt) -> String;
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

    fn log_in(&mut self, attempt: Attempt) -> String {
        let sslmode = if attempt.tls { "require" } else { "disable" };
        let binding = attempt.binding.name();
        let connection = format!("user=app sslmode={sslmode} channel_binding={binding}");
        let answer = self.0.psql(attempt.port, &connection, QUERY);
        answer.unwrap_or_else(|error| format!("error: {error}"))
    }
}

/// All others; what they need is installed.
pub(crate) fn others(password: &str) -> Vec<Box<dyn Client>> {
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
    let json = |attempt: Attempt| {
        let Attempt { port, tls, binding } = attempt;
        json!({ "port": port, "tls": tls, "binding": binding.name() }).to_string()
    };
    let words =
        |Attempt { port, tls, binding }: Attempt| format!("{port} {tls} {}", binding.name());
    vec![
        Box::new(Program::start("node-postgres", both, node, password, json)),
        Box::new(Program::start("asyncpg", none, python, password, json)),
        Box::new(Program::start("pgjdbc", none, java, password, words)),
        Box::new(TokioPostgres { password: password.to_owned() }),
    ]
}

/// A program that logs in for each line that it is given.
struct Program {
    name: &'static str,
    known: &'static [Binding],
    line: fn(Attempt) -> String,
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Program {
    fn start(
        name: &'static str,
        known: &'static [Binding],
        mut command: Command,
        password: &str,
        line: fn(Attempt) -> String,
    ) -> Self {
        command.env("PGPASSWORD", password).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        let (asks, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { name, known, line, child, asks, answers: BufReader::new(answers) }
    }
}

impl Client for Program {
    fn name(&self) -> &'static str {
        self.name
    }

    fn knows(&self, binding: Binding) -> bool {
        self.known.contains(&binding)
    }

    fn log_in(&mut self, attempt: Attempt) -> String {
        writeln!(self.asks, "{}", (self.line)(attempt)).unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        answer.trim().to_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct TokioPostgres {
    password: String,
}

impl Client for TokioPostgres {
    fn name(&self) -> &'static str {
        "tokio-postgres"
    }

    fn knows(&self, _binding: Binding) -> bool {
        true
    }

    fn log_in(&mut self, attempt: Attempt) -> String {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(attempt.port).user("app").dbname("postgres");
        config.password(&self.password);
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
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    return format!("error: {error} {}", cause.unwrap_or_default());
                }
            };
            tokio::spawn(driver);
            let row = client.query_one(QUERY, &[]).await.unwrap();
            if row.get(0) { "t" } else { "f" }.to_owned()
        })
    }
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
