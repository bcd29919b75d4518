//! The host's own parsers of what strangers send, by their own files: any bytes go in, and nothing panics.
//!
//! They are taken as files, without the crate that they are in, so that a target is built in a minute. What else holds for any
//! bytes is asserted here.

#![allow(dead_code, reason = "of a file, only what parses is of interest here")]

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

mod dns_file;
mod hygiene;
mod tls;

#[path = "../../host/proxy/src/proxy_protocol.rs"]
mod proxy_protocol_file;

#[path = "../../host/proxy/src/http3/qpack/mod.rs"]
mod qpack_file;

#[path = "../../host/proxy/src/guard/http1.rs"]
mod http1_file;

/// What the files ask of the rest of their crate.
mod error {
    #[derive(Debug)]
    pub(crate) enum RequestError {
        Path,
    }
}

/// A ClientHello in records, or as QUIC has it, and its JA4.
pub fn client_hello(bytes: &[u8]) {
    tls::client_hello(bytes);
}

/// A header of the PROXY protocol, with whatever follows.
pub fn proxy_protocol(bytes: &[u8]) {
    let mut rest = bytes;
    let read = pin!(proxy_protocol_file::read(&mut rest)).poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(read, Poll::Ready(_)), "bytes that are there are not waited for");
}

/// A request's target.
pub fn path(bytes: &[u8]) {
    hygiene::path(bytes);
}

/// A configuration.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(problems) = palisade_config::Config::parse(text, std::path::Path::new("palisade.toml")) {
        assert!(!problems.to_string().is_empty());
    }
}

/// A field section of HTTP/3.
pub fn qpack(bytes: &[u8]) {
    let Ok(mut fields) = qpack_file::Fields::new(bytes) else { return };
    while let Ok(Some((name, value))) = fields.next() {
        assert!(name.as_bytes().len() + value.as_bytes().len() <= 8 * bytes.len() + 256);
    }
}

/// Bytes of a client of HTTP/1, in pieces as long as the first byte says.
pub fn http1(bytes: &[u8]) {
    let Some((length, bytes)) = bytes.split_first() else { return };
    let mut guard = http1_file::Http1Guard::new(8 << 10);
    for piece in bytes.chunks(usize::from(*length).max(1)) {
        match guard.check(piece) {
            http1_file::Checked::All => {}
            http1_file::Checked::Hold(at) => {
                assert!(at <= piece.len());
                guard.goes_on();
            }
            http1_file::Checked::Refuse(at, _) => {
                assert!(at <= piece.len());
                return;
            }
        }
    }
}

/// A name server's answer.
pub fn dns(bytes: &[u8]) {
    dns_file::dns(bytes);
}
