//! What is counted of one plugin, whichever version of it runs.

use std::sync::Arc;

use crate::meters::Admitted;
use crate::stats::Stats;

/// What is counted of one plugin. Every version that is loaded with the same account goes on counting where the one before
/// is, which may still finish exchanges.
#[derive(Debug, Clone, Default)]
pub struct Account {
    pub(crate) stats: Arc<Stats>,
    /// The series that any instance of any version ever had.
    pub(crate) series: Arc<Admitted>,
}
