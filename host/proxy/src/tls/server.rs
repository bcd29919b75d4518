//! A listener's side of TLS: its table and its files go in, what handshakes are made with comes out.

use std::sync::Arc;

use palisade_config::{ClientCertificates, HttpVersions, ListenerCertificate, ListenerTls, TlsVersion};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{NoServerSessionStorage, ProducesTickets};

use crate::tls::certificates::Certificates;
use crate::tls::clients::Clients;
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
    shown: Vec<Arc<Shown>>,
    clients: Option<Arc<Clients>>,
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
    ) -> Result<Next, Vec<CertificateError>> {
        let mut reading =
            Reading { before: before.map(|before| &before.parts), kept: Vec::new(), problems: Vec::new() };
        let shown = config.certificates.iter().filter_map(|certificate| reading.shown(certificate)).collect();
        let clients = config.client_certificates.as_ref().and_then(|clients| reading.clients(clients));
        let Reading { kept, problems, .. } = reading;
        if !problems.is_empty() {
            return Err(problems);
        }
        let parts = Parts { config: config.clone(), http, shown, clients };
        if let Some(before) = before.filter(|before| before.parts.are(&parts)) {
            return Ok(Next { tls: before.clone(), kept });
        }
        let tickets = before.filter(|before| before.parts.shares_tickets(&parts));
        let tickets = tickets.map(|before| before.rustls.ticketer.clone());
        let rustls = server(&parts, tickets).map_err(|error| vec![error.into()])?;
        Ok(Next { tls: Arc::new(Self { rustls: Arc::new(rustls), parts }), kept })
    }

    /// What is known of its certificates.
    pub(crate) fn known(&self, listener: &str) -> impl Iterator<Item = ShownCertificate> {
        self.parts.shown.iter().map(move |shown| shown.known(listener))
    }
}

impl Parts {
    fn are(&self, other: &Self) -> bool {
        let pairs = || self.shown.iter().zip(&other.shown);
        self.config == other.config
            && self.http == other.http
            && self.has_clients_of(other)
            && self.shown.len() == other.shown.len()
            && pairs().all(|(one, other)| Arc::ptr_eq(one, other))
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
    fn shown(&mut self, config: &ListenerCertificate) -> Option<Arc<Shown>> {
        let known = self.before.and_then(|before| before.shown.iter().find(|shown| shown.is_of(config))).cloned();
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

fn server(parts: &Parts, tickets: Option<Arc<dyn ProducesTickets>>) -> Result<ServerConfig, rustls::Error> {
    let Parts { config, http, shown, clients } = parts;
    let versions: &[_] = match config.min_version {
        TlsVersion::V1_2 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::V1_3 => &[&rustls::version::TLS13],
    };
    let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(versions)?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => builder.with_client_cert_verifier(clients.verifier()),
    };
    let mut server = builder.with_cert_resolver(Arc::new(Certificates::new(shown)));
    server.alpn_protocols = [(http.h2, "h2"), (http.h1, "http/1.1"), (http.h1, "http/1.0")]
        .into_iter()
        .filter(|(offered, _)| *offered)
        .map(|(_, name)| name.as_bytes().to_vec())
        .collect();
    if config.tickets {
        // Its keys are changed every six hours. A reload keeps them: clients resume what they had.
        server.ticketer = tickets.map_or_else(aws_lc_rs::Ticketer::new, Ok)?;
    } else {
        server.send_tls13_tickets = 0;
        server.session_storage = Arc::new(NoServerSessionStorage {});
    }
    Ok(server)
}
