//! What of a configuration only a start takes over.

use palisade_config::Config;

/// What a process was started with and keeps to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fixed {
    keys: Vec<(&'static str, String)>,
}

impl Fixed {
    /// What of this configuration a process keeps that starts with it.
    pub(crate) fn of(config: &Config) -> Self {
        let workers = config.workers.map_or_else(|| "one for each core".to_owned(), |workers| workers.to_string());
        let cache_dir = config
            .cache_dir
            .as_ref()
            .map_or_else(|| "the host's own choice".to_owned(), |folder| format!("{:?}", folder.display().to_string()));
        let keys = [
            ("workers", workers),
            ("cache_dir", cache_dir),
            ("engine.stack", format!("{} bytes", config.engine.stack_bytes)),
            ("engine.memory", format!("{} bytes", config.engine.memory_bytes)),
            ("log.level", format!("{:?}", config.log.level).to_lowercase()),
            ("log.format", format!("{:?}", config.log.format).to_lowercase()),
        ];
        Self { keys: keys.into() }
    }

    /// A sentence for each key that another configuration has otherwise.
    pub(crate) fn warnings(&self, other: &Self) -> Vec<String> {
        let pairs = self.keys.iter().zip(&other.keys).filter(|((_, own), (_, other))| own != other);
        pairs
            .map(|((key, own), (_, other))| format!("{key} stays {own} until the next start, which makes it {other}"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn what_only_a_start_takes_over_is_said() {
        check("", "", &[]);
        check("workers = 2", "workers = 2", &[]);
        check("workers = 2", "workers = 3", &["workers stays 2 until the next start, which makes it 3"]);
        check(
            "",
            "engine.stack = \"1 MiB\"",
            &["engine.stack stays 524288 bytes until the next start, which makes it 1048576 bytes"],
        );
        check(
            "log.level = \"warn\"",
            "cache_dir = \"/var/cache\"\nlog.level = \"debug\"\nlog.format = \"json\"",
            &[
                "cache_dir stays the host's own choice until the next start, which makes it \"/var/cache\"",
                "log.level stays warn until the next start, which makes it debug",
                "log.format stays text until the next start, which makes it json",
            ],
        );
    }

    #[track_caller]
    fn check(before: &str, after: &str, expected: &[&str]) {
        let fixed = |top: &str| {
            let text = format!("{top}\n[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:0\"\nredirect_to_https = true\n");
            Fixed::of(&Config::parse(&text, Path::new("palisade.toml")).expect("a good config"))
        };
        assert_eq!(fixed(before).warnings(&fixed(after)), expected);
    }
}
