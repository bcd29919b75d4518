//! How clients came through TLS, and who they are by their certificates.

use crate::{bindings::capabilities::palisade::plugin::tls as host_types, host};

/// How a client came through TLS: [`Request::tls`](crate::Request::tls) and [`Connection::tls`](crate::Connection::tls), one
/// host call each.
///
/// The operator grants it with `grant = ["tls"]`. **A connection filter of a plugin that asks for it is called when the
/// handshake is done**, and not before it, as others are.
///
/// ```
/// use palisade_sdk::prelude::*;
///
/// /// Lets one machine in, and tells the upstream which.
/// struct Machines;
///
/// # impl Plugin for Machines {
/// #     type Settings = NoSettings;
/// #     fn configure(_: NoSettings, _: &mut Setup) -> Result<Self, Error> {
/// #         Ok(Self)
/// #     }
/// # }
/// impl RequestFilter for Machines {
///     fn on_request(&mut self, request: &mut Request) -> Result<Flow, Error> {
///         let Some(client) = request.client_certificate() else { return Ok(Reply::status(403).into()) };
///         request.set_header("x-machine", client.subject())?;
///         Ok(Flow::Continue)
///     }
/// }
///
/// register!(Machines: RequestFilter);
///
/// let mut host = TestHost::<Machines>::configure(json!({}))?;
/// assert_eq!(host.request(TestRequest::get("/")).reply_status(), Some(403));
/// let known = TestRequest::get("/").tls(TestTls::new().client("CN=machine 7", [7; 32]));
/// assert_eq!(host.request(known).header("x-machine"), Some("CN=machine 7"));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tls {
    handshake: host_types::Session,
}

impl Tls {
    /// That of the connection at hand; none in clear text.
    pub(crate) fn at_hand() -> Option<Self> {
        host::tls::handshake().map(|handshake| Self { handshake })
    }

    /// As on the wire: 0x0303 for TLS 1.2, 0x0304 for TLS 1.3.
    pub fn version(&self) -> u16 {
        self.handshake.version
    }

    /// The number in IANA's registry of cipher suites.
    pub fn cipher_suite(&self) -> u16 {
        self.handshake.cipher_suite
    }

    /// The name that the client asked for (SNI), in lower case.
    pub fn server_name(&self) -> Option<&str> {
        self.handshake.server_name.as_deref()
    }

    /// The protocol that was agreed on, such as `h2`.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.handshake.alpn.as_deref()
    }

    /// The client's JA4 fingerprint: what kind of client it is, whatever it says of itself. None where the connection is
    /// older than the plugin: a filter that lets in only those that it knows has to say what none means.
    pub fn ja4(&self) -> Option<&str> {
        self.handshake.ja4.as_deref()
    }
}

/// A client's certificate, which the host has checked: [`Request::client_certificate`](crate::Request::client_certificate)
/// and [`Connection::client_certificate`](crate::Connection::client_certificate).
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    certificate: host_types::Certificate,
}

impl ClientCertificate {
    /// That of the connection at hand; none where the client has shown none.
    pub(crate) fn at_hand() -> Option<Self> {
        host::tls::client_certificate().map(|certificate| Self { certificate })
    }

    /// Whom it is for, as RFC 4514 writes it, the last part first: `CN=machine 7,O=Example`.
    pub fn subject(&self) -> &str {
        &self.certificate.subject
    }

    /// Its SHA-256.
    pub fn sha256(&self) -> &[u8] {
        &self.certificate.sha256
    }

    /// Its SHA-256 in hexadecimal, as `openssl x509 -fingerprint -sha256` shows it, in lower case and without colons.
    pub fn fingerprint(&self) -> String {
        self.certificate.sha256.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
