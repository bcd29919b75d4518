//! A handshake with a client: a socket goes in; the stream within TLS, and what is known of the client then, come out.

use std::io;
use std::sync::Arc;

use palisade_contract::{ClientCertificate, Tls};
use rustls::server::{Accepted, AcceptedAlert, Acceptor};
use rustls::{ServerConfig, ServerConnection};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio_rustls::StartHandshake;
use tokio_rustls::server::TlsStream;

use crate::io::Socket;
use crate::tls::about;
use crate::tls::hello::{Peeked, message_of, peek};
use crate::tls::ja4::{Carrier, ja4};

/// Whether anybody wants to know the client's fingerprint: nobody else pays for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fingerprinting {
    Off,
    Ja4,
}

/// Who may do the costly part of a handshake now: one client of a worker in each turn of its loop, in the order in which they came. So a crowd that
/// comes at once keeps nobody waiting whose connection is there, for longer than one handshake takes.
#[derive(Debug)]
pub(crate) struct Handshakes(Semaphore);

impl Default for Handshakes {
    fn default() -> Self {
        Self(Semaphore::const_new(1))
    }
}

impl Handshakes {
    /// Does something costly when its turn has come.
    pub(crate) async fn in_turn<R>(&self, costly: impl FnOnce() -> R) -> R {
        // It is never closed.
        let turn = self.0.acquire().await;
        let done = costly();
        // Everybody else who is ready, and what the kernel has, comes before the next one.
        tokio::task::yield_now().await;
        drop(turn);
        done
    }
}

/// # Errors
/// The handshake failed. The client was told, as far as that goes.
pub(crate) async fn shake_hands(
    (tls, fingerprinting): (Arc<ServerConfig>, Fingerprinting),
    stream: Socket,
    handshakes: &Handshakes,
) -> io::Result<(TlsStream<Socket>, Tls)> {
    let mut stream = stream;
    let (accepted, records) = client_hello(&mut stream).await?;
    let ja4 = match fingerprinting {
        Fingerprinting::Off => None,
        Fingerprinting::Ja4 => ja4_of(&records),
    };
    drop(records);
    // Choosing a key and signing is done here; what follows is little beside it.
    let handshake = handshakes.in_turn(|| StartHandshake::from_parts(accepted, stream).into_stream(tls)).await;
    let stream = handshake.await?;
    let known = known(stream.get_ref().1, ja4);
    Ok((stream, known))
}

/// The fingerprint of the ClientHello that these records are.
pub(crate) fn ja4_of(records: &[u8]) -> Option<String> {
    match peek(records) {
        Peeked::Whole(hello) => Some(ja4(&hello, Carrier::Tcp)),
        Peeked::Part | Peeked::Other => None,
    }
}

/// The fingerprint of a ClientHello that came over QUIC, where messages are in no records (RFC 9001, section 4.1.3).
pub(crate) fn ja4_over_quic(message: &[u8]) -> Option<String> {
    message_of(message).map(|hello| ja4(&hello, Carrier::Quic))
}

/// Reads until the ClientHello is whole, and keeps what was read for it; nothing of a longer one than JA4 is for.
pub(crate) async fn client_hello(stream: &mut Socket) -> io::Result<(Accepted, Vec<u8>)> {
    let mut acceptor = Acceptor::default();
    let (mut records, mut read) = (Vec::new(), Vec::with_capacity(READ_BYTES));
    loop {
        read.clear();
        if stream.take(READ_BYTES_U64).read_buf(&mut read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut rest = read.as_slice();
        // All of it, also what is behind the ClientHello: nothing can be added later.
        while !rest.is_empty() {
            acceptor.read_tls(&mut rest)?;
        }
        if records.len() <= HELLO_BYTES_MAX {
            records.extend_from_slice(&read);
        }
        match acceptor.accept() {
            Ok(None) => {}
            Ok(Some(accepted)) if records.len() <= HELLO_BYTES_MAX => return Ok((accepted, records)),
            Ok(Some(accepted)) => return Ok((accepted, Vec::new())),
            Err((error, alert)) => {
                tell(stream, alert).await;
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
    }
}

/// What rustls takes at a time.
const READ_BYTES: usize = 4 << 10;
const READ_BYTES_U64: u64 = 4 << 10;

/// A ClientHello of 16 KiB is far longer than any that clients send; in records of one byte each it is six times as long.
const HELLO_BYTES_MAX: usize = 6 * (16 << 10);

async fn tell(stream: &mut Socket, mut alert: AcceptedAlert) {
    let mut bytes = Vec::new();
    if alert.write_all(&mut bytes).is_ok() {
        // Who does not take it does not want to know.
        let _ = stream.write_all(&bytes).await;
    }
}

fn known(tls: &ServerConnection, ja4: Option<String>) -> Tls {
    Tls {
        version: tls.protocol_version().map_or(0, u16::from),
        cipher_suite: tls.negotiated_cipher_suite().map_or(0, |suite| u16::from(suite.suite())),
        server_name: tls.server_name().map(Into::into),
        alpn: tls.alpn_protocol().map(Into::into),
        ja4: ja4.map(String::into_boxed_str),
        client: tls.peer_certificates().and_then(<[_]>::first).map(|certificate| client(certificate)),
    }
}

/// Whom a certificate that was checked is for.
pub(crate) fn client(certificate: &[u8]) -> ClientCertificate {
    ClientCertificate {
        subject: about::subject(certificate).unwrap_or_default(),
        sha256: Sha256::digest(certificate).into(),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use tokio::task::LocalSet;

    use super::*;

    #[tokio::test]
    async fn between_two_handshakes_everybody_else_has_a_turn() {
        let (handshakes, seen) = (Rc::new(Handshakes::default()), Rc::new(RefCell::new(String::new())));
        let local = LocalSet::new();
        for _ in 0..5 {
            let (handshakes, seen) = (handshakes.clone(), seen.clone());
            local.spawn_local(async move { handshakes.in_turn(|| seen.borrow_mut().push('h')).await });
        }
        let other = seen.clone();
        local.spawn_local(async move {
            for _ in 0..5 {
                other.borrow_mut().push('o');
                tokio::task::yield_now().await;
            }
        });
        local.await;
        let seen = seen.borrow();
        assert_eq!((seen.matches('h').count(), seen.contains("hh")), (5, false), "{seen}");
    }

    #[tokio::test]
    async fn one_that_leaves_in_its_turn_keeps_nobody_waiting() {
        let handshakes = Handshakes::default();
        let has_ended = tokio::select! {
            biased;
            () = handshakes.in_turn(|| ()) => true,
            () = std::future::ready(()) => false,
        };
        assert!(!has_ended, "it leaves its turn to nobody");
        handshakes.in_turn(|| ()).await;
    }
}
