//! How long an endpoint is up goes in; the share of its weight that it takes comes out.

use std::time::Duration;

use crate::upstream::vital::{SHARE_FIRST, SHARE_WHOLE};

/// Between two looks at a share that grows, at most.
const STEP_MAX: Duration = Duration::from_secs(1);

/// In thousandths, from a tenth to all in the time of a slow start.
pub(super) fn share(up: Duration, slow_start: Duration) -> u16 {
    let (up, whole) = (up.as_millis(), slow_start.as_millis());
    if up >= whole {
        return SHARE_WHOLE;
    }
    let grown = u128::from(SHARE_WHOLE - SHARE_FIRST) * up / whole.max(1);
    SHARE_FIRST + u16::try_from(grown).unwrap_or_default()
}

/// How long an endpoint is up whose share has grown to this.
pub(super) fn up(share: u16, slow_start: Duration) -> Duration {
    slow_start * u32::from(share.saturating_sub(SHARE_FIRST)) / u32::from(SHARE_WHOLE - SHARE_FIRST)
}

/// How long a share may be as it is while it grows.
pub(super) fn step(slow_start: Duration) -> Duration {
    (slow_start / 50).min(STEP_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_grows_evenly_from_a_tenth_to_all() {
        for (seconds, expected) in [(0, 100), (10, 400), (20, 700), (29, 970), (30, 1_000), (31, 1_000)] {
            assert_eq!(share(Duration::from_secs(seconds), Duration::from_secs(30)), expected, "{seconds}");
        }
        assert_eq!(share(Duration::ZERO, Duration::ZERO), 1_000);
        let whole = Duration::from_secs(30);
        assert!((100..=1_000).all(|grown| share(up(grown, whole), whole).abs_diff(grown) <= 1), "the other way round");
    }
}
