//! What tells clients apart, and a request, in; the key under which its client is counted, out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use palisade_sdk::prelude::*;
use sha2::{Digest, Sha256};

use crate::limit::Subject;

/// One of the things that tell clients apart.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum By {
    /// The client's address, or the network that it is in.
    Client,
    /// The path, without the query.
    Path,
    /// The first value of this header.
    Header(String),
    /// The first cookie of this name.
    Cookie(String),
}

/// How the keys of one limit are made.
#[derive(Debug)]
pub(crate) struct KeyMaker {
    /// What all of them begin with.
    limit: Vec<u8>,
    parts: Vec<Part>,
    prefixes: Prefixes,
}

#[derive(Debug)]
enum Part {
    Client,
    Path,
    Header(HotHeader),
    Cookie(String),
}

/// The headers that come with every request: each is declared once, however many limits look at it.
#[derive(Debug, Default)]
pub(crate) struct HotHeaders(Vec<(String, HotHeader)>);

impl HotHeaders {
    fn find(&mut self, name: &str, host: &mut Setup) -> HotHeader {
        let known = self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        known.map(|(_, header)| *header).unwrap_or_else(|| {
            let header = host.hot_header(name);
            self.0.push((name.to_owned(), header));
            header
        })
    }
}

/// Prefixes of addresses that are one client.
#[derive(Debug)]
pub(crate) struct Prefixes {
    pub(crate) ipv4: u8,
    pub(crate) ipv6: u8,
}

impl KeyMaker {
    /// Makes keys for the limit of this name.
    pub(crate) fn new(
        limit: &str,
        by: Vec<By>,
        prefixes: Prefixes,
        (headers, host): (&mut HotHeaders, &mut Setup),
    ) -> Self {
        let parts = by.into_iter().map(|by| match by {
            By::Client => Part::Client,
            By::Path => Part::Path,
            By::Header(name) => Part::Header(headers.find(&name, host)),
            By::Cookie(name) => Part::Cookie(name),
        });
        let (parts, limit) = (parts.collect(), [limit.as_bytes(), b"\0"].concat());
        Self { limit, parts, prefixes }
    }

    pub(crate) fn looks_at_path(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Path))
    }

    /// Different for any two requests that differ in one of the parts.
    pub(crate) fn key(&self, subject: &Subject<'_>) -> Vec<u8> {
        let request = subject.request;
        let mut key = self.limit.clone();
        for part in &self.parts {
            match part {
                Part::Client => push(&mut key, Some(&self.network(request.client()))),
                Part::Path => push(&mut key, Some(subject.path.as_bytes())),
                Part::Header(header) => push(&mut key, request.hot(*header)),
                Part::Cookie(name) => push(&mut key, request.cookie(name).as_deref().map(str::as_bytes)),
            }
        }
        key
    }

    fn network(&self, client: IpAddr) -> Vec<u8> {
        match client {
            IpAddr::V4(address) => {
                let host = u32::MAX.checked_shr(self.prefixes.ipv4.into()).unwrap_or(0);
                Ipv4Addr::from_bits(address.to_bits() & !host).octets().into()
            }
            IpAddr::V6(address) => {
                let host = u128::MAX.checked_shr(self.prefixes.ipv6.into()).unwrap_or(0);
                Ipv6Addr::from_bits(address.to_bits() & !host).octets().into()
            }
        }
    }
}

/// A part with its length before it, so that no two lists of parts look the same. What is long is told by its digest: who
/// sends long values takes no more room than others.
fn push(key: &mut Vec<u8>, part: Option<&[u8]>) {
    match part {
        None => key.push(MISSING),
        Some(part) => match u8::try_from(part.len()) {
            Ok(length) if length <= SHORT_MAX => {
                key.push(length);
                key.extend_from_slice(part);
            }
            _ => {
                key.push(DIGEST);
                key.extend_from_slice(&Sha256::digest(part));
            }
        },
    }
}

const SHORT_MAX: u8 = 64;
const DIGEST: u8 = 0xfe;
const MISSING: u8 = 0xff;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_lists_of_parts_are_the_same_key() {
        let long = [7_u8; 65];
        let key = |parts: &[Option<&[u8]>]| {
            let mut key = Vec::new();
            parts.iter().for_each(|part| push(&mut key, *part));
            key
        };
        let lists: [&[Option<&[u8]>]; 8] = [
            &[Some(b"ab"), Some(b"c")],
            &[Some(b"a"), Some(b"bc")],
            &[Some(b"abc"), Some(b"")],
            &[Some(b"abc"), None],
            &[None, Some(b"abc")],
            &[None, None],
            &[Some(&long), None],
            &[Some(&long[1..]), None],
        ];
        for (index, list) in lists.iter().enumerate() {
            assert!(lists[..index].iter().all(|other| key(other) != key(list)), "{index}");
        }
        assert_eq!(key(&[Some(&[1; 10_000])]).len(), 33);
    }
}
