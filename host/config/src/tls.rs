//! Which certificates are shown and whose are believed.

use std::{net::IpAddr, path::PathBuf};

use crate::{
    AcmeCertificate, AcmeChallenge, HttpVersions, file_path, host,
    listener::NO_HTTP3,
    scope::Scope,
    text::{Form, Table, Value},
};

/// A listener's `tls` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// What clients are shown, chosen by server name; the first where none fits. 1 to 1,000.
    pub certificates: Vec<ListenerCertificate>,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
    /// Whether clients get session tickets.
    pub tickets: bool,
    /// Whether requests over HTTP/3 are taken before their client's handshake is done (RFC 8470).
    pub early_data: bool,
    /// Whether clients are asked for certificates, and which are good; none where they are not.
    pub client_certificates: Option<ClientCertificates>,
}

impl ListenerTls {
    pub(crate) fn read(value: &Value<'_>, http: HttpVersions, scope: &mut Scope<'_>) -> Option<Self> {
        let mut table = value.table("a listener's tls")?;
        let certificates = table.required("certificates", |value| certificates(&value, scope));
        let min_version = table.or("min_version", TlsVersion::V1_2, |value| value.choice("a TLS version", &VERSIONS));
        let tickets = table.or("tickets", true, |value| value.boolean());
        let asks = table.has("client_certificates");
        let early_data = table.or("early_data", false, |value| {
            let why = match value.boolean()? {
                false => return Some(false),
                true if !http.h3 => NO_HTTP3,
                true if !tickets => "needs session tickets: expected tickets = true beside it",
                true if asks => "takes requests that may be replayed: expected no client_certificates beside it",
                true => return Some(true),
            };
            value.refuse(why)
        });
        let client_certificates = table.optional("client_certificates", ClientCertificates::read);
        table.finish();
        let certificates = certificates?;
        let has_to = client_certificates.as_ref().is_some_and(|clients| clients.mode == ClientMode::Required);
        let shows_itself = |certificate: &ListenerCertificate| match certificate {
            ListenerCertificate::Acme(issued) => issued.challenge == AcmeChallenge::TlsAlpn01,
            ListenerCertificate::Files(_) => false,
        };
        if has_to && certificates.iter().any(shows_itself) {
            return value.refuse(
                "lets in only clients with certificates, and authorities that look at a tls-alpn-01 challenge have none: \
                 expected challenge = \"http-01\" in the [acme.NAME] of its certificates",
            );
        }
        Some(Self { certificates, min_version, tickets, early_data, client_certificates })
    }

    /// Every file that an operator writes.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let of_clients = self.client_certificates.iter();
        let written = self.certificates.iter().filter_map(|certificate| match certificate {
            ListenerCertificate::Files(written) => Some(written),
            ListenerCertificate::Acme(_) => None,
        });
        let shown = written.flat_map(|certificate| {
            [&certificate.files.chain, &certificate.files.key].into_iter().chain(&certificate.ocsp)
        });
        shown.chain(of_clients.flat_map(|clients| std::iter::once(&clients.ca).chain(&clients.crl)))
    }
}

/// What is asked of clients of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificates {
    /// Whether there has to be one.
    pub mode: ClientMode,
    /// PEM file with the authorities that they are checked against.
    pub ca: PathBuf,
    /// PEM file with the authorities' lists of what they have revoked.
    pub crl: Option<PathBuf>,
}

/// Whether a client has to have a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientMode {
    /// A client without one gets no connection.
    Required,
    /// A client may have one; where it has, it must be good.
    Optional,
}

impl ClientCertificates {
    fn read(value: Value<'_>) -> Option<Self> {
        let mut table = value.table("client_certificates")?;
        let mode = table.required("mode", |value| value.choice("a mode", &MODES));
        let ca = table.required("ca", file_path::read);
        let crl = table.optional("crl", file_path::read);
        table.finish();
        Some(Self { mode: mode?, ca: ca?, crl })
    }
}

const MODES: [(&str, ClientMode); 2] = [("required", ClientMode::Required), ("optional", ClientMode::Optional)];

fn certificates(value: &Value<'_>, scope: &mut Scope<'_>) -> Option<Vec<ListenerCertificate>> {
    let elements = value.list(CERTIFICATES)?;
    if elements.is_empty() || elements.len() > CERTIFICATES_MAX {
        return value.refuse(format!("holds {} certificates: expected 1 to {CERTIFICATES_MAX}", elements.len()));
    }
    Some(elements.iter().filter_map(|element| ListenerCertificate::read(element, scope)).collect())
}

const VERSIONS: [(&str, TlsVersion); 2] = [("1.2", TlsVersion::V1_2), ("1.3", TlsVersion::V1_3)];
const CERTIFICATES_MAX: usize = 1_000;
const CERTIFICATES: Form =
    Form { noun: "a list", expected: "certificates, such as [{ chain = \"web.pem\", key = \"web.key\" }]" };

/// What clients of a listener are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenerCertificate {
    /// What an operator has put there.
    Files(FileCertificate),
    /// What an authority issues.
    Acme(AcmeCertificate),
}

/// A certificate that an operator has put there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileCertificate {
    /// The certificate and its key.
    pub files: CertificateFiles,
    /// DER file: what its authority says of it (RFC 6960), which clients are shown along with it.
    pub ocsp: Option<PathBuf>,
}

impl ListenerCertificate {
    fn read(value: &Value<'_>, scope: &mut Scope<'_>) -> Option<Self> {
        let mut table = value.table("a certificate")?;
        if table.has("acme") || table.has("names") {
            let issued = AcmeCertificate::read(&mut table, scope);
            table.finish();
            let issued = issued?;
            let known = scope.issued.entry(issued.file.clone()).or_insert_with(|| issued.names.clone());
            if *known != issued.names {
                return value.refuse(
                    "begins with the same name as another certificate of the account: expected the same names",
                );
            }
            return Some(Self::Acme(issued));
        }
        let certificate = FileCertificate::read(&mut table);
        table.finish();
        certificate.map(Self::Files)
    }
}

impl FileCertificate {
    fn read(table: &mut Table<'_>) -> Option<Self> {
        let chain = table.required("chain", file_path::read);
        let key = table.required("key", file_path::read);
        let ocsp = table.optional("ocsp", file_path::read);
        Some(Self { files: CertificateFiles { chain: chain?, key: key? }, ocsp })
    }
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
    /// The SHA-256 of the public keys (`SubjectPublicKeyInfo`) that endpoints' certificates may have, at most 20; without
    /// any, every key is good.
    pub pins: Vec<[u8; 32]>,
}

impl UpstreamTls {
    /// `tls = false`, an explicit wish for plain HTTP, reads as `None` without a problem.
    pub(crate) fn read(value: &Value<'_>) -> Option<Self> {
        match value.raw().as_bool() {
            Some(false) => return None,
            Some(true) => return value.is_not(UPSTREAM_TLS),
            None => {}
        }
        let mut table = value.table("an upstream's tls")?;
        let ca = table.optional("ca", file_path::read);
        let server_name = table.required("server_name", server_name);
        let certificate = table.optional("certificate", CertificateFiles::read);
        let pins = table.or("pins", Vec::new(), pins);
        table.finish();
        Some(Self { ca, server_name: server_name?, certificate, pins })
    }
}

fn server_name(value: Value<'_>) -> Option<String> {
    let name = value.text(SERVER_NAME)?.to_ascii_lowercase();
    if host::is_name(&name) || name.parse::<IpAddr>().is_ok() { Some(name) } else { value.is_not(SERVER_NAME) }
}

fn pins(value: Value<'_>) -> Option<Vec<[u8; 32]>> {
    let elements = value.list(PINS)?;
    if elements.is_empty() || elements.len() > PINS_MAX {
        return value.refuse(format!("holds {} pins: expected 1 to {PINS_MAX}", elements.len()));
    }
    let pins: Vec<_> = elements.iter().filter_map(pin).collect();
    (pins.len() == elements.len()).then_some(pins)
}

fn pin(value: &Value<'_>) -> Option<[u8; 32]> {
    let digits = value.text(PIN)?.strip_prefix("sha256:").filter(|digits| digits.len() == 64);
    let Some(digits) = digits else { return value.is_not(PIN) };
    let mut pin = [0; 32];
    for (byte, pair) in pin.iter_mut().zip(digits.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let Some(read) = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) else { return value.is_not(PIN) };
        *byte = read;
    }
    Some(pin)
}

const PINS_MAX: usize = 20;
const PINS: Form = Form { noun: "a list", expected: "pins, such as [\"sha256:…\"]" };
const PIN: Form = Form { noun: "a pin", expected: "\"sha256:\" and 64 hexadecimal digits" };

const UPSTREAM_TLS: Form =
    Form { noun: "an upstream's tls", expected: "false or a table, such as { server_name = \"web.internal\" }" };
const SERVER_NAME: Form =
    Form { noun: "a server name", expected: "a host name or an IP address, such as \"web.internal\"" };

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// PEM file: the certificate, then the intermediates.
    pub chain: PathBuf,
    /// PEM file: the private key.
    pub key: PathBuf,
}

impl CertificateFiles {
    fn read(value: Value<'_>) -> Option<Self> {
        let mut table = value.table("a certificate")?;
        let chain = table.required("chain", file_path::read);
        let key = table.required("key", file_path::read);
        table.finish();
        Some(Self { chain: chain?, key: key? })
    }
}

/// A TLS version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    V1_2,
    /// TLS 1.3 (RFC 8446).
    V1_3,
}
