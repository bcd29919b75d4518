//! The plugin's settings as operators write them. The README lists them with examples.

use schemars::JsonSchema;
use serde::Deserialize;

use std::num::NonZeroU32;

use palisade_sdk::Error;

use crate::{cookie::Cookie, hash::HashOn, ring::Bound};

/// How the endpoint is chosen.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `weighted_round_robin` (the default), `random`, `least_request`, `peak_ewma`, `maglev`, `ring_hash` or `sticky_cookie`.
    #[serde(default)]
    pub(crate) algorithm: Algorithm,
    /// With `maglev` and `ring_hash`: what requests to one endpoint have in common: `client` (the default), `{ header = "x" }`
    /// or `{ cookie = "x" }`. Requests without it are spread by `least_request`.
    pub(crate) hash_on: Option<HashOn>,
    /// With `maglev`: how many slots are dealt out to the endpoints, a prime from 251 to 655,373, 65,537 by default. A
    /// hundred times the number of endpoints keeps shares within a percent.
    pub(crate) table_size: Option<TableSize>,
    /// With `ring_hash`: how many points an endpoint of mean weight has on the ring, 10 to 1,000, 160 by default.
    pub(crate) points: Option<Points>,
    /// With `ring_hash`: how many times its share of the requests under way an endpoint may have, 1.05 to 100, 1.25 by
    /// default.
    pub(crate) bound: Option<Bound>,
    /// With `sticky_cookie`, which needs it: the cookie that names a client's endpoint.
    pub(crate) cookie: Option<Cookie>,
    /// With any: the zone that this host stands in. Endpoints there are preferred, as far as enough of them are healthy.
    pub(crate) zone: Option<Zone>,
}

impl Settings {
    /// That each key stands beside the algorithm that it is for.
    pub(crate) fn check(&self) -> Result<(), Error> {
        use Algorithm::{Maglev, RingHash, StickyCookie};
        let given: [(&str, bool, &[Algorithm]); 5] = [
            ("hash_on", self.hash_on.is_some(), &[Maglev, RingHash]),
            ("table_size", self.table_size.is_some(), &[Maglev]),
            ("points", self.points.is_some(), &[RingHash]),
            ("bound", self.bound.is_some(), &[RingHash]),
            ("cookie", self.cookie.is_some(), &[StickyCookie]),
        ];
        let misplaced = given.iter().find(|(_, given, of)| *given && !of.contains(&self.algorithm));
        if let Some((key, _, of)) = misplaced {
            let of: Vec<_> = of.iter().map(|algorithm| format!("{:?}", algorithm.as_str())).collect();
            return Err(Error::setting(*key, format!("goes with algorithm = {}", of.join(" or "))));
        }
        if self.algorithm == StickyCookie && self.cookie.is_none() {
            let message =
                "is missing: algorithm = \"sticky_cookie\" needs it, such as { name = \"node\", secret = \"…\" }";
            return Err(Error::setting("cookie", message));
        }
        Ok(())
    }
}

/// How the endpoint is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Algorithm {
    /// In turn, as often as weights say.
    #[default]
    WeightedRoundRobin,
    /// At random, as often as weights say.
    Random,
    /// Of two at random, the one with fewer requests under way for its weight.
    LeastRequest,
    /// Of two at random, the one with the lower product of latency and load.
    PeakEwma,
    /// The same endpoint for all requests that have something in common.
    Maglev,
    /// The same as long as it has not much more to do than the others.
    RingHash,
    /// The same endpoint for all requests of a client, which has a cookie that names it.
    StickyCookie,
}

impl Algorithm {
    fn as_str(self) -> &'static str {
        match self {
            Self::WeightedRoundRobin => "weighted_round_robin",
            Self::Random => "random",
            Self::LeastRequest => "least_request",
            Self::PeakEwma => "peak_ewma",
            Self::Maglev => "maglev",
            Self::RingHash => "ring_hash",
            Self::StickyCookie => "sticky_cookie",
        }
    }
}

/// How many points an endpoint of mean weight has on a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "u32")]
#[schemars(with = "u32", extend("minimum" = 10, "maximum" = 1000))]
pub(crate) struct Points(pub(crate) NonZeroU32);

impl TryFrom<u32> for Points {
    type Error = String;

    fn try_from(points: u32) -> Result<Self, String> {
        let fits = NonZeroU32::new(points).filter(|_| (10..=1_000).contains(&points));
        fits.map(Self).ok_or_else(|| format!("{points} is out of range: expected 10 to 1000"))
    }
}

impl Default for Points {
    fn default() -> Self {
        Self(const { NonZeroU32::new(160).unwrap() })
    }
}

impl TryFrom<f64> for Bound {
    type Error = String;

    fn try_from(bound: f64) -> Result<Self, String> {
        if !(1.05..=100.0).contains(&bound) {
            return Err(format!("{bound} is out of range: expected 1.05 to 100"));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is 1,050 to 100,000")]
        let permille = (bound * 1_000.0).round() as u32;
        Ok(Self(permille))
    }
}

/// The zone that this host stands in: 1 to 63 bytes, as the config's zones have them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String", extend("minLength" = 1, "maxLength" = 63))]
pub(crate) struct Zone(pub(crate) String);

impl TryFrom<String> for Zone {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let fits = (1..=63).contains(&text.len()) && !text.chars().any(char::is_control);
        if fits {
            Ok(Self(text))
        } else {
            Err(format!("{text:?} is not a zone: expected 1 to 63 bytes of text, such as \"b\""))
        }
    }
}

/// How many slots a Maglev table has: a prime, so that each endpoint's walk comes by every slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "u32")]
#[schemars(with = "u32", extend("minimum" = 251, "maximum" = 655373))]
pub(crate) struct TableSize(u32);

impl TableSize {
    /// The number.
    pub(crate) fn slots(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl TryFrom<u32> for TableSize {
    type Error = String;

    fn try_from(slots: u32) -> Result<Self, String> {
        if (251..=655_373).contains(&slots) && is_prime(slots) {
            Ok(Self(slots))
        } else {
            Err(format!("{slots} is not a table size: expected a prime from 251 to 655373, such as 65537"))
        }
    }
}

impl Default for TableSize {
    fn default() -> Self {
        Self(65_537)
    }
}

fn is_prime(number: u32) -> bool {
    number > 1 && (2..).take_while(|divisor| divisor * divisor <= number).all(|divisor| !number.is_multiple_of(divisor))
}
