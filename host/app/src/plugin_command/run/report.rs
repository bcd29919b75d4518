//! What a plugin did, step by step, as text for a person.

use std::fmt;
use std::time::Duration;

/// Everything that a plugin did.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) steps: Vec<Step>,
    /// One of the steps failed.
    pub(super) is_failed: bool,
}

/// One call, or several of the same phase.
#[derive(Debug)]
pub(super) struct Step {
    /// The phase, as its interface is called.
    pub(super) phase: &'static str,
    /// What came of it.
    pub(super) outcome: String,
    /// How long the plugin took, where it was called.
    pub(super) time: Option<Duration>,
    /// What it changed, logged and counted.
    pub(super) lines: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Step { phase, outcome, time, lines } in &self.steps {
            write!(out, "{phase:<21} {outcome}")?;
            if let Some(time) = time {
                write!(out, " ({time:.1?})")?;
            }
            writeln!(out)?;
            for line in lines {
                writeln!(out, "  {line}")?;
            }
        }
        Ok(())
    }
}
