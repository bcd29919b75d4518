//! Which route a request takes: the most exact host, and for it the longest path.

use std::borrow::Cow;
use std::collections::HashMap;

use palisade_config::{HostPattern, Route};

/// The routes of one listener. Gives indices into the routes that it was made of.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    exact: HashMap<String, Vec<Entry>>,
    /// Longest first.
    suffixes: Vec<(String, Vec<Entry>)>,
    any: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    path: String,
    route: usize,
}

impl Routes {
    pub(crate) fn new(routes: &[Route]) -> Self {
        let mut table = Self::default();
        for (index, route) in routes.iter().enumerate() {
            let entry = Entry { path: route.path.clone(), route: index };
            if route.hosts.is_empty() {
                table.any.push(entry.clone());
            }
            for host in &route.hosts {
                match host {
                    HostPattern::Exact(host) => table.exact.entry(host.clone()).or_default().push(entry.clone()),
                    HostPattern::Suffix(suffix) => table.suffix(suffix).push(entry.clone()),
                }
            }
        }
        table.exact.values_mut().for_each(|entries| longest_first(entries));
        table.suffixes.iter_mut().for_each(|(_, entries)| longest_first(entries));
        table.suffixes.sort_by_key(|(suffix, _)| std::cmp::Reverse(suffix.len()));
        longest_first(&mut table.any);
        table
    }

    fn suffix(&mut self, suffix: &str) -> &mut Vec<Entry> {
        let place = match self.suffixes.iter().position(|(known, _)| known == suffix) {
            Some(place) => place,
            None => {
                self.suffixes.push((suffix.to_owned(), Vec::new()));
                self.suffixes.len() - 1
            }
        };
        #[expect(clippy::indexing_slicing, reason = "the place was found or made just above")]
        &mut self.suffixes[place].1
    }

    /// Whether any route is for some hosts alone.
    pub(crate) fn has_hosts(&self) -> bool {
        !self.exact.is_empty() || !self.suffixes.is_empty()
    }

    /// The route for this authority (host and maybe a port, in any letter case) and path.
    pub(crate) fn find(&self, authority: &[u8], path: &str) -> Option<usize> {
        let host = host_of(authority);
        let exact = self.exact.get(host.as_ref()).and_then(|entries| match_path(entries, path));
        exact
            .or_else(|| {
                let mut fitting = self.suffixes.iter().filter(|(suffix, _)| is_below(&host, suffix));
                fitting.find_map(|(_, entries)| match_path(entries, path))
            })
            .or_else(|| match_path(&self.any, path))
    }
}

fn longest_first(entries: &mut [Entry]) {
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.path.len()));
}

/// A path prefix holds at the border of a segment: `/api` is for `/api` and `/api/x`, not for `/apis`.
fn match_path(entries: &[Entry], path: &str) -> Option<usize> {
    let fits = |entry: &&Entry| match path.strip_prefix(entry.path.as_str()) {
        Some(rest) => entry.path == "/" || rest.is_empty() || rest.starts_with('/'),
        None => entry.path == "/",
    };
    entries.iter().find(fits).map(|entry| entry.route)
}

fn is_below(host: &str, suffix: &str) -> bool {
    host.len() > suffix.len() && host.ends_with(suffix)
}

/// The host without its port and without the dot at its end, in lower case.
fn host_of(authority: &[u8]) -> Cow<'_, str> {
    let text = std::str::from_utf8(authority).unwrap_or_default();
    let host = match text.rsplit_once(':') {
        // A colon inside of an IPv6 address's brackets is no port's.
        Some((host, port)) if !port.ends_with(']') => host,
        _ => text,
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_exact_host_and_the_longest_path_win() {
        let exact = |host: &str| HostPattern::Exact(host.into());
        let suffix = |host: &str| HostPattern::Suffix(host.into());
        let routes = Routes::new(&[
            route(vec![exact("www.foobar.com")], "/"),
            route(vec![exact("www.foobar.com")], "/api"),
            route(vec![suffix(".foobar.com")], "/"),
            route(vec![suffix(".eu.foobar.com")], "/"),
            route(vec![], "/status"),
            route(vec![exact("[::1]")], "/"),
        ]);
        for (authority, path, expected) in [
            ("www.foobar.com", "/", Some(0)),
            ("WWW.foobar.com:8443", "/x", Some(0)),
            ("www.foobar.com.", "/x", Some(0)),
            ("www.foobar.com", "/api", Some(1)),
            ("www.foobar.com", "/api/x", Some(1)),
            ("www.foobar.com", "/apis", Some(0)),
            ("a.foobar.com", "/", Some(2)),
            ("a.eu.foobar.com", "/", Some(3)),
            ("foobar.com", "/", None),
            ("foobar.com", "/status", Some(4)),
            ("evilfoobar.com", "/", None),
            ("[::1]:443", "/", Some(5)),
            ("", "/status/x", Some(4)),
            ("", "*", None),
            ("www.foobar.com", "*", Some(0)),
        ] {
            assert_eq!(routes.find(authority.as_bytes(), path), expected, "{authority} {path}");
        }
    }

    fn route(hosts: Vec<HostPattern>, path: &str) -> Route {
        Route {
            name: String::new(),
            hosts,
            path: path.into(),
            upstream: 0,
            alternatives: Vec::new(),
            split: None,
            mirror: None,
            chain: Vec::new(),
            streams: Default::default(),
        }
    }
}
