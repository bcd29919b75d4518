//! What came of a reload, for whoever asked for it.

use palisade_monitor::Reload;
use serde::{Deserialize, Serialize};

/// What came of a look at the configuration and its plugins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// `complete`, `partial` or `refused`.
    pub result: String,
    /// Which of the configurations of this process is served now, from one.
    pub generation: u64,
    /// Everything that is not served as it stands on disk, and why. A text may have several lines.
    pub problems: Vec<String>,
    /// What is served and hardly meant, or takes a restart.
    pub warnings: Vec<String>,
}

impl Outcome {
    pub(crate) fn new(result: Reload, generation: u64) -> Self {
        Self { result: result.as_str().to_owned(), generation, problems: Vec::new(), warnings: Vec::new() }
    }

    /// Whether everything is served as it stands on disk.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.result == Reload::Complete.as_str()
    }
}
