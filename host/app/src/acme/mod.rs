//! Orders the certificates that listeners are to have of authorities, and orders them again when two thirds of their time
//! are over (RFC 8555).
//!
//! One task, one order at a time. What was issued is kept on disk, with its key, and shown from the next handshake on.

mod account;
mod order;
mod store;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use palisade_config::Acme;
use palisade_contract::{Clock, SystemClock};
use palisade_monitor::Ordered;
use palisade_proxy::Issued;

use crate::state::State;

/// Between two looks for what is due.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How long one order may take, with everything that the authority looks at.
const ORDER_LIMIT: Duration = Duration::from_secs(180);

/// After a failure, and after each further one three times as long: an authority counts failures, too, and some refuse
/// everything after five in an hour.
const PAUSE_MIN: Duration = Duration::from_secs(60);
const PAUSE_MAX: Duration = Duration::from_secs(6 * 3_600);

/// Orders what is due for as long as it is polled.
pub(crate) async fn run(state: Arc<State>) {
    let mut failures = Failures::default();
    let mut interval = tokio::time::interval(LOOK_INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        failures.of(state.proxy.generation());
        for issued in state.proxy.issued() {
            let now = SystemClock.wall();
            let is_due = issued.renewal().is_none_or(|renewal| renewal <= now) && !failures.holds_back(&issued, now);
            if is_due {
                let outcome = renew(&state, &issued).await;
                failures.tell(&state, &issued, outcome);
            }
        }
    }
}

async fn renew(state: &State, issued: &Issued) -> anyhow::Result<()> {
    let wanted = issued.config();
    let config = state.served().written.config.clone();
    let account =
        config.acme.iter().find(|acme| acme.name == wanted.account).context("its account is not configured")?;
    let ordered = order(state, account, issued);
    let pem = tokio::time::timeout(ORDER_LIMIT, ordered).await.context("the authority takes too long")??;
    store::write(&wanted.file, pem.as_bytes()).with_context(|| format!("cannot write {}", wanted.file.display()))?;
    issued.read()?;
    Ok(())
}

async fn order(state: &State, config: &Acme, issued: &Issued) -> anyhow::Result<String> {
    let account = account::open(config).await?;
    order::order(&account, &state.proxy.challenges(), issued.config()).await
}

/// What failed last, and until when it is not tried again.
#[derive(Debug, Default)]
struct Failures {
    generation: u64,
    pauses: HashMap<PathBuf, (u32, SystemTime)>,
}

impl Failures {
    /// Another configuration, or one that was read again, may have mended what was wrong.
    fn of(&mut self, generation: u64) {
        if std::mem::replace(&mut self.generation, generation) != generation {
            self.pauses.clear();
        }
    }

    fn holds_back(&self, issued: &Issued, now: SystemTime) -> bool {
        self.pauses.get(&issued.config().file).is_some_and(|(_, until)| now < *until)
    }

    fn tell(&mut self, state: &State, issued: &Issued, outcome: anyhow::Result<()>) {
        let wanted = issued.config();
        let (account, name) = (&wanted.account, wanted.names.first().map_or("", String::as_str));
        match outcome {
            Ok(()) => {
                self.pauses.remove(&wanted.file);
                state.registry.ordered(account, Ordered::Issued);
                tracing::info!(account, name, "a certificate was issued");
            }
            Err(error) => {
                let failures = self.pauses.get(&wanted.file).map_or(0, |(failures, _)| *failures);
                let pause = pause(failures);
                self.pauses.insert(wanted.file.clone(), (failures.saturating_add(1), SystemClock.wall() + pause));
                state.registry.ordered(account, Ordered::Failed);
                tracing::error!(account, name, ?pause, "a certificate was not issued: {error:#}");
            }
        }
    }
}

/// How long nothing is tried after so many failures before the last one.
fn pause(failures: u32) -> Duration {
    PAUSE_MIN.saturating_mul(3_u32.saturating_pow(failures)).min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_grows_up_to_its_limit() {
        for (failures, minutes) in [(0, 1), (1, 3), (2, 9), (3, 27), (4, 81), (5, 243), (6, 360), (u32::MAX, 360)] {
            assert_eq!(pause(failures), Duration::from_secs(minutes * 60), "{failures}");
        }
    }
}
