//! A plugin's own metrics: handles that are numbers, declared in [`configure`](crate::Plugin::configure).

use std::{cell::RefCell, collections::BTreeMap, fmt, marker::PhantomData};

use crate::host;

/// A number that only grows: requests, bytes, refusals.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Counter(u32);

impl Counter {
    /// Adds to it.
    pub fn add(&self, amount: u64) {
        if self.0 != REFUSED {
            host::metrics::add(self.0, amount);
        }
    }
}

/// A number that goes up and down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Gauge(u32);

impl Gauge {
    /// Sets it, for the whole host: the last value set by any worker counts.
    pub fn set(&self, value: f64) {
        if self.0 != REFUSED {
            host::metrics::set(self.0, value);
        }
    }

    /// Adds to it, negative values too. All workers add to the same value.
    pub fn shift(&self, by: f64) {
        if self.0 != REFUSED {
            host::metrics::shift(self.0, by);
        }
    }
}

/// A distribution of values, such as latencies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Histogram(u32);

impl Histogram {
    /// Records one value. NaN is dropped.
    pub fn record(&self, value: f64) {
        self.record_all(&[value]);
    }

    /// Records many values at the price of one host call. NaN is dropped.
    pub fn record_all(&self, values: &[f64]) {
        if self.0 != REFUSED {
            host::metrics::record(self.0, values);
        }
    }
}

/// What a histogram's values are, which chooses its buckets. All are logarithmic.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unit {
    /// A plain number: 1 to 10⁶.
    None,
    /// Seconds: 100 µs to 60 s.
    Seconds,
    /// Bytes: 64 B to 1 GiB.
    Bytes,
}

/// A metric with labels: one series for each combination of their values.
///
/// The host keeps at most 1,000 series of a metric (unless configured otherwise); all further ones are one series whose
/// label values are `other`.
pub struct Family<M> {
    metric: u32,
    labels: usize,
    known: RefCell<Known>,
    handle: PhantomData<M>,
}

impl<M: Metric> Family<M> {
    pub(crate) fn new(metric: u32, labels: usize) -> Self {
        Self { metric, labels, known: RefCell::default(), handle: PhantomData }
    }

    /// The series with these label values, in the order of the declaration. It is asked of the host once and remembered
    /// (for up to 1,024 series), so a call with values that came before costs one look-up and no host call.
    ///
    /// # Panics
    ///
    /// Where there are more or fewer values than labels: that is a mistake in the plugin.
    pub fn with(&self, values: &[&str]) -> M {
        assert_eq!(values.len(), self.labels, "a label value for each label, and {values:?} are not that many");
        if self.metric == REFUSED {
            return M::from_series(REFUSED);
        }
        M::from_series(self.known.borrow_mut().series(self.metric, values))
    }
}

impl<M> fmt::Debug for Family<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Family").field("metric", &self.metric).finish_non_exhaustive()
    }
}

/// A handle to one series: a counter, a gauge or a histogram.
pub trait Metric: Copy + sealed::Sealed {
    #[doc(hidden)]
    fn from_series(series: u32) -> Self;
}

impl Metric for Counter {
    fn from_series(series: u32) -> Self {
        Self(series)
    }
}

impl Metric for Gauge {
    fn from_series(series: u32) -> Self {
        Self(series)
    }
}

impl Metric for Histogram {
    fn from_series(series: u32) -> Self {
        Self(series)
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Counter {}
    impl Sealed for super::Gauge {}
    impl Sealed for super::Histogram {}
}

/// Stands for what the host refused to declare. `configure` may go on with it, and fails when it returns.
pub(crate) const REFUSED: u32 = u32::MAX;

/// The series that a family has asked for. A tree, because label values come from outside and a module's hash seeds are
/// fixed.
#[derive(Default)]
struct Known {
    series: BTreeMap<Box<[u8]>, u32>,
    /// The key being looked up; kept so that a look-up allocates nothing.
    key: Vec<u8>,
}

impl Known {
    fn series(&mut self, metric: u32, values: &[&str]) -> u32 {
        self.key.clear();
        for value in values {
            self.key.extend_from_slice(&value.len().to_le_bytes());
            self.key.extend_from_slice(value.as_bytes());
        }
        if let Some(series) = self.series.get(self.key.as_slice()) {
            return *series;
        }
        let owned: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        let series = host::metrics::series(metric, &owned);
        if self.series.len() < KNOWN_MAX {
            self.series.insert(self.key.as_slice().into(), series);
        }
        series
    }
}

/// How many series a family remembers.
const KNOWN_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Setup, test_host::world};

    #[test]
    fn a_series_is_asked_of_the_host_once_while_it_is_remembered() {
        let family = Setup::default().counter_with("paths_total", "by path", &["path", "method"]);
        let first = family.with(&["/a", "GET"]);
        assert_eq!(family.with(&["/a", "GET"]), first);
        assert_ne!(family.with(&["/aG", "ET"]), first);
        for number in 0..2 * KNOWN_MAX {
            family.with(&[&number.to_string(), "GET"]).add(1);
        }
        assert_eq!(family.known.borrow().series.len(), KNOWN_MAX);
        let other = [("path", "other"), ("method", "other")];
        // The host keeps 1,000 series, of which two are the ones above.
        assert_eq!(world::with(|world| world.metrics.count("paths_total", &other)), 2 * 1_024 - 998);
    }

    #[test]
    #[should_panic = "a label value for each label"]
    fn a_value_too_few_is_a_mistake_in_the_plugin() {
        Setup::default().gauge_with("open", "by zone", &["zone"]).with(&[]);
    }

    #[test]
    fn a_metric_that_was_refused_swallows_everything() {
        let mut setup = Setup::default();
        let counter = setup.counter_with("a-b", "refused", &["x"]).with(&["1"]);
        counter.add(1);
        setup.gauge("a-b", "refused").set(1.0);
        setup.histogram("a-b", "refused", Unit::Bytes).record(1.0);
        assert_eq!(counter, Counter(REFUSED));
        assert!(setup.finish().is_err());
    }
}
