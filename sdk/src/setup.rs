//! What a plugin declares while it is configured: metrics and hot headers.

use std::time::Duration;

use crate::{
    Counter, Error, Family, Gauge, Histogram, Unit,
    host::{self, metrics::Kind},
    metrics::{Metric, REFUSED},
};

/// Declares a plugin's metrics and hot headers, in [`configure`](crate::Plugin::configure) and only there.
///
/// Nothing here returns an error: what the host refuses is kept, and reported all at once when `configure` returns.
#[derive(Debug, Default)]
pub struct Setup {
    problems: Vec<String>,
    hot_headers: u8,
}

/// A header whose first value comes with every request, so that [`Request::hot`](crate::Request::hot) costs no host call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HotHeader(u8);

impl Setup {
    /// Declares a counter. Names and labels are `[a-zA-Z_][a-zA-Z0-9_]*` as in the Prometheus data model; the host shows
    /// it as `palisade_<plugin>_<name>`. At most 64 metrics, at most 8 labels each.
    pub fn counter(&mut self, name: &str, help: &str) -> Counter {
        self.single(COUNTER, name, help)
    }

    /// Declares a counter with labels.
    pub fn counter_with(&mut self, name: &str, help: &str, labels: &[&str]) -> Family<Counter> {
        Family::new(self.declare(COUNTER, name, help, labels), labels.len())
    }

    /// Declares a gauge.
    pub fn gauge(&mut self, name: &str, help: &str) -> Gauge {
        self.single(GAUGE, name, help)
    }

    /// Declares a gauge with labels.
    pub fn gauge_with(&mut self, name: &str, help: &str, labels: &[&str]) -> Family<Gauge> {
        Family::new(self.declare(GAUGE, name, help, labels), labels.len())
    }

    /// Declares a histogram.
    pub fn histogram(&mut self, name: &str, help: &str, unit: Unit) -> Histogram {
        self.single((Kind::Histogram, unit), name, help)
    }

    /// Declares a histogram with labels.
    pub fn histogram_with(&mut self, name: &str, help: &str, unit: Unit, labels: &[&str]) -> Family<Histogram> {
        Family::new(self.declare((Kind::Histogram, unit), name, help, labels), labels.len())
    }

    /// Asks for the first value of this header with every request. At most 16.
    pub fn hot_header(&mut self, name: &str) -> HotHeader {
        let header = HotHeader(self.hot_headers);
        if self.hot_headers == HOT_HEADERS_MAX {
            self.problems.push(format!("hot header {name:?}: there are {HOT_HEADERS_MAX} already, which is the limit"));
        } else if host::setup::hot_header(name) {
            self.hot_headers += 1;
        } else {
            self.problems.push(format!("hot header {name:?}: is not a header name"));
        }
        header
    }

    /// Asks for a call of [`Ticker::on_tick`](crate::Ticker::on_tick) in each such interval: 100 ms to one hour. A plugin
    /// that is a ticker and does not call this does not load.
    pub fn tick_every(&mut self, interval: Duration) {
        let millis = u32::try_from(interval.as_millis()).unwrap_or(u32::MAX);
        if !host::timer::every(millis) {
            self.problems.push(format!("tick interval {interval:?}: is not 100 ms to 1 h"));
        }
    }

    /// What the host refused, if anything, as one error.
    pub(crate) fn finish(self) -> Result<(), Error> {
        if self.problems.is_empty() { Ok(()) } else { Err(Error::new(self.problems.join("; "))) }
    }

    fn single<M: Metric>(&mut self, shape: Shape, name: &str, help: &str) -> M {
        match self.declare(shape, name, help, &[]) {
            REFUSED => M::from_series(REFUSED),
            metric => M::from_series(host::metrics::series(metric, &[])),
        }
    }

    /// The metric's number.
    fn declare(&mut self, shape: Shape, name: &str, help: &str, labels: &[&str]) -> u32 {
        let owned: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        host::metrics::declare(shape.0, name, help, shape.1.into(), &owned).unwrap_or_else(|reason| {
            self.problems.push(format!("metric {name:?}: {reason}"));
            REFUSED
        })
    }
}

/// What a metric is, and what its values are where that matters.
type Shape = (Kind, Unit);

const COUNTER: Shape = (Kind::Counter, Unit::None);
const GAUGE: Shape = (Kind::Gauge, Unit::None);

impl HotHeader {
    /// Its place in the order of declaration.
    pub(crate) fn index(self) -> usize {
        self.0.into()
    }
}

impl From<Unit> for host::metrics::Unit {
    fn from(unit: Unit) -> Self {
        match unit {
            Unit::None => Self::None,
            Unit::Seconds => Self::Seconds,
            Unit::Bytes => Self::Bytes,
        }
    }
}

const HOT_HEADERS_MAX: u8 = 16;
