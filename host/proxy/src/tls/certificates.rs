//! The certificates of a listener: the name that a client asks for goes in, the one that it is shown comes out.

use std::collections::HashMap;
use std::sync::Arc;

use palisade_contract::{Clock, SystemClock};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::tls::shown::Shown;

/// The certificates of a listener, by name: prepared once, so that their number costs a handshake nothing.
#[derive(Debug)]
pub(super) struct Certificates {
    exact: HashMap<Box<str>, Choice>,
    /// By what follows the wildcard and its dot.
    wildcards: HashMap<Box<str>, Choice>,
    default: Choice,
}

/// Certificates for one name, those with cheaper keys first.
type Choice = Vec<Arc<Shown>>;

impl Certificates {
    /// From these, the first of which is the default.
    pub(super) fn new(shown: &[Arc<Shown>]) -> Self {
        // Stable: of two of a kind the first one stays it.
        let mut sorted = shown.to_vec();
        sorted.sort_by_key(|shown| shown.rank());
        let (mut exact, mut wildcards) = (HashMap::<_, Choice>::new(), HashMap::<_, Choice>::new());
        for shown in &sorted {
            for name in shown.names() {
                let (map, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut wildcards, parent),
                    None => (&mut exact, name.as_str()),
                };
                map.entry(Box::from(name)).or_default().push(shown.clone());
            }
        }
        // With the others that are for the same names: that is one certificate with several keys.
        let own = shown.first().map(|first| first.names());
        let default = sorted.iter().filter(|shown| Some(shown.names()) == own).cloned().collect();
        Self { exact, wildcards, default }
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
        let choice = self.choice(hello.server_name());
        let shown = match choice.as_slice() {
            [one] => one,
            // Where none fits, the handshake says so.
            several => {
                let fitting = several.iter().find(|shown| shown.fits(hello.signature_schemes()));
                fitting.or(several.first())?
            }
        };
        Some(shown.at(SystemClock.wall()))
    }
}
