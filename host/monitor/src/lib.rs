//! Metrics, access log and their exporters.
