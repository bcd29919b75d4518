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

use std::sync::{Arc, LazyLock};

use rustls::crypto::{CryptoProvider, aws_lc_rs};

pub(crate) use challenges::ACME_TLS;
pub use challenges::{Answering, Challenges};
pub use error::{CertificateError, StapleError};
pub(crate) use handshake::{Fingerprinting, Handshakes, client, client_hello, ja4_of, ja4_over_quic, shake_hands};
pub(crate) use identity::{identity, pieces};
pub use issued::Issued;
pub(crate) use server::{Common, Next, ServerTls};
pub use shown::ShownCertificate;

/// A number that nobody knows before.
pub(crate) fn random() -> [u8; 16] {
    static PROVIDER: LazyLock<CryptoProvider> = LazyLock::new(aws_lc_rs::default_provider);
    let mut random = [0; 16];
    if PROVIDER.secure_random.fill(&mut random).is_err() {
        tracing::error!("the system gives no random numbers");
    }
    random
}

/// The one crypto provider; it prefers X25519MLKEM768.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
