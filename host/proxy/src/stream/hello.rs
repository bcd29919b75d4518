//! The beginning of TLS that passes through: read until the ClientHello is whole, and kept for whoever it is for.

use std::io;

use bytes::Bytes;
use palisade_contract::Tls;

use crate::io::Socket;
use crate::tls::{Fingerprinting, client_hello, ja4_of};

/// Reads a ClientHello: what was read, and what it says. The protocol and the cipher suite are agreed on later, by others.
///
/// # Errors
/// It is none (RFC 8446, section 4.1.2), is longer than any client's, or the client left.
pub(super) async fn read(stream: &mut Socket, fingerprinting: Fingerprinting) -> io::Result<(Bytes, Tls)> {
    let (accepted, records) = client_hello(stream).await?;
    if records.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "its ClientHello is too long"));
    }
    let said = accepted.client_hello();
    let ja4 = match fingerprinting {
        Fingerprinting::Off => None,
        Fingerprinting::Ja4 => ja4_of(&records).map(String::into_boxed_str),
    };
    let tls =
        Tls { server_name: said.server_name().map(|name| name.to_ascii_lowercase().into()), ja4, ..Tls::default() };
    Ok((records.into(), tls))
}
