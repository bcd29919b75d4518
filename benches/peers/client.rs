//! One client, which blocks: a handshake, a request, its answer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, Stream};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What clients believe.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    config: Arc<ClientConfig>,
}

impl Client {
    /// # Errors
    /// The authority's file is none.
    pub(crate) fn new(authority: &Path) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(authority)? {
            roots.add(certificate?)?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = versions.with_root_certificates(roots).with_no_client_auth();
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Self { config: Arc::new(config) })
    }

    /// A connection that has been asked once and stays open. What its session is made of is gone: nothing more can be asked.
    ///
    /// # Errors
    /// It cannot be made, or is not answered with 200.
    pub(crate) fn ask(&self, proxy: SocketAddr) -> Result<TcpStream> {
        let mut socket = TcpStream::connect(proxy)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_nodelay(true)?;
        let name = ServerName::try_from("127.0.0.1")?;
        let mut session = ClientConnection::new(self.config.clone(), name)?;
        let mut stream = Stream::new(&mut session, &mut socket);
        write!(stream, "GET /1024 HTTP/1.1\r\nhost: {proxy}\r\n\r\n")?;
        let (mut answer, mut piece) = (Vec::new(), [0; 4_096]);
        loop {
            let count = stream.read(&mut piece)?;
            ensure!(count > 0, "the answer broke off");
            answer.extend(piece.iter().take(count));
            if is_whole(&answer).context("the answer is not 200 with 1 KiB")? {
                return Ok(socket);
            }
        }
    }
}

/// None where the answer will never be what was asked for.
fn is_whole(answer: &[u8]) -> Option<bool> {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return Some(false) };
    let is_right = head.starts_with("HTTP/1.1 200");
    is_right.then_some(body.matches('x').count() >= 1_024)
}
