//! The plugin's settings as operators write them. The README lists them with examples.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::labels::Label;

/// What is told apart, and how much of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The labels of requests, bytes and latencies: any of `listener`, `route`, `upstream` (the default), `endpoint`,
    /// `method` and `protocol`. Requests in flight have those of `listener` and `route` that are among them.
    #[serde(default = "default_labels")]
    pub(crate) labels: Vec<Label>,
    /// How many combinations of label values are told apart, 1 to 10,000; all further ones are counted as `other`. 200
    /// by default, which with five status classes is the host's own default limit of series.
    #[serde(default)]
    pub(crate) series_max: SeriesMax,
}

/// How many combinations of label values are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "u32")]
#[schemars(with = "u32", extend("minimum" = 1, "maximum" = 10000))]
pub(crate) struct SeriesMax(u32);

impl SeriesMax {
    /// The number.
    pub(crate) fn count(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl TryFrom<u32> for SeriesMax {
    type Error = String;

    fn try_from(count: u32) -> Result<Self, String> {
        match count {
            1..=10_000 => Ok(Self(count)),
            _ => Err(format!("{count} is not from 1 to 10000")),
        }
    }
}

impl Default for SeriesMax {
    fn default() -> Self {
        Self(200)
    }
}

fn default_labels() -> Vec<Label> {
    vec![Label::Listener, Label::Route, Label::Upstream]
}
