//! What is known of a client once its TLS handshake is done.

/// How a client came through TLS. Of a connection, and the same for each of its exchanges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// As on the wire: 0x0303 for TLS 1.2, 0x0304 for TLS 1.3 (RFC 8446, section 4.1.3).
    pub version: u16,
    /// The number of IANA's registry; zero where it is not known.
    pub cipher_suite: u16,
    /// The name that the client asked for (RFC 6066, section 3), in lower case.
    pub server_name: Option<Box<str>>,
    /// The protocol that was agreed on (RFC 7301).
    pub alpn: Option<Box<[u8]>>,
    /// The fingerprint of the client's ClientHello, where a plugin may ask for it.
    pub ja4: Option<Box<str>>,
    /// The client's own certificate, which was checked.
    pub client: Option<ClientCertificate>,
}

/// Whom a client's certificate is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Its subject, as RFC 4514 writes it.
    pub subject: String,
    /// The SHA-256 of the certificate.
    pub sha256: [u8; 32],
}
