//! Lists of endpoints that change.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use palisade_config::Config;
use palisade_contract::testing::Deaf;
use palisade_contract::{Monitor, UpstreamFault};

use super::*;

/// An upstream with one endpoint that is written, and whatever is found.
fn upstream(names: &Arc<Names>) -> Arc<Upstream> {
    let text = "[upstream.web]\nendpoints = [\"127.0.0.1:1\"]\n[upstream.web.ejection]\nlatency_factor = 3\n\
                [[listener]]\nname = \"plain\"\nbind = \"127.0.0.1:0\"\n[[listener.route]]\nupstream = \"web\"\n";
    let config = Config::parse(text, Path::new("palisade.toml")).expect("a good config");
    let web = config.upstreams.first().expect("an upstream");
    Upstream::next((web, &config.dns), None, (names, Name::NONE)).expect("an upstream").0
}

/// Discovery finds these, and nothing else, from now on.
fn found(upstream: &Upstream, endpoints: impl Iterator<Item = u32>) {
    let endpoint = |number: u32| palisade_config::Endpoint::new((std::net::Ipv4Addr::from(number), 80).into());
    let source = Source::File("endpoints".into());
    *upstream.sources() = vec![Found { source, endpoints: endpoints.map(endpoint).collect(), is_looked: true }];
    upstream.list(Leaving::Now);
}

const FIRST: u32 = 0x0a00_0000;
const MANY: u32 = 10_000;

#[tokio::test]
async fn ten_thousand_endpoints_come_and_go_with_work_for_each_and_not_for_each_pair() {
    let names = Arc::new(Names::default());
    let upstream = upstream(&names);
    let pools = Pools::new(&upstream, &(Arc::new(Deaf) as Arc<dyn Monitor>));
    let first = pools.reached().pools.first().cloned().expect("a pool");
    for round in 0..20 {
        let from = FIRST + round * MANY / 2;
        let known = pools.reached().pools.clone();
        found(&upstream, from..from + MANY);
        let reached = pools.reached();
        assert_eq!(reached.pools.len(), MANY as usize + 1);
        assert!(reached.pools.iter().any(|pool| Rc::ptr_eq(pool, &first)), "one that stays");
        // Half of those before are here still, in another place.
        let (stay, gone): (Vec<_>, Vec<_>) = known.iter().partition(|pool| !pool.is_retired());
        if round > 0 {
            assert_eq!((stay.len(), gone.len()), (MANY as usize / 2 + 1, MANY as usize / 2));
            assert!(Rc::ptr_eq(&reached.pools[0], &known[MANY as usize / 2]), "with its connections");
        }
    }
}

#[tokio::test]
async fn what_was_known_of_endpoints_that_are_gone_is_given_up() {
    let names = Arc::new(Names::default());
    let upstream = upstream(&names);
    let pools = Pools::new(&upstream, &(Arc::new(Deaf) as Arc<dyn Monitor>));
    found(&upstream, FIRST..=FIRST);
    let reached = pools.reached();
    let (name, vital) = (reached.pools[0].endpoint.name, Arc::downgrade(&reached.pools[0].endpoint));
    drop(reached);
    assert_eq!(&*names.text(name), "10.0.0.0:80");
    for round in 1..=30 {
        found(&upstream, FIRST + round * 1_000..FIRST + (round + 1) * 1_000);
        pools.reached();
    }
    assert_eq!((&*names.text(name), vital.strong_count()), ("", 0));
}

#[tokio::test]
async fn an_overseer_of_ten_thousand_looks_at_each_once() {
    let upstream = upstream(&Arc::default());
    found(&upstream, FIRST..FIRST + MANY);
    let oversight = Oversight::default();
    oversight.serve(std::slice::from_ref(&upstream));
    let odd = upstream.members().endpoints[77].clone();
    let answer = async {
        while odd.health() == Health::Healthy {
            for endpoint in &upstream.members().endpoints {
                endpoint.answered(Duration::from_millis(20));
            }
            (0..3).for_each(|_| odd.answered(Duration::from_secs(1)));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), answer).await.expect("it is found");
    assert_eq!(upstream.seen().iter().filter(|seen| seen.ejections > 0).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_found_out_about_an_endpoint_outlives_another_table_of_its_upstream() {
    let text = "[upstream.web]\nendpoints = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\nslow_start = \"40s\"\n\
                ejection = { failures = 1, time = \"10s\" }\n[[listener]]\nname = \"plain\"\nbind = \"127.0.0.1:0\"\n\
                [[listener.route]]\nupstream = \"web\"\n";
    let config = Config::parse(text, Path::new("palisade.toml")).expect("a good config");
    let (names, oversight) = (Arc::new(Names::default()), Oversight::default());
    let mut before: Option<Arc<Upstream>> = None;
    let mut serve = |timeout: u64| {
        let web = config.upstreams.first().expect("an upstream");
        let web = palisade_config::Upstream { response_timeout: Duration::from_secs(timeout), ..web.clone() };
        let next = Upstream::next((&web, &config.dns), before.as_ref(), (&names, Name::NONE)).expect("an upstream").0;
        oversight.serve(std::slice::from_ref(&next));
        before = Some(next.clone());
        next.members().endpoints[0].clone()
    };
    let seconds = |seconds| tokio::time::sleep(Duration::from_secs(seconds));
    for time in [10, 20, 40] {
        let endpoint = serve(time);
        seconds(1).await;
        endpoint.failed(UpstreamFault::Reset);
        seconds(1).await;
        assert_eq!(endpoint.health(), Health::Unhealthy);
        let endpoint = serve(time + 1);
        seconds(time - 3).await;
        assert_eq!(endpoint.health(), Health::Unhealthy, "{time} s have not passed");
        seconds(3).await;
        assert_eq!(endpoint.health(), Health::Healthy, "twice as long as the last time, and no longer");
    }
    seconds(20).await;
    let share = serve(1).share();
    assert!((500..650).contains(&share), "{share}");
    seconds(2).await;
    let after = serve(2).share();
    assert!((share..share + 100).contains(&after), "{after} after {share}");
}
