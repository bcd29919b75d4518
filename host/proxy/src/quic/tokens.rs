//! Tokens with which a client shows on its next connection that it is where it says: each is good once.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use quinn::{TokenLog, TokenReuseError};
use tokio::time::Instant;

/// How long one is good.
pub(super) const LIFETIME: Duration = Duration::from_secs(3_600);

/// How many are remembered that were used within a lifetime. Where there are more, clients show where they are as if they had none.
const USED_MAX: usize = 100_000;

/// The tokens that were used (RFC 9000, section 8.1.4).
#[derive(Debug, Default)]
pub(super) struct Tokens(Mutex<Used>);

#[derive(Debug, Default)]
struct Used {
    /// In the lifetime that runs, and in the one before.
    now: HashSet<u128>,
    before: HashSet<u128>,
    since: Option<Instant>,
}

impl Used {
    fn take(&mut self, token: u128, now: Instant, lifetime: Duration) -> bool {
        let since = *self.since.get_or_insert(now);
        if now.saturating_duration_since(since) >= lifetime {
            self.before = std::mem::take(&mut self.now);
            self.since = Some(now);
        }
        !self.before.contains(&token) && self.now.len() < USED_MAX && self.now.insert(token)
    }
}

impl TokenLog for Tokens {
    fn check_and_insert(&self, nonce: u128, _: SystemTime, lifetime: Duration) -> Result<(), TokenReuseError> {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if used.take(nonce, Instant::now(), lifetime) { Ok(()) } else { Err(TokenReuseError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_good_once_in_its_lifetime_and_there_is_a_bound() {
        let (mut used, start) = (Used::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(used.take(1, start, LIFETIME) && !used.take(1, at(1), LIFETIME));
        assert!(
            used.take(2, at(3_599), LIFETIME)
                && !used.take(2, at(3_600), LIFETIME)
                && !used.take(1, at(3_600), LIFETIME)
        );
        for token in 3..3 + u128::try_from(USED_MAX).expect("a number") {
            assert!(used.take(token, at(3_601), LIFETIME));
        }
        assert!(!used.take(u128::MAX, at(3_602), LIFETIME));
        assert!(used.take(u128::MAX, at(7_300), LIFETIME));
    }
}
