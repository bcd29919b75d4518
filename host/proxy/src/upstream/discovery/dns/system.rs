//! What the machine says of names: `/etc/resolv.conf` and `/etc/hosts`, from their texts.

use std::net::{IpAddr, SocketAddr};

/// Who is asked, and what is added to short names (resolv.conf(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resolvers {
    pub(super) servers: Vec<SocketAddr>,
    pub(super) search: Vec<String>,
    /// A name with fewer dots is tried with a suffix first.
    pub(super) dots: usize,
}

/// As many of each as the system's own resolver knows, and more.
const SERVERS_MAX: usize = 3;
const SEARCH_MAX: usize = 16;
const PORT: u16 = 53;

impl Resolvers {
    pub(super) fn read(text: &str) -> Self {
        let mut found = Self { servers: Vec::new(), search: Vec::new(), dots: 1 };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let server = words.next().and_then(|word| word.parse::<IpAddr>().ok());
                    found.servers.extend(server.map(|ip| SocketAddr::new(ip, PORT)));
                }
                Some("search" | "domain") => {
                    found.search = words.map(|word| word.trim_end_matches('.').to_ascii_lowercase()).collect();
                }
                Some("options") => {
                    let dots = words.filter_map(|word| word.strip_prefix("ndots:")?.parse::<usize>().ok()).next_back();
                    found.dots = dots.unwrap_or(found.dots).min(15);
                }
                Some(_) | None => {}
            }
        }
        found.servers.truncate(SERVERS_MAX);
        found.search.truncate(SEARCH_MAX);
        found.search.retain(|suffix| !suffix.is_empty());
        if found.servers.is_empty() {
            found.servers.push(SocketAddr::from(([127, 0, 0, 1], PORT)));
        }
        found
    }

    /// What is asked for in the place of a name, one after the other.
    pub(super) fn names(&self, name: &str) -> Vec<String> {
        if let Some(whole) = name.strip_suffix('.') {
            return vec![whole.to_owned()];
        }
        let longer = self.search.iter().map(|suffix| format!("{name}.{suffix}"));
        if name.matches('.').count() >= self.dots {
            return std::iter::once(name.to_owned()).chain(longer).collect();
        }
        longer.chain([name.to_owned()]).collect()
    }
}

/// The addresses that `/etc/hosts` has for a name (hosts(5)).
pub(super) fn hosts(text: &str, name: &str) -> Vec<IpAddr> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().split_whitespace());
    let of_name = lines.filter_map(|mut words| {
        let address = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some(address)
    });
    of_name.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_is_tried_with_its_suffixes_first() {
        let text =
            "nameserver 10.0.0.2\nnameserver ::1\nsearch a.test. B.test\noptions timeout:1 ndots:2\nnameserver x\n";
        let resolvers = Resolvers::read(text);
        assert_eq!(resolvers.servers, ["10.0.0.2:53", "[::1]:53"].map(|address| address.parse().expect("an address")));
        assert_eq!(resolvers.names("web"), ["web.a.test", "web.b.test", "web"]);
        assert_eq!(resolvers.names("web.x.y"), ["web.x.y", "web.x.y.a.test", "web.x.y.b.test"]);
        assert_eq!(resolvers.names("web."), ["web"]);
        let none = Resolvers::read("# nobody\n");
        assert_eq!((none.servers.len(), none.names("web")), (1, vec!["web".to_owned()]));
    }

    #[test]
    fn hosts_are_those_of_the_name() {
        let text = "127.0.0.1 localhost\n::1 localhost ip6-localhost # web\n10.0.0.5\tdb.internal WEB\n#10.0.0.6 web\n";
        assert_eq!(hosts(text, "web"), [IpAddr::from([10, 0, 0, 5])]);
        assert_eq!(hosts(text, "localhost").len(), 2);
        assert!(hosts(text, "other").is_empty());
    }
}
