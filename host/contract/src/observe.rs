//! What observers are told: an exchange began, an exchange ended.

use std::net::IpAddr;

use http::Method;

use crate::{ExchangeId, Name, Protocol};

/// An exchange whose request head is complete and whose chain is known.
#[derive(Debug, Clone, Copy)]
pub struct Begun {
    /// The exchange.
    pub exchange: ExchangeId,
    /// The listener that it came in by.
    pub listener: Name,
    /// The matched route, or none.
    pub route: Name,
}

/// An exchange that is over, whatever became of it.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The exchange.
    pub exchange: ExchangeId,
    /// The listener that it came in by.
    pub listener: Name,
    /// The matched route, or none.
    pub route: Name,
    /// The upstream that was asked, or none.
    pub upstream: Name,
    /// The endpoint that was asked last, or none.
    pub endpoint: Name,
    /// Who asked.
    pub client: IpAddr,
    /// The request's method.
    pub method: Method,
    /// What the client speaks.
    pub protocol: Protocol,
    /// The status that was sent; zero if none.
    pub status: u16,
    /// How it ended.
    pub ending: Ending,
    /// Bytes of the request's body that were read.
    pub request_bytes: u64,
    /// Bytes of the response's body that were handed to the client's connection.
    pub response_bytes: u64,
    /// From the complete request head to the end, in microseconds.
    pub duration_micros: u64,
    /// From the complete request head to the response's head, in microseconds; zero without one.
    pub first_byte_micros: u64,
}

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The whole response was sent.
    Complete,
    /// The client left before the end.
    ClientGone,
    /// No upstream gave a response.
    UpstreamFailed,
    /// The response broke off, visibly.
    Truncated,
    /// A plugin closed without an answer.
    Closed,
}

impl Ending {
    /// The ending as logs name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::ClientGone => "client-gone",
            Self::UpstreamFailed => "upstream-failed",
            Self::Truncated => "truncated",
            Self::Closed => "closed",
        }
    }
}
