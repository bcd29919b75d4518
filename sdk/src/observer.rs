//! Exchanges that began and ended, as an [`Observer`](crate::Observer) is told of them.

use std::net::{IpAddr, Ipv6Addr};

use crate::{
    Exchange, Method, Name, Protocol, bindings::observer::exports::palisade::plugin::observer as host, exchange,
};

pub use host::Ending;

/// An exchange that began: its request head was complete.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Begun {
    /// The number of the request and its response.
    pub exchange: Exchange,
    /// The listener that the request came to.
    pub listener: Name,
    /// The route that was chosen, if one matched.
    pub route: Option<Name>,
}

/// An exchange that ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ended {
    /// The number of the request and its response.
    pub exchange: Exchange,
    /// The listener that the request came to.
    pub listener: Name,
    /// The route that was chosen, if one matched.
    pub route: Option<Name>,
    /// The upstream that was chosen, if any.
    pub upstream: Option<Name>,
    /// The endpoint that was tried last, if any.
    pub endpoint: Option<Name>,
    /// The client's address.
    pub client: IpAddr,
    /// The request's method.
    pub method: Method,
    /// What the client speaks.
    pub protocol: Protocol,
    /// Zero where no response was sent.
    pub status: u16,
    /// How it ended.
    pub ending: Ending,
    /// Bytes of the request's body, before any framing.
    pub request_bytes: u64,
    /// Bytes of the response's body, before any framing.
    pub response_bytes: u64,
    /// From the complete request head to the last byte of the response, or to the end.
    pub duration_micros: u64,
    /// From the complete request head to the response head; zero without one.
    pub first_byte_micros: u64,
}

/// For tests: `Begun { listener, ..Begun::default() }`.
impl Default for Begun {
    fn default() -> Self {
        Self { exchange: Exchange::default(), listener: Name::default(), route: None }
    }
}

/// For tests, a complete `GET` without a status: `Ended { status: 200, ..Ended::default() }`.
impl Default for Ended {
    fn default() -> Self {
        Self {
            exchange: Exchange::default(),
            listener: Name::default(),
            route: None,
            upstream: None,
            endpoint: None,
            client: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            method: Method::Get,
            protocol: Protocol::Http1,
            status: 0,
            ending: Ending::Complete,
            request_bytes: 0,
            response_bytes: 0,
            duration_micros: 0,
            first_byte_micros: 0,
        }
    }
}

impl From<host::Begun> for Begun {
    fn from(begun: host::Begun) -> Self {
        Self {
            exchange: Exchange::from_number(begun.exchange),
            listener: Name::from_number(begun.listener),
            route: Name::some(begun.route),
        }
    }
}

impl From<host::Ended> for Ended {
    fn from(ended: host::Ended) -> Self {
        Self {
            exchange: Exchange::from_number(ended.exchange),
            listener: Name::from_number(ended.listener),
            route: Name::some(ended.route),
            upstream: Name::some(ended.upstream),
            endpoint: Name::some(ended.endpoint),
            client: exchange::address(ended.client),
            method: ended.method,
            protocol: ended.protocol,
            status: ended.status,
            ending: ended.ending,
            request_bytes: ended.request_bytes,
            response_bytes: ended.response_bytes,
            duration_micros: ended.duration_micros,
            first_byte_micros: ended.first_byte_micros,
        }
    }
}
