//! Checks one endpoint for ever, at its pace; what several answers in a row mean for its health.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use palisade_config::HealthCheck;
use tokio::sync::Semaphore;

use super::ask::ask;
use crate::upstream::standing::Checked;
use crate::upstream::{Endpoint, Upstream};

/// Checks at a time in the whole process.
static AT_ONCE: Semaphore = Semaphore::const_new(256);

/// The part of an interval after which an answer in doubt is asked for again.
const DOUBT: u32 = 4;

/// Until the task is aborted.
pub(super) async fn check_always(upstream: Arc<Upstream>, endpoint: Arc<Endpoint>) {
    let Some(config) = &upstream.config.health else { return };
    let mut streak = Streak::default();
    // What is known already can wait for a moment: not everything is to be asked at once after a reload.
    if endpoint.against().checked != Checked::Unknown {
        tokio::time::sleep(up_to(config.interval.min(Duration::from_secs(1)))).await;
    }
    loop {
        let answer = {
            // It is never closed.
            let _place = AT_ONCE.acquire().await;
            tokio::time::timeout(config.timeout, ask(&upstream, &endpoint, config)).await
        };
        let answer = answer.unwrap_or_else(|_| Err(format!("no answer within {:?}", config.timeout)));
        let known = endpoint.against().checked;
        let next = streak.after(answer, &known, config);
        let is_in_doubt = streak.is_in_doubt(&next, config);
        if next != known {
            upstream.change(&endpoint, |against| against.checked = next);
        }
        let interval = if is_in_doubt { config.interval / DOUBT } else { config.interval };
        tokio::time::sleep(interval + up_to(config.jitter.min(interval))).await;
    }
}

/// A time by chance.
fn up_to(most: Duration) -> Duration {
    let chance = RandomState::new().hash_one(0_u8);
    most.mul_f64(f64::from(u32::try_from(chance >> 32).unwrap_or_default()) / f64::from(u32::MAX))
}

/// Answers of one kind, one after the other.
#[derive(Debug, Default)]
struct Streak {
    passed: u32,
    failed: u32,
}

impl Streak {
    /// What is known after one more answer. The first one decides alone.
    fn after(&mut self, answer: Result<(), String>, known: &Checked, config: &HealthCheck) -> Checked {
        match answer {
            Ok(()) => (self.passed, self.failed) = (self.passed.saturating_add(1), 0),
            Err(_) => (self.passed, self.failed) = (0, self.failed.saturating_add(1)),
        }
        match (answer, known) {
            (Ok(()), Checked::Failed(why)) if self.passed < config.rise => Checked::Failed(why.clone()),
            (Ok(()), _) => Checked::Passed,
            (Err(why), Checked::Unknown | Checked::Failed(_)) => Checked::Failed(format!("check: {why}").into()),
            (Err(why), Checked::Passed | Checked::Off) if self.failed >= config.fall => {
                Checked::Failed(format!("check: {why}").into())
            }
            (Err(_), Checked::Passed | Checked::Off) => known.clone(),
        }
    }

    /// Whether the last answer is not what is known.
    fn is_in_doubt(&self, known: &Checked, config: &HealthCheck) -> bool {
        match known {
            Checked::Failed(_) => (1..config.rise).contains(&self.passed),
            Checked::Off | Checked::Unknown | Checked::Passed => (1..config.fall).contains(&self.failed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use palisade_config::HealthAsk;

    fn config(rise: u32, fall: u32) -> HealthCheck {
        let [interval, jitter, timeout] = [5, 0, 1].map(Duration::from_secs);
        HealthCheck { ask: HealthAsk::Tcp, port: None, interval, jitter, timeout, rise, fall }
    }

    /// Answers are `+` and `-`; what is known after each is `u`p, `d`own or `?`, in upper case where it is in doubt.
    #[track_caller]
    fn check((rise, fall): (u32, u32), first: Checked, answers: &str, expected: &str) {
        let config = config(rise, fall);
        let (mut known, mut streak, mut seen) = (first, Streak::default(), String::new());
        for answer in answers.chars() {
            let answer = if answer == '+' { Ok(()) } else { Err("refused".to_owned()) };
            known = streak.after(answer, &known, &config);
            let letter = match known {
                Checked::Passed | Checked::Off => 'u',
                Checked::Failed(_) => 'd',
                Checked::Unknown => '?',
            };
            let is_in_doubt = streak.is_in_doubt(&known, &config);
            seen.push(if is_in_doubt { letter.to_ascii_uppercase() } else { letter });
        }
        assert_eq!(seen, expected, "{answers}");
    }

    #[test]
    fn it_takes_some_answers_in_a_row_to_change_what_is_known() {
        check((2, 3), Checked::Passed, "+--+---+-++", "uUUuUUdDdDu");
        check((1, 1), Checked::Passed, "-+-", "dud");
    }

    #[test]
    fn the_first_answer_decides_alone() {
        check((2, 3), Checked::Unknown, "+", "u");
        check((2, 3), Checked::Unknown, "-+", "dD");
        // One that took requests before goes on.
        check((2, 3), Checked::Off, "---", "UUd");
    }
}
