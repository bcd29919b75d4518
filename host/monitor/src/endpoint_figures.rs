//! How endpoints are, as metrics. They are written down at each scrape and kept nowhere: one that is gone leaves nothing behind.

use std::fmt::{Display, Write};
use std::time::Duration;

use crate::catalogue::{self, HostMetric};

/// One endpoint of an upstream as it is now.
#[derive(Debug, Clone)]
pub struct EndpointFigures {
    /// The upstream.
    pub upstream: String,
    /// Its address.
    pub endpoint: String,
    /// Whether it takes requests.
    pub is_up: bool,
    /// Whether it is being drained.
    pub is_draining: bool,
    /// Since when that is so, in seconds since 1970.
    pub since_seconds: f64,
    /// Requests under way.
    pub in_flight: u32,
    /// Times that it was left alone for what came of requests.
    pub ejections: u64,
    /// Half, nine of ten and ninety-nine of a hundred answers of the last minute took no longer.
    pub latency: [Option<Duration>; 3],
}

/// All of them as Prometheus text (exposition format 0.0.4).
#[must_use]
pub fn endpoint_text(endpoints: &[EndpointFigures]) -> String {
    let mut text = String::new();
    let number = |truth: bool| u8::from(truth);
    family(&mut text, &catalogue::ENDPOINT_UP, endpoints, |endpoint| number(endpoint.is_up));
    family(&mut text, &catalogue::ENDPOINT_DRAINING, endpoints, |endpoint| number(endpoint.is_draining));
    family(&mut text, &catalogue::ENDPOINT_SINCE_TIMESTAMP_SECONDS, endpoints, |endpoint| endpoint.since_seconds);
    family(&mut text, &catalogue::ENDPOINT_IN_FLIGHT, endpoints, |endpoint| endpoint.in_flight);
    family(&mut text, &catalogue::ENDPOINT_EJECTIONS_TOTAL, endpoints, |endpoint| endpoint.ejections);
    let latency = &catalogue::ENDPOINT_LATENCY_SECONDS;
    head(&mut text, latency);
    for endpoint in endpoints {
        for (quantile, time) in ["0.5", "0.9", "0.99"].into_iter().zip(endpoint.latency) {
            let Some(time) = time else { continue };
            line(&mut text, latency, endpoint.labels().and("quantile", quantile), time.as_secs_f64());
        }
    }
    text
}

fn family<V: Display>(
    text: &mut String,
    metric: &HostMetric,
    endpoints: &[EndpointFigures],
    value: impl Fn(&EndpointFigures) -> V,
) {
    head(text, metric);
    for endpoint in endpoints {
        line(text, metric, endpoint.labels(), value(endpoint));
    }
}

/// What a family begins with.
pub(crate) fn head(text: &mut String, metric: &HostMetric) {
    let kind = match metric.kind {
        palisade_contract::metrics::Kind::Counter => "counter",
        palisade_contract::metrics::Kind::Gauge => "gauge",
        palisade_contract::metrics::Kind::Histogram => "histogram",
    };
    let _ = writeln!(text, "# HELP {} {}\n# TYPE {} {kind}", metric.name, metric.help, metric.name);
}

/// One series and its value.
pub(crate) fn line(text: &mut String, metric: &HostMetric, labels: Labels<'_>, value: impl Display) {
    let Labels { upstream, endpoint, further } = labels;
    let _ = write!(text, "{}{{upstream=\"{upstream}\",endpoint=\"{endpoint}\"", metric.name);
    if let Some((label, value)) = further {
        let _ = write!(text, ",{label}=\"{value}\"");
    }
    let _ = writeln!(text, "}} {value}");
}

/// What tells the series of a family apart. Names of upstreams and addresses have nothing in them that would have to be escaped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Labels<'a> {
    upstream: &'a str,
    endpoint: &'a str,
    further: Option<(&'static str, &'static str)>,
}

impl<'a> Labels<'a> {
    /// An endpoint of an upstream.
    pub(crate) fn of(upstream: &'a str, endpoint: &'a str) -> Self {
        Self { upstream, endpoint, further: None }
    }

    /// One label more.
    pub(crate) fn and(self, label: &'static str, value: &'static str) -> Self {
        Self { further: Some((label, value)), ..self }
    }
}

impl EndpointFigures {
    fn labels(&self) -> Labels<'_> {
        Labels::of(&self.upstream, &self.endpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_endpoint_has_a_line_in_each_family() {
        let endpoint = EndpointFigures {
            upstream: "web".to_owned(),
            endpoint: "[::1]:80".to_owned(),
            is_up: true,
            is_draining: false,
            since_seconds: 1.5,
            in_flight: 3,
            ejections: 2,
            latency: [Some(Duration::from_millis(1)), None, Some(Duration::from_millis(20))],
        };
        let text = endpoint_text(&[endpoint]);
        for line in [
            "# TYPE palisade_endpoint_up gauge",
            "palisade_endpoint_up{upstream=\"web\",endpoint=\"[::1]:80\"} 1",
            "palisade_endpoint_draining{upstream=\"web\",endpoint=\"[::1]:80\"} 0",
            "palisade_endpoint_since_timestamp_seconds{upstream=\"web\",endpoint=\"[::1]:80\"} 1.5",
            "palisade_endpoint_in_flight{upstream=\"web\",endpoint=\"[::1]:80\"} 3",
            "# TYPE palisade_endpoint_ejections_total counter",
            "palisade_endpoint_ejections_total{upstream=\"web\",endpoint=\"[::1]:80\"} 2",
            "palisade_endpoint_latency_seconds{upstream=\"web\",endpoint=\"[::1]:80\",quantile=\"0.5\"} 0.001",
            "palisade_endpoint_latency_seconds{upstream=\"web\",endpoint=\"[::1]:80\",quantile=\"0.99\"} 0.02",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
        assert!(!text.contains("0.9\""), "{text}");
    }
}
