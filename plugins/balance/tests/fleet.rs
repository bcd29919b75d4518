//! A simulated fleet of 20 endpoints, one of them ten times slower: what the algorithms make of it, beside the best that anyone
//! could do. The table in the README comes from the example of the same name.

use balance::Balance;
use fleet::{Fleet, Outcome, Seen, least_completion};
use palisade_sdk::{Candidate, Pick, TestCandidate, TestHost, TestPick};
use serde_json::json;

fn ask(fleet: &Fleet, algorithm: &str) -> Outcome {
    let mut host = TestHost::<Balance>::configure(json!({ "algorithm": algorithm })).ok();
    let candidate = |index| TestCandidate::new(&format!("10.0.0.{index}:80")).candidate();
    let mut candidates: Vec<Candidate> = (0..fleet.endpoints).map(candidate).collect();
    let outcome = fleet.ask(&mut |seen: &[Seen]| {
        for (candidate, seen) in candidates.iter_mut().zip(seen) {
            (candidate.in_flight, candidate.latency_micros) = (seen.in_flight, seen.latency_micros);
        }
        let pick = TestPick::new().candidates(candidates.iter().copied());
        match host.as_mut().map(|host| host.pick(pick)) {
            Some(Ok(Pick::Endpoint(index))) => index,
            _ => usize::MAX,
        }
    });
    assert_eq!(outcome.picks.iter().sum::<usize>(), fleet.requests, "{algorithm} picks for all");
    outcome
}

#[test]
fn peak_ewma_is_near_the_best_possible_choice() {
    for (servers, load) in [(8, 0.3), (8, 0.6), (8, 0.8), (2, 0.6), (2, 0.8), (1, 0.3), (1, 0.6), (1, 0.8)] {
        for seed in 1..=2 {
            let fleet = Fleet { servers, load, seed, requests: 30_000, ..Fleet::default() };
            let best = fleet.ask(&mut least_completion());
            let own = ask(&fleet, "peak_ewma");
            let ratio = own.percentile(99) / best.percentile(99);
            assert!((0.99..=1.3).contains(&ratio), "{fleet:?}: {ratio}");
            assert!(own.share_of_first() < 0.01, "{fleet:?}: {}", own.share_of_first());
        }
    }
}

/// At a load that the slow one can just bear, or the comparison would be with a queue that grows for ever.
#[test]
fn round_robin_is_beside_it_and_far_from_it() {
    let fleet = Fleet { load: 0.08, requests: 30_000, ..Fleet::default() };
    let best = fleet.ask(&mut least_completion()).percentile(99);
    let [turns, requests, latency] = ["weighted_round_robin", "least_request", "peak_ewma"].map(|algorithm| {
        let outcome = ask(&fleet, algorithm);
        outcome.percentile(99) / best
    });
    assert!(turns > 4.0 && requests < turns && latency <= 1.3 && latency < requests, "{turns} {requests} {latency}");
}

#[test]
fn a_seed_is_a_result() {
    let fleet = Fleet { requests: 2_000, ..Fleet::default() };
    let run = || ask(&fleet, "peak_ewma").picks;
    assert_eq!(run(), run());
    assert_ne!(run(), ask(&Fleet { seed: 2, ..fleet }, "peak_ewma").picks);
}
