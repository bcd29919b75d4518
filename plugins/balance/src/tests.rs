//! The plugin as the host sees it: settings and candidates in; picks and counters out. And what the other tests share.

pub(crate) mod consistent;
mod models;

use serde_json::{Value, json};

use super::*;

/// Healthy, idle candidates of these weights.
pub(crate) fn candidates(weights: &[u32]) -> Vec<Candidate> {
    let candidate = |(weight, number): (&u32, u32)| Candidate {
        endpoint: Name::from_number(number),
        key: generator::mix(u64::from(number)),
        weight: *weight,
        zone: Name::default(),
        priority: 0,
        health: Health::Healthy,
        outcome: Outcome::Untried,
        in_flight: 0,
        latency_micros: 0,
        failures: 0,
        slow_start_permille: 1000,
    };
    weights.iter().zip(1..).map(candidate).collect()
}

/// A generator that draws the same numbers in every run.
pub(crate) fn seeded(seed: u64) -> Generator {
    Generator::from_seed(seed)
}

/// Each index comes as often as its weight says, within two percent of its share.
#[track_caller]
pub(crate) fn assert_shares(count: usize, weights: &[u32], mut pick: impl FnMut() -> usize) {
    let mut picks = vec![0_usize; weights.len()];
    for _ in 0..count {
        picks[pick()] += 1;
    }
    let total: u32 = weights.iter().sum();
    for (picked, weight) in picks.iter().zip(weights) {
        let expected = count as f64 * f64::from(*weight) / f64::from(total);
        let off = (*picked as f64 - expected).abs() / expected;
        assert!(off <= 0.02, "{picks:?} for {weights:?}");
    }
}

fn balance(settings: Value) -> TestHost<Balance> {
    TestHost::configure(settings).unwrap()
}

fn among(candidates: &[Candidate]) -> TestPick {
    TestPick::new().candidates(candidates.iter().copied())
}

#[track_caller]
fn index(pick: Result<Pick, Error>) -> usize {
    match pick {
        Ok(Pick::Endpoint(index)) => index,
        other => panic!("{other:?}"),
    }
}

const ALGORITHMS: [&str; 7] =
    ["weighted_round_robin", "random", "least_request", "peak_ewma", "maglev", "ring_hash", "sticky_cookie"];

/// The least that is to be written for an algorithm.
fn of(algorithm: &str) -> TestHost<Balance> {
    let mut settings = json!({ "algorithm": algorithm });
    if algorithm == "sticky_cookie" {
        settings["cookie"] = json!({ "name": "node", "secret": "0123456789abcdef" });
    }
    balance(settings)
}

#[test]
fn round_robin_is_the_default_and_takes_turns() {
    let mut host = balance(json!({}));
    let two = candidates(&[1, 1]);
    let picks: Vec<_> = (0..4).map(|_| index(host.pick(among(&two)))).collect();
    assert_eq!(picks, [0, 1, 0, 1]);
}

#[test]
fn each_upstream_has_turns_of_its_own() {
    let mut host = balance(json!({}));
    let two = candidates(&[1, 1]);
    let picks = ["web", "api", "web", "api"].map(|upstream| index(host.pick(among(&two).upstream(upstream))));
    assert_eq!(picks, [0, 0, 1, 1]);
}

#[test]
fn every_algorithm_leaves_out_what_is_not_available() {
    for algorithm in ALGORITHMS {
        let mut host = of(algorithm);
        let mut four = candidates(&[1; 4]);
        four[0].health = Health::Unhealthy;
        four[1].outcome = Outcome::Reset;
        four[3].health = Health::Draining;
        for client in 1..50 {
            let pick = among(&four).client(&format!("192.0.2.{client}"));
            assert_eq!(index(host.pick(pick)), 2, "{algorithm}");
        }
        let left = |host: &TestHost<Balance>, left| host.counter_with("degraded_total", &[("left", left)]);
        assert_eq!(left(&host, "tried"), 0);
        four[2].health = Health::Reserve;
        assert_eq!((index(host.pick(among(&four))), left(&host, "tried")), (1, 1), "{algorithm}");
        four[1].health = Health::Unhealthy;
        assert_eq!(host.pick(among(&four)).unwrap(), Pick::None, "{algorithm}");
        assert_eq!(left(&host, "none"), 1, "{algorithm}");
    }
}

#[test]
fn without_candidates_no_algorithm_picks() {
    for algorithm in ALGORITHMS {
        let mut host = of(algorithm);
        assert_eq!(host.pick(among(&[])).unwrap(), Pick::None, "{algorithm}");
        assert_eq!(host.counter_with("degraded_total", &[("left", "none")]), 1);
    }
}

#[test]
fn every_algorithm_keeps_to_weights_and_slow_start() {
    for algorithm in ALGORITHMS {
        let mut host = of(algorithm);
        if algorithm == "ring_hash" {
            continue; // Its shares are those of the ring: see the tests of the models.
        }
        // The last one's weight is 10, of which it may take half.
        let mut three = candidates(&[4, 1, if algorithm == "maglev" { 5 } else { 10 }]);
        three[2].slow_start_permille = if algorithm == "maglev" { 1000 } else { 500 };
        let mut client = 0_u32;
        assert_shares(40_000, &[4, 1, 5], || {
            client += 1;
            index(host.pick(among(&three).client(&std::net::Ipv4Addr::from_bits(client).to_string())))
        });
    }
}

#[test]
fn maglev_sends_what_belongs_together_to_one_endpoint() {
    let all = candidates(&[1; 20]);
    let check = |hash_on: Value, pick: &dyn Fn(TestPick, &str) -> TestPick| {
        let mut host = balance(json!({ "algorithm": "maglev", "hash_on": hash_on }));
        let mut home = |key: &str| index(host.pick(pick(among(&all), key)));
        let homes: Vec<_> = (1..100).map(|key| home(&format!("192.0.2.{key}"))).collect();
        let again: Vec<_> = (1..100).map(|key| home(&format!("192.0.2.{key}"))).collect();
        assert_eq!(homes, again);
        assert!(homes.iter().collect::<std::collections::BTreeSet<_>>().len() > 15, "{homes:?}");
        assert_eq!((host.counter("tables_built_total"), host.counter("without_key_total")), (1, 0));
    };
    check(json!("client"), &|pick, key| pick.client(key));
    check(json!({ "header": "X-Session" }), &|pick, key| pick.header("x-session", key));
    check(json!({ "cookie": "id" }), &|pick, key| pick.header("cookie", format!("a=b; id={key}")));
}

/// The cookie that the last pick gave, without its attributes.
fn cookie(host: &TestHost<Balance>) -> Option<String> {
    let headers = host.picked_headers();
    let [(name, value)] = headers.as_slice() else { return None };
    assert_eq!(name, "set-cookie");
    let (cookie, attributes) = value.to_str()?.split_once(';')?;
    assert_eq!(attributes, " Path=/; Secure; HttpOnly; SameSite=Lax");
    Some(cookie.to_owned())
}

#[test]
fn a_client_stays_where_its_cookie_says_wherever_and_whatever_that_is() {
    let mut host = of("sticky_cookie");
    let mut all = candidates(&[1; 5]);
    let home = index(host.pick(among(&all)));
    let known = cookie(&host).unwrap();
    all.iter_mut().for_each(|candidate| candidate.in_flight = 0);
    all[home].in_flight = 1_000;
    all.rotate_left(2);
    let place = (home + 3) % 5;
    // Another instance, on another host, knows the cookie as well.
    for host in [&mut host, &mut of("sticky_cookie")] {
        for _ in 0..20 {
            let pick = among(&all).version(2).header("cookie", format!("a=b; {known}; c=d"));
            assert_eq!(index(host.pick(pick)), place);
            assert_eq!(cookie(host), None, "it has the cookie already");
        }
    }
}

#[test]
fn a_client_whose_endpoint_is_gone_is_given_another_one() {
    let mut host = of("sticky_cookie");
    let mut all = candidates(&[1; 5]);
    let home = index(host.pick(among(&all)));
    let known = cookie(&host).unwrap();
    let ask = |host: &mut TestHost<Balance>, all: &[Candidate], version, known: &str| {
        index(host.pick(among(all).version(version).header("cookie", known)))
    };
    for health in [Health::Unhealthy, Health::Draining, Health::Reserve] {
        all[home].health = health;
        assert_ne!(ask(&mut host, &all, 2, &known), home);
        assert_ne!(cookie(&host).unwrap(), known);
    }
    all[home].health = Health::Healthy;
    assert_eq!(ask(&mut host, &all, 2, &known), home, "it is there again");
    all[home].outcome = Outcome::ConnectFailed;
    assert_ne!(ask(&mut host, &all, 2, &known), home, "a retry goes elsewhere");
    let gone = all.remove(home);
    ask(&mut host, &all, 3, &known);
    assert_ne!(cookie(&host).unwrap(), known);
    all.push(gone);
    for junk in ["node=", "node=0", "node=ffffffffffffffff", "node=\"", "edon=0123456789abcdef"] {
        ask(&mut host, &all, 4, junk);
        assert!(cookie(&host).is_some(), "{junk}");
    }
}

#[test]
fn a_cookie_of_another_secret_names_nobody() {
    let settings = json!({ "name": "node", "secret": "another secret of theirs" });
    let mut other = balance(json!({ "algorithm": "sticky_cookie", "cookie": settings }));
    let all = candidates(&[1; 5]);
    let mut host = of("sticky_cookie");
    index(host.pick(among(&all)));
    index(other.pick(among(&all).header("cookie", cookie(&host).unwrap())));
    assert!(cookie(&other).is_some());
}

#[test]
fn every_algorithm_prefers_the_own_zone_and_leaves_it_when_it_is_too_weak() {
    for algorithm in ALGORITHMS {
        let mut settings = json!({ "algorithm": algorithm, "zone": "b" });
        if algorithm == "sticky_cookie" {
            settings["cookie"] = json!({ "name": "node", "secret": "0123456789abcdef" });
        }
        let mut host = balance(settings);
        let zones = ["a", "b", "b", "a"].map(|zone| TestCandidate::new("x").zone(zone).candidate().zone);
        let mut four = candidates(&[1; 4]);
        for (candidate, zone) in four.iter_mut().zip(zones) {
            candidate.zone = zone;
        }
        let mut near = |four: &[Candidate]| {
            let picks = (1..=200).map(|n| index(host.pick(among(four).client(&format!("192.0.2.{n}")))));
            picks.filter(|index| [1, 2].contains(index)).count()
        };
        assert_eq!(near(&four), 200, "{algorithm}");
        four[1].health = Health::Unhealthy;
        let spilt = near(&four);
        assert!((110..170).contains(&spilt), "{algorithm}: half of the zone is enough for 140 of 200: {spilt}");
        four[2].health = Health::Unhealthy;
        assert_eq!(near(&four), 0, "{algorithm}");
    }
}

#[test]
fn without_a_key_maglev_takes_the_less_loaded() {
    let mut host = balance(json!({ "algorithm": "maglev", "hash_on": { "header": "x-session" } }));
    let mut two = candidates(&[1, 1]);
    two[0].in_flight = 5;
    assert_eq!(index(host.pick(among(&two))), 1);
    assert_eq!(index(host.pick(among(&two).header("x-session", ""))), 1);
    assert_eq!((host.counter("without_key_total"), host.counter("tables_built_total")), (2, 0));
}

#[test]
fn a_table_is_built_again_only_when_endpoints_or_weights_change() {
    let mut host = balance(json!({ "algorithm": "maglev" }));
    let mut three = candidates(&[1, 1, 1]);
    let mut built = |three: &[Candidate], version| {
        index(host.pick(among(three).version(version)));
        host.counter("tables_built_total")
    };
    assert_eq!(built(&three, 1), 1);
    three[1].health = Health::Unhealthy;
    assert_eq!(built(&three, 2), 1);
    three[1].weight = 2;
    assert_eq!(built(&three, 3), 2);
    assert_eq!(built(&three[1..], 4), 3);
}

#[test]
fn a_mistake_in_the_settings_is_named_with_its_key() {
    let check = |settings: Value, expected: &str| {
        let error = TestHost::<Balance>::configure(settings).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some(expected));
    };
    check(json!({ "hash_on": "client" }), "settings.hash_on: goes with algorithm = \"maglev\" or \"ring_hash\"");
    check(json!({ "algorithm": "maglev", "bound": 2 }), "settings.bound: goes with algorithm = \"ring_hash\"");
    check(json!({ "points": 10 }), "settings.points: goes with algorithm = \"ring_hash\"");
    check(json!({ "algorithm": "ring_hash", "points": 9 }), "settings.points: 9 is out of range: expected 10 to 1000");
    for (bound, shown) in [(json!(1.0), "1"), (json!(1e9), "1000000000"), (json!(-2), "-2")] {
        let expected = format!("settings.bound: {shown} is out of range: expected 1.05 to 100");
        check(json!({ "algorithm": "ring_hash", "bound": bound }), &expected);
    }
    check(
        json!({ "algorithm": "sticky_cookie" }),
        "settings.cookie: is missing: algorithm = \"sticky_cookie\" needs it, such as { name = \"node\", secret = \"…\" }",
    );
    check(
        json!({ "algorithm": "sticky_cookie", "cookie": { "name": "node", "secret": "short" } }),
        "settings.cookie: secret has 5 bytes: expected at least 16",
    );
    check(
        json!({ "cookie": { "name": "node", "secret": "0123456789abcdef" } }),
        "settings.cookie: goes with algorithm = \"sticky_cookie\"",
    );
    check(json!({ "zone": "" }), "settings.zone: \"\" is not a zone: expected 1 to 63 bytes of text, such as \"b\"");
    check(json!({ "algorithm": "random", "table_size": 251 }), "settings.table_size: goes with algorithm = \"maglev\"");
    check(
        json!({ "algorithm": "maglev", "table_size": 65_536 }),
        "settings.table_size: 65536 is not a table size: expected a prime from 251 to 655373, such as 65537",
    );
    check(
        json!({ "algorithm": "maglev", "hash_on": { "header": "a b" } }),
        "settings.hash_on.header: \"a b\" is not a header name",
    );
    check(
        json!({ "algorithm": "fastest" }),
        "settings.algorithm: unknown variant `fastest`, expected one of \
         `weighted_round_robin`, `random`, `least_request`, `peak_ewma`, `maglev`, `ring_hash`, `sticky_cookie`",
    );
}
