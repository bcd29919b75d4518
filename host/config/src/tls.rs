//! Which certificates are shown and whose are believed.

use std::path::PathBuf;

/// A listener's `tls` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// What clients are shown, chosen by server name; the first where none fits. 1 to 100.
    pub certificates: Vec<CertificateFiles>,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
    /// Whether clients get session tickets.
    pub tickets: bool,
}

/// An upstream's `tls` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamTls {
    /// PEM file with the roots that endpoints are checked against; by default those of the system.
    pub ca: Option<PathBuf>,
    /// The name or IP address that endpoints' certificates must carry; a name is sent as SNI. Lower case.
    pub server_name: String,
    /// What the host shows to endpoints that ask for a certificate.
    pub certificate: Option<CertificateFiles>,
}

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// PEM file: the certificate, then the intermediates.
    pub chain: PathBuf,
    /// PEM file: the private key.
    pub key: PathBuf,
}

/// A TLS version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    V1_2,
    /// TLS 1.3 (RFC 8446).
    V1_3,
}
