//! The plugin's settings as operators write them. The README lists them with examples.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{key::By, period::Period};

/// Who may make how many requests.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Each limit is asked about every request that it is for, in order; the first that refuses answers.
    pub(crate) limits: Vec<LimitSettings>,
    /// The status of a refusal: 400 to 599, 429 by default.
    #[serde(default)]
    pub(crate) status: Status,
    /// The text of a refusal, `too many requests` by default.
    #[serde(default = "too_many_requests")]
    pub(crate) body: String,
    /// Whether responses tell clients what they have left, in `RateLimit` and `RateLimit-Policy`; they do by default.
    #[serde(default = "yes")]
    pub(crate) headers: bool,
}

/// One limit.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitSettings {
    /// Its name in metrics, in `RateLimit` and in what is shared: its own, of at most 63 lower-case letters, digits or
    /// hyphens.
    pub(crate) name: String,
    /// How many requests: 1 to 1,000,000.
    pub(crate) requests: u32,
    /// In how much time, such as `10s`, `1m`, `1h`: one second to one day.
    pub(crate) per: Period,
    /// How many may come at once, where requests are to be spread over the time: 1 to 1,000,000. Without it, all of them may,
    /// and the time begins with the first one.
    pub(crate) burst: Option<u32>,
    /// What tells clients apart: `client`, `path`, `{ header = … }`, `{ cookie = … }`, at most 4 of them together. By
    /// default, `client`.
    #[serde(default = "by_client")]
    pub(crate) by: Vec<By>,
    /// Leading bits of an IPv4 address that are one client: 0 to 32, and 32 by default.
    #[serde(default = "ipv4_prefix")]
    pub(crate) ipv4_prefix: u8,
    /// Leading bits of an IPv6 address that are one client: 0 to 128, and 64 by default.
    #[serde(default = "ipv6_prefix")]
    pub(crate) ipv6_prefix: u8,
    /// The methods that it is for, case-sensitive as methods are; all by default.
    #[serde(default)]
    pub(crate) methods: Vec<String>,
    /// The paths that it is for, each with everything below; all by default.
    #[serde(default)]
    pub(crate) paths: Vec<String>,
}

/// The status of a refusal: 400 to 599.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "u16")]
#[schemars(with = "u16", extend("minimum" = 400, "maximum" = 599))]
pub(crate) struct Status(pub(crate) u16);

impl TryFrom<u16> for Status {
    type Error = String;

    fn try_from(status: u16) -> Result<Self, String> {
        match status {
            400..=599 => Ok(Self(status)),
            _ => Err(format!("{status} is not the status of a refusal: expected 400 to 599")),
        }
    }
}

impl Default for Status {
    fn default() -> Self {
        Self(429)
    }
}

fn too_many_requests() -> String {
    "too many requests\n".to_owned()
}

fn yes() -> bool {
    true
}

fn by_client() -> Vec<By> {
    vec![By::Client]
}

fn ipv4_prefix() -> u8 {
    32
}

fn ipv6_prefix() -> u8 {
    64
}
