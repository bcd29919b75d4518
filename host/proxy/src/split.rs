//! A request of a route with several upstreams in, the one that it goes to out: by chance, or as the client's requests before.
//!
//! Every client has a point between zero and one, by its cookie or its address, and every upstream a part of that line, as
//! long as its share. So a choice holds on every worker, across reloads and restarts, and where shares change, only those
//! clients move whose points lie between the old borders and the new ones.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderValue};
use palisade_config::Sticky;
use palisade_contract::{Exchange, Scheme};
use sha2::{Digest, Sha256};

use crate::upstream::{Pools, Random};

/// The upstreams of one route, on one worker.
#[derive(Debug)]
pub(crate) struct Split {
    /// Each with the end of its part, in parts of the whole.
    shares: Vec<(u64, Rc<Pools>)>,
    sticky: Option<Sticky>,
    random: Random,
}

/// Where a request goes, and what its client is told so that the next one goes there, too.
pub(crate) type Chosen<'a> = (&'a Rc<Pools>, Option<HeaderValue>);

impl Split {
    /// None where no upstream has a share.
    pub(crate) fn new(shares: impl Iterator<Item = (u32, Rc<Pools>)>, sticky: Option<&Sticky>) -> Option<Self> {
        let mut end = 0_u64;
        let shares = shares.filter(|(weight, _)| *weight > 0).map(|(weight, pools)| {
            end += u64::from(weight);
            (end, pools)
        });
        let shares: Vec<_> = shares.collect();
        (!shares.is_empty()).then(|| Self { shares, sticky: sticky.cloned(), random: Random::new() })
    }

    /// The upstream for this request.
    pub(crate) fn choose(&self, exchange: &Exchange) -> Option<Chosen<'_>> {
        let (point, cookie) = match &self.sticky {
            None => (self.random.next(), None),
            Some(Sticky::Client) => (point_of(exchange.connection.client.ip()), None),
            Some(Sticky::Cookie { name, max_age }) => match known(&exchange.request.headers, name) {
                Some(point) => (point, None),
                None => {
                    let point = self.random.next();
                    (point, set_cookie((name, point), *max_age, exchange.connection.scheme))
                }
            },
        };
        self.at(point).map(|pools| (pools, cookie))
    }

    fn at(&self, point: u64) -> Option<&Rc<Pools>> {
        let whole = self.shares.last()?.0;
        let place = place(point, whole);
        self.shares.iter().find(|(end, _)| place < *end).map(|(_, pools)| pools)
    }
}

/// The part of a whole of so many that a point of all 64 bits lies in.
fn place(point: u64, whole: u64) -> u64 {
    u64::try_from((u128::from(point) * u128::from(whole)) >> 64).unwrap_or_default()
}

/// An address's point, the same on every host. Of IPv6 it is the network's: a client has many addresses there (RFC 8981).
fn point_of(address: IpAddr) -> u64 {
    let digest = match address.to_canonical() {
        IpAddr::V4(address) => Sha256::digest(address.octets()),
        IpAddr::V6(address) => Sha256::digest(&address.octets()[..8]),
    };
    digest.iter().take(8).fold(0, |point, byte| (point << 8) | u64::from(*byte))
}

/// The point that a client brings in this cookie. What is no point, whoever wrote it, is none.
fn known(headers: &HeaderMap, name: &str) -> Option<u64> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find_map(|(known, value)| {
        let is_point = known == name && value.len() == DIGITS && value.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_point { u64::from_str_radix(value, 16).ok() } else { None }
    })
}

const DIGITS: usize = 16;

fn set_cookie((name, point): (&str, u64), max_age: Option<Duration>, scheme: Scheme) -> Option<HeaderValue> {
    let max_age = max_age.map(|age| format!("; Max-Age={}", age.as_secs())).unwrap_or_default();
    let secure = if scheme == Scheme::Https { "; Secure" } else { "" };
    HeaderValue::try_from(format!("{name}={point:016x}; Path=/{max_age}; HttpOnly; SameSite=Lax{secure}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(point: u64, weights: &[u64]) -> usize {
        let place = place(point, weights.iter().sum());
        let mut end = 0;
        let ends = weights.iter().map(|weight| {
            end += weight;
            end
        });
        ends.collect::<Vec<_>>().iter().position(|end| place < *end).expect("a share")
    }

    #[test]
    fn shares_are_as_long_as_their_weights_and_move_only_at_their_borders() {
        let random = Random::new();
        let points: Vec<u64> = (0..100_000).map(|_| random.next()).collect();
        let of = |weights: &[u64]| points.iter().map(|point| share(*point, weights)).collect::<Vec<_>>();
        let (before, after) = (of(&[95, 5]), of(&[90, 10]));
        let canaries = |of: &[usize]| of.iter().filter(|share| **share == 1).count();
        assert!((4_500..5_500).contains(&canaries(&before)), "{}", canaries(&before));
        assert!((9_300..10_700).contains(&canaries(&after)), "{}", canaries(&after));
        let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
        assert_eq!(moved, canaries(&after) - canaries(&before), "no canary became another one");
        assert_eq!(before, of(&[19, 1]), "the same shares in other numbers");
        assert_eq!((share(0, &[1, 1]), share(u64::MAX, &[1, 1])), (0, 1));
    }

    #[test]
    fn addresses_have_points_that_never_change_and_are_spread() {
        // Written down once: a change would move clients.
        assert_eq!(point_of(IpAddr::from([192, 0, 2, 1])), 0x4b8f_eb93_6451_2928);
        let v6 = |text: &str| point_of(text.parse().expect("an address"));
        assert_eq!(v6("2001:db8::1"), v6("2001:db8::2"));
        assert_ne!(v6("2001:db8::1"), v6("2001:db8:0:1::1"));
        assert_eq!(v6("::ffff:192.0.2.1"), point_of(IpAddr::from([192, 0, 2, 1])));
        let addresses = (0..=u8::MAX).flat_map(|a| (0..40).map(move |b| IpAddr::from([10, 0, b, a])));
        let canaries = addresses.filter(|address| share(point_of(*address), &[95, 5]) == 1).count();
        assert!((400..620).contains(&canaries), "{canaries} of 10,240");
    }

    #[test]
    fn a_point_is_read_of_its_cookie_alone() {
        let check = |lines: &[&'static str], expected| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::COOKIE, HeaderValue::from_static(line));
            }
            assert_eq!(known(&headers, "canary"), expected, "{lines:?}");
        };
        check(&["canary=00000000000000ff"], Some(255));
        check(&["a=1; canary=00000000000000ff; b=2"], Some(255));
        check(&["a=1", "canary=00000000000000ff"], Some(255));
        check(&["canary=ff; canary=00000000000000ff"], Some(255));
        for none in ["", "canary", "canary=", "canary=+0000000000000ff", "canary=web", "xcanary=00000000000000ff"] {
            check(&[none], None);
        }
    }

    #[test]
    fn a_cookie_says_how_long_it_is_kept() {
        let set = |max_age, scheme| set_cookie(("c", 255), max_age, scheme).expect("a header");
        let hour = Some(Duration::from_secs(3_600));
        assert_eq!(
            set(hour, Scheme::Https),
            "c=00000000000000ff; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure"
        );
        assert_eq!(set(None, Scheme::Http), "c=00000000000000ff; Path=/; HttpOnly; SameSite=Lax");
    }
}
