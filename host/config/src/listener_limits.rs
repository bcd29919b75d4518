//! What the clients of a listener may use.

use std::time::Duration;

use crate::{duration, size, text::Value};

/// What the clients of a listener may use. Every timeout is 1 ms to 1 h, unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenerLimits {
    /// Bytes of a request's head: 8 KiB to 1 MiB.
    pub header_bytes: usize,
    /// Header fields of a request: 1 to 1,000.
    pub headers: usize,
    /// Bytes of the target (path and query): 1 to 64 KiB, at most `header_bytes`.
    pub target_bytes: usize,
    /// From the first byte of a head until its last.
    pub header_timeout: Duration,
    /// How long a body, either way, may make no progress: 1 ms to 24 h, or ten years for `off`.
    pub body_timeout: Duration,
    /// How long a connection may be without a request.
    pub idle_timeout: Duration,
    /// How long the TLS handshake may take.
    pub handshake_timeout: Duration,
    /// Connections at a time over all workers: 1 to 1,000,000.
    pub connections: usize,
    /// Connections at a time of one client's address, or of one /64 of IPv6; `None` is any number.
    pub connections_per_address: Option<usize>,
    /// Requests at a time on one HTTP/2 or HTTP/3 connection: 1 to 1,000.
    pub streams: u32,
    /// Bytes of a request's body; `None` is any number.
    pub request_body_bytes: Option<u64>,
    /// Bytes a second of a request's body whose length was announced: 0 to 1 MiB.
    pub request_body_rate: u64,
    /// Frames of HTTP/2 that carry neither requests nor data: so many at once, 100 to 1,000,000,
    pub control_frames: u64,
    /// and so many a second, 1 to 100,000.
    pub control_frames_per_second: u64,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            header_bytes: 64 * 1024,
            headers: 100,
            target_bytes: 8 * 1024,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(75),
            handshake_timeout: Duration::from_secs(10),
            connections: 10_000,
            connections_per_address: Some(5_000),
            streams: 100,
            request_body_bytes: None,
            request_body_rate: 128,
            control_frames: 4_000,
            control_frames_per_second: 200,
        }
    }
}

impl ListenerLimits {
    pub(crate) fn read(value: &Value<'_>) -> Option<Self> {
        let default = Self::default();
        let mut table = value.table("a listener's limits")?;
        let header_bytes =
            table.or("header_bytes", default.header_bytes, |value| size::read(&value, (8 << 10)..=(1 << 20)));
        let limits = Self {
            header_bytes,
            headers: table.or("headers", default.headers, |value| value.whole(1..=1_000)),
            target_bytes: table.or("target_bytes", default.target_bytes, |value| target_bytes(&value, header_bytes)),
            header_timeout: table.or("header_timeout", default.header_timeout, duration::timeout),
            body_timeout: table.or("body_timeout", default.body_timeout, duration::patience),
            idle_timeout: table.or("idle_timeout", default.idle_timeout, duration::timeout),
            handshake_timeout: table.or("handshake_timeout", default.handshake_timeout, duration::timeout),
            connections: table.or("connections", default.connections, |value| value.whole(1..=1_000_000)),
            connections_per_address: table
                .or("connections_per_address", default.connections_per_address, |value| connections(&value)),
            streams: table.or("streams", default.streams, |value| value.whole(1..=1_000)),
            request_body_bytes: table.optional("request_body", |value| size::read(&value, 0..=u64::MAX)),
            request_body_rate: table
                .or("request_body_rate", default.request_body_rate, |value| size::read(&value, 0..=(1 << 20))),
            control_frames: table.or("control_frames", default.control_frames, |value| value.whole(100..=1_000_000)),
            control_frames_per_second: table.or(
                "control_frames_per_second",
                default.control_frames_per_second,
                |value| value.whole(1..=100_000),
            ),
        };
        table.finish();
        Some(limits)
    }
}

/// A number of connections, or `"off"` for any.
fn connections(value: &Value<'_>) -> Option<Option<usize>> {
    if value.raw().as_str() == Some("off") { Some(None) } else { value.whole(1..=1_000_000).map(Some) }
}

fn target_bytes(value: &Value<'_>, header_bytes: usize) -> Option<usize> {
    let bytes = size::read(value, 1..=(64 << 10))?;
    if bytes > header_bytes {
        return value.refuse(format!("{} is more than header_bytes: the target is part of the head", value.found()));
    }
    Some(bytes)
}
