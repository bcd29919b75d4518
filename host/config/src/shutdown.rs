//! How the host stops.

use std::time::Duration;

use crate::{duration, text::Value};

/// The `[shutdown]` table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shutdown {
    /// How long requests in flight may go on after the signal to stop: zero to an hour.
    pub drain: Duration,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { drain: Duration::from_secs(30) }
    }
}

impl Shutdown {
    pub(crate) fn read(value: &Value<'_>) -> Option<Self> {
        let mut table = value.table("shutdown")?;
        let range = Duration::ZERO..=Duration::from_secs(3_600);
        let drain = table.or("drain", Self::default().drain, |value| duration::read(&value, range));
        table.finish();
        Some(Self { drain })
    }
}
