//! `tls`: how the client of the connection at hand came through TLS.

use palisade_contract::{ClientCertificate, Tls};

use super::{Guest, Interface};
use crate::abi::tls::{Certificate, Session};

pub(super) fn add(interface: &mut Interface<'_>) -> wasmtime::Result<()> {
    interface.func("handshake", |guest: Guest<'_>, (): ()| {
        let tls = guest.data().tls_at_hand()?;
        Ok((tls.map(|tls| Session::from(tls.as_ref())),))
    })?;
    interface.func("client-certificate", |guest: Guest<'_>, (): ()| {
        let certificate = guest.data().tls_at_hand()?.and_then(|tls| tls.client.as_ref());
        Ok((certificate.map(Certificate::from),))
    })
}

impl From<&Tls> for Session {
    fn from(tls: &Tls) -> Self {
        Self {
            version: tls.version,
            cipher_suite: tls.cipher_suite,
            server_name: tls.server_name.as_deref().map(str::to_owned),
            alpn: tls.alpn.as_deref().map(<[u8]>::to_owned),
            ja4: tls.ja4.as_deref().map(str::to_owned),
        }
    }
}

impl From<&ClientCertificate> for Certificate {
    fn from(certificate: &ClientCertificate) -> Self {
        Self { subject: certificate.subject.clone(), sha256: certificate.sha256.to_vec() }
    }
}
