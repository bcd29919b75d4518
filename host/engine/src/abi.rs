//! The contract's types as wasmtime passes them: twins of `sdk/wit`, checked against every component when it is linked.

use std::net::{IpAddr, SocketAddr};

use http::header::{HOST, HeaderName};
use http::{HeaderValue, Method};
use palisade_contract as contract;
use palisade_contract::{Exchange, RequestHead};
use wasmtime::component::{ComponentType, Lift, Lower};

use crate::direct;

direct::record! { fixed,
    #[derive(Debug, Clone, Copy, PartialEq, Eq, ComponentType, Lower, Lift)]
    #[component(record)]
    pub(crate) struct IpAddress {
        high: u64,
        low: u64,
    }
}

impl From<IpAddr> for IpAddress {
    fn from(address: IpAddr) -> Self {
        let bits = match address {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(address) => address.to_bits(),
        };
        let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or_default();
        Self { high: half(bits >> 64), low: half(bits) }
    }
}

macro_rules! enumeration {
    ($name:ident { $($case:ident = $text:literal),+ $(,)? }) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, ComponentType, Lower, Lift)]
        #[component(enum)]
        #[repr(u8)]
        pub(crate) enum $name {
            $(#[component(name = $text)] $case),+
        }

        $crate::direct::cases!($name { $($case),+ });
        $crate::host::same!($name);
    };
}

pub(crate) mod body;
pub(crate) mod fetch;
pub(crate) mod stream;
pub(crate) mod tls;

enumeration!(WireMethod {
    Get = "get", Head = "head", Post = "post", Put = "put", Delete = "delete", Connect = "connect", Options = "options",
    Trace = "trace", Patch = "patch", Other = "other",
});
enumeration!(Scheme { Http = "http", Https = "https" });
enumeration!(Protocol { Http1 = "http1", Http2 = "http2", Http3 = "http3", Tcp = "tcp" });
enumeration!(Verdict { Proceed = "proceed", Reply = "reply", Close = "close", Failed = "failed" });
enumeration!(Admission { Accept = "accept", Refuse = "refuse", Failed = "failed" });
enumeration!(HeadError {
    InvalidName = "invalid-name", InvalidValue = "invalid-value", Reserved = "reserved", TooLarge = "too-large",
    ReadOnly = "read-only",
});
enumeration!(Ending {
    Complete = "complete", ClientGone = "client-gone", UpstreamFailed = "upstream-failed", Truncated = "truncated",
    Closed = "closed",
});
enumeration!(LogLevel { Trace = "trace", Debug = "debug", Info = "info", Warn = "warn", Error = "error" });
enumeration!(MetricKind { Counter = "counter", Gauge = "gauge", Histogram = "histogram" });
enumeration!(MetricUnit { None = "none", Seconds = "seconds", Bytes = "bytes" });
enumeration!(SharedError { TooLarge = "too-large", OtherKind = "other-kind", Unavailable = "unavailable" });

impl From<&Method> for WireMethod {
    fn from(method: &Method) -> Self {
        match *method {
            Method::GET => Self::Get,
            Method::HEAD => Self::Head,
            Method::POST => Self::Post,
            Method::PUT => Self::Put,
            Method::DELETE => Self::Delete,
            Method::CONNECT => Self::Connect,
            Method::OPTIONS => Self::Options,
            Method::TRACE => Self::Trace,
            Method::PATCH => Self::Patch,
            _ => Self::Other,
        }
    }
}

impl From<contract::Scheme> for Scheme {
    fn from(scheme: contract::Scheme) -> Self {
        match scheme {
            contract::Scheme::Http => Self::Http,
            contract::Scheme::Https => Self::Https,
        }
    }
}

impl From<contract::Protocol> for Protocol {
    fn from(protocol: contract::Protocol) -> Self {
        match protocol {
            contract::Protocol::Http1 => Self::Http1,
            contract::Protocol::Http2 => Self::Http2,
            contract::Protocol::Http3 => Self::Http3,
            contract::Protocol::Tcp => Self::Tcp,
        }
    }
}

impl From<contract::HeadError> for HeadError {
    fn from(error: contract::HeadError) -> Self {
        match error {
            contract::HeadError::InvalidName => Self::InvalidName,
            contract::HeadError::InvalidValue => Self::InvalidValue,
            contract::HeadError::Reserved => Self::Reserved,
            contract::HeadError::TooLarge => Self::TooLarge,
            contract::HeadError::ReadOnly => Self::ReadOnly,
        }
    }
}

impl From<contract::SharedError> for SharedError {
    fn from(error: contract::SharedError) -> Self {
        match error {
            contract::SharedError::TooLarge => Self::TooLarge,
            contract::SharedError::OtherKind => Self::OtherKind,
            contract::SharedError::Unavailable => Self::Unavailable,
        }
    }
}

direct::record! { fixed,
    #[derive(Debug, Clone, Copy, ComponentType, Lower)]
    #[component(record)]
    pub(crate) struct Connection {
        id: u64,
        client: IpAddress,
        #[component(name = "client-port")]
        client_port: u16,
        local: IpAddress,
        #[component(name = "local-port")]
        local_port: u16,
        listener: u32,
    }
}

impl From<&contract::Connection> for Connection {
    fn from(connection: &contract::Connection) -> Self {
        Self {
            id: connection.id.0,
            client: connection.client.ip().into(),
            client_port: connection.client.port(),
            local: connection.local.ip().into(),
            local_port: connection.local.port(),
            listener: connection.listener.0,
        }
    }
}

direct::record! { lowered,
    #[derive(Debug, Clone, Copy, ComponentType, Lower)]
    #[component(record)]
    pub(crate) struct WireRequest<'a> {
        exchange: u64,
        method: WireMethod,
        scheme: Scheme,
        protocol: Protocol,
        client: IpAddress,
        #[component(name = "client-port")]
        client_port: u16,
        listener: u32,
        route: u32,
        text: &'a [u8],
        #[component(name = "authority-bytes")]
        authority_bytes: u32,
        #[component(name = "path-bytes")]
        path_bytes: u32,
        #[component(name = "target-bytes")]
        target_bytes: u32,
    }
}

impl<'a> WireRequest<'a> {
    /// Packs the text into `scratch`: authority, target, then each hot header behind its length.
    pub(crate) fn pack(exchange: &Exchange, hot_headers: &[HeaderName], scratch: &'a mut Vec<u8>) -> Self {
        let request = &exchange.request;
        let SocketParts { address: client, port: client_port } = exchange.connection.client.into();
        scratch.clear();
        scratch.extend_from_slice(request.authority_bytes());
        scratch.extend_from_slice(request.target.as_str().as_bytes());
        for name in hot_headers {
            pack_hot(request, name, scratch);
        }
        Self {
            exchange: exchange.id.0,
            method: (&request.method).into(),
            scheme: exchange.connection.scheme.into(),
            protocol: exchange.protocol.into(),
            client,
            client_port,
            listener: exchange.connection.listener.0,
            route: exchange.route.0,
            text: scratch,
            authority_bytes: wire_len(request.authority_bytes()),
            path_bytes: wire_len(request.target.path().as_bytes()),
            target_bytes: wire_len(request.target.as_str().as_bytes()),
        }
    }
}

fn pack_hot(request: &RequestHead, name: &HeaderName, scratch: &mut Vec<u8>) {
    let (value, has_more) = if *name == HOST {
        (request.authority.as_ref(), false)
    } else {
        let mut values = request.headers.get_all(name).iter();
        (values.next(), values.next().is_some())
    };
    match value.map(HeaderValue::as_bytes) {
        Some(value) => {
            let length = wire_len(value) | if has_more { MORE_VALUES } else { 0 };
            scratch.extend_from_slice(&length.to_le_bytes());
            scratch.extend_from_slice(value);
        }
        None => scratch.extend_from_slice(&u32::MAX.to_le_bytes()),
    }
}

/// In the length of a hot header: it has more values than the first.
const MORE_VALUES: u32 = 1 << 31;

/// Heads are bounded far below four gigabytes.
fn wire_len(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX - 1)
}

struct SocketParts {
    address: IpAddress,
    port: u16,
}

impl From<SocketAddr> for SocketParts {
    fn from(socket: SocketAddr) -> Self {
        Self { address: socket.ip().into(), port: socket.port() }
    }
}

direct::record! { fixed,
    #[derive(Debug, Clone, Copy, ComponentType, Lower)]
    #[component(record)]
    pub(crate) struct WireResponse {
        exchange: u64,
        status: u16,
        method: WireMethod,
        protocol: Protocol,
        client: IpAddress,
        listener: u32,
        route: u32,
        upstream: u32,
        endpoint: u32,
    }
}

impl From<&Exchange> for WireResponse {
    fn from(exchange: &Exchange) -> Self {
        Self {
            exchange: exchange.id.0,
            status: exchange.response.as_ref().map_or(0, |response| response.status.as_u16()),
            method: (&exchange.request.method).into(),
            protocol: exchange.protocol.into(),
            client: exchange.connection.client.ip().into(),
            listener: exchange.connection.listener.0,
            route: exchange.route.0,
            upstream: exchange.upstream.0,
            endpoint: exchange.endpoint.0,
        }
    }
}

direct::record! { fixed,
    #[derive(Debug, Clone, Copy, ComponentType, Lower)]
    #[component(record)]
    pub(crate) struct PickRequest {
        exchange: u64,
        client: IpAddress,
        upstream: u32,
        version: u64,
        attempt: u32,
        #[component(name = "candidate-words")]
        candidate_words: u32,
    }
}

impl PickRequest {
    pub(crate) fn new(exchange: &Exchange, request: &contract::PickRequest) -> Self {
        Self {
            exchange: exchange.id.0,
            client: exchange.connection.client.ip().into(),
            upstream: request.upstream.0,
            version: request.version,
            attempt: request.attempt,
            candidate_words: 5,
        }
    }
}

/// Words of one packed candidate.
const CANDIDATE_WORDS: usize = 5;

/// A candidate's words, as the contract lays them out.
pub(crate) fn pack_candidate(candidate: &contract::Candidate) -> [u64; CANDIDATE_WORDS] {
    let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    let health: u64 = match candidate.health {
        contract::Health::Healthy => 0,
        contract::Health::Unhealthy => 1,
        contract::Health::Draining => 2,
        contract::Health::Reserve => 3,
    };
    let outcome: u64 = match candidate.outcome {
        contract::Outcome::Untried => 0,
        contract::Outcome::ConnectFailed => 1,
        contract::Outcome::TimedOut => 2,
        contract::Outcome::Reset => 3,
        contract::Outcome::BadStatus => 4,
    };
    [
        candidate.key,
        pair(candidate.endpoint.0, candidate.zone.0),
        pair(candidate.weight, candidate.in_flight),
        pair(candidate.latency_micros, candidate.failures),
        health | outcome << 8 | u64::from(candidate.slow_start_permille) << 16 | u64::from(candidate.priority) << 32,
    ]
}

#[derive(Debug, Clone, Copy, ComponentType, Lift)]
#[component(variant)]
pub(crate) enum Choice {
    #[component(name = "endpoint")]
    Endpoint(u32),
    #[component(name = "none")]
    None,
    #[component(name = "failed")]
    Failed,
}

direct::variant!(Choice: u32 { 0 => Endpoint(u32), 1 => None, 2 => Failed });

direct::record! { fixed,
    #[derive(Debug, Clone, Copy, ComponentType, Lower)]
    #[component(record)]
    pub(crate) struct Begun {
        exchange: u64,
        listener: u32,
        route: u32,
    }
}

impl From<&contract::Begun> for Begun {
    fn from(begun: &contract::Begun) -> Self {
        Self { exchange: begun.exchange.0, listener: begun.listener.0, route: begun.route.0 }
    }
}

direct::record! { fixed,
    #[derive(Debug, Clone, Copy, ComponentType, Lower)]
    #[component(record)]
    pub(crate) struct Ended {
        exchange: u64,
        listener: u32,
        route: u32,
        upstream: u32,
        endpoint: u32,
        client: IpAddress,
        method: WireMethod,
        protocol: Protocol,
        status: u16,
        ending: Ending,
        #[component(name = "request-bytes")]
        request_bytes: u64,
        #[component(name = "response-bytes")]
        response_bytes: u64,
        #[component(name = "duration-micros")]
        duration_micros: u64,
        #[component(name = "first-byte-micros")]
        first_byte_micros: u64,
    }
}

impl From<&contract::Ended> for Ended {
    fn from(ended: &contract::Ended) -> Self {
        Self {
            exchange: ended.exchange.0,
            listener: ended.listener.0,
            route: ended.route.0,
            upstream: ended.upstream.0,
            endpoint: ended.endpoint.0,
            client: ended.client.into(),
            method: (&ended.method).into(),
            protocol: ended.protocol.into(),
            status: ended.status,
            ending: match ended.ending {
                contract::Ending::Complete => Ending::Complete,
                contract::Ending::ClientGone => Ending::ClientGone,
                contract::Ending::UpstreamFailed => Ending::UpstreamFailed,
                contract::Ending::Truncated => Ending::Truncated,
                contract::Ending::Closed => Ending::Closed,
            },
            request_bytes: ended.request_bytes,
            response_bytes: ended.response_bytes,
            duration_micros: ended.duration_micros,
            first_byte_micros: ended.first_byte_micros,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use palisade_contract::Name;

    #[test]
    fn a_candidate_is_packed_as_the_contract_says() {
        let candidate = contract::Candidate {
            endpoint: Name(7),
            key: 0x0123_4567_89ab_cdef,
            weight: 2,
            zone: Name(9),
            priority: 5,
            health: contract::Health::Draining,
            outcome: contract::Outcome::BadStatus,
            in_flight: 3,
            latency_micros: 1_500,
            failures: 4,
            slow_start_permille: 999,
        };
        let [key, names, load, trouble, state] = pack_candidate(&candidate);
        assert_eq!((key, names), (0x0123_4567_89ab_cdef, 9 << 32 | 7));
        assert_eq!((load, trouble), (3 << 32 | 2, 4 << 32 | 1_500));
        assert_eq!(state, 5 << 32 | 999 << 16 | 4 << 8 | 2);
    }

    #[test]
    fn a_hot_header_is_its_first_value_and_whether_there_are_more() {
        let mut request = RequestHead { authority: Some(HeaderValue::from_static("a:1")), ..RequestHead::default() };
        for (name, value) in [("one", "1"), ("two", "2"), ("two", "22"), ("host", "not looked at")] {
            request.headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let mut text = Vec::new();
        for name in ["one", "two", "three", "host"] {
            pack_hot(&request, &HeaderName::from_static(name), &mut text);
        }
        let expected = [&[1, 0, 0, 0][..], b"1", &[1, 0, 0, 0x80], b"2", &[0xff; 4], &[3, 0, 0, 0], b"a:1"];
        assert_eq!(text, expected.concat());
    }

    #[test]
    fn an_address_is_its_128_bits() {
        let v4: IpAddr = "192.0.2.7".parse().expect("an address");
        let v6: IpAddr = "2001:db8::1".parse().expect("an address");
        assert_eq!(IpAddress::from(v4), IpAddress { high: 0, low: 0xffff_c000_0207 });
        assert_eq!(IpAddress::from(v6), IpAddress { high: 0x2001_0db8_0000_0000, low: 1 });
    }
}
