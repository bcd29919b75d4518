//! The plugin as the host sees it: settings and exchanges in, series out.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn qps(settings: Value) -> TestHost<Qps> {
    TestHost::configure(settings).unwrap()
}

fn ended(route: &str, status: u16) -> Ended {
    Ended {
        listener: Name::for_test("public"),
        route: (!route.is_empty()).then(|| Name::for_test(route)),
        upstream: (!route.is_empty()).then(|| Name::for_test("web")),
        endpoint: (!route.is_empty()).then(|| Name::for_test("10.0.0.1:80")),
        status,
        request_bytes: 10,
        response_bytes: 100,
        duration_micros: 2_000,
        first_byte_micros: 1_000,
        ..Ended::default()
    }
}

fn begun(route: &str) -> Begun {
    let Ended { exchange, listener, route, .. } = ended(route, 0);
    Begun { exchange, listener, route }
}

fn labels(route: &str) -> Vec<(&str, &str)> {
    let upstream = if route == "none" { "none" } else { "web" };
    vec![("listener", "public"), ("route", route), ("upstream", upstream)]
}

fn requests(host: &TestHost<Qps>, route: &str, class: &str) -> u64 {
    let mut labels = labels(route);
    labels.push(("class", class));
    host.counter_with("requests_total", &labels)
}

#[test]
fn requests_are_counted_by_class_and_labels() {
    let mut host = qps(json!({}));
    host.ended(&[ended("a", 200), ended("b", 404), ended("a", 204), ended("a", 503), ended("", 404), ended("a", 0)]);
    host.ended(&[ended("a", 302), ended("a", 200)]);
    let count = |route, class| requests(&host, route, class);
    assert_eq!(["2xx", "3xx", "4xx", "5xx", "none"].map(|class| count("a", class)), [3, 1, 0, 1, 1]);
    assert_eq!(["2xx", "4xx"].map(|class| count("b", class)), [0, 1]);
    assert_eq!(count("none", "4xx"), 1);
}

#[test]
fn bytes_are_added_up() {
    let mut host = qps(json!({}));
    host.ended(&[ended("a", 200), ended("a", 200), ended("b", 200)]);
    assert_eq!(host.counter_with("request_bytes_total", &labels("a")), 20);
    assert_eq!(host.counter_with("response_bytes_total", &labels("a")), 200);
    assert_eq!(host.counter_with("response_bytes_total", &labels("b")), 100);
}

#[test]
fn latencies_are_in_seconds_and_no_first_byte_is_no_value() {
    let mut host = qps(json!({}));
    let without = Ended { first_byte_micros: 0, duration_micros: 1_500_000, ..ended("a", 0) };
    host.ended(&[ended("a", 200), ended("b", 200), without]);
    assert_eq!(host.histogram_values("duration_seconds", &labels("a")), [0.002, 1.5]);
    assert_eq!(host.histogram_values("first_byte_seconds", &labels("a")), [0.001]);
    assert_eq!(host.histogram_values("duration_seconds", &labels("b")), [0.002]);
}

#[test]
fn endings_are_counted() {
    let mut host = qps(json!({}));
    let with = |ending| Ended { ending, ..ended("a", 200) };
    host.ended(&[with(Ending::Complete), with(Ending::ClientGone), with(Ending::Complete), with(Ending::Truncated)]);
    host.ended(&[with(Ending::UpstreamFailed), with(Ending::Closed)]);
    let count = |ending| host.counter_with("endings_total", &[("ending", ending)]);
    let endings = ["complete", "client_gone", "truncated", "upstream_failed", "closed"];
    assert_eq!(endings.map(count), [2, 1, 1, 1, 1]);
}

#[test]
fn requests_in_flight_come_back_to_zero() {
    let mut host = qps(json!({}));
    let in_flight =
        |host: &TestHost<Qps>, route| host.gauge_with("in_flight", &[("listener", "public"), ("route", route)]);
    host.begun(&[begun("a"), begun("a"), begun("b"), begun("")]);
    assert_eq!(["a", "b", "none"].map(|route| in_flight(&host, route)), [2.0, 1.0, 1.0]);
    host.ended(&[ended("a", 200), ended("", 404)]);
    assert_eq!(["a", "b", "none"].map(|route| in_flight(&host, route)), [1.0, 1.0, 0.0]);
    host.ended(&[ended("a", 200), ended("b", 404)]);
    assert_eq!(["a", "b", "none"].map(|route| in_flight(&host, route)), [0.0, 0.0, 0.0]);
}

#[test]
fn labels_are_those_that_were_chosen() {
    let mut host = qps(json!({ "labels": ["protocol", "method", "endpoint"] }));
    let post = Ended { method: Method::Post, protocol: Protocol::Http3, ..ended("a", 200) };
    let odd = Ended { method: Method::Other, ..ended("", 404) };
    host.begun(&[begun("a"), begun("b"), begun("b")]);
    host.ended(&[ended("a", 200), ended("b", 200), post, odd]);
    let count = |endpoint, method, protocol, class| {
        let labels = [("endpoint", endpoint), ("method", method), ("protocol", protocol), ("class", class)];
        host.counter_with("requests_total", &labels)
    };
    assert_eq!(count("10.0.0.1:80", "GET", "h1", "2xx"), 2);
    assert_eq!(count("10.0.0.1:80", "POST", "h3", "2xx"), 1);
    assert_eq!(count("none", "other", "h1", "4xx"), 1);
    assert_eq!(host.gauge("in_flight"), -1.0, "three began and four ended, in the one series without labels");
}

#[test]
fn without_labels_there_is_one_series() {
    let mut host = qps(json!({ "labels": [] }));
    host.ended(&[ended("a", 200), ended("b", 200)]);
    assert_eq!(host.counter_with("requests_total", &[("class", "2xx")]), 2);
    assert_eq!(host.counter("response_bytes_total"), 200);
}

#[test]
fn beyond_the_limit_everything_is_other() {
    let mut host = qps(json!({ "series_max": 2 }));
    let routes = ["a", "b", "c", "d"];
    host.begun(&routes.map(begun));
    host.ended(&routes.map(|route| ended(route, 200)));
    host.ended(&routes.map(|route| ended(route, 200)));
    let other = [("listener", "other"), ("route", "other"), ("upstream", "other"), ("class", "2xx")];
    assert_eq!(host.counter_with("requests_total", &other), 4);
    assert_eq!(routes.map(|route| requests(&host, route, "2xx")), [2, 2, 0, 0]);
    let in_flight = |route| host.gauge_with("in_flight", &[("listener", "public"), ("route", route)]);
    assert_eq!(routes.map(in_flight), [-1.0; 4], "each gauge counts for itself: one began and two ended");
}

#[test]
fn a_mistake_in_the_settings_is_named_with_its_key() {
    let check = |settings: Value, expected: &str| {
        let error = TestHost::<Qps>::configure(settings).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some(expected));
    };
    check(json!({ "series_max": 0 }), "settings.series_max: 0 is not from 1 to 10000");
    check(json!({ "labels": ["route", "route"] }), "settings.labels[1]: \"route\" is there twice");
    check(
        json!({ "labels": ["client"] }),
        "settings.labels[0]: unknown variant `client`, expected one of \
         `listener`, `route`, `upstream`, `endpoint`, `method`, `protocol`",
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn lists_of_any_length_count_like_single_exchanges(
        exchanges in prop::collection::vec((0..4_usize, 0..6_u16, 0..1000_u64), 0..200),
        length in 1..64_usize,
    ) {
        let routes = ["a", "b", "c", ""];
        let exchange = |(route, class, response_bytes): (usize, u16, u64)| {
            Ended { response_bytes, ..ended(routes[route], class * 100) }
        };
        let exchanges: Vec<_> = exchanges.into_iter().map(exchange).collect();
        let (mut lists, mut singles) = (qps(json!({})), qps(json!({})));
        exchanges.chunks(length).for_each(|list| lists.ended(list));
        exchanges.iter().for_each(|exchange| singles.ended(&[*exchange]));
        for route in ["a", "b", "c", "none"] {
            for class in ["none", "1xx", "2xx", "3xx", "4xx", "5xx"] {
                prop_assert_eq!(requests(&lists, route, class), requests(&singles, route, class));
            }
            let bytes = |host: &TestHost<Qps>| host.counter_with("response_bytes_total", &labels(route));
            prop_assert_eq!(bytes(&lists), bytes(&singles));
            let durations = |host: &TestHost<Qps>| host.histogram_values("duration_seconds", &labels(route)).len();
            prop_assert_eq!(durations(&lists), durations(&singles));
        }
    }

    #[test]
    fn in_flight_is_zero_whenever_all_have_ended(
        routes in prop::collection::vec(prop::sample::select(vec!["a", "b", "c", ""]), 0..200),
        begin in 1..64_usize,
        end in 1..64_usize,
    ) {
        let mut host = qps(json!({ "series_max": 2 }));
        for list in routes.chunks(begin) {
            host.begun(&list.iter().map(|route| begun(route)).collect::<Vec<_>>());
        }
        for list in routes.chunks(end) {
            host.ended(&list.iter().map(|route| ended(route, 200)).collect::<Vec<_>>());
        }
        for route in ["a", "b", "c", "none"] {
            prop_assert_eq!(host.gauge_with("in_flight", &[("listener", "public"), ("route", route)]), 0.0);
        }
    }
}
