//! What a listener's QUIC is made of: its TLS, its limits, the keys of its tokens.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use palisade_config::ListenerLimits;
use quinn::crypto::rustls::{NoInitialCipherSuite, QuicServerConfig};
use quinn::{IdleTimeout, ServerConfig, TransportConfig, ValidationTokenConfig, VarInt};

use super::sessions::Sessions;
use super::tokens::{LIFETIME, Tokens};

/// What one stream, and one connection, may have in memory here, either way.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;

/// Streams that a client may have open one way at a time: its control stream, two of QPACK, and some that mean nothing.
const ONE_WAY_STREAMS: u32 = 8;

/// How long a client may be silent that has nothing to say, and after which part of it it is asked whether it is there.
/// How long a connection may be without a request is the listener's to say; this finds clients that have gone.
const SILENCE: Duration = Duration::from_secs(30);
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Clients whose first packet nobody has looked at yet, and what of them is kept until then.
const WAITING: usize = 1_024;
const WAITING_BYTES: u64 = 16 << 10;
const ALL_WAITING_BYTES: u64 = 4 << 20;

/// Tokens that a client is given, each for one connection to come: what it asks early is answered early only with one.
const TOKENS: u32 = 2;

/// How long a client may take to show the token of a Retry.
const RETRY_LIFETIME: Duration = Duration::from_secs(15);

/// What a listener offers: the certificates and versions of `tls`, and HTTP/3 alone. Data that may be replayed is taken where there
/// are sessions that take it once (0-RTT; RFC 8446, section 8).
///
/// # Errors
/// The provider of `tls` lacks the suite of a connection's first packets.
pub(crate) fn server(
    tls: &rustls::ServerConfig,
    limits: &ListenerLimits,
    sessions: Option<&Sessions>,
) -> Result<Arc<ServerConfig>, NoInitialCipherSuite> {
    let mut tls = tls.clone();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    if let Some(sessions) = sessions {
        sessions.serve(&mut tls);
    }
    let crypto = Arc::new(QuicServerConfig::try_from(tls)?);
    // Tokens that are out stay good when a configuration changes: their key is the process's.
    static FIRST: OnceLock<ServerConfig> = OnceLock::new();
    let first = || {
        let mut tokens = ValidationTokenConfig::default();
        tokens.sent(TOKENS).lifetime(LIFETIME).log(Arc::new(Tokens::default()));
        let mut first = ServerConfig::with_crypto(crypto.clone());
        first.validation_token_config(tokens);
        first
    };
    let mut server = FIRST.get_or_init(first).clone();
    server.crypto = crypto;
    server
        .transport_config(Arc::new(transport(limits)))
        .migration(true)
        .retry_token_lifetime(RETRY_LIFETIME)
        .max_incoming(WAITING)
        .incoming_buffer_size(WAITING_BYTES)
        .incoming_buffer_size_total(ALL_WAITING_BYTES);
    Ok(Arc::new(server))
}

fn transport(limits: &ListenerLimits) -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(limits.streams.into())
        .max_concurrent_uni_streams(ONE_WAY_STREAMS.into())
        .stream_receive_window(STREAM_WINDOW_BYTES.into())
        .receive_window(CONNECTION_WINDOW_BYTES.into())
        .send_window(CONNECTION_WINDOW_BYTES.into())
        .max_idle_timeout(IdleTimeout::try_from(SILENCE).ok().or(Some(VarInt::MAX.into())))
        .keep_alive_interval(Some(KEEP_ALIVE))
        // HTTP/3 has no use for them (RFC 9221).
        .datagram_receive_buffer_size(None);
    transport
}
