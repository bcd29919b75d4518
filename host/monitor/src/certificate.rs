//! When certificates expire, as a metric.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::{Registry, catalogue};

/// One certificate that clients of a listener are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFigures {
    /// The listener.
    pub listener: String,
    /// The first of its names.
    pub name: String,
    /// The kind of its key.
    pub key: String,
    /// When it expires.
    pub expires: SystemTime,
}

/// What came of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ordered {
    /// A certificate.
    Issued,
    /// Nothing.
    Failed,
}

impl Registry {
    /// An order of this ACME account is over.
    pub fn ordered(&self, account: &str, outcome: Ordered) {
        for (result, is_it) in [("issued", outcome == Ordered::Issued), ("failed", outcome == Ordered::Failed)] {
            let count = self.counter(&catalogue::ACME_ORDERS_TOTAL, &[("account", account), ("result", result)]);
            count.increment(u64::from(is_it));
        }
    }

    /// Takes over what certificates are shown, before a scrape. Of several with the same labels the one that expires first
    /// counts. One that is missing from the list is shown no more: no alert about its expiry is for anybody.
    pub fn certificate_figures(&self, certificates: &[CertificateFigures]) {
        let mut shown = self.certificates.lock().unwrap_or_else(PoisonError::into_inner);
        let mut first = BTreeMap::new();
        for figures in certificates {
            let expires = first.entry(figures.labels()).or_insert(figures.expires);
            *expires = figures.expires.min(*expires);
        }
        for gone in shown.iter().filter(|labels| !first.contains_key(*labels)) {
            self.expires(gone, f64::NAN);
        }
        for (labels, expires) in first {
            self.expires(&labels, expires.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
            shown.insert(labels);
        }
    }

    fn expires(&self, [listener, name, key]: &[String; 3], seconds: f64) {
        let labels = [("listener", listener.as_str()), ("name", name), ("key", key)];
        self.gauge(&catalogue::CERTIFICATE_EXPIRY_TIMESTAMP_SECONDS, &labels).set(seconds);
    }
}

impl CertificateFigures {
    fn labels(&self) -> [String; 3] {
        [self.listener.clone(), self.name.clone(), self.key.clone()]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::AccessLog;

    #[test]
    fn the_first_to_expire_counts_and_what_is_gone_alarms_nobody() {
        let registry = Registry::new("1", UNIX_EPOCH, AccessLog::Off);
        check(&registry, &[("a.test", 2_000), ("a.test", 1_000), ("b.test", 3_000)], &["a.test\",key=\"rsa\"} 1000"]);
        check(&registry, &[("b.test", 4_000)], &["a.test\",key=\"rsa\"} NaN", "b.test\",key=\"rsa\"} 4000"]);
    }

    #[track_caller]
    fn check(registry: &Registry, certificates: &[(&str, u64)], expected: &[&str]) {
        let figures = certificates.iter().map(|(name, expires)| CertificateFigures {
            listener: "public".to_owned(),
            name: (*name).to_owned(),
            key: "rsa".to_owned(),
            expires: UNIX_EPOCH + Duration::from_secs(*expires),
        });
        registry.certificate_figures(&figures.collect::<Vec<_>>());
        let text = registry.render();
        for line in expected {
            let start = "palisade_certificate_expiry_timestamp_seconds{listener=\"public\",name=\"";
            assert!(text.contains(&format!("{start}{line}\n")), "{line} in {text}");
        }
    }
}
