//! Socket addresses and networks.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use crate::{
    host,
    text::{Form, Seen, Value},
};

/// Reads where to listen: nowhere that is bound already, except that port 0 is another port each time.
pub(crate) fn bind(value: &Value<'_>, bound: &mut Seen<SocketAddr>) -> Option<SocketAddr> {
    let text = value.text(ADDRESS)?;
    let Ok(address) = text.parse::<SocketAddr>() else {
        return match text.parse() {
            Ok(ip) => without_port(value, ip),
            Err(_) => value.is_not(ADDRESS),
        };
    };
    if address.port() != 0
        && let Err(first) = bound.insert(canonical(address), value)
    {
        return value.refuse(format!("{} is bound by {first} already", value.found()));
    }
    Some(address)
}

/// Where to connect to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    Address(SocketAddr),
    /// A name that is looked up, in lower case, and a port.
    Name(String, u16),
}

/// Reads where to connect to.
pub(crate) fn target(value: &Value<'_>) -> Option<Target> {
    let text = value.text(TARGET)?;
    if text.parse::<SocketAddr>().is_ok() || text.parse::<IpAddr>().is_ok() {
        return endpoint(value).map(Target::Address);
    }
    let (name, port) = text.rsplit_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
    let name = name.to_ascii_lowercase();
    if !host::is_name(name.strip_suffix('.').unwrap_or(&name)) || name.parse::<IpAddr>().is_ok() {
        return value.is_not(TARGET);
    }
    match port.map(str::parse::<u16>) {
        Some(Ok(0)) => value.refuse("port 0 cannot be connected to"),
        Some(Ok(port)) => Some(Target::Name(name, port)),
        Some(Err(_)) => value.is_not(TARGET),
        None => value.refuse(format!("{} has no port: expected one, such as \"{name}:443\"", value.found())),
    }
}

/// Reads an address to connect to.
pub(crate) fn endpoint(value: &Value<'_>) -> Option<SocketAddr> {
    let text = value.text(ENDPOINT)?;
    if let Ok(address) = text.parse::<SocketAddr>() {
        return if address.port() == 0 { value.refuse("port 0 cannot be connected to") } else { Some(address) };
    }
    match text.parse() {
        Ok(ip) => without_port(value, ip),
        Err(_) => value.is_not(ENDPOINT),
    }
}

/// Reads a network, or one address as the network of it alone.
pub(crate) fn network(value: &Value<'_>) -> Option<IpNet> {
    let text = value.text(NETWORK)?;
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(ip.into());
    }
    let Ok(network) = text.parse::<IpNet>() else { return value.is_not(NETWORK) };
    if network != network.trunc() {
        return value.refuse(format!("{} has bits after its prefix: expected \"{}\"", value.found(), network.trunc()));
    }
    Some(network)
}

/// One spelling for an IPv4 address, with or without the prefix of IPv6.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

pub(crate) fn is_loopback(address: SocketAddr) -> bool {
    canonical(address).ip().is_loopback()
}

fn without_port<T>(value: &Value<'_>, ip: IpAddr) -> Option<T> {
    value.refuse(format!("{} has no port: expected one, such as \"{}\"", value.found(), SocketAddr::new(ip, 443)))
}

const ADDRESS: Form = Form { noun: "an address", expected: "\"IP:port\", such as \"0.0.0.0:443\" or \"[::]:443\"" };
const TARGET: Form = Form {
    noun: "an address",
    expected: "\"IP:port\" or \"name:port\", such as \"10.0.1.11:8443\" or \"web.internal:8443\"",
};
const ENDPOINT: Form =
    Form { noun: "an address", expected: "\"IP:port\", such as \"10.0.1.11:8443\" or \"[2001:db8::1]:8443\"" };
const NETWORK: Form =
    Form { noun: "a network", expected: "\"IP/prefix\", such as \"10.0.0.0/8\" or \"2001:db8::/32\"" };
