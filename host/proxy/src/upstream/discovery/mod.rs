//! Where the endpoints of an upstream are from that are not written down, and what was found there last.
//!
//! Each source has a task of its own, for as long as its upstream is served. What is found replaces what was found before;
//! where nothing can be found, that stays.

pub(super) mod dns;
mod file;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use palisade_config::{Discover, Dns, Endpoint, NamedEndpoint};

use self::dns::{Kind, Record, look_up};
use self::file::Stamp;
use crate::upstream::Upstream;

/// Endpoints of one source, and targets of a service.
const FOUND_MAX: usize = 1_000;
const TARGETS_MAX: usize = 64;

/// Between two looks at a file.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// The longest time until a lookup that has failed is tried again.
const AGAIN_MAX: Duration = Duration::from_secs(30);

/// Where endpoints are from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Name(NamedEndpoint),
    Srv(String),
    File(PathBuf),
}

/// A source, and what was found there.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) source: Source,
    pub(super) endpoints: Vec<Endpoint>,
    /// Whether somebody has looked.
    pub(super) is_looked: bool,
}

/// The sources of an upstream, with what was found before where they were sources before.
///
/// # Errors
/// A new file cannot be read.
pub(super) fn sources(config: &palisade_config::Upstream, before: &[Found]) -> Result<Vec<Found>, String> {
    let names = config.names.iter().cloned().map(Source::Name);
    let elsewhere = config.discover.iter().cloned().map(|discover| match discover {
        Discover::Srv(name) => Source::Srv(name),
        Discover::File(file) => Source::File(file),
    });
    let found = |source: Source| {
        if let Some(known) = before.iter().find(|known| known.source == source) {
            return Ok(known.clone());
        }
        let (endpoints, is_looked) = match &source {
            Source::File(file) => (file::read(file)?, true),
            Source::Name(_) | Source::Srv(_) => (Vec::new(), false),
        };
        Ok(Found { source, endpoints, is_looked })
    };
    names.chain(elsewhere).map(found).collect()
}

/// Those that are written and those that are found, in the order of the configuration, each address once.
pub(super) fn all(written: &[Endpoint], found: &[Found]) -> Vec<Endpoint> {
    let mut all: Vec<Endpoint> = Vec::with_capacity(written.len());
    let mut seen = std::collections::HashSet::new();
    let mut add = |endpoint: &Endpoint| {
        let address = SocketAddr::new(endpoint.address.ip().to_canonical(), endpoint.address.port());
        if seen.insert(address) {
            all.push(endpoint.clone());
        }
    };
    let place = |found: &Found| match &found.source {
        Source::Name(named) => named.place,
        Source::Srv(_) | Source::File(_) => 0,
    };
    for index in 0..=written.len() {
        let here = found.iter().filter(|found| place(found) == index);
        here.flat_map(|found| &found.endpoints).for_each(&mut add);
        written.get(index).iter().for_each(|endpoint| add(endpoint));
    }
    all
}

/// Looks at a source for ever: until the task is aborted.
pub(super) async fn look_always(upstream: Arc<Upstream>, source: Source) {
    match &source {
        Source::Name(_) | Source::Srv(_) => ask_always(&upstream, &source).await,
        Source::File(file) => watch_always(&upstream, &source, file).await,
    }
}

async fn ask_always(upstream: &Upstream, source: &Source) {
    let dns = &upstream.dns;
    let (mut again, mut told) = (Duration::from_secs(1), None);
    loop {
        let before = upstream.found_at(source);
        let asked = match source {
            Source::Name(named) => of_name(dns, named, &before).await,
            Source::Srv(name) => of_service(dns, name, &before).await,
            Source::File(_) => return,
        };
        match asked {
            Ok((endpoints, holds)) => {
                if told.take().is_some() {
                    tracing::info!(upstream = upstream.config.name, "its endpoints are found again");
                }
                upstream.found(source, endpoints).await;
                again = Duration::from_secs(1);
                tokio::time::sleep(holds).await;
            }
            Err(why) => {
                tell(upstream, &mut told, format!("{}: {why}", source.name()));
                upstream.found(source, before).await;
                tokio::time::sleep(again).await;
                again = (again * 2).min(AGAIN_MAX.min(dns.max_ttl.max(Duration::from_secs(1))));
            }
        }
    }
}

impl Source {
    fn name(&self) -> String {
        match self {
            Self::Name(named) => named.name.clone(),
            Self::Srv(name) => name.clone(),
            Self::File(file) => file.display().to_string(),
        }
    }
}

/// Once for each reason.
fn tell(upstream: &Upstream, told: &mut Option<String>, why: String) {
    if told.as_ref() != Some(&why) {
        let upstream = &upstream.config.name;
        tracing::warn!(upstream, "its endpoints are not found, and stay as they are known: {why}");
        *told = Some(why);
    }
}

type Asked = Result<(Vec<Endpoint>, Duration), String>;

async fn of_name(dns: &Dns, named: &NamedEndpoint, before: &[Endpoint]) -> Asked {
    let known: Vec<IpAddr> = before.iter().map(|endpoint| endpoint.address.ip()).collect();
    let (addresses, holds) = addresses(dns, &named.name, &known).await?;
    let port = named.endpoint.address.port();
    let endpoint = |ip: &IpAddr| Endpoint { address: SocketAddr::new(*ip, port), ..named.endpoint.clone() };
    Ok((addresses.iter().map(endpoint).collect(), holds))
}

/// The addresses of both families. Where one of them cannot be told, those that are known stay.
async fn addresses(dns: &Dns, name: &str, known: &[IpAddr]) -> Result<(Vec<IpAddr>, Duration), String> {
    let (fourth, sixth) = tokio::join!(look_up(dns, name, Kind::A), look_up(dns, name, Kind::Aaaa));
    if let (Err(why), Err(_)) = (&fourth, &sixth) {
        return Err(why.clone());
    }
    let mut holds = dns.max_ttl;
    let mut addresses = Vec::new();
    for (looked, is_of_family) in [(fourth, IpAddr::is_ipv4 as fn(&IpAddr) -> bool), (sixth, IpAddr::is_ipv6)] {
        match looked {
            Ok(looked) => {
                let found = looked.records.iter().filter_map(|record| match record {
                    Record::Address(ip) => Some(*ip),
                    Record::Service { .. } => None,
                });
                addresses.extend(found);
                if !looked.records.is_empty() {
                    holds = holds.min(looked.holds);
                }
            }
            Err(_) => {
                addresses.extend(known.iter().copied().filter(is_of_family));
                holds = dns.min_ttl;
            }
        }
    }
    addresses.sort_unstable();
    addresses.dedup();
    addresses.truncate(FOUND_MAX);
    if addresses.is_empty() { Err("it has no address".to_owned()) } else { Ok((addresses, holds)) }
}

async fn of_service(dns: &Dns, name: &str, before: &[Endpoint]) -> Asked {
    let looked = look_up(dns, name, Kind::Srv).await?;
    let mut holds = looked.holds;
    let mut services: Vec<_> = looked
        .records
        .into_iter()
        .filter_map(|record| match record {
            // A target that is the root says that the service is not there (RFC 2782).
            Record::Service { priority, weight, port, target } if !target.is_empty() && port != 0 => {
                Some((priority, target, port, u32::from(weight).max(1)))
            }
            Record::Service { .. } | Record::Address(_) => None,
        })
        .collect();
    services.sort_unstable();
    let first = services.first().map(|(priority, ..)| *priority);
    let mut endpoints = Vec::new();
    for (_, target, port, weight) in
        services.into_iter().filter(|(priority, ..)| Some(*priority) == first).take(TARGETS_MAX)
    {
        let known: Vec<IpAddr> = before
            .iter()
            .map(|known| known.address)
            .filter(|known| known.port() == port)
            .map(|known| known.ip())
            .collect();
        // A target that nobody knows makes the whole answer one that cannot be used: half of a group is not the group.
        let (addresses, held) =
            addresses(dns, &format!("{target}."), &known).await.map_err(|why| format!("{target}: {why}"))?;
        holds = holds.min(held);
        endpoints.extend(addresses.iter().map(|ip| Endpoint { weight, ..Endpoint::new(SocketAddr::new(*ip, port)) }));
    }
    endpoints.truncate(FOUND_MAX);
    if endpoints.is_empty() { Err("the service has no target".to_owned()) } else { Ok((endpoints, holds)) }
}

/// A file is read when it is another one and was still from one look to the next.
async fn watch_always(upstream: &Upstream, source: &Source, path: &Path) {
    let mut told = None;
    let (mut taken, mut seen): (Option<Stamp>, Stamp) = (None, None);
    loop {
        let now = looked(path.to_owned(), |path| file::stamp(&path)).await.flatten();
        if now == seen && taken != Some(now) {
            taken = Some(now);
            match looked(path.to_owned(), |path| file::read(&path)).await {
                Some(Ok(endpoints)) => {
                    if told.take().is_some() {
                        tracing::info!(upstream = upstream.config.name, "its endpoints are found again");
                    }
                    upstream.found(source, endpoints).await;
                }
                Some(Err(why)) => tell(upstream, &mut told, why),
                None => {}
            }
        }
        seen = now;
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// On a thread that may wait for a disk.
async fn looked<T: Send + 'static>(path: PathBuf, look: impl FnOnce(PathBuf) -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(move || look(path)).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_stands_where_its_name_is_written_and_nothing_twice() {
        let endpoint = |text: &str| Endpoint::new(text.parse().expect("an address"));
        let found = |place: usize, addresses: &[&str]| Found {
            source: Source::Name(NamedEndpoint { name: "web".to_owned(), endpoint: endpoint("0.0.0.0:80"), place }),
            endpoints: addresses.iter().map(|address| endpoint(address)).collect(),
            is_looked: true,
        };
        let written = [endpoint("10.0.0.1:80"), endpoint("10.0.0.2:80")];
        let found = [found(2, &["10.0.0.9:80"]), found(1, &["10.0.0.3:80", "10.0.0.2:80"])];
        let all: Vec<String> = all(&written, &found).iter().map(|endpoint| endpoint.address.to_string()).collect();
        assert_eq!(all, ["10.0.0.1:80", "10.0.0.3:80", "10.0.0.2:80", "10.0.0.9:80"]);
    }
}
