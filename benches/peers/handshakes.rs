//! A load of full handshakes: connect, shake hands, ask once, and read to the end that the server makes.
//!
//! wrk and others take up the session that they had before, which saves the server its signature; here nothing is taken up. The key exchange
//! is the same for every server, and the certificate is known beforehand, so that a client has less to do than the server.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, Stream, SupportedCipherSuite};
use tokio::time::Instant;

use crate::load::HEADERS;

/// Which suites clients offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Suites {
    /// Those of TLS 1.3 in the order of OpenSSL, as of curl: which one it is, the server's own defaults say.
    All,
    /// One, for every server.
    Aes256,
}

impl Suites {
    fn offered(self) -> Vec<SupportedCipherSuite> {
        use aws_lc_rs::cipher_suite as suites;
        let first = suites::TLS13_AES_256_GCM_SHA384;
        match self {
            Self::All => vec![first, suites::TLS13_CHACHA20_POLY1305_SHA256, suites::TLS13_AES_128_GCM_SHA256],
            Self::Aes256 => vec![first],
        }
    }
}

/// Clients at a time.
const CLIENTS: usize = 16;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs for so many seconds, and gives the number of answers. The server shows the first certificate of this file.
///
/// # Errors
/// A handshake or a request fails.
pub(crate) fn run((proxy, path): (SocketAddr, &str), chain: &Path, suites: Suites, seconds: u32) -> Result<u64> {
    let known = CertificateDer::pem_file_iter(chain)?.next().context("there is no certificate")??;
    let client = Client { config: Arc::new(config(known, suites)?), proxy, request: request(proxy, path).into() };
    let until = Instant::now() + Duration::from_secs(u64::from(seconds));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let client = client.clone();
            thread::spawn(move || client.asks(until))
        })
        .collect();
    clients.into_iter().try_fold(0, |sum, client| {
        let answers = client.join().ok().context("a client panicked")??;
        Ok(sum + answers)
    })
}

fn config(known: CertificateDer<'static>, suites: Suites) -> Result<ClientConfig> {
    let provider = CryptoProvider {
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        cipher_suites: suites.offered(),
        ..aws_lc_rs::default_provider()
    };
    let versions = ClientConfig::builder_with_provider(Arc::new(provider)).with_safe_default_protocol_versions()?;
    let verifier = versions.dangerous().with_custom_certificate_verifier(Arc::new(Known(known)));
    let mut config = verifier.with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn request(proxy: SocketAddr, path: &str) -> String {
    let headers = HEADERS.map(|header| format!("{header}\r\n")).concat();
    format!("GET {path} HTTP/1.1\r\nhost: {proxy}\r\n{headers}connection: close\r\n\r\n")
}

#[derive(Clone)]
struct Client {
    config: Arc<ClientConfig>,
    proxy: SocketAddr,
    request: Arc<str>,
}

impl Client {
    fn asks(&self, until: Instant) -> Result<u64> {
        let mut answers = 0;
        while Instant::now() < until {
            self.ask()?;
            answers += 1;
        }
        Ok(answers)
    }

    fn ask(&self) -> Result<()> {
        let mut socket = TcpStream::connect(self.proxy)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_nodelay(true)?;
        let mut session = ClientConnection::new(self.config.clone(), ServerName::try_from("127.0.0.1")?)?;
        let mut answer = Vec::with_capacity(2_048);
        let mut stream = Stream::new(&mut session, &mut socket);
        stream.write_all(self.request.as_bytes())?;
        match stream.read_to_end(&mut answer) {
            Ok(_) => {}
            // Not every server says goodbye within TLS; whether the answer is whole is seen below.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            Err(error) => return Err(error).context("an answer broke off"),
        }
        ensure!(is_whole(&answer), "an answer is not 200 with 1 KiB: {}", String::from_utf8_lossy(&answer));
        Ok(())
    }
}

fn is_whole(answer: &[u8]) -> bool {
    answer.starts_with(b"HTTP/1.1 200") && answer.iter().rev().take_while(|byte| **byte == b'x').count() >= 1_024
}

/// Believes one certificate, and nothing that is signed with it: a benchmark's server is who it is.
#[derive(Debug)]
struct Known(CertificateDer<'static>);

impl ServerCertVerifier for Known {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *end_entity == self.0 {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::General("not the certificate that the server was given".into()))
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not what is measured".into()))
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
