//! The time, as the host tells it.

use std::time::Duration;

use crate::host;

/// The time since some moment in the past. It never goes back.
pub fn monotonic() -> Duration {
    Duration::from_nanos(host::clock::monotonic())
}

/// The time since 1970-01-01T00:00:00Z. It may jump.
pub fn wall() -> Duration {
    Duration::from_nanos(host::clock::wall())
}
