//! Host names such as `www.example.com` and `*.example.com`, in; whether a request's host is among them, out.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Deserialize;

/// A host as settings name it: exact, or every host below a domain.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub(crate) enum HostName {
    /// This very host.
    Exact(String),
    /// Every host that ends in a dot and this, however deep; not this itself.
    Below(String),
}

impl TryFrom<String> for HostName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        let name = lower.strip_suffix('.').unwrap_or(&lower);
        let (below, name) = name.strip_prefix("*.").map_or((false, name), |domain| (true, domain));
        if !is_name(name) {
            return Err(format!("{text:?} is not a host: expected www.example.com or *.example.com, without a port"));
        }
        Ok(if below { Self::Below(name.to_owned()) } else { Self::Exact(name.to_owned()) })
    }
}

/// Labels of letters, digits, `-` and `_` (which names in use have), none of them empty. IPv6 literals are no names:
/// one address has many spellings, and a rule that knew one of them could be walked around.
fn is_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    name.split('.').all(|label| !label.is_empty() && label.bytes().all(letter))
}

/// Hosts, looked up by binary search: O(labels × log n).
#[derive(Debug)]
pub(crate) struct HostSet {
    exact: Vec<String>,
    below: Vec<String>,
}

impl HostSet {
    /// Collects the names.
    pub(crate) fn new(names: impl IntoIterator<Item = HostName>) -> Self {
        let mut set = Self { exact: Vec::new(), below: Vec::new() };
        for name in names {
            match name {
                HostName::Exact(name) => set.exact.push(name),
                HostName::Below(domain) => set.below.push(domain),
            }
        }
        set.exact.sort_unstable();
        set.below.sort_unstable();
        set
    }

    /// Whether this host, as [`canonical`] left it, is among them.
    pub(crate) fn contains(&self, host: &str) -> bool {
        let among = |names: &[String], host: &str| names.binary_search_by(|name| name.as_str().cmp(host)).is_ok();
        among(&self.exact, host)
            || (!self.below.is_empty() && host.match_indices('.').any(|(dot, _)| among(&self.below, after(host, dot))))
    }
}

fn after(host: &str, index: usize) -> &str {
    host.get(index + 1..).unwrap_or_default()
}

/// The host of a request as sets hold it: in lower case, without user information and without the root's trailing dot.
/// Takes a host without its port.
pub(crate) fn canonical(host: Cow<'_, str>) -> Cow<'_, str> {
    let at = host.bytes().rposition(|byte| byte == b'@');
    let plain = at.map_or(&*host, |at| after(&host, at));
    let plain = plain.strip_suffix('.').unwrap_or(plain);
    if plain.len() == host.len() { host } else { Cow::Owned(plain.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &[&str], inside: &[&str], outside: &[&str]) {
        let set = HostSet::new(names.iter().map(|name| HostName::try_from((*name).to_owned()).unwrap()));
        for host in inside {
            assert!(set.contains(&canonical((*host).into())), "{host} in {names:?}");
        }
        for host in outside {
            assert!(!set.contains(&canonical((*host).into())), "{host} in {names:?}");
        }
    }

    #[test]
    fn an_exact_name_is_that_host_alone() {
        check(
            &["www.Example.com."],
            &["www.example.com", "www.example.com."],
            &["example.com", "a.www.example.com", ""],
        );
        check(&["192.0.2.1"], &["192.0.2.1"], &["192.0.2.10"]);
    }

    #[test]
    fn a_star_is_every_host_below() {
        check(
            &["*.example.com"],
            &["a.example.com", "a.b.example.com."],
            &["example.com", "aexample.com", "a.example.org"],
        );
        check(&["*.a.org", "*.b.org", "c.org"], &["x.a.org", "x.b.org", "c.org"], &["x.c.org", "b.org"]);
    }

    #[test]
    fn user_information_is_not_the_host() {
        check(&["example.com"], &["x@example.com"], &["example.com@evil.org"]);
    }

    #[test]
    fn what_is_not_a_host_is_refused() {
        for text in ["", ".", "*", "*.", "a..b", "example.com:443", "a b", "a.*.b", "[::1]", "münchen.de", "a/b"] {
            let expected = format!("{text:?} is not a host: expected www.example.com or *.example.com, without a port");
            assert_eq!(HostName::try_from(text.to_owned()), Err(expected));
        }
    }
}
