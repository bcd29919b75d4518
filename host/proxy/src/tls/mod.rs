//! TLS towards clients: certificates chosen by name, versions, tickets.

mod about;
mod certificates;
mod challenges;
mod clients;
mod error;
mod handshake;
mod hello;
mod identity;
mod issued;
mod ja4;
mod server;
mod shown;
mod staple;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};

pub(crate) use challenges::ACME_TLS;
pub use challenges::{Answering, Challenges};
pub use error::{CertificateError, StapleError};
pub(crate) use handshake::{Fingerprinting, client, client_hello, ja4_of, shake_hands};
pub(crate) use identity::{identity, pieces};
pub use issued::Issued;
pub(crate) use server::{Common, Next, ServerTls};
pub use shown::ShownCertificate;

/// The one crypto provider; it prefers X25519MLKEM768.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
