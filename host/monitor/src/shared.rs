//! How full the namespaces are that plugins share state in, as metrics.

use std::sync::PoisonError;

use palisade_contract::NamespaceFigures;

use crate::figures::level;
use crate::{Registry, catalogue};

impl Registry {
    /// Takes over the figures of every namespace, before a scrape. Counts are absolute, as with
    /// [`Registry::plugin_figures`]; a namespace that is missing from the list is gone, and its gauges fall to zero.
    pub fn shared_figures(&self, namespaces: &[NamespaceFigures]) {
        let mut reported = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in reported.iter().filter(|name| namespaces.iter().all(|figures| figures.name != **name)) {
            self.hold(gone, 0, 0);
        }
        for figures in namespaces {
            self.hold(&figures.name, figures.keys, figures.bytes);
            let evictions = self.counter(&catalogue::SHARED_EVICTIONS_TOTAL, &[("namespace", &figures.name)]);
            evictions.absolute(figures.evictions);
            reported.insert(figures.name.clone());
        }
    }

    fn hold(&self, namespace: &str, keys: usize, bytes: usize) {
        let set = |metric, amount: usize| {
            let amount = u64::try_from(amount).unwrap_or(u64::MAX);
            self.gauge(metric, &[("namespace", namespace)]).set(level(amount));
        };
        set(&catalogue::SHARED_KEYS, keys);
        set(&catalogue::SHARED_BYTES, bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use palisade_contract::Bounds;

    use super::*;
    use crate::AccessLog;

    #[test]
    fn a_namespace_that_is_gone_holds_nothing_and_keeps_its_count() {
        let registry = Registry::new("1.0.0", UNIX_EPOCH, AccessLog::Off);
        check(
            &registry,
            &[("a", 3, 400, 7), ("b", 1, 200, 0)],
            &[r#"keys{namespace="a"} 3"#, r#"bytes{namespace="b"} 200"#],
        );
        check(
            &registry,
            &[("b", 2, 300, 1)],
            &[
                r#"keys{namespace="a"} 0"#,
                r#"bytes{namespace="a"} 0"#,
                r#"evictions_total{namespace="a"} 7"#,
                r#"keys{namespace="b"} 2"#,
                r#"evictions_total{namespace="b"} 1"#,
            ],
        );
    }

    fn check(registry: &Registry, namespaces: &[(&str, usize, usize, u64)], expected: &[&str]) {
        let figures = namespaces.iter().map(|(name, keys, bytes, evictions)| NamespaceFigures {
            name: (*name).to_owned(),
            bounds: Bounds::default(),
            keys: *keys,
            bytes: *bytes,
            evictions: *evictions,
        });
        registry.shared_figures(&figures.collect::<Vec<_>>());
        let text = registry.render();
        for line in expected {
            assert!(text.lines().any(|printed| printed == format!("palisade_shared_{line}")), "{line} in {text}");
        }
    }
}
