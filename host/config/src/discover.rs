//! Endpoints that are not written down: names that are looked up, services, and files that somebody else writes.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use crate::{
    Endpoint, duration, file_path,
    text::{Form, Seen, Value},
};

/// An endpoint that is written by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedEndpoint {
    /// What is looked up, in lower case.
    pub name: String,
    /// What is said of each address that it has; the address is `0.0.0.0` here, with the port that is connected to.
    pub endpoint: Endpoint,
    /// How many of the upstream's `endpoints` stand before it.
    pub place: usize,
}

/// Where else endpoints are from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Discover {
    /// A service (RFC 2782), by the name of its records.
    Srv(String),
    /// A file with one endpoint in each line.
    File(PathBuf),
}

impl Discover {
    pub(crate) fn read(value: &Value<'_>) -> Option<Self> {
        let mut table = value.table("a discovery")?;
        let (has_srv, has_file) = (table.has("srv"), table.has("file"));
        let srv = table.optional("srv", |value| {
            let text = value.text(SERVICE)?.to_ascii_lowercase();
            let is_service = text.starts_with('_') && crate::host::is_name(text.strip_suffix('.').unwrap_or(&text));
            if is_service { Some(Self::Srv(text)) } else { value.is_not(SERVICE) }
        });
        let file = table.optional("file", |value| file_path::read(value).map(Self::File));
        table.finish();
        if has_srv == has_file {
            return value.refuse("is from one place: expected srv or file");
        }
        srv.or(file)
    }
}

/// `[dns]`: who is asked for addresses, and for how long they hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dns {
    /// Who is asked; none are those of `/etc/resolv.conf`.
    pub resolvers: Vec<SocketAddr>,
    /// How long one answer may take: 10 ms to 1 min.
    pub timeout: Duration,
    /// Answers hold for no less than this, whatever they say: 100 ms to 24 h.
    pub min_ttl: Duration,
    /// Answers hold for no more than this.
    pub max_ttl: Duration,
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            resolvers: Vec::new(),
            timeout: Duration::from_secs(2),
            min_ttl: Duration::from_secs(1),
            max_ttl: Duration::from_secs(300),
        }
    }
}

impl Dns {
    pub(crate) fn read(value: &Value<'_>) -> Option<Self> {
        let default = Self::default();
        let mut table = value.table("dns")?;
        let resolvers = table.or("resolvers", default.resolvers, |value| resolvers(&value));
        let timeout = table.or("timeout", default.timeout, |value| {
            duration::read(&value, Duration::from_millis(10)..=Duration::from_secs(60))
        });
        let ttl = || Duration::from_millis(100)..=Duration::from_secs(24 * 3_600);
        let min_ttl = table.or("min_ttl", default.min_ttl, |value| duration::read(&value, ttl()));
        let max_ttl = table.or("max_ttl", default.max_ttl.max(min_ttl), |value| {
            let max_ttl = duration::read(&value, ttl())?;
            if max_ttl < min_ttl {
                value.refuse("is shorter than min_ttl: expected as much or more")
            } else {
                Some(max_ttl)
            }
        });
        table.finish();
        Some(Self { resolvers, timeout, min_ttl, max_ttl })
    }
}

fn resolvers(value: &Value<'_>) -> Option<Vec<SocketAddr>> {
    let elements = value.list(RESOLVERS)?;
    if elements.is_empty() || elements.len() > RESOLVERS_MAX {
        return value.refuse(format!("holds {} resolvers: expected 1 to {RESOLVERS_MAX}", elements.len()));
    }
    let mut seen = Seen::default();
    Some(elements.iter().filter_map(|element| crate::upstream::unseen(element, &mut seen)).collect())
}

const RESOLVERS_MAX: usize = 10;
const RESOLVERS: Form = Form { noun: "a list", expected: "addresses, such as [\"127.0.0.1:53\"]" };
const SERVICE: Form =
    Form { noun: "a service", expected: "the name of SRV records, such as \"_mysql._tcp.db.internal\"" };
