//! A listener's side of TLS: its table and its files go in, what handshakes are made with comes out.

use std::sync::Arc;

use palisade_config::{
    AcmeCertificate, ClientCertificates, Config, FileCertificate, HttpVersions, ListenerCertificate, ListenerTls,
    TlsVersion,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use rustls::{ServerConfig, SupportedCipherSuite};

use crate::tls::certificates::{Certificates, Source};
use crate::tls::challenges::{ACME_TLS, Challenges};
use crate::tls::clients::Clients;
use crate::tls::issued::Issued;
use crate::tls::shown::{Shown, ShownCertificate};
use crate::tls::{CertificateError, provider};

/// A listener's side of TLS, shared by all workers, so that a ticket of one is good at all.
#[derive(Debug)]
pub(crate) struct ServerTls {
    pub(crate) rustls: Arc<ServerConfig>,
    parts: Parts,
}

/// What it was made of.
#[derive(Debug)]
struct Parts {
    config: ListenerTls,
    http: HttpVersions,
    sources: Vec<Source>,
    clients: Option<Arc<Clients>>,
}

/// What all listeners of a process have in common, from plan to plan.
#[derive(Debug, Clone, Default)]
pub(crate) struct Common {
    pub(crate) challenges: Arc<Challenges>,
    /// By file.
    pub(crate) issued: Vec<Arc<Issued>>,
}

impl Common {
    /// Forgets what no listener of this configuration shows.
    pub(crate) fn retain(&mut self, config: &Config) {
        let shown = config.listeners.iter().filter_map(|listener| listener.tls.as_ref());
        let shown: Vec<_> = shown.flat_map(|tls| &tls.certificates).collect();
        let is_shown = |issued: &AcmeCertificate| {
            shown.iter().any(|shown| matches!(shown, ListenerCertificate::Acme(shown) if shown == issued))
        };
        self.issued.retain(|issued| is_shown(issued.config()));
    }

    fn issued(&mut self, config: &AcmeCertificate) -> Arc<Issued> {
        if let Some(known) = self.issued.iter().find(|known| known.config() == config) {
            return known.clone();
        }
        let issued = Issued::new(config);
        self.issued.push(issued.clone());
        issued
    }
}

/// What became of the files of a listener's TLS.
#[derive(Debug)]
pub(crate) struct Next {
    pub(crate) tls: Arc<ServerTls>,
    /// Why something is as it was read before.
    pub(crate) kept: Vec<CertificateError>,
}

impl ServerTls {
    /// From the configuration and the files that it names. What of `before` was made of the same is kept: where all is, it
    /// is that one. Where a file has gone bad, what was read from it before holds.
    ///
    /// # Errors
    /// Everything that cannot be read or used, and never was.
    pub(crate) fn next(
        config: &ListenerTls,
        http: HttpVersions,
        before: Option<&Arc<Self>>,
        common: &mut Common,
    ) -> Result<Next, Vec<CertificateError>> {
        let mut reading =
            Reading { before: before.map(|before| &before.parts), kept: Vec::new(), problems: Vec::new() };
        let source = |certificate: &ListenerCertificate| match certificate {
            ListenerCertificate::Files(files) => reading.shown(files).map(Source::Read),
            ListenerCertificate::Acme(acme) => Some(Source::Issued(common.issued(acme))),
        };
        let sources = config.certificates.iter().filter_map(source).collect();
        let clients = config.client_certificates.as_ref().and_then(|clients| reading.clients(clients));
        let Reading { kept, problems, .. } = reading;
        if !problems.is_empty() {
            return Err(problems);
        }
        let parts = Parts { config: config.clone(), http, sources, clients };
        if let Some(before) = before.filter(|before| before.parts.are(&parts)) {
            return Ok(Next { tls: before.clone(), kept });
        }
        let tickets = before.filter(|before| before.parts.shares_tickets(&parts));
        let tickets = tickets.map(|before| before.rustls.ticketer.clone());
        let rustls = server(&parts, common.challenges.clone(), tickets).map_err(|error| vec![error.into()])?;
        Ok(Next { tls: Arc::new(Self { rustls: Arc::new(rustls), parts }), kept })
    }

    /// What is known of its certificates.
    pub(crate) fn known(&self, listener: &str) -> impl Iterator<Item = ShownCertificate> {
        self.parts.sources.iter().filter_map(Source::current).map(move |shown| shown.known(listener))
    }
}

impl Parts {
    fn are(&self, other: &Self) -> bool {
        let mut pairs = self.sources.iter().zip(&other.sources);
        self.config == other.config
            && self.http == other.http
            && self.has_clients_of(other)
            && self.sources.len() == other.sources.len()
            && pairs.all(|(one, other)| one.is(other))
    }

    fn has_clients_of(&self, other: &Self) -> bool {
        match (&self.clients, &other.clients) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    /// A ticket tells who the client is without its being checked again: where that is checked otherwise now, no ticket
    /// from before is good.
    fn shares_tickets(&self, next: &Self) -> bool {
        self.config.tickets
            && self.has_clients_of(next)
            && self.config.client_certificates == next.config.client_certificates
    }
}

/// Files as they are read one after the other, each beside what was read from it before.
struct Reading<'a> {
    before: Option<&'a Parts>,
    kept: Vec<CertificateError>,
    problems: Vec<CertificateError>,
}

impl Reading<'_> {
    fn shown(&mut self, config: &FileCertificate) -> Option<Arc<Shown>> {
        let known = self.before.into_iter().flat_map(|before| &before.sources).find_map(|source| match source {
            Source::Read(shown) if shown.is_of(config) => Some(shown.clone()),
            Source::Read(_) | Source::Issued(_) => None,
        });
        let read = Shown::new(config, &provider(), known.as_ref());
        self.read(read, known)
    }

    fn clients(&mut self, config: &ClientCertificates) -> Option<Arc<Clients>> {
        let known = self.before.and_then(|before| before.clients.clone()).filter(|known| known.is_of(config));
        let read = Clients::new(config, provider(), known.as_ref());
        self.read(read, known)
    }

    fn read<T>(&mut self, read: Result<Arc<T>, CertificateError>, known: Option<Arc<T>>) -> Option<Arc<T>> {
        read.map_err(|error| {
            let list = if known.is_some() { &mut self.kept } else { &mut self.problems };
            list.push(error);
        })
        .ok()
        .or(known)
    }
}

/// The suites in the order in which they are taken, whatever a client prefers: AES-128 first, which nobody breaks and costs
/// least.
fn ordered() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    let is_short = |suite: &SupportedCipherSuite| suite.suite().as_str().is_some_and(|name| name.contains("AES_128"));
    // Stable: versions of TLS are apart, and everything else stays as it is.
    provider.cipher_suites.sort_by_key(|suite| !is_short(suite));
    provider
}

fn server(
    parts: &Parts,
    challenges: Arc<Challenges>,
    tickets: Option<Arc<dyn ProducesTickets>>,
) -> Result<ServerConfig, rustls::Error> {
    let Parts { config, http, sources, clients } = parts;
    let versions: &[_] = match config.min_version {
        TlsVersion::V1_2 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::V1_3 => &[&rustls::version::TLS13],
    };
    let builder = ServerConfig::builder_with_provider(Arc::new(ordered())).with_protocol_versions(versions)?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => builder.with_client_cert_verifier(clients.verifier()),
    };
    let mut server = builder.with_cert_resolver(Arc::new(Certificates::new(sources, challenges)));
    let is_issued = sources.iter().any(|source| matches!(source, Source::Issued(_)));
    let protocols: [(bool, &[u8]); 4] =
        [(http.h2, b"h2"), (http.h1, b"http/1.1"), (http.h1, b"http/1.0"), (is_issued, ACME_TLS)];
    let offered = protocols.into_iter().filter(|(offered, _)| *offered);
    server.alpn_protocols = offered.map(|(_, name)| name.to_vec()).collect();
    server.ignore_client_order = true;
    if config.tickets {
        // Its keys are changed every six hours. A reload keeps them: clients resume what they had.
        server.ticketer = tickets.map_or_else(aws_lc_rs::Ticketer::new, Ok)?;
    } else {
        server.send_tls13_tickets = 0;
        server.session_storage = Arc::new(NoServerSessionStorage {});
    }
    Ok(server)
}
