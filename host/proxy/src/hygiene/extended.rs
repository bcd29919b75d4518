//! Extended CONNECT (RFC 8441, RFC 9220): a tunnel that a client of HTTP/2 or HTTP/3 asks for is, in the one form that every
//! protocol decodes to, the upgrade that a client of HTTP/1.1 would ask for.
//!
//! Over HTTP/1.1 a WebSocket begins with a handshake that proves to the client that its server speaks it. Over the others there
//! is none (RFC 8441, section 5), so towards an endpoint it is the host that does it.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::{HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY};
use http::{Extensions, StatusCode};
use palisade_contract::ResponseHead;
use sha1::{Digest, Sha1};

use super::upgrade;
use crate::error::RequestError;

/// What a server appends to the key (RFC 6455, section 1.3).
const WEBSOCKET_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The `:protocol` of a request (RFC 8441, section 4), as it came.
#[derive(Debug, Clone)]
pub(crate) struct Protocol(pub(crate) HeaderValue);

/// The protocol that a CONNECT is for; none where it has no `:protocol`, and is one of RFC 9110, section 9.3.6.
///
/// # Errors
/// It is none: the name of a protocol is a token, and not a list of them.
pub(super) fn asked(extensions: &mut Extensions) -> Result<Option<HeaderValue>, RequestError> {
    let Some(Protocol(protocol)) = extensions.remove() else { return Ok(None) };
    // A token with a version, as the names of protocols are (RFC 9110, section 7.8).
    let is_part = |part: &[u8]| HeaderName::from_bytes(part).is_ok();
    let mut parts = protocol.as_bytes().splitn(2, |byte| *byte == b'/');
    if parts.all(is_part) { Ok(Some(protocol)) } else { Err(RequestError::Protocol) }
}

/// A handshake with an endpoint that the client knows nothing of.
#[derive(Debug)]
pub(crate) struct Opening {
    /// What the endpoint has to answer, if the protocol is WebSocket.
    accept: Option<HeaderValue>,
}

impl Opening {
    /// Writes into the head what opens this protocol. `random` is a number that nobody knew before.
    pub(crate) fn begin(protocol: &HeaderValue, headers: &mut HeaderMap, random: [u8; 16]) -> Self {
        if !upgrade::is_websocket(protocol.as_bytes()) {
            return Self { accept: None };
        }
        let key = BASE64_STANDARD.encode(random);
        let accept = HeaderValue::try_from(accept(key.as_bytes())).ok();
        if let Ok(key) = HeaderValue::try_from(key) {
            headers.insert(SEC_WEBSOCKET_KEY, key);
        }
        Self { accept }
    }

    /// Takes out of the endpoint's 101 what was for the host, and is not known to the client.
    ///
    /// # Errors
    /// It does not prove that the endpoint has understood the request (RFC 6455, section 4.1).
    pub(crate) fn end(self, head: &mut ResponseHead) -> Result<(), RequestError> {
        let Some(expected) = self.accept else { return Ok(()) };
        let mut accepts = head.headers.get_all(SEC_WEBSOCKET_ACCEPT).iter();
        let is_it = accepts.next() == Some(&expected) && accepts.next().is_none();
        if !is_it {
            return Err(RequestError::Answer("status 101 without the Sec-WebSocket-Accept of its key".to_owned()));
        }
        head.headers.remove(SEC_WEBSOCKET_ACCEPT);
        Ok(())
    }
}

/// Whether the status of an answer to extended CONNECT, which no 101 has opened, would open a tunnel all the same (RFC 9110,
/// section 9.3.6).
pub(crate) fn would_open(status: StatusCode) -> bool {
    status.is_success()
}

/// RFC 6455, section 4.2.2.
fn accept(key: &[u8]) -> String {
    let mut digest = Sha1::new();
    digest.update(key);
    digest.update(WEBSOCKET_GUID);
    BASE64_STANDARD.encode(digest.finalize())
}

impl fmt::Display for Protocol {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&String::from_utf8_lossy(self.0.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_has_one_name() {
        for (protocol, is_one) in [
            ("websocket", true),
            ("connect-udp", true),
            ("SPDY/3.1", true),
            ("", false),
            ("a, websocket", false),
            ("websocket ", false),
            ("a/b/c", false),
            ("/1", false),
        ] {
            let mut extensions = Extensions::new();
            extensions.insert(Protocol(HeaderValue::from_static(protocol)));
            let found = asked(&mut extensions);
            assert_eq!(found.is_ok(), is_one, "{protocol:?}");
            assert_eq!(found.ok().flatten().is_some_and(|found| found == protocol), is_one, "{protocol:?}");
        }
        assert!(matches!(asked(&mut Extensions::new()), Ok(None)));
    }

    #[test]
    fn a_key_has_one_answer() {
        // RFC 6455, section 1.3.
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        check(&["s3pPLMBiTxaQ9kYGzzhZRbK+xOo="], true);
        check(&["s3pPLMBiTxaQ9kYGzzhZRbK+xOO="], false);
        check(&["s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="], false);
        check(&[], false);
    }

    fn check(accepts: &[&'static str], expected: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(SEC_WEBSOCKET_KEY, HeaderValue::from_static("the client's own"));
        let opening = Opening::begin(&HeaderValue::from_static("WebSocket"), &mut headers, *b"the sample nonce");
        assert_eq!(headers.get_all(SEC_WEBSOCKET_KEY).iter().collect::<Vec<_>>(), ["dGhlIHNhbXBsZSBub25jZQ=="]);
        let mut head = ResponseHead::default();
        for accept in accepts {
            head.headers.append(SEC_WEBSOCKET_ACCEPT, HeaderValue::from_static(accept));
        }
        assert_eq!(opening.end(&mut head).is_ok(), expected, "{accepts:?}");
        assert_eq!(head.headers.is_empty(), expected || accepts.is_empty(), "{accepts:?}");
    }

    #[test]
    fn other_protocols_have_no_key() {
        let mut headers = HeaderMap::new();
        let opening = Opening::begin(&HeaderValue::from_static("connect-udp"), &mut headers, [0; 16]);
        assert!(headers.is_empty() && opening.end(&mut ResponseHead::default()).is_ok());
    }
}
