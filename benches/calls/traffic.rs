//! Connections, exchanges, endpoints and networks to measure with: always the same ones, and enough of them that no cache
//! or branch predictor knows the next one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use palisade_contract::{
    Begun, Candidate, Connection, ConnectionId, Ended, Ending, Exchange, ExchangeId, Health, Name, Outcome, Protocol,
    RequestHead, ResponseHead, Scheme,
};

/// How many different clients there are.
const CLIENTS: u64 = 1_024;

/// Hands out the same things in turn.
pub(crate) struct Cycle<T> {
    items: Box<[T]>,
    next: usize,
}

impl<T> Cycle<T> {
    /// One for each client.
    pub(crate) fn of(make: impl Fn(u64) -> T) -> Self {
        Self { items: (0..CLIENTS).map(make).collect(), next: 0 }
    }

    #[expect(clippy::indexing_slicing, reason = "the index is taken modulo the length, which is not zero")]
    pub(crate) fn take(&mut self) -> &mut T {
        let index = self.next;
        self.next = (index + 1) % self.items.len();
        &mut self.items[index]
    }
}

/// Networks to deny, `203.0.113.8/29` and such: four of five are IPv4 networks of 24 to 32 bits, the others IPv6.
pub(crate) fn denied(count: u64) -> Vec<String> {
    (0..count)
        .map(|index| match denied_address(index) {
            IpAddr::V4(address) => format!("{address}/{}", 24 + index % 9),
            IpAddr::V6(address) => format!("{address}/48"),
        })
        .collect()
}

/// The first address of one of the networks.
pub(crate) fn denied_address(index: u64) -> IpAddr {
    address(index, 1)
}

/// An address in none of the networks, though it has most of its first bits in common with some.
pub(crate) fn allowed_address(index: u64) -> IpAddr {
    address(index + (1 << 32), 0)
}

/// Random, but for one bit far behind, which tells networks from clients outside of all of them.
fn address(index: u64, bit: u8) -> IpAddr {
    let random = mixed(index).to_be_bytes();
    let [a, b, c, d, e, f, ..] = random;
    if index % 5 == 4 {
        let group = |high: u8, low: u8| u16::from_be_bytes([high, low]);
        let third = group(e, f & 0xfe | bit);
        IpAddr::V6(Ipv6Addr::new(0x2000 | group(a & 0x0f, b), group(c, d), third, 0, 0, 0, 0, 0))
    } else {
        IpAddr::V4(Ipv4Addr::new(1 + a % 223, b, c & 0xfe | bit, 0))
    }
}

/// SplitMix64.
fn mixed(number: u64) -> u64 {
    let state = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A client's connection.
pub(crate) fn connection(index: u64, client: IpAddr) -> Connection {
    Connection {
        id: ConnectionId(index),
        client: SocketAddr::new(client, 50_000),
        local: SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 443)),
        listener: Name(1),
        scheme: Scheme::Https,
        tls: None,
    }
}

/// What a browser asks, and the head of the answer.
pub(crate) fn exchange(index: u64, client: IpAddr) -> Box<Exchange> {
    let mut request = RequestHead {
        method: Method::GET,
        target: http::uri::PathAndQuery::from_static("/shop/items/4711?page=2&sort=price"),
        authority: Some(HeaderValue::from_static("www.foobar.com")),
        headers: HeaderMap::new(),
    };
    for (name, value) in HEADERS {
        request.headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let connection = Arc::new(connection(index, client));
    let mut exchange = Exchange::new(ExchangeId(index + 1), connection, Protocol::Http2, request);
    exchange.route = Name(2);
    exchange.response = Some(ResponseHead::default());
    exchange
}

const HEADERS: [(&str, &str); 12] = [
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("accept-language", "de,en-US;q=0.7,en;q=0.3"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("referer", "https://www.foobar.com/shop"),
    ("cookie", "session=0123456789abcdef0123456789abcdef; theme=dark"),
    ("upgrade-insecure-requests", "1"),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-site", "same-origin"),
    ("priority", "u=0, i"),
    ("cache-control", "no-cache"),
];

/// Healthy endpoints of weight 1 to 3.
pub(crate) fn candidates(count: u32) -> Vec<Candidate> {
    (0..count)
        .map(|index| Candidate {
            endpoint: Name(10 + index),
            key: mixed(u64::from(index)),
            weight: 1 + index % 3,
            zone: Name::NONE,
            priority: 0,
            health: Health::Healthy,
            outcome: Outcome::Untried,
            in_flight: index % 7,
            latency_micros: 800 + 10 * index,
            failures: 0,
            slow_start_permille: 1_000,
        })
        .collect()
}

pub(crate) fn begun(index: u64) -> Begun {
    Begun { exchange: ExchangeId(index + 1), listener: Name(1), route: Name(2) }
}

pub(crate) fn ended(index: u64) -> Ended {
    Ended {
        exchange: ExchangeId(index + 1),
        listener: Name(1),
        route: Name(2),
        upstream: Name(3),
        endpoint: Name(10),
        client: allowed_address(index),
        method: Method::GET,
        protocol: Protocol::Http2,
        status: if index.is_multiple_of(16) { 404 } else { 200 },
        ending: Ending::Complete,
        request_bytes: 0,
        response_bytes: 1_024,
        duration_micros: 900 + index,
        first_byte_micros: 800 + index,
    }
}
