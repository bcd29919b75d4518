//! Every metric of the host itself: name, kind and the sentence that `/metrics` shows.

use palisade_contract::metrics::Kind;

/// One metric of the host.
pub(crate) struct HostMetric {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) help: &'static str,
}

const fn counter(name: &'static str, help: &'static str) -> HostMetric {
    HostMetric { name, kind: Kind::Counter, help }
}

const fn gauge(name: &'static str, help: &'static str) -> HostMetric {
    HostMetric { name, kind: Kind::Gauge, help }
}

const fn histogram(name: &'static str, help: &'static str) -> HostMetric {
    HostMetric { name, kind: Kind::Histogram, help }
}

pub(crate) const BUILD_INFO: HostMetric = gauge("palisade_build_info", "1, with the version as a label.");
pub(crate) const START_TIME_SECONDS: HostMetric =
    gauge("palisade_start_time_seconds", "When the host started, in seconds since 1970.");

pub(crate) const GENERATION: HostMetric =
    gauge("palisade_generation", "Which of the configurations of this process is served, from 1.");
pub(crate) const RELOADS_TOTAL: HostMetric = counter(
    "palisade_reloads_total",
    "Looks at the configuration and the plugins that were changed, by what came of them.",
);
pub(crate) const LAST_RELOAD_TIME_SECONDS: HostMetric = gauge(
    "palisade_last_reload_time_seconds",
    "When something was taken over last, in seconds since 1970; the start counts as the first time.",
);
pub(crate) const PROBLEMS: HostMetric =
    gauge("palisade_problems", "What of the configuration and the plugins is not served as it stands on disk.");

pub(crate) const CONNECTIONS: HostMetric = gauge("palisade_connections", "Open client connections.");
pub(crate) const CONNECTIONS_TOTAL: HostMetric = counter("palisade_connections_total", "Accepted client connections.");
pub(crate) const CONNECTIONS_REFUSED_TOTAL: HostMetric =
    counter("palisade_connections_refused_total", "Client connections that the host gave up.");
pub(crate) const EXCHANGES_ACTIVE: HostMetric = gauge("palisade_exchanges_active", "Exchanges under way.");
pub(crate) const REQUESTS_TOTAL: HostMetric =
    counter("palisade_requests_total", "Exchanges that ended, by the class of the status that was sent.");
pub(crate) const REQUEST_DURATION_SECONDS: HostMetric =
    histogram("palisade_request_duration_seconds", "From the complete request head to the end of the exchange.");
pub(crate) const REQUEST_BODY_BYTES_TOTAL: HostMetric =
    counter("palisade_request_body_bytes_total", "Bytes of request bodies read.");
pub(crate) const RESPONSE_BODY_BYTES_TOTAL: HostMetric =
    counter("palisade_response_body_bytes_total", "Bytes of response bodies sent.");
pub(crate) const ENDINGS_TOTAL: HostMetric = counter("palisade_endings_total", "Exchanges, by how they ended.");

pub(crate) const CERTIFICATE_EXPIRY_TIMESTAMP_SECONDS: HostMetric = gauge(
    "palisade_certificate_expiry_timestamp_seconds",
    "When a certificate that clients are shown expires, in seconds since 1970; NaN once it is not shown any more.",
);

pub(crate) const ACME_ORDERS_TOTAL: HostMetric =
    counter("palisade_acme_orders_total", "Certificates that were ordered of an authority, by what came of it.");

pub(crate) const UPSTREAM_CONNECTIONS: HostMetric =
    gauge("palisade_upstream_connections", "Open connections to endpoints.");
pub(crate) const UPSTREAM_REQUESTS_TOTAL: HostMetric =
    counter("palisade_upstream_requests_total", "Requests given to endpoints, retries included.");
pub(crate) const UPSTREAM_FAILURES_TOTAL: HostMetric =
    counter("palisade_upstream_failures_total", "Requests that an endpoint did not answer.");
pub(crate) const UPSTREAM_FALLBACK_PICKS_TOTAL: HostMetric = counter(
    "palisade_upstream_fallback_picks_total",
    "Times that the host chose an endpoint because the balancer had failed.",
);

pub(crate) const ENDPOINT_UP: HostMetric = gauge("palisade_endpoint_up", "1 while an endpoint takes requests.");
pub(crate) const ENDPOINT_DRAINING: HostMetric = gauge(
    "palisade_endpoint_draining",
    "1 while an endpoint takes no new requests because it was ordered, or is gone.",
);
pub(crate) const ENDPOINT_SINCE_TIMESTAMP_SECONDS: HostMetric =
    gauge("palisade_endpoint_since_timestamp_seconds", "Since when an endpoint is as it is, in seconds since 1970.");
pub(crate) const ENDPOINT_IN_FLIGHT: HostMetric =
    gauge("palisade_endpoint_in_flight", "Requests and streams under way to an endpoint.");
pub(crate) const ENDPOINT_EJECTIONS_TOTAL: HostMetric =
    counter("palisade_endpoint_ejections_total", "Times that an endpoint was left alone for what came of requests.");
pub(crate) const ENDPOINT_LATENCY_SECONDS: HostMetric =
    gauge("palisade_endpoint_latency_seconds", "Time until the head of an answer, of the last minute, by quantile.");
pub(crate) const UPSTREAM_RETRIES_TOTAL: HostMetric =
    counter("palisade_upstream_retries_total", "Requests that were sent once more, by what became of the try before.");
pub(crate) const UPSTREAM_RETRY_BUDGET_EXHAUSTED_TOTAL: HostMetric = counter(
    "palisade_upstream_retry_budget_exhausted_total",
    "Requests that were not sent once more because the upstream's budget had none left.",
);
pub(crate) const UPSTREAM_CIRCUIT_REFUSALS_TOTAL: HostMetric = counter(
    "palisade_upstream_circuit_refusals_total",
    "Requests that were refused so that an upstream is left alone.",
);
pub(crate) const UPSTREAM_CIRCUIT: HostMetric =
    gauge("palisade_upstream_circuit", "The state of an upstream's circuit: 0 closed, 1 half open, 2 open.");
pub(crate) const UPSTREAM_HEDGES_TOTAL: HostMetric = counter(
    "palisade_upstream_hedges_total",
    "Requests that were slow to be answered, by what became of sending them to a second endpoint.",
);
pub(crate) const UPSTREAM_MIRRORED_TOTAL: HostMetric =
    counter("palisade_upstream_mirrored_total", "Copies of other upstreams' requests, by what became of them.");

pub(crate) const PLUGIN_CALLS_TOTAL: HostMetric = counter("palisade_plugin_calls_total", "Calls into plugins.");
pub(crate) const PLUGIN_CALL_NANOSECONDS_TOTAL: HostMetric =
    counter("palisade_plugin_call_nanoseconds_total", "Time spent in calls into plugins.");
pub(crate) const PLUGIN_FAILURES_TOTAL: HostMetric =
    counter("palisade_plugin_failures_total", "Calls into plugins that failed.");
pub(crate) const PLUGIN_MEMORY_BYTES: HostMetric =
    gauge("palisade_plugin_memory_bytes", "Linear memory of a plugin's instances.");
pub(crate) const PLUGIN_PROCESSOR_NANOSECONDS_TOTAL: HostMetric = counter(
    "palisade_plugin_processor_nanoseconds_total",
    "Of the time spent in calls into plugins, what the processor was at work for; measured of one call in 256.",
);
pub(crate) const PLUGIN_DENIALS_TOTAL: HostMetric =
    counter("palisade_plugin_denials_total", "Replies, closes and refusals that plugins decided.");
pub(crate) const PLUGIN_MEMORY_PEAK_BYTES: HostMetric =
    gauge("palisade_plugin_memory_peak_bytes", "The most linear memory that a plugin's instances ever had.");
pub(crate) const PLUGIN_BACKED_OFF: HostMetric =
    gauge("palisade_plugin_backed_off", "1 while a plugin that keeps failing is left alone.");
pub(crate) const PLUGIN_INSTANCES: HostMetric = gauge("palisade_plugin_instances", "Live instances of a plugin.");
pub(crate) const PLUGIN_LEASES: HostMetric = gauge("palisade_plugin_leases", "Exchanges that hold a plugin.");
pub(crate) const PLUGIN_SHADOW_TOTAL: HostMetric =
    counter("palisade_plugin_shadow_total", "What a plugin in shadow would have decided.");
pub(crate) const PLUGIN_SHADOW_DISAGREEMENTS_TOTAL: HostMetric = counter(
    "palisade_plugin_shadow_disagreements_total",
    "What a plugin in shadow would have decided where the enforced plugins decided otherwise.",
);

pub(crate) const SHARED_KEYS: HostMetric =
    gauge("palisade_shared_keys", "Values and counters that plugins share, by namespace.");
pub(crate) const SHARED_BYTES: HostMetric = gauge("palisade_shared_bytes", "What these take, with their keys.");
pub(crate) const SHARED_EVICTIONS_TOTAL: HostMetric = counter(
    "palisade_shared_evictions_total",
    "Shared values and counters that made room for others before they had expired.",
);

/// All of the above.
pub(crate) const ALL: &[HostMetric] = &[
    BUILD_INFO,
    START_TIME_SECONDS,
    GENERATION,
    RELOADS_TOTAL,
    LAST_RELOAD_TIME_SECONDS,
    PROBLEMS,
    CONNECTIONS,
    CONNECTIONS_TOTAL,
    CONNECTIONS_REFUSED_TOTAL,
    EXCHANGES_ACTIVE,
    REQUESTS_TOTAL,
    REQUEST_DURATION_SECONDS,
    REQUEST_BODY_BYTES_TOTAL,
    RESPONSE_BODY_BYTES_TOTAL,
    ENDINGS_TOTAL,
    CERTIFICATE_EXPIRY_TIMESTAMP_SECONDS,
    ACME_ORDERS_TOTAL,
    UPSTREAM_CONNECTIONS,
    UPSTREAM_REQUESTS_TOTAL,
    UPSTREAM_FAILURES_TOTAL,
    UPSTREAM_FALLBACK_PICKS_TOTAL,
    ENDPOINT_UP,
    ENDPOINT_DRAINING,
    ENDPOINT_SINCE_TIMESTAMP_SECONDS,
    ENDPOINT_IN_FLIGHT,
    ENDPOINT_EJECTIONS_TOTAL,
    ENDPOINT_LATENCY_SECONDS,
    UPSTREAM_RETRIES_TOTAL,
    UPSTREAM_RETRY_BUDGET_EXHAUSTED_TOTAL,
    UPSTREAM_CIRCUIT_REFUSALS_TOTAL,
    UPSTREAM_CIRCUIT,
    UPSTREAM_HEDGES_TOTAL,
    UPSTREAM_MIRRORED_TOTAL,
    PLUGIN_CALLS_TOTAL,
    PLUGIN_CALL_NANOSECONDS_TOTAL,
    PLUGIN_FAILURES_TOTAL,
    PLUGIN_MEMORY_BYTES,
    PLUGIN_INSTANCES,
    PLUGIN_LEASES,
    PLUGIN_PROCESSOR_NANOSECONDS_TOTAL,
    PLUGIN_DENIALS_TOTAL,
    PLUGIN_MEMORY_PEAK_BYTES,
    PLUGIN_BACKED_OFF,
    PLUGIN_SHADOW_TOTAL,
    PLUGIN_SHADOW_DISAGREEMENTS_TOTAL,
    SHARED_KEYS,
    SHARED_BYTES,
    SHARED_EVICTIONS_TOTAL,
];
