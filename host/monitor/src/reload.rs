//! Which configuration is served, and what became of those that were to follow it.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::{Registry, catalogue};

/// What came of a look at a configuration and its plugins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reload {
    /// Everything is served as it stands on disk.
    Complete,
    /// Everything is, but for what there are problems with.
    Partial,
    /// Nothing has changed, because of its problems.
    Refused,
}

impl Reload {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Complete, Self::Partial, Self::Refused];

    /// The result as metrics name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Refused => "refused",
        }
    }
}

impl Registry {
    /// This configuration is served since then.
    pub fn serves(&self, generation: u64, since: SystemTime) {
        self.gauge(&catalogue::GENERATION, &[]).set(generation as f64);
        let since = since.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.gauge(&catalogue::LAST_RELOAD_TIME_SECONDS, &[]).set(since.as_secs_f64());
    }

    /// A reload has ended so. Without one, nothing is counted, and every result is there to be scraped.
    pub fn reloaded(&self, reload: Option<Reload>) {
        for result in Reload::ALL {
            let count = self.counter(&catalogue::RELOADS_TOTAL, &[("result", result.as_str())]);
            count.increment(u64::from(reload == Some(result)));
        }
    }

    /// So much is not served as it stands on disk.
    pub fn problems(&self, count: usize) {
        self.gauge(&catalogue::PROBLEMS, &[]).set(count as f64);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::AccessLog;

    #[test]
    fn every_result_is_there_from_the_start_and_counted_when_it_comes() {
        let registry = Registry::new("1", UNIX_EPOCH, AccessLog::Off);
        registry.reloaded(None);
        check(&registry, [0, 0, 0]);
        registry.reloaded(Some(Reload::Partial));
        registry.reloaded(Some(Reload::Refused));
        registry.reloaded(Some(Reload::Refused));
        check(&registry, [0, 1, 2]);
    }

    #[test]
    fn the_generation_and_its_time_are_told() {
        let registry = Registry::new("1", UNIX_EPOCH, AccessLog::Off);
        registry.serves(7, UNIX_EPOCH + Duration::from_millis(1_500));
        registry.problems(2);
        let text = registry.render();
        for line in ["palisade_generation 7\n", "palisade_last_reload_time_seconds 1.5\n", "palisade_problems 2\n"] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }

    #[track_caller]
    fn check(registry: &Registry, expected: [u64; 3]) {
        let text = registry.render();
        for (result, count) in Reload::ALL.into_iter().zip(expected) {
            let line = format!("palisade_reloads_total{{result=\"{}\"}} {count}\n", result.as_str());
            assert!(text.contains(&line), "{line}: {text}");
        }
    }
}
