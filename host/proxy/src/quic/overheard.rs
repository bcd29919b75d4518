//! The TLS of connections over QUIC, listened in on: what quinn keeps to itself of a handshake is told.
//!
//! Everything is done by the session that quinn makes; only the messages that pass through here are looked at.

use std::any::Any;
use std::sync::Arc;

use quinn::crypto::rustls::HandshakeData;
use quinn::crypto::{
    ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, ServerConfig, Session, UnsupportedVersion,
};
use quinn::{ConnectionId, Side};
use quinn_proto::TransportError;
use quinn_proto::transport_parameters::TransportParameters;

use crate::tls::{self, Fingerprinting};

/// A ClientHello of 16 KiB is far longer than any that clients send.
const HELLO_BYTES_MAX: usize = 16 << 10;

/// What a connection's `handshake_data` is.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) server_name: Option<String>,
    pub(super) alpn: Option<Vec<u8>>,
    /// Zero until it is chosen.
    pub(super) cipher_suite: u16,
    /// Where anybody wants to know.
    pub(super) ja4: Option<String>,
    /// The client has sent early data, which is taken.
    pub(super) is_early: bool,
    /// The handshake is done.
    pub(super) is_done: bool,
}

/// What this is made of, and tells besides.
pub(crate) fn overheard(config: &quinn::ServerConfig, fingerprinting: Fingerprinting) -> Arc<quinn::ServerConfig> {
    let mut config = config.clone();
    config.crypto = Arc::new(Overheard { crypto: config.crypto, fingerprinting });
    Arc::new(config)
}

struct Overheard {
    crypto: Arc<dyn ServerConfig>,
    fingerprinting: Fingerprinting,
}

impl ServerConfig for Overheard {
    fn initial_keys(&self, version: u32, dst_cid: &ConnectionId) -> Result<Keys, UnsupportedVersion> {
        self.crypto.initial_keys(version, dst_cid)
    }

    fn retry_tag(&self, version: u32, orig_dst_cid: &ConnectionId, packet: &[u8]) -> [u8; 16] {
        self.crypto.retry_tag(version, orig_dst_cid, packet)
    }

    fn start_session(self: Arc<Self>, version: u32, params: &TransportParameters) -> Box<dyn Session> {
        let hello = match self.fingerprinting {
            Fingerprinting::Off => None,
            Fingerprinting::Ja4 => Some(Vec::new()),
        };
        let session = self.crypto.clone().start_session(version, params);
        Box::new(Heard { session, hello, ja4: None, cipher_suite: 0 })
    }
}

/// One connection's.
struct Heard {
    session: Box<dyn Session>,
    /// What the client has said so far, until its fingerprint is taken.
    hello: Option<Vec<u8>>,
    ja4: Option<String>,
    cipher_suite: u16,
}

impl Session for Heard {
    fn initial_keys(&self, dst_cid: &ConnectionId, side: Side) -> Keys {
        self.session.initial_keys(dst_cid, side)
    }

    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        let data = self.session.handshake_data()?;
        let agreed = data.downcast::<HandshakeData>().ok();
        let (alpn, server_name) = agreed.map(|agreed| (agreed.protocol, agreed.server_name)).unwrap_or_default();
        Some(Box::new(Told {
            server_name,
            alpn,
            cipher_suite: self.cipher_suite,
            ja4: self.ja4.clone(),
            // There are keys for it where it is taken, and only there.
            is_early: self.session.early_crypto().is_some(),
            is_done: !self.session.is_handshaking(),
        }))
    }

    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        self.session.peer_identity()
    }

    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        self.session.early_crypto()
    }

    fn early_data_accepted(&self) -> Option<bool> {
        self.session.early_data_accepted()
    }

    fn is_handshaking(&self) -> bool {
        self.session.is_handshaking()
    }

    fn read_handshake(&mut self, buf: &[u8]) -> Result<bool, TransportError> {
        if let Some(hello) = &mut self.hello
            && hello.len() <= HELLO_BYTES_MAX
        {
            hello.extend_from_slice(buf);
        }
        let is_ready = self.session.read_handshake(buf)?;
        if is_ready {
            self.ja4 = self.hello.take().and_then(|hello| tls::ja4_over_quic(&hello));
        }
        Ok(is_ready)
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        self.session.transport_parameters()
    }

    fn write_handshake(&mut self, buf: &mut Vec<u8>) -> Option<Keys> {
        let before = buf.len();
        let keys = self.session.write_handshake(buf);
        if self.cipher_suite == 0 {
            self.cipher_suite = buf.get(before..).and_then(chosen).unwrap_or_default();
        }
        keys
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        self.session.next_1rtt_keys()
    }

    fn is_valid_retry(&self, orig_dst_cid: &ConnectionId, header: &[u8], payload: &[u8]) -> bool {
        self.session.is_valid_retry(orig_dst_cid, header, payload)
    }

    fn export_keying_material(
        &self,
        output: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        self.session.export_keying_material(output, label, context)
    }
}

/// The suite that a ServerHello has chosen (RFC 8446, section 4.1.3): behind the version, 32 random bytes and what the client
/// has called its session.
fn chosen(message: &[u8]) -> Option<u16> {
    const SERVER_HELLO: u8 = 2;
    const HEAD_BYTES: usize = 4 + 2 + 32;
    let (head, rest) = message.split_at_checked(HEAD_BYTES)?;
    let (length, rest) = rest.split_first()?;
    match (head.first(), rest.get(usize::from(*length)..)?) {
        (Some(&SERVER_HELLO), [high, low, ..]) => Some(u16::from_be_bytes([*high, *low])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suite_is_found_in_a_server_hello_alone() {
        let hello = |kind: u8, session: &[u8]| {
            let length = u8::try_from(session.len()).expect("short");
            [&[kind, 0, 0, 80, 3, 3], &[7; 32][..], &[length], session, &[0x13, 0x02, 0]].concat()
        };
        assert_eq!(chosen(&hello(2, &[])), Some(0x1302));
        assert_eq!(chosen(&hello(2, &[9; 32])), Some(0x1302));
        assert_eq!(chosen(&hello(8, &[])), None);
        let whole = hello(2, &[9; 32]);
        for cut in 0..whole.len() - 1 {
            assert_eq!(chosen(&whole[..cut]), None, "{cut} bytes");
        }
    }
}
