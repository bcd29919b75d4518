//! `X-Forwarded-*`, `Forwarded` (RFC 7239) and `Via` (RFC 9110, section 7.6.3): who asked, of whom, how.
//!
//! What a stranger says of itself is replaced. What a trusted proxy says is kept and continued, and the client is then the
//! last address that no trusted proxy has.

use std::cell::{OnceCell, RefCell};
use std::fmt::Write;
use std::net::IpAddr;

use http::Version;
use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue, VIA};
use palisade_config::IpNet;
use palisade_contract::{Connection, RequestHead};

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// What is believed of what the peer says about who is behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Nothing.
    Stranger,
    /// Everything: it is one of the listener's trusted proxies.
    Proxy,
}

impl Trust {
    /// Decided once for each connection and plan.
    pub(crate) fn of(peer: IpAddr, trusted: &[IpNet]) -> Self {
        if is_trusted(peer, trusted) { Self::Proxy } else { Self::Stranger }
    }
}

/// Who is behind a trusted proxy: the last address of `X-Forwarded-For` that is not a trusted proxy itself.
pub(crate) fn client_of(headers: &HeaderMap, trusted: &[IpNet]) -> Option<IpAddr> {
    let mut last = None;
    for value in headers.get_all(&FOR).iter().rev() {
        for listed in value.as_bytes().rsplit(|byte| *byte == b',') {
            // What is before the first address that no trusted proxy has is the client's own invention, and may be anything.
            let text = std::str::from_utf8(listed.trim_ascii()).ok();
            let Some(address) = text.and_then(|text| text.parse().ok()) else { return last };
            last = Some(address);
            if !is_trusted(address, trusted) {
                return last;
            }
        }
    }
    last
}

fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    let address = address.to_canonical();
    trusted.iter().any(|network| network.contains(&address))
}

/// What is said of one connection in each of its requests, written once: most ask the same host as the one before.
#[derive(Debug, Default)]
pub(crate) struct Said {
    peer: OnceCell<Option<HeaderValue>>,
    /// The element for the host that was asked last.
    element: RefCell<Option<(Box<[u8]>, HeaderValue)>>,
}

/// A longer host is not kept.
const HOST_KEPT_BYTES_MAX: usize = 256;

impl Said {
    /// The peer's address.
    fn peer(&self, peer: IpAddr) -> Option<HeaderValue> {
        self.peer.get_or_init(|| HeaderValue::try_from(peer.to_string()).ok()).clone()
    }

    /// The element of `Forwarded`.
    fn element(&self, (peer, scheme): (IpAddr, &str), host: Option<&HeaderValue>) -> Option<HeaderValue> {
        let name = host.map_or(&[][..], HeaderValue::as_bytes);
        let mut last = self.element.borrow_mut();
        if let Some((_, element)) = last.as_ref().filter(|(known, _)| **known == *name) {
            return Some(element.clone());
        }
        let written = HeaderValue::try_from(element(peer, scheme, host)).ok()?;
        if name.len() <= HOST_KEPT_BYTES_MAX {
            *last = Some((name.into(), written.clone()));
        }
        Some(written)
    }
}

/// Writes into a request who asked, how, and that it passed here.
pub(crate) fn forward(
    head: &mut RequestHead,
    (connection, said): (&Connection, &Said),
    trust: Trust,
    version: Version,
) {
    let peer = connection.client.ip().to_canonical();
    let scheme = connection.scheme.as_str();
    let headers = &mut head.headers;
    let (by, forwarded) = (said.peer(peer), said.element((peer, scheme), head.authority.as_ref()));
    for (name, value) in [(FOR, by), (FORWARDED, forwarded)] {
        match value {
            Some(value) if trust == Trust::Stranger => drop(headers.insert(name, value)),
            Some(value) => append(headers, &name, value.as_bytes()),
            // What a stranger says is not passed on in any case.
            None => drop(headers.remove(name)),
        }
    }
    if trust == Trust::Stranger || !headers.contains_key(&PROTO) {
        headers.insert(PROTO, HeaderValue::from_static(scheme));
    }
    if let Some(host) = &head.authority
        && (trust == Trust::Stranger || !headers.contains_key(&HOST))
    {
        headers.insert(HOST, host.clone());
    }
    let has_via = headers.contains_key(VIA);
    via(headers, version, has_via);
}

/// One element of `Forwarded` (RFC 7239, section 4). Values that are no tokens are quoted.
fn element(peer: IpAddr, scheme: &str, host: Option<&HeaderValue>) -> String {
    let mut text = match peer {
        IpAddr::V4(peer) => format!("for={peer};proto={scheme}"),
        IpAddr::V6(peer) => format!("for=\"[{peer}]\";proto={scheme}"),
    };
    // An authority has no quote and no backslash in it.
    if let Some(host) = host.and_then(|host| host.to_str().ok()) {
        let _ = write!(text, ";host=\"{host}\"");
    }
    text
}

/// Adds this hop to `Via`, which is there or not.
pub(super) fn via(headers: &mut HeaderMap, version: Version, is_there: bool) {
    let hop = match version {
        Version::HTTP_10 => "1.0 palisade",
        Version::HTTP_2 => "2 palisade",
        Version::HTTP_3 => "3 palisade",
        _ => "1.1 palisade",
    };
    if is_there {
        append(headers, &VIA, hop.as_bytes());
    } else {
        headers.insert(VIA, HeaderValue::from_static(hop));
    }
}

/// Continues a list, in one field.
fn append(headers: &mut HeaderMap, name: &HeaderName, member: &[u8]) {
    let mut list = Vec::new();
    for value in headers.get_all(name) {
        list.extend_from_slice(value.as_bytes());
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(member);
    if let Ok(value) = HeaderValue::from_bytes(&list) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use palisade_contract::testing;

    #[test]
    fn a_stranger_is_replaced_and_a_trusted_proxy_continued() {
        check(Trust::Stranger, &[], "192.0.2.7", "for=192.0.2.7;proto=https;host=\"www.foobar.com\"", "https");
        check(
            Trust::Stranger,
            &["x-forwarded-for: 6.6.6.6", "forwarded: for=6.6.6.6", "x-forwarded-proto: http"],
            "192.0.2.7",
            "for=192.0.2.7;proto=https;host=\"www.foobar.com\"",
            "https",
        );
        check(
            Trust::Proxy,
            &["x-forwarded-for: 6.6.6.6", "forwarded: for=6.6.6.6", "x-forwarded-proto: http"],
            "6.6.6.6, 192.0.2.7",
            "for=6.6.6.6, for=192.0.2.7;proto=https;host=\"www.foobar.com\"",
            "http",
        );
    }

    fn check(trust: Trust, fields: &[&str], forwarded_for: &str, forwarded: &str, proto: &str) {
        let mut exchange = testing::exchange("/");
        add(&mut exchange.request.headers, fields);
        let (connection, said) = (testing::connection(), Said::default());
        forward(&mut exchange.request.clone(), (&connection, &said), trust, Version::HTTP_2);
        // Once more, with what was written for the first.
        forward(&mut exchange.request, (&connection, &said), trust, Version::HTTP_2);
        let headers = &exchange.request.headers;
        assert_eq!(headers[FOR], forwarded_for);
        assert_eq!(headers[FORWARDED], forwarded);
        assert_eq!(headers[PROTO], proto);
        assert_eq!(headers[HOST], "www.foobar.com");
        assert_eq!(headers[VIA], "2 palisade");
    }

    #[test]
    fn each_host_that_is_asked_is_the_one_that_is_told() {
        let (connection, said) = (testing::connection(), Said::default());
        let long = "a".repeat(HOST_KEPT_BYTES_MAX + 1);
        for host in [Some("a"), Some("b:1"), Some("b:1"), None, Some(&long), Some("a"), Some(&long), None] {
            let mut exchange = testing::exchange("/");
            exchange.request.authority = host.map(|host| HeaderValue::try_from(host).expect("a host"));
            forward(&mut exchange.request, (&connection, &said), Trust::Stranger, Version::HTTP_11);
            let host = host.map(|host| format!(";host=\"{host}\"")).unwrap_or_default();
            assert_eq!(exchange.request.headers[FORWARDED], format!("for=192.0.2.7;proto=https{host}"));
        }
    }

    fn add(headers: &mut HeaderMap, fields: &[&str]) {
        for field in fields {
            let (name, value) = field.split_once(": ").expect("a field");
            headers.append(
                name.parse::<HeaderName>().expect("a name"),
                HeaderValue::from_bytes(value.as_bytes()).expect("a value"),
            );
        }
    }

    #[test]
    fn the_client_is_the_last_that_no_trusted_proxy_has() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().expect("a network")];
        for (fields, client) in [
            (&["x-forwarded-for: 1.1.1.1, 2.2.2.2, 10.0.0.9"][..], Some("2.2.2.2")),
            (&["x-forwarded-for: 1.1.1.1", "x-forwarded-for: 10.0.0.9"], Some("1.1.1.1")),
            (&["x-forwarded-for: 10.0.0.8, 10.0.0.9"], Some("10.0.0.8")),
            (&["x-forwarded-for: nonsense"], None),
            (&["x-forwarded-for: \u{ff}, 2.2.2.2"], Some("2.2.2.2")),
            (&["x-forwarded-for: nonsense, 10.0.0.9"], Some("10.0.0.9")),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            add(&mut headers, fields);
            let expected = client.map(|client| client.parse().expect("an address"));
            assert_eq!(client_of(&headers, &trusted), expected, "{fields:?}");
        }
    }
}
