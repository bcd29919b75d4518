//! Where requests go: endpoints that are equal, and how to reach them.

use std::{net::SocketAddr, time::Duration};

use crate::{
    Circuit, Discover, Ejection, HealthCheck, Hedge, NamedEndpoint, Retries, UpstreamTls, address,
    address::Target,
    duration,
    health::Secured,
    text::{Form, Seen, Table, Value},
};

/// One `[upstream.NAME]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// The name that routes use.
    pub name: String,
    /// Up to 10,000, each address once; none where there are names, or where they are discovered.
    pub endpoints: Vec<Endpoint>,
    /// Endpoints that are written by their names: up to 100.
    pub names: Vec<NamedEndpoint>,
    /// Where endpoints are from that are not written down.
    pub discover: Option<Discover>,
    /// What endpoints are asked from time to time.
    pub health: Option<HealthCheck>,
    /// When endpoints are left alone for what came of requests.
    pub ejection: Option<Ejection>,
    /// Where fewer than this share of the endpoints are healthy, all are asked: 1 to 100 percent, or never.
    pub panic_percent: Option<u8>,
    /// How long a newcomer, and one that comes back, takes until it has its whole share: zero, or 1 s to 1 h.
    pub slow_start: Duration,
    /// How connections are encrypted; `None` is plain HTTP.
    pub tls: Option<UpstreamTls>,
    /// What endpoints are spoken to in.
    pub protocol: UpstreamProtocol,
    /// Which header of the PROXY protocol connections begin with, so that endpoints know who asks. Each connection is one
    /// client's then: none is kept.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// From the first packet until the connection can be used, TLS included.
    pub connect_timeout: Duration,
    /// From the end of the request until the head of the response.
    pub response_timeout: Duration,
    /// From the head of the request until the last byte of the answer; none is no limit. 1 ms to 24 h.
    pub total_timeout: Option<Duration>,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// How long a body, either way, may make no progress: 1 ms to 24 h, or ten years for `off`.
    pub body_timeout: Duration,
    /// Unused connections kept for each endpoint and worker: 0 to 10,000.
    pub idle_connections: usize,
    /// Connections for each endpoint and worker: 1 to 1,000,000.
    pub connections: usize,
    /// Requests at a time on one HTTP/2 connection, if the endpoint allows as many: 1 to 1,000.
    pub streams: usize,
    /// How old a connection may be that gets another request; none is any age. 1 s to 24 h.
    pub connection_age: Option<Duration>,
    /// Connections that are kept open for each endpoint and worker, whether they are used or not: 0 to 1,000.
    pub warm_connections: usize,
    /// When a request is sent again.
    pub retries: Retries,
    /// When no request is let through.
    pub circuit: Option<Circuit>,
    /// When a request is sent to a second endpoint beside the first.
    pub hedge: Option<Hedge>,
}

impl Upstream {
    pub(crate) fn read(name: &str, value: &Value<'_>) -> Option<Self> {
        let mut table = value.table("an upstream")?;
        let says_tls = table.has("tls");
        let Written { endpoints, names, discover } = Written::read(&mut table, says_tls);
        let mut secured = if says_tls { Secured::Yes } else { Secured::No };
        let tls = table.optional("tls", |value| {
            if value.raw().as_bool() == Some(false) {
                secured = Secured::No;
            }
            UpstreamTls::read(&value)
        });
        let health = table.optional("health", |value| HealthCheck::read(&value, secured));
        let ejection = table.or("ejection", Some(Ejection::default()), |value| Ejection::read(&value));
        let panic_percent = table.optional("panic_percent", |value| value.whole(1..=100));
        let slow_start = table.or("slow_start", Duration::ZERO, |value| slow_start(&value));
        let protocol = table.optional("protocol", |value| UpstreamProtocol::read(&value, says_tls));
        let proxy_protocol = table.optional("proxy_protocol", |value| ProxyProtocol::read(&value, protocol));
        let connect_timeout = table.or("connect_timeout", Duration::from_secs(5), duration::timeout);
        let response_timeout = table.or("response_timeout", Duration::from_secs(60), duration::timeout);
        let total_timeout = table.optional("total_timeout", duration::patience);
        let idle_timeout = table.or("idle_timeout", Duration::from_secs(60), duration::timeout);
        let body_timeout = table.or("body_timeout", Duration::from_secs(60), duration::patience);
        let idle_connections = table.or("idle_connections", 64, |value| value.whole(0..=10_000));
        let connections = table.or("connections", 1_024, |value| value.whole(1..=1_000_000));
        let streams = table.or("streams", 100, |value| value.whole(1..=1_000));
        let connection_age = table.optional("connection_age", age);
        let idle_connections = if proxy_protocol.is_some() { 0 } else { idle_connections };
        let warm_connections = table.or("warm_connections", 0, |value| warm(&value, idle_connections.min(connections)));
        let retries = table.or("retries", Retries::default(), |value| Retries::read(&value));
        let circuit = table.optional("circuit", |value| Circuit::read(&value));
        let hedge = table.optional("hedge", |value| Hedge::read(&value));
        table.finish();
        Some(Self {
            name: name.to_owned(),
            endpoints: endpoints?,
            names,
            discover,
            health,
            ejection,
            panic_percent,
            slow_start,
            tls,
            protocol: protocol.unwrap_or(UpstreamProtocol::Http1),
            proxy_protocol,
            connect_timeout,
            response_timeout,
            total_timeout,
            idle_timeout,
            body_timeout,
            idle_connections,
            connections,
            streams,
            connection_age,
            warm_connections,
            retries,
            circuit,
            hedge,
        })
    }
}

/// Reads an age of 1 s to 24 h.
fn age(value: Value<'_>) -> Option<Duration> {
    duration::read(&value, Duration::from_secs(1)..=Duration::from_secs(24 * 3_600))
}

/// Reads how many connections are kept open, of which no more than this many could be.
fn warm(value: &Value<'_>, kept: usize) -> Option<usize> {
    let wanted = value.whole(0..=1_000)?;
    if wanted > kept {
        return value.refuse(format!("{wanted} is more than are kept unused or may be open: expected at most {kept}"));
    }
    Some(wanted)
}

/// What endpoints are spoken to in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: agreed on within TLS, known beforehand without it (RFC 9113, section 3.3).
    Http2,
    /// Within TLS, HTTP/2 where the endpoint chooses it, and else HTTP/1.1.
    Auto,
}

impl UpstreamProtocol {
    fn read(value: &Value<'_>, says_tls: bool) -> Option<Self> {
        let choices = [("h1", Self::Http1), ("h2", Self::Http2), ("auto", Self::Auto)];
        let protocol = value.choice("a protocol", &choices)?;
        if protocol == Self::Auto && !says_tls {
            return value
                .refuse("\"auto\" is agreed on within TLS: expected \"h1\" or \"h2\" on an upstream without it");
        }
        Some(protocol)
    }
}

/// A version of the PROXY protocol (HAProxy, "The PROXY protocol", versions 1 and 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

impl ProxyProtocol {
    fn read(value: &Value<'_>, protocol: Option<UpstreamProtocol>) -> Option<Self> {
        let version = value.choice("a version of the PROXY protocol", &[("v1", Self::V1), ("v2", Self::V2)])?;
        if protocol.is_some_and(|protocol| protocol != UpstreamProtocol::Http1) {
            return value.refuse("names one client for a whole connection: expected protocol = \"h1\" beside it");
        }
        Some(version)
    }
}

fn slow_start(value: &Value<'_>) -> Option<Duration> {
    if value.raw().as_str() == Some("off") {
        return Some(Duration::ZERO);
    }
    duration::read(value, Duration::from_secs(1)..=Duration::from_secs(3_600))
}

/// Where the endpoints of an upstream are from.
#[derive(Default)]
struct Written {
    endpoints: Option<Vec<Endpoint>>,
    names: Vec<NamedEndpoint>,
    discover: Option<Discover>,
}

impl Written {
    fn read(table: &mut Table<'_>, says_tls: bool) -> Self {
        let has_endpoints = table.has("endpoints");
        let has_discover = table.has("discover");
        let mut written = Self::default();
        if !has_discover || has_endpoints {
            let endpoints = table.required("endpoints", |value| endpoints(&value, says_tls));
            (written.endpoints, written.names) =
                endpoints.map_or((None, Vec::new()), |(all, names)| (Some(all), names));
        } else {
            table.optional::<()>("endpoints", |_| None);
        }
        written.discover = table.optional("discover", |value| {
            if has_endpoints {
                return value.refuse("stands beside endpoints: expected one of them");
            }
            if !says_tls {
                value.warn(format!("what is found {}", UNENCRYPTED));
            }
            Discover::read(&value)
        });
        if written.discover.is_some() {
            written.endpoints = Some(Vec::new());
        }
        written
    }
}

const UNENCRYPTED: &str = "is reached without encryption: write tls = { … }, or tls = false if that is meant";

fn endpoints(value: &Value<'_>, says_tls: bool) -> Option<(Vec<Endpoint>, Vec<NamedEndpoint>)> {
    let elements = value.list(ENDPOINTS)?;
    if elements.is_empty() || elements.len() > ENDPOINTS_MAX {
        return value.refuse(format!("holds {} endpoints: expected 1 to {ENDPOINTS_MAX}", elements.len()));
    }
    let mut seen = Seen::default();
    let (mut endpoints, mut names) = (Vec::with_capacity(elements.len()), Vec::new());
    for element in elements {
        match Endpoint::read(&element, &mut seen) {
            None => {}
            Some((endpoint, None)) => endpoints.push(endpoint),
            Some((endpoint, Some(name))) => names.push(NamedEndpoint { name, endpoint, place: endpoints.len() }),
        }
    }
    if names.len() > NAMES_MAX {
        return value.refuse(format!("holds {} names: expected at most {NAMES_MAX}", names.len()));
    }
    let remote = endpoints.iter().find(|endpoint| !address::is_loopback(endpoint.address));
    let remote = remote.map(|endpoint| endpoint.address.to_string());
    let named = || names.iter().map(|named| &named.name).find(|name| *name != "localhost").cloned();
    if let (Some(remote), false) = (remote.or_else(named), says_tls) {
        value.warn(format!("{remote} {UNENCRYPTED}"));
    }
    Some((endpoints, names))
}

impl Endpoint {
    /// The name is there where it is written in the address's place; the address has the port alone then.
    fn read(value: &Value<'_>, seen: &mut Seen<Target>) -> Option<(Self, Option<String>)> {
        if !value.raw().is_table() {
            let (address, name) = target(value, seen)?;
            return Some((Self::new(address), name));
        }
        let mut table = value.table("an endpoint")?;
        let target = table.required("address", |value| target(&value, seen));
        let weight = table.or("weight", 1, |value| value.whole(1..=65_535));
        let zone = table.optional("zone", |value| zone(&value));
        let priority = table.optional("priority", |value| value.whole(0..=Self::PRIORITY_MAX));
        let is_backup = table.or("backup", false, |value| match (value.boolean()?, priority) {
            (true, Some(_)) => {
                value.refuse("stands beside priority: expected one of them, as a backup comes after all")
            }
            (is_backup, _) => Some(is_backup),
        });
        table.finish();
        let (address, name) = target?;
        let priority = if is_backup { Self::BACKUP } else { priority.unwrap_or(0) };
        Some((Self { address, weight, zone, priority }, name))
    }
}

fn target(value: &Value<'_>, seen: &mut Seen<Target>) -> Option<(SocketAddr, Option<String>)> {
    let target = address::target(value)?;
    let key = match &target {
        Target::Address(address) => Target::Address(address::canonical(*address)),
        Target::Name(..) => target.clone(),
    };
    match (seen.insert(key, value), target) {
        (Err(first), _) => value.refuse(format!("{} is {first} already", value.found())),
        (Ok(()), Target::Address(address)) => Some((address, None)),
        (Ok(()), Target::Name(name, port)) => Some((SocketAddr::from(([0, 0, 0, 0], port)), Some(name))),
    }
}

/// Reads an address that is there once.
pub(crate) fn unseen(value: &Value<'_>, seen: &mut Seen<SocketAddr>) -> Option<SocketAddr> {
    let address = address::endpoint(value)?;
    match seen.insert(address::canonical(address), value) {
        Ok(()) => Some(address),
        Err(first) => value.refuse(format!("{} is {first} already", value.found())),
    }
}

/// The name of a zone.
pub(crate) fn zone(value: &Value<'_>) -> Option<String> {
    let text = value.text(ZONE)?;
    let fits = (1..=ZONE_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
    if fits { Some(text.to_owned()) } else { value.is_not(ZONE) }
}

const ENDPOINTS_MAX: usize = 10_000;
const NAMES_MAX: usize = 100;
const ENDPOINTS: Form = Form { noun: "a list", expected: "endpoints, such as [\"10.0.1.11:8443\"]" };
const ZONE_BYTES_MAX: usize = 63;
const ZONE: Form = Form { noun: "a zone", expected: "1 to 63 bytes of text, such as \"b\"" };

/// One address of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it listens; the port is not zero.
    pub address: SocketAddr,
    /// Its share relative to the others: 1 to 65,535.
    pub weight: u32,
    /// Where it stands, for balancers.
    pub zone: Option<String>,
    /// Its level: 0 to 9, or [`Endpoint::BACKUP`]. Those of a level are chosen while the levels before have too few that are
    /// healthy.
    pub priority: u8,
}

impl Endpoint {
    /// The last level but that of the backups.
    pub const PRIORITY_MAX: u8 = 9;

    /// The level of those that are chosen only while no other is healthy.
    pub const BACKUP: u8 = 10;

    /// An endpoint of which nothing but the address is written.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { address, weight: 1, zone: None, priority: 0 }
    }
}
