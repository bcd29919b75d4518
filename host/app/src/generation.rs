//! One configuration with its plugins, as they are served for a while.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use palisade_config::{Config, ReadError};

use crate::plugins::Plugins;

/// What is served, from one reload to the next.
#[derive(Debug)]
pub(crate) struct Generation {
    /// The proxy's, from one.
    pub(crate) number: u64,
    pub(crate) written: Written,
    pub(crate) plugins: Plugins,
}

/// A configuration as it is written.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) config: Arc<Config>,
    /// None where there is no text, but an embedder's own configuration.
    pub(crate) text: Option<Arc<str>>,
}

impl Written {
    /// Reads a configuration. Blocks.
    ///
    /// # Errors
    /// It cannot be read, or every problem that it has.
    pub(crate) fn read(file: &Path) -> Result<Self, ReadError> {
        Self::parse(Config::text_of(file)?, file)
    }

    /// A text that is this file's, or once was.
    ///
    /// # Errors
    /// As [`Written::read`].
    pub(crate) fn parse(text: String, file: &Path) -> Result<Self, ReadError> {
        let config = Config::parse(&text, file)?;
        Ok(Self { config: Arc::new(config), text: Some(text.into()) })
    }

    /// An embedder's own configuration.
    pub(crate) fn of(config: Config) -> Self {
        Self { config: Arc::new(config), text: None }
    }
}

/// Each problem as a text of its own, that may have several lines.
pub(crate) fn told(error: &ReadError) -> Vec<String> {
    match error {
        ReadError::Problems(problems) => problems.iter().map(ToString::to_string).collect(),
        ReadError::Read { .. } | ReadError::TooLarge { .. } => {
            vec![error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))]
        }
    }
}
