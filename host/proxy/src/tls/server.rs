//! A listener's side of TLS: its table and its files go in, what handshakes are made with comes out.

use std::sync::Arc;

use palisade_config::{HttpVersions, ListenerTls, TlsVersion};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{NoServerSessionStorage, ProducesTickets};

use crate::tls::certificates::Certificates;
use crate::tls::shown::{Shown, ShownCertificate};
use crate::tls::{CertificateError, provider};

/// A listener's side of TLS, shared by all workers, so that a ticket of one is good at all.
#[derive(Debug)]
pub(crate) struct ServerTls {
    pub(crate) rustls: Arc<ServerConfig>,
    // What it was made of.
    config: ListenerTls,
    http: HttpVersions,
    shown: Vec<Arc<Shown>>,
}

/// What became of the files of a listener's TLS.
#[derive(Debug)]
pub(crate) struct Next {
    pub(crate) tls: Arc<ServerTls>,
    /// Why certificates are shown as they were read before.
    pub(crate) kept: Vec<CertificateError>,
}

impl ServerTls {
    /// From the configuration and the files that it names. What of `before` was made of the same is kept: where all is, it
    /// is that one. Where a certificate has gone bad, the one that was read from these files before is shown on.
    ///
    /// # Errors
    /// Everything that cannot be read or used, and never was.
    pub(crate) fn next(
        config: &ListenerTls,
        http: HttpVersions,
        before: Option<&Arc<Self>>,
    ) -> Result<Next, Vec<CertificateError>> {
        let provider = provider();
        let (mut shown, mut kept, mut problems) = (Vec::new(), Vec::new(), Vec::new());
        for certificate in &config.certificates {
            let known = before.and_then(|before| before.shown.iter().find(|shown| shown.is_of(certificate)));
            match (Shown::new(certificate, &provider, known), known) {
                (Ok(read), _) => shown.push(read),
                (Err(error), Some(known)) => {
                    shown.push(known.clone());
                    kept.push(error);
                }
                (Err(error), None) => problems.push(error),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let same = |before: &&Arc<Self>| before.config == *config && before.http == http && are(&before.shown, &shown);
        if let Some(before) = before.filter(same) {
            return Ok(Next { tls: before.clone(), kept });
        }
        let tickets = before.filter(|before| before.config.tickets).map(|before| before.rustls.ticketer.clone());
        let rustls = server(config, http, &shown, tickets).map_err(|error| vec![error.into()])?;
        let tls = Arc::new(Self { rustls: Arc::new(rustls), config: config.clone(), http, shown });
        Ok(Next { tls, kept })
    }

    /// What is known of its certificates.
    pub(crate) fn known(&self, listener: &str) -> impl Iterator<Item = ShownCertificate> {
        self.shown.iter().map(move |shown| shown.known(listener))
    }
}

fn are(some: &[Arc<Shown>], others: &[Arc<Shown>]) -> bool {
    some.len() == others.len() && some.iter().zip(others).all(|(one, other)| Arc::ptr_eq(one, other))
}

fn server(
    tls: &ListenerTls,
    http: HttpVersions,
    shown: &[Arc<Shown>],
    tickets: Option<Arc<dyn ProducesTickets>>,
) -> Result<ServerConfig, rustls::Error> {
    let versions: &[_] = match tls.min_version {
        TlsVersion::V1_2 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::V1_3 => &[&rustls::version::TLS13],
    };
    let mut server = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Certificates::new(shown)));
    server.alpn_protocols = [(http.h2, "h2"), (http.h1, "http/1.1"), (http.h1, "http/1.0")]
        .into_iter()
        .filter(|(offered, _)| *offered)
        .map(|(_, name)| name.as_bytes().to_vec())
        .collect();
    if tls.tickets {
        // Its keys are changed every six hours. A reload keeps them: clients resume what they had.
        server.ticketer = tickets.map_or_else(aws_lc_rs::Ticketer::new, Ok)?;
    } else {
        server.send_tls13_tickets = 0;
        server.session_storage = Arc::new(NoServerSessionStorage {});
    }
    Ok(server)
}
