//! What the guard is measured against and with (`benches/compare/compare.py`):
//!
//! - `peers bare LISTEN UPSTREAM` is the floor of a relay in user space: tokio's
//!   `copy_bidirectional` on two threads, with buffers of 8 KiB, and nothing else;
//! - `peers backend LISTEN` is a server that lets everybody in and answers every query with no
//!   rows;
//! - `peers idle ADDRESS COUNT [CERTIFICATE]` opens sessions, in TLS if a certificate is given,
//!   runs one query in each, says `ready`, and holds them until its standard input ends;
//! - `peers churn ADDRESS COUNT` opens and ends as many sessions, one after the other.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a tool for measuring: it may stop at the first surprise"
)]

use std::error::Error;
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

type Done = Result<(), Box<dyn Error + Send + Sync>>;

/// Bytes of each of the bare relay's buffers.
const BARE_BUFFER: usize = 8 << 10;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Done {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["bare", listen, upstream] => bare(listen, upstream.parse()?).await,
        ["backend", listen] => backend(listen).await,
        ["idle", address, count] => idle(address.parse()?, count.parse()?, None).await,
        ["idle", address, count, certificate] => {
            let certificate = CertificateDer::from_pem_file(certificate)?;
            idle(address.parse()?, count.parse()?, Some(certificate)).await
        }
        ["churn", address, count] => churn(address.parse()?, count.parse()?).await,
        _ => Err("see the head of benches/compare/peers.rs for how to call it".into()),
    }
}

async fn bare(listen: &str, upstream: SocketAddr) -> Done {
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (mut client, _) = listener.accept().await?;
        tokio::spawn(async move {
            let Ok(mut server) = TcpStream::connect(upstream).await else { return };
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let sizes = (BARE_BUFFER, BARE_BUFFER);
            let _ = tokio::io::copy_bidirectional_with_sizes(
                &mut client,
                &mut server,
                sizes.0,
                sizes.1,
            )
            .await;
        });
    }
}

async fn backend(listen: &str) -> Done {
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (client, _) = listener.accept().await?;
        tokio::spawn(async move {
            let _ = client.set_nodelay(true);
            let _ = answer(client).await;
        });
    }
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [&[kind], length.to_be_bytes().as_slice(), body].concat()
}

async fn body(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Vec<u8>> {
    let length = usize::try_from(stream.read_u32().await?).unwrap_or_default();
    let mut body = vec![0; length.saturating_sub(4)];
    stream.read_exact(&mut body).await?;
    Ok(body)
}

/// Answers a client that may be the guard: its questions for settings get what its startup packet
/// has said.
async fn answer(mut client: TcpStream) -> std::io::Result<()> {
    let mut startup = body(&mut client).await?;
    if startup.len() == 4 {
        client.write_all(b"N").await?;
        startup = body(&mut client).await?;
    }
    let reported = [
        ("server_version", "15.0"),
        ("client_encoding", "UTF8"),
        ("standard_conforming_strings", "on"),
    ];
    let mut bytes = message(b'R', &0_u32.to_be_bytes());
    for (name, value) in reported {
        bytes.extend(message(b'S', format!("{name}\0{value}\0").as_bytes()));
    }
    bytes.extend(message(b'K', &[0, 0, 0, 1, 0, 0, 0, 2]));
    bytes.extend(message(b'Z', b"I"));
    client.write_all(&bytes).await?;
    loop {
        let kind = client.read_u8().await?;
        let asked = body(&mut client).await?;
        let mut bytes = Vec::new();
        match kind {
            b'Q' => {
                let asked = String::from_utf8_lossy(&asked);
                if asked.contains("current_setting('") {
                    bytes.extend(message(b'D', &settings(&asked, &startup)));
                }
                bytes.extend(message(b'C', b"SELECT 1\0"));
                bytes.extend(message(b'Z', b"I"));
            }
            b'S' => bytes = message(b'Z', b"I"),
            b'X' => return Ok(()),
            _ => {}
        }
        client.write_all(&bytes).await?;
    }
}

/// The row of the settings that are asked for.
fn settings(asked: &str, startup: &[u8]) -> Vec<u8> {
    let startup = String::from_utf8_lossy(startup.get(4..).unwrap_or_default()).into_owned();
    let words: Vec<&str> = startup.split('\0').collect();
    let given = |name: &str| {
        let found = words.chunks_exact(2).find(|pair| pair[0].eq_ignore_ascii_case(name));
        found.map(|pair| pair[1])
    };
    let mut row = Vec::new();
    let mut count = 0_u16;
    for name in asked.split("current_setting('").skip(1).filter_map(|rest| rest.split('\'').next())
    {
        let value = match name {
            "session_authorization" => given("user"),
            "search_path" => given(name).or(Some("\"$user\", public")),
            _ => given(name),
        };
        count += 1;
        match value {
            None => row.extend(u32::MAX.to_be_bytes()),
            Some(value) => {
                row.extend(u32::try_from(value.len()).unwrap_or_default().to_be_bytes());
                row.extend(value.as_bytes());
            }
        }
    }
    [count.to_be_bytes().as_slice(), &row].concat()
}

trait Peer: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Peer for T {}

/// Opens a session and runs a query in it.
async fn open(
    address: SocketAddr,
    tls: Option<&TlsConnector>,
) -> Result<Box<dyn Peer>, Box<dyn Error + Send + Sync>> {
    let mut stream = TcpStream::connect(address).await?;
    let mut stream: Box<dyn Peer> = match tls {
        None => Box::new(stream),
        Some(connector) => {
            const REQUEST: u32 = 80_877_103;
            stream.write_all(&[8_u32.to_be_bytes(), REQUEST.to_be_bytes()].concat()).await?;
            if stream.read_u8().await? != b'S' {
                return Err("no TLS".into());
            }
            let name = ServerName::try_from(address.ip().to_string())?;
            Box::new(connector.connect(name, stream).await?)
        }
    };
    let startup = b"\0\x03\0\0user\0postgres\0database\0postgres\0\0";
    let length = u32::try_from(startup.len() + 4)?;
    stream.write_all(&[length.to_be_bytes().as_slice(), startup].concat()).await?;
    ready(&mut stream).await?;
    stream.write_all(&message(b'Q', b"select 1\0")).await?;
    ready(&mut stream).await?;
    Ok(stream)
}

async fn ready(stream: &mut Box<dyn Peer>) -> Done {
    loop {
        let kind = stream.read_u8().await?;
        let body = body(stream).await?;
        match kind {
            b'E' => return Err(String::from_utf8_lossy(&body).into()),
            b'Z' => return Ok(()),
            _ => {}
        }
    }
}

async fn idle(
    address: SocketAddr,
    count: usize,
    certificate: Option<CertificateDer<'static>>,
) -> Done {
    let connector = certificate
        .map(|certificate| {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(certificate)?;
            let config =
                rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
            Ok::<_, rustls::Error>(TlsConnector::from(Arc::new(config)))
        })
        .transpose()?;
    let mut sessions = Vec::with_capacity(count);
    for _ in 0..count {
        sessions.push(open(address, connector.as_ref()).await?);
    }
    println!("ready");
    let held = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    held.await??;
    Ok(())
}

async fn churn(address: SocketAddr, count: usize) -> Done {
    for _ in 0..count {
        let mut session = open(address, None).await?;
        session.write_all(&message(b'X', b"")).await?;
        session.shutdown().await?;
        // The end of the other side: no port is left in TIME_WAIT on it.
        let _ = session.read_to_end(&mut Vec::new()).await;
    }
    println!("ready");
    Ok(())
}
