//! Where the tenant comes from: the role, the database, the client's certificate, a comment, in
//! the configured order, with a real server behind.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/guard.rs"]
mod guard;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;

use guard::{Client, Guard, bind, execute, field, message, parse, startup, sync, unkinded};
use orgguard::cli::Throwaway;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};

const A: &str = "11111111-1111-4111-8111-111111111111";
const B: &str = "22222222-2222-4222-8222-222222222222";
const BARE_A: &str = "11111111111141118111111111111111";

/// A server with one guarded table, in each of two databases.
fn server() -> Throwaway {
    let server = Throwaway::start().unwrap();
    let mut admin = direct(&server, "postgres");
    for sql in [
        "CREATE ROLE alpha LOGIN SUPERUSER",
        "CREATE ROLE beta LOGIN SUPERUSER",
        &format!("CREATE ROLE app_{BARE_A} LOGIN SUPERUSER"),
        "CREATE ROLE app_nobody LOGIN SUPERUSER",
        &format!("CREATE DATABASE shop_{BARE_A}"),
    ] {
        assert_eq!(admin.query(sql).last().unwrap(), "Z I", "{sql}");
    }
    for database in ["postgres", &format!("shop_{BARE_A}")] {
        let made = direct(&server, database).query(&format!(
            "CREATE TABLE org_products (organization_id uuid, name text, deleted_at timestamptz); \
             INSERT INTO org_products VALUES ('{A}', 'lamp'), ('{B}', 'bolt')"
        ));
        assert_eq!(made.last().unwrap(), "Z I");
    }
    server
}

fn direct(server: &Throwaway, database: &str) -> Client {
    login(Client::connect(server.address()), "postgres", database, &[])
}

fn login(mut client: Client, user: &str, database: &str, more: &[(&str, &str)]) -> Client {
    let mut parameters = vec![("user", user), ("database", database)];
    parameters.extend(more);
    client.send(&startup(&parameters));
    client.until(b'Z');
    client
}

/// A guard with these lines in [tenant] in place of its source, and more sections.
fn guard(server: &Throwaway, mode: &str, tenant: &str, more: &str) -> Guard {
    let text = Guard::text(mode, &server.address().to_string(), more);
    let text = text.replace("sources = [\"setting\"]", tenant);
    let (before, after) =
        text.split_once("[tenant.").map_or((&*text, None), |(before, after)| (before, Some(after)));
    // Tables below [tenant] stand behind its own keys.
    let text = match after {
        None => text.clone(),
        Some(after) => {
            let (table, rest) = after.split_once("[end]\n").unwrap();
            format!("{before}{rest}[tenant.{table}")
        }
    };
    Guard::start_text(&text)
}

fn of(tenant: &str) -> String {
    format!(
        "SELECT name FROM org_products WHERE organization_id = '{tenant}' AND deleted_at IS NULL"
    )
}

/// Which of the two tenants a session may speak of.
fn allowed(client: &mut Client) -> Vec<&'static str> {
    let mut allowed = Vec::new();
    for (name, tenant) in [("A", A), ("B", B)] {
        if client.query(&of(tenant))[0] != "E 42501" {
            allowed.push(name);
        }
    }
    allowed
}

#[test]
fn by_role() {
    let server = server();
    let tenant = format!(
        "sources = [\"role\"]\nrole_pattern = \"app_{{tenant}}\"\n\
         [tenant.roles]\nalpha = \"{A}\"\nbeta = \"{B}\"\n[end]\n"
    );
    let guard = guard(&server, "enforce", &tenant, "");
    let session = |user: &str| login(guard.connect(), user, "postgres", &[]);
    assert_eq!(allowed(&mut session("alpha")), ["A"]);
    assert_eq!(allowed(&mut session("beta")), ["B"]);
    assert_eq!(allowed(&mut session(&format!("app_{BARE_A}"))), ["A"]);
    // The form of a tenant's role without a tenant in it: nothing guarded.
    assert_eq!(allowed(&mut session("app_nobody")), [""; 0]);
    // Neither: the structural rules, as configured.
    assert_eq!(allowed(&mut session("postgres")), ["A", "B"]);
    // No setting moves it, and the role itself is pinned.
    let mut alpha = session("alpha");
    assert_eq!(alpha.query(&format!("SET app.organization_id = '{B}'")), ["C SET", "Z I"]);
    assert_eq!(allowed(&mut alpha), ["A"]);
    assert_eq!(alpha.query("SET ROLE beta"), ["E 42501", "Z I"]);
    assert_eq!(alpha.query("SET SESSION AUTHORIZATION beta"), ["E 42501", "Z I"]);
    // Values are held against it too.
    let bound = of("x").replace("'x'", "$1");
    let mut run = |value| {
        alpha.send(&[parse("", &bound), bind("", "", &[value]), execute(""), sync()].concat());
        alpha.until(b'Z')
    };
    assert!(run(A).contains(&"D".to_owned()));
    assert!(run(B).contains(&"E 42501".to_owned()));
}

#[test]
fn by_database() {
    let server = server();
    let tenant = format!(
        "sources = [\"database\"]\ndatabase_pattern = \"shop_{{tenant}}\"\n\
         [tenant.databases]\npostgres = \"{B}\"\n[end]\n"
    );
    let guard = guard(&server, "enforce", &tenant, "");
    let session = |database: &str| login(guard.connect(), "postgres", database, &[]);
    assert_eq!(allowed(&mut session("postgres")), ["B"]);
    assert_eq!(allowed(&mut session(&format!("shop_{BARE_A}"))), ["A"]);
    // A database that is not named is named like the role.
    let mut client = guard.connect();
    client.send(&startup(&[("user", "postgres")]));
    client.until(b'Z');
    assert_eq!(allowed(&mut client), ["B"]);
}

#[test]
fn in_the_configured_order() {
    let server = server();
    let map = format!("[tenant.roles]\nalpha = \"{A}\"\n[end]\n");
    // The role first: the setting matters where the role says nothing.
    let first = format!("sources = [\"role\", \"setting\"]\n{map}");
    let guard_first = guard(&server, "enforce", &first, "");
    let setting = [("app.organization_id", B)];
    let mut alpha = login(guard_first.connect(), "alpha", "postgres", &setting);
    assert_eq!(allowed(&mut alpha), ["A"]);
    let mut beta = login(guard_first.connect(), "beta", "postgres", &setting);
    assert_eq!(allowed(&mut beta), ["B"]);
    beta.query("SET app.organization_id = ''");
    assert_eq!(allowed(&mut beta), ["A", "B"]);
    // The setting first: the role is what there is without it.
    let last = format!("sources = [\"setting\", \"role\"]\n{map}");
    let guard_last = guard(&server, "enforce", &last, "");
    let mut alpha = login(guard_last.connect(), "alpha", "postgres", &[]);
    assert_eq!(allowed(&mut alpha), ["A"]);
    alpha.query("BEGIN");
    alpha.query(&format!("SET LOCAL app.organization_id = '{B}'"));
    assert!(alpha.query(&of(B)).contains(&"D".to_owned()));
    alpha.query("ROLLBACK");
    assert_eq!(allowed(&mut alpha), ["A"]);
    // In audit the same verdicts are counted.
    let audit = guard(&server, "audit", &first, "");
    let mut alpha = login(audit.connect(), "alpha", "postgres", &setting);
    assert!(alpha.query(&of(A)).contains(&"D".to_owned()));
    assert!(alpha.query(&of(B)).contains(&"D".to_owned()));
    let foreign =
        "orgguard_violations_total{mode=\"audit\",rule=\"foreign-tenant\",table=\"org_products\"}";
    assert_eq!(audit.metric(foreign), 1);
}

#[test]
fn by_comment() {
    let server = server();
    let tenant = "sources = [\"setting\", \"comment\"]\ncomment_key = \"org\"";
    let guard = guard(&server, "enforce", tenant, "");
    let mut client = login(guard.connect(), "postgres", "postgres", &[]);
    let said = |tenant: &str, comment: &str| format!("{} /*{comment}*/", of(tenant));
    let told = |client: &mut Client, sql: &str| client.query(sql)[0] != "E 42501";
    let (a, b) = (format!("org='{A}'"), format!("org='{B}'"));
    assert!(told(&mut client, &said(A, &a)));
    assert!(!told(&mut client, &said(B, &a)));
    assert!(told(&mut client, &said(B, &format!("route='%2Fx',{b}"))));
    assert!(told(&mut client, &format!("/*{}*/ {}", a.replace('-', "%2D"), of(A))));
    // Two that differ, and one that is no tenant.
    assert!(!told(&mut client, &format!("{} /*{b}*/", said(A, &a))));
    assert!(!told(&mut client, &said(A, "org='nobody'")));
    assert!(!told(&mut client, &said(A, "org=''")));
    // In a string literal it is no comment.
    assert!(told(&mut client, &of(B).replace("name", &format!("'/*{}*/'", a.replace('\'', "''")))));
    // The extended protocol, and each statement by itself.
    let bound = of("x").replace("'x'", "$1");
    let mut run = |comment: &str, value: &str| {
        let text = format!("{bound} /*{comment}*/");
        client.send(&[parse("", &text), bind("", "", &[value]), execute(""), sync()].concat());
        !client.until(b'Z').contains(&"E 42501".to_owned())
    };
    assert!(run(&a, A) && run(&b, B) && !run(&a, B) && !run(&b, A));
    // It takes the place of nothing: where the setting speaks, a comment that says otherwise
    // refuses, even what the setting would allow.
    client.query(&format!("SET app.organization_id = '{A}'"));
    assert!(told(&mut client, &of(A)) && told(&mut client, &said(A, &a)));
    assert!(!told(&mut client, &said(B, &b)) && !told(&mut client, &said(A, &b)));
    // Without the source, a comment is a comment.
    let guard = self::guard(&server, "enforce", "sources = [\"setting\"]", "");
    let mut client = login(guard.connect(), "postgres", "postgres", &[]);
    assert!(told(&mut client, &said(B, &format!("organization_id='{A}'"))));
}

#[test]
fn a_session_without_a_tenant_may_be_refused() {
    let server = server();
    let text = Guard::text("enforce", &server.address().to_string(), "");
    let text = text.replace("\"structural\"", "\"refuse\"");
    for (sources, user) in [
        ("sources = [\"setting\"]", "postgres"),
        ("sources = [\"role\"]\nrole_pattern = \"app_{tenant}\"", "alpha"),
        ("sources = [\"setting\", \"comment\"]", "postgres"),
    ] {
        let guard = Guard::start_text(&text.replace("sources = [\"setting\"]", sources));
        let mut client = login(guard.connect(), user, "postgres", &[]);
        assert_eq!(allowed(&mut client), [""; 0], "{sources}");
        let run = [parse("", &of(A)), bind("", "", &[]), execute(""), sync()].concat();
        client.send(&run);
        assert!(client.until(b'Z').contains(&"E 42501".to_owned()));
        // What has nothing to do with a guarded table is no business of the tenant's.
        assert_eq!(client.query("SELECT 1"), ["T", "D", "C SELECT 1", "Z I"]);
        if sources.contains("setting") {
            client.query(&format!("SET app.organization_id = '{A}'"));
            assert_eq!(allowed(&mut client), ["A"]);
            client.query("RESET ALL");
            assert_eq!(allowed(&mut client), [""; 0]);
            client.query("SET app.organization_id = 'nobody'");
            assert_eq!(allowed(&mut client), [""; 0]);
        }
    }
}

/// An authority, and certificates of its own or of another.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate with this common name and these alternative names: PEM of it and of its key.
    fn issue(&self, common: &str, names: Vec<SanType>) -> (String, String) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, common);
        params.subject_alt_names = names;
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// What a client with this certificate is told of both tenants' rows; `None` if it is not let in.
fn over_tls(
    guard: &Guard,
    authority: &str,
    identity: Option<&(String, String)>,
) -> Option<Vec<String>> {
    use rustls_pki_types::pem::PemObject as _;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap(),
    };
    let name = "localhost".try_into().unwrap();
    let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut socket = TcpStream::connect(guard.address()).unwrap();
    socket.write_all(&unkinded(&80_877_103_u32.to_be_bytes())).unwrap();
    let mut answer = [0];
    socket.read_exact(&mut answer).unwrap();
    assert_eq!(answer, *b"S");
    let mut tls = rustls::StreamOwned::new(connection, socket);
    let mut bytes = startup(&[("user", "postgres"), ("database", "postgres")]);
    for tenant in [A, B] {
        bytes.extend(message(b'Q', format!("{}\0", of(tenant)).as_bytes()));
    }
    bytes.extend(message(b'X', b""));
    tls.write_all(&bytes).ok()?;
    let mut all = Vec::new();
    // Whether the other side says goodbye or not.
    let _ = tls.read_to_end(&mut all);
    let mut told = Vec::new();
    let mut rest = &all[..];
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[1..5].try_into().unwrap()) as usize;
        match rest[0] {
            b'D' => told.push("row".to_owned()),
            b'E' => told.push(field(&rest[5..=length], b'C')),
            _ => {}
        }
        rest = &rest[1 + length..];
    }
    (!told.is_empty()).then_some(told)
}

#[test]
fn by_certificate() {
    let server = server();
    let authority = Authority::new("clients");
    let stranger = Authority::new("clients");
    let (certificate, key) =
        authority.issue("guard", vec![SanType::DnsName("localhost".try_into().unwrap())]);
    let folder: PathBuf =
        std::env::temp_dir().join(format!("orgguard-clients-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let base = format!(
        "[client_tls]\ncertificate = {:?}\nkey = {:?}\nclient_ca = {:?}\n",
        path("tls.crt", &certificate),
        path("tls.key", &key),
        path("ca.crt", &authority.pem),
    );
    let start = |pattern: &str, more: &str| {
        let tenant = format!("sources = [\"certificate\"]\ncertificate_pattern = \"{pattern}\"");
        guard(&server, "enforce", &tenant, &format!("{base}{more}"))
    };
    let dns = |name: String| SanType::DnsName(name.try_into().unwrap());
    let uri = |name: String| SanType::URI(name.try_into().unwrap());
    let only_a = Some(vec!["row".to_owned(), "42501".to_owned()]);
    let nothing = Some(vec!["42501".to_owned(), "42501".to_owned()]);
    let both = Some(vec!["row".to_owned(), "row".to_owned()]);
    // By the common name. Without a certificate, or with none of a tenant's: no tenant.
    let by_name = start("CN=org {tenant}", "");
    let alpha = authority.issue(&format!("org {A}"), Vec::new());
    assert_eq!(over_tls(&by_name, &authority.pem, Some(&alpha)), only_a);
    assert_eq!(over_tls(&by_name, &authority.pem, None), both);
    let other = authority.issue("somebody", vec![dns(format!("{BARE_A}.org.test"))]);
    assert_eq!(over_tls(&by_name, &authority.pem, Some(&other)), both);
    let broken = authority.issue("org nobody", Vec::new());
    assert_eq!(over_tls(&by_name, &authority.pem, Some(&broken)), nothing);
    // Of another authority of the same name: not let in.
    let forged = stranger.issue(&format!("org {A}"), Vec::new());
    assert_eq!(over_tls(&by_name, &authority.pem, Some(&forged)), None);
    // By an alternative name; two tenants are none.
    let by_dns = start("DNS={tenant}.org.test", "client_certificate_required = true\n");
    let alpha = authority.issue("x", vec![dns(format!("{BARE_A}.org.test")), dns("y.test".into())]);
    assert_eq!(over_tls(&by_dns, &authority.pem, Some(&alpha)), only_a);
    let two = vec![dns(format!("{A}.org.test")), dns(format!("{B}.org.test"))];
    assert_eq!(over_tls(&by_dns, &authority.pem, Some(&authority.issue("x", two))), nothing);
    assert_eq!(over_tls(&by_dns, &authority.pem, None), None);
    let by_uri = start("URI=spiffe://shop/org/{tenant}", "");
    let alpha = authority.issue("x", vec![uri(format!("spiffe://shop/org/{A}"))]);
    assert_eq!(over_tls(&by_uri, &authority.pem, Some(&alpha)), only_a);
    std::fs::remove_dir_all(&folder).unwrap();
}
