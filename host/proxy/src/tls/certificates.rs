//! The certificates of a listener: the name that a client asks for goes in, the one that it is shown comes out.

use std::collections::HashMap;
use std::sync::Arc;

use palisade_contract::{Clock, SystemClock};
use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::tls::challenges::{ACME_TLS, Challenges};
use crate::tls::issued::Issued;
use crate::tls::shown::Shown;

/// The certificates of a listener, by name: prepared once, so that their number costs a handshake nothing.
#[derive(Debug)]
pub(super) struct Certificates {
    exact: HashMap<Box<str>, Choice>,
    /// By what follows the wildcard and its dot.
    wildcards: HashMap<Box<str>, Choice>,
    default: Choice,
    challenges: Arc<Challenges>,
}

/// Certificates for one name, those with cheaper keys first.
type Choice = Vec<Source>;

/// Where a certificate comes from.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// From an operator's files.
    Read(Arc<Shown>),
    /// From an authority, once it has issued one.
    Issued(Arc<Issued>),
}

impl Certificates {
    /// From these, the first of which is the default.
    pub(super) fn new(sources: &[Source], challenges: Arc<Challenges>) -> Self {
        // Stable: of two of a kind the first one stays it.
        let mut sorted = sources.to_vec();
        sorted.sort_by_key(Source::rank);
        let (mut exact, mut wildcards) = (HashMap::<_, Choice>::new(), HashMap::<_, Choice>::new());
        for source in &sorted {
            for name in source.names() {
                let (map, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut wildcards, parent),
                    None => (&mut exact, name.as_str()),
                };
                map.entry(Box::from(name)).or_default().push(source.clone());
            }
        }
        // With the others that are for the same names: that is one certificate with several keys.
        let own = sources.first().map(Source::names);
        let default = sorted.iter().filter(|source| Some(source.names()) == own).cloned().collect();
        Self { exact, wildcards, default, challenges }
    }

    /// Those for this name (RFC 6066, section 3): an exact name before a wildcard, which stands for one label
    /// (RFC 6125, section 6.4.3).
    fn choice(&self, name: Option<&str>) -> &Choice {
        let named = name.and_then(|name| {
            let wildcard = || self.wildcards.get(name.split_once('.')?.1);
            self.exact.get(name).or_else(wildcard)
        });
        named.unwrap_or(&self.default)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let is_challenge = |protocols: &mut dyn Iterator<Item = &[u8]>| protocols.eq([ACME_TLS]);
        if hello.alpn().is_some_and(|mut protocols| is_challenge(&mut protocols)) {
            return self.challenges.tls(hello.server_name()?);
        }
        let choice = self.choice(hello.server_name());
        let source = match choice.as_slice() {
            [one] => one,
            // Where none fits, the handshake says so.
            several => {
                let fitting = several.iter().find(|source| source.fits(hello.signature_schemes()));
                fitting.or(several.first())?
            }
        };
        Some(source.current()?.at(SystemClock.wall()))
    }
}

impl Source {
    /// What is shown now; nothing where nothing was issued yet.
    pub(super) fn current(&self) -> Option<Arc<Shown>> {
        match self {
            Self::Read(shown) => Some(shown.clone()),
            Self::Issued(issued) => issued.current(),
        }
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Read(one), Self::Read(other)) => Arc::ptr_eq(one, other),
            (Self::Issued(one), Self::Issued(other)) => Arc::ptr_eq(one, other),
            (Self::Read(_), Self::Issued(_)) | (Self::Issued(_), Self::Read(_)) => false,
        }
    }

    fn names(&self) -> &[String] {
        match self {
            Self::Read(shown) => shown.names(),
            Self::Issued(issued) => &issued.config().names,
        }
    }

    /// What is ordered has an ECDSA key.
    fn rank(&self) -> u8 {
        match self {
            Self::Read(shown) => shown.rank(),
            Self::Issued(_) => 0,
        }
    }

    fn fits(&self, schemes: &[SignatureScheme]) -> bool {
        self.current().is_some_and(|shown| shown.fits(schemes))
    }
}
