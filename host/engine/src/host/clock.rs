//! `clock`: the time that the host was handed.

use std::time::{Duration, Instant, UNIX_EPOCH};

use super::{Guest, Interface};

pub(super) fn add(interface: &mut Interface<'_>) -> wasmtime::Result<()> {
    interface.func("monotonic", |mut guest: Guest<'_>, (): ()| {
        guest.data_mut().told_of_now = true;
        Ok((nanoseconds(since_start(guest.data().identity.services.clock.now())),))
    })?;
    interface.func("wall", |mut guest: Guest<'_>, (): ()| {
        guest.data_mut().told_of_now = true;
        let wall = guest.data().identity.services.clock.wall();
        Ok((nanoseconds(wall.duration_since(UNIX_EPOCH).unwrap_or_default()),))
    })
}

/// Time since the first guest asked for it: guests are told that the beginning is arbitrary.
pub(super) fn since_start(now: Instant) -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    // A clock of another instance may stand a little earlier than the first; an hour of room keeps it from going back.
    now.saturating_duration_since(*START.get_or_init(|| now)) + Duration::from_secs(3_600)
}

pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
