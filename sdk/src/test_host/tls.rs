//! How the client of a test came through TLS.

use crate::bindings::capabilities::palisade::plugin::tls as host;

/// A handshake for [`TestRequest::tls`](crate::TestRequest::tls) and [`TestConnection::tls`](crate::TestConnection::tls):
/// TLS 1.3 with `TLS_AES_128_GCM_SHA256`, with no name, protocol, fingerprint or certificate, unless said otherwise.
#[derive(Clone, Debug)]
pub struct TestTls {
    pub(crate) handshake: host::Session,
    pub(crate) client: Option<host::Certificate>,
}

impl TestTls {
    /// A plain one.
    pub fn new() -> Self {
        let handshake =
            host::Session { version: 0x0304, cipher_suite: 0x1301, server_name: None, alpn: None, ja4: None };
        Self { handshake, client: None }
    }

    /// Sets the version and the cipher suite.
    #[must_use]
    pub fn version(mut self, version: u16, cipher_suite: u16) -> Self {
        (self.handshake.version, self.handshake.cipher_suite) = (version, cipher_suite);
        self
    }

    /// Sets the name that the client asked for.
    #[must_use]
    pub fn server_name(mut self, name: &str) -> Self {
        self.handshake.server_name = Some(name.to_owned());
        self
    }

    /// Sets the protocol that was agreed on.
    #[must_use]
    pub fn alpn(mut self, protocol: &str) -> Self {
        self.handshake.alpn = Some(protocol.as_bytes().to_vec());
        self
    }

    /// Sets the client's fingerprint.
    #[must_use]
    pub fn ja4(mut self, ja4: &str) -> Self {
        self.handshake.ja4 = Some(ja4.to_owned());
        self
    }

    /// Gives the client a certificate with this subject and SHA-256.
    #[must_use]
    pub fn client(mut self, subject: &str, sha256: [u8; 32]) -> Self {
        self.client = Some(host::Certificate { subject: subject.to_owned(), sha256: sha256.to_vec() });
        self
    }
}

impl Default for TestTls {
    fn default() -> Self {
        Self::new()
    }
}
