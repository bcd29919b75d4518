//! What each algorithm is worth in a simulated fleet of which one endpoint is slow: `cargo run --example fleet`.

use balance::Balance;
use fleet::{Fleet, Outcome, Seen, least_completion};
use palisade_sdk::{Candidate, Error, Pick, TestCandidate, TestHost, TestPick};
use serde_json::json;

fn main() -> Result<(), Error> {
    println!("| each works on | load | | mean | p50 | p99 | of the best | to the slow one |");
    println!("|---|---|---|---|---|---|---|---|");
    for (servers, load) in [(8, 0.08), (8, 0.6), (2, 0.6), (1, 0.6)] {
        let fleet = Fleet { servers, load, ..Fleet::default() };
        let best = fleet.ask(&mut least_completion());
        row(&fleet, "the best possible", (&best, &best));
        for algorithm in ["peak_ewma", "least_request", "random", "weighted_round_robin"] {
            row(&fleet, algorithm, (&by_plugin(&fleet, algorithm)?, &best));
        }
    }
    Ok(())
}

fn by_plugin(fleet: &Fleet, algorithm: &str) -> Result<Outcome, Error> {
    let mut host = TestHost::<Balance>::configure(json!({ "algorithm": algorithm }))?;
    let candidate = |index| TestCandidate::new(&format!("10.0.0.{index}:80")).candidate();
    let mut candidates: Vec<Candidate> = (0..fleet.endpoints).map(candidate).collect();
    Ok(fleet.ask(&mut |seen: &[Seen]| {
        for (candidate, seen) in candidates.iter_mut().zip(seen) {
            (candidate.in_flight, candidate.latency_micros) = (seen.in_flight, seen.latency_micros);
        }
        match host.pick(TestPick::new().candidates(candidates.iter().copied())) {
            Ok(Pick::Endpoint(index)) => index,
            Ok(Pick::None) | Err(_) => usize::MAX,
        }
    }))
}

fn row(fleet: &Fleet, name: &str, (outcome, best): (&Outcome, &Outcome)) {
    let millis = |seconds: f64| seconds * 1e3;
    println!(
        "| {} | {:.0} % | {name} | {:.1} | {:.1} | {:.1} | {:.2} | {:.2} % |",
        fleet.servers,
        fleet.load * 100.0,
        millis(outcome.mean()),
        millis(outcome.percentile(50)),
        millis(outcome.percentile(99)),
        outcome.percentile(99) / best.percentile(99),
        outcome.share_of_first() * 100.0,
    );
}
