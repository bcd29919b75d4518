//! Counts requests, status classes, bytes, in-flight and latency.
