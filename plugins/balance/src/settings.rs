//! The plugin's settings as operators write them. The README lists them with examples.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::hash::HashOn;

/// How the endpoint is chosen.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `weighted_round_robin` (the default), `random`, `least_request` or `maglev`.
    #[serde(default)]
    pub(crate) algorithm: Algorithm,
    /// With `maglev`: what requests to one endpoint have in common: `client` (the default), `{ header = "x" }` or
    /// `{ cookie = "x" }`. Requests without it are spread by `least_request`.
    pub(crate) hash_on: Option<HashOn>,
    /// With `maglev`: how many slots are dealt out to the endpoints, a prime from 251 to 655,373, 65,537 by default. A
    /// hundred times the number of endpoints keeps shares within a percent.
    pub(crate) table_size: Option<TableSize>,
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
    /// The same endpoint for all requests that have something in common.
    Maglev,
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
