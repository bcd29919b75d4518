use super::*;
use crate::upstream::rules::Statuses;
use crate::upstream::standing::Ejected;

#[test]
fn latency_follows_a_rise_at_once_and_a_fall_with_the_time() {
    let endpoint = endpoint(Rules::default());
    let latency = |now_millis| endpoint.candidate(Outcome::Untried, now_millis).latency_micros;
    assert_eq!(latency(0), 0);
    endpoint.took(Duration::from_micros(800), 0);
    assert_eq!(latency(0), 800);
    endpoint.took(Duration::ZERO, 5_000);
    assert!((484..488).contains(&latency(5_000)), "{}", latency(5_000));
    endpoint.took(Duration::from_micros(900), 5_001);
    assert_eq!(latency(5_001), 900);
}

#[test]
fn what_a_gateway_says_at_once_is_no_quick_answer() {
    let endpoint = endpoint(Rules::default());
    let latency = || endpoint.candidate(Outcome::Untried, millis()).latency_micros;
    endpoint.responded(Duration::ZERO, StatusCode::BAD_GATEWAY);
    assert_eq!(latency(), 0);
    endpoint.responded(Duration::ZERO, StatusCode::OK);
    assert_eq!(latency(), 1);
}

#[test]
fn one_that_is_outrun_took_so_long_at_least_and_did_not_answer() {
    let endpoint = endpoint(Rules::default());
    let latency = || endpoint.candidate(Outcome::Untried, millis()).latency_micros;
    endpoint.failed(UpstreamFault::Reset);
    endpoint.outrun(Duration::from_secs(1));
    endpoint.outrun(Duration::from_micros(1));
    assert!(latency() > 500_000, "{}", latency());
    assert_eq!(endpoint.failures(), 1);
}

#[test]
fn failures_in_a_row_are_those_since_the_last_answer() {
    let endpoint = endpoint(Rules::default());
    let failures = |endpoint: &Endpoint| endpoint.candidate(Outcome::Untried, 0).failures;
    endpoint.failed(UpstreamFault::Reset);
    endpoint.responded(Duration::ZERO, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(failures(&endpoint), 2);
    endpoint.responded(Duration::ZERO, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(failures(&endpoint), 0);
}

#[tokio::test]
async fn whoever_waits_for_its_end_is_told_on_any_thread() {
    let group = Arc::new(Group::default());
    let config = config();
    let new = |arrival| Endpoint::new(&config, Rules::default(), arrival, (&Arc::default(), &group));
    let endpoint = Arc::new(new(Arrival::First(Checked::Off)));
    let version = group.version();
    let waiting = endpoint.clone();
    let waiter = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async move { (waiting.fails_checks().await, waiting.health()) })
    });
    let before = endpoint.change(|against| against.checked = Checked::Failed("refused".into()));
    assert_eq!(before.map(|before| before.health), Some(Health::Healthy));
    let told = tokio::task::spawn_blocking(move || waiter.join()).await.expect("a thread");
    assert_eq!(told.expect("no panic"), ("refused".into(), Health::Unhealthy));
    assert_ne!(group.version(), version);
    endpoint.change(|against| against.checked = Checked::Passed);
    let until = Instant::now();
    endpoint.change(|against| against.ejected = Some(Ejected { reason: "slow".into(), until }));
    // One that is left alone goes on with what it has.
    assert!(tokio::time::timeout(Duration::from_millis(10), endpoint.fails_checks()).await.is_err());
    assert_eq!(
        endpoint.change(|against| against.is_drained = true).map(|before| before.health),
        Some(Health::Unhealthy)
    );
}

#[test]
fn a_newcomer_and_one_that_comes_back_begin_with_a_small_share() {
    let rules = Rules { slow_start: Duration::from_secs(30), ..Rules::default() };
    let share = |endpoint: &Endpoint| endpoint.candidate(Outcome::Untried, 0).slow_start_permille;
    let new = |arrival| Endpoint::new(&config(), rules, arrival, (&Arc::default(), &Arc::default()));
    assert_eq!(share(&new(Arrival::First(Checked::Off))), SHARE_WHOLE);
    assert_eq!(share(&new(Arrival::Later(Checked::Off))), SHARE_FIRST);
    let endpoint = new(Arrival::First(Checked::Unknown));
    endpoint.change(|against| against.checked = Checked::Passed);
    assert_eq!(share(&endpoint), SHARE_WHOLE);
    endpoint.change(|against| against.checked = Checked::Failed("refused".into()));
    endpoint.change(|against| against.checked = Checked::Passed);
    assert_eq!(share(&endpoint), SHARE_FIRST);
}

fn config() -> palisade_config::Endpoint {
    palisade_config::Endpoint::new(SocketAddr::from(([127, 0, 0, 1], 1)))
}

fn endpoint(rules: Rules) -> Endpoint {
    let rules = Rules { statuses: Statuses::of(&[502..=504]), ..rules };
    Endpoint::new(&config(), rules, Arrival::First(Checked::Off), (&Arc::default(), &Arc::default()))
}
