//! What happens at one listener, counted.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};
use palisade_contract::{Access, Ending, ListenerMonitor, Protocol, Refusal};

use crate::access::AccessLog;
use crate::{Registry, catalogue};

/// The counters of one listener, each resolved once.
#[derive(Debug)]
pub(crate) struct ListenerMeters {
    name: Box<str>,
    connections: Gauge,
    connections_total: Counter,
    refused: [Counter; Refusal::ALL.len()],
    exchanges: Gauge,
    /// By protocol, then by class of status.
    requests: [[Counter; CLASSES.len()]; PROTOCOLS.len()],
    duration_seconds: Histogram,
    request_bytes: Counter,
    response_bytes: Counter,
    endings: [Counter; ENDINGS.len()],
    access: AccessLog,
}

impl ListenerMeters {
    pub(crate) fn new(registry: &Registry, name: &str, access: AccessLog) -> Self {
        let listener = ("listener", name);
        let refused = |why: Refusal| {
            registry.counter(&catalogue::CONNECTIONS_REFUSED_TOTAL, &[listener, ("reason", why.as_str())])
        };
        let requests = |protocol: Protocol, class| {
            let labels = [listener, ("protocol", protocol.as_str()), ("class", class)];
            registry.counter(&catalogue::REQUESTS_TOTAL, &labels)
        };
        let ended =
            |ending: Ending| registry.counter(&catalogue::ENDINGS_TOTAL, &[listener, ("ending", ending.as_str())]);
        Self {
            name: name.into(),
            connections: registry.gauge(&catalogue::CONNECTIONS, &[listener]),
            connections_total: registry.counter(&catalogue::CONNECTIONS_TOTAL, &[listener]),
            refused: Refusal::ALL.map(refused),
            exchanges: registry.gauge(&catalogue::EXCHANGES_ACTIVE, &[listener]),
            requests: PROTOCOLS.map(|protocol| CLASSES.map(|class| requests(protocol, class))),
            duration_seconds: registry.histogram(&catalogue::REQUEST_DURATION_SECONDS, &[listener]),
            request_bytes: registry.counter(&catalogue::REQUEST_BODY_BYTES_TOTAL, &[listener]),
            response_bytes: registry.counter(&catalogue::RESPONSE_BODY_BYTES_TOTAL, &[listener]),
            endings: ENDINGS.map(ended),
            access,
        }
    }
}

impl ListenerMonitor for ListenerMeters {
    fn connection_opened(&self) {
        self.connections.increment(1.0);
        self.connections_total.increment(1);
    }

    fn connection_closed(&self) {
        self.connections.decrement(1.0);
    }

    fn connection_refused(&self, why: Refusal) {
        count(&self.refused, why as usize);
    }

    fn exchange_begun(&self) {
        self.exchanges.increment(1.0);
    }

    fn exchange_ended(&self, access: &Access<'_>) {
        let ended = access.ended;
        self.exchanges.decrement(1.0);
        if let Some(classes) = self.requests.get(ended.protocol as usize) {
            count(classes, class(ended.status));
        }
        count(&self.endings, ended.ending as usize);
        self.duration_seconds.record(Duration::from_micros(ended.duration_micros).as_secs_f64());
        if ended.request_bytes > 0 {
            self.request_bytes.increment(ended.request_bytes);
        }
        self.response_bytes.increment(ended.response_bytes);
        self.access.write(&self.name, access);
    }
}

/// What a class of status is called, by its first digit; `none` where no response was sent.
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

// Both in the order of declaration, so that a variant's number is its place.
const PROTOCOLS: [Protocol; 4] = [Protocol::Http1, Protocol::Http2, Protocol::Http3, Protocol::Tcp];
const ENDINGS: [Ending; 5] =
    [Ending::Complete, Ending::ClientGone, Ending::UpstreamFailed, Ending::Truncated, Ending::Closed];

/// A status's place among [`CLASSES`]; a status that does not exist counts as none.
fn class(status: u16) -> usize {
    let class = usize::from(status / 100);
    if class < CLASSES.len() { class } else { 0 }
}

pub(crate) fn count(counters: &[Counter], place: usize) {
    if let Some(counter) = counters.get(place) {
        counter.increment(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variants_number_is_its_place() {
        check(&PROTOCOLS, |protocol| protocol as usize);
        check(&ENDINGS, |ending| ending as usize);
        check(&Refusal::ALL, |refusal| refusal as usize);
        check(&palisade_contract::UpstreamFault::ALL, |fault| fault as usize);
    }

    fn check<T: Copy>(all: &[T], number: fn(T) -> usize) {
        let numbers: Vec<usize> = all.iter().map(|one| number(*one)).collect();
        assert_eq!(numbers, (0..all.len()).collect::<Vec<_>>());
    }

    #[test]
    fn a_status_has_the_class_of_its_first_digit() {
        for (status, expected) in [(0, "none"), (101, "1xx"), (200, "2xx"), (304, "3xx"), (499, "4xx"), (503, "5xx")] {
            assert_eq!(CLASSES[class(status)], expected, "{status}");
        }
        for status in [99, 600, u16::MAX] {
            assert_eq!(CLASSES[class(status)], "none", "{status}");
        }
    }
}
