//! Runs cases by turns, so that a machine that gets slower or faster does so for all of them.

use std::time::Duration;

use benches::Spread;
use palisade_contract::{Clock, SystemClock};

/// How often it is each case's turn.
const ROUNDS: usize = 15;
/// Measurements in one turn.
const BATCHES: usize = 8;
/// How long one measurement takes, about: long enough that reading the clock is nothing.
const BATCH: Duration = Duration::from_millis(1);
/// Runs before the first measurement, for caches and predictors.
const WARM_UP: Duration = Duration::from_millis(20);

/// One thing that is measured.
pub(crate) struct Case {
    pub(crate) name: String,
    /// How many events one run is.
    pub(crate) events: u32,
    pub(crate) run: Box<dyn FnMut()>,
}

impl Case {
    pub(crate) fn run(&mut self) {
        (self.run)();
    }

    fn time(&mut self, runs: u32) -> Duration {
        let began = SystemClock.now();
        for _ in 0..runs {
            self.run();
        }
        SystemClock.now() - began
    }

    /// How many runs fill a batch.
    fn runs(&mut self) -> u32 {
        let (mut runs, mut spent) = (1_u32, Duration::ZERO);
        loop {
            let time = self.time(runs);
            spent += time;
            if spent >= WARM_UP && time >= BATCH / 2 {
                return runs;
            }
            if time < BATCH {
                runs = runs.saturating_mul(2);
            }
        }
    }
}

/// Nanoseconds for one event of each case. What is to be done between the rounds is not measured.
pub(crate) fn measure(cases: &mut [Case], between: impl Fn()) -> Vec<Spread> {
    let runs: Vec<u32> = cases.iter_mut().map(Case::runs).collect();
    let mut measured: Vec<Vec<f64>> = vec![Vec::new(); cases.len()];
    for round in 0..ROUNDS {
        between();
        eprint!("\rround {} of {ROUNDS} ", round + 1);
        for ((case, runs), measured) in cases.iter_mut().zip(&runs).zip(&mut measured) {
            case.time(*runs); // Its code and data come back into the caches.
            let batch = || case.time(*runs).as_secs_f64() * 1e9 / f64::from(*runs) / f64::from(case.events);
            measured.extend(std::iter::repeat_with(batch).take(BATCHES));
        }
    }
    eprintln!();
    measured.into_iter().map(Spread::of).collect()
}
