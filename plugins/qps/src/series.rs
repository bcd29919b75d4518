//! Label values, in; handles of the series that they stand for, out. A handle is asked of the host once.

use palisade_sdk::{Counter, Family, Histogram, Setup, Unit};

use crate::labels::{Key, Labels};

/// The metrics that have labels.
#[derive(Debug)]
pub(crate) struct Families {
    labels: Labels,
    requests: Family<Counter>,
    request_bytes: Family<Counter>,
    response_bytes: Family<Counter>,
    duration: Family<Histogram>,
    first_byte: Family<Histogram>,
}

/// The handles of one combination of label values.
#[derive(Debug)]
pub(crate) struct Series {
    key: Key,
    /// Requests by status class; asked for when the class first comes.
    requests: [Option<Counter>; CLASSES.len()],
    /// Bytes of request bodies.
    pub(crate) request_bytes: Counter,
    /// Bytes of response bodies.
    pub(crate) response_bytes: Counter,
    /// Seconds to the end.
    pub(crate) duration: Histogram,
    /// Seconds to the response head.
    pub(crate) first_byte: Histogram,
}

/// The values of the label `class`. The first stands for exchanges without a response.
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// A number for each of the classes.
pub(crate) type ByClass = [u64; CLASSES.len()];

/// The place of a status among the classes.
pub(crate) fn class(status: u16) -> usize {
    usize::from((status / 100).min(5))
}

/// Handles by label values.
#[derive(Debug)]
pub(crate) struct Table {
    families: Families,
    /// In order, each with its place in `series`.
    places: Vec<(Key, usize)>,
    series: Vec<Series>,
    /// How many combinations are told apart.
    max: usize,
    /// What was looked up last: in a batch, most exchanges are alike.
    last: Option<(Key, usize)>,
}

impl Families {
    /// Declares them.
    pub(crate) fn declare(labels: &Labels, host: &mut Setup) -> Self {
        let names = labels.names_with(None);
        let seconds = Unit::Seconds;
        Self {
            requests: host.counter_with("requests_total", "Requests that ended.", &labels.names_with(Some("class"))),
            request_bytes: host.counter_with("request_bytes_total", "Bytes of request bodies.", &names),
            response_bytes: host.counter_with("response_bytes_total", "Bytes of response bodies.", &names),
            duration: host.histogram_with("duration_seconds", "From the request head to the end.", seconds, &names),
            first_byte: host.histogram_with(
                "first_byte_seconds",
                "From the request head to the response head.",
                seconds,
                &names,
            ),
            labels: labels.clone(),
        }
    }

    fn series(&self, key: Key) -> Series {
        let values = self.labels.values(key);
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        Series {
            key,
            requests: [None; CLASSES.len()],
            request_bytes: self.request_bytes.with(&values),
            response_bytes: self.response_bytes.with(&values),
            duration: self.duration.with(&values),
            first_byte: self.first_byte.with(&values),
        }
    }

    fn requests(&self, key: Key, class: &str) -> Counter {
        let values = self.labels.values(key);
        let values: Vec<&str> = values.iter().map(String::as_str).chain([class]).collect();
        self.requests.with(&values)
    }
}

impl Table {
    /// An empty table that tells so many combinations apart.
    pub(crate) fn new(families: Families, max: usize) -> Self {
        Self { families, places: Vec::new(), series: Vec::new(), max, last: None }
    }

    /// The place of the handles for these values; beyond the limit that of [`Key::OTHER`].
    pub(crate) fn place(&mut self, key: Key) -> usize {
        if let Some((_, place)) = self.last.filter(|(last, _)| *last == key) {
            return place;
        }
        let place = self.search(key);
        self.last = Some((key, place));
        place
    }

    fn search(&mut self, key: Key) -> usize {
        let found = self.places.binary_search_by(|(known, _)| known.cmp(&key));
        match found {
            Ok(index) => self.places.get(index).map_or(0, |(_, place)| *place),
            Err(_) if self.is_full() && key != Key::OTHER => self.search(Key::OTHER),
            Err(index) => {
                self.places.insert(index, (key, self.series.len()));
                self.series.push(self.families.series(key));
                self.series.len() - 1
            }
        }
    }

    /// The handles for all other combinations do not count.
    fn is_full(&self) -> bool {
        let other = self.places.last().is_some_and(|(key, _)| *key == Key::OTHER);
        self.places.len() - usize::from(other) >= self.max
    }

    /// The handles at a place.
    pub(crate) fn at(&self, place: usize) -> Option<&Series> {
        self.series.get(place)
    }

    /// Counts requests of one combination, one host call for each class that has any.
    pub(crate) fn count(&mut self, place: usize, requests: &ByClass) {
        let Some(series) = self.series.get_mut(place) else { return };
        for ((count, handle), class) in requests.iter().zip(&mut series.requests).zip(CLASSES) {
            if *count > 0 {
                handle.get_or_insert_with(|| self.families.requests(series.key, class)).add(*count);
            }
        }
    }
}
