//! One plugin with every phase, driven through the test host: what a plugin asks reaches this host and no other.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::{
    Candidate, Connection, Counter, Ending, Exchange, Family, Flow, Gauge, HeadError, HeaderValue, Health, Histogram,
    HotHeader, Name, PickRequest, Reply, Request, Response, Setup, Unit, clock, log, random,
};

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// Declared as hot headers, besides `x-hot`.
    hot: Vec<String>,
    /// Declared as counters, besides the plugin's own.
    counters: Vec<String>,
}

/// Does what the target or the status asks for.
struct Obedient {
    hot: HotHeader,
    requests: Counter,
    routes: Family<Counter>,
    open: Gauge,
    durations: Histogram,
    sizes: Family<Histogram>,
    remembered: Option<Exchange>,
}

impl Plugin for Obedient {
    type Settings = Settings;

    fn configure(settings: Settings, host: &mut Setup) -> Result<Self, Error> {
        for name in &settings.hot {
            host.hot_header(name);
        }
        for name in &settings.counters {
            host.counter(name, "more").add(1);
        }
        log::info!("configured with {} more", settings.hot.len() + settings.counters.len());
        Ok(Self {
            hot: host.hot_header("X-Hot"),
            requests: host.counter("requests_total", "requests"),
            routes: host.counter_with("routed_total", "requests by listener and route", &["listener", "route"]),
            open: host.gauge("open", "exchanges under way"),
            durations: host.histogram("duration_seconds", "durations", Unit::Seconds),
            sizes: host.histogram_with("sizes_bytes", "sizes by ending", Unit::Bytes, &["ending"]),
            remembered: None,
        })
    }
}

impl ConnectionFilter for Obedient {
    fn on_connection(&mut self, connection: &Connection) -> Result<Admission, Error> {
        match connection.client_port() {
            1 => Ok(Admission::Refuse),
            2 => Err(Error::new(format!("{} {}", connection.local(), connection.listener()))),
            _ => Ok(if connection.client().is_ipv4() { Admission::Accept } else { Admission::Refuse }),
        }
    }
}

impl RequestFilter for Obedient {
    fn on_request(&mut self, request: &mut Request) -> Result<Flow, Error> {
        self.requests.add(1);
        let route = request.route().unwrap_or_default().text();
        self.routes.with(&[&request.listener().text(), &route]).add(2);
        self.remembered = Some(request.exchange());
        match request.path() {
            "/reply" => Ok(Reply::status(201).header("x-a", "b").text("hello").into()),
            "/long" => Ok(Reply::status(200).body(vec![0; (1 << 20) + 1]).into()),
            "/close" => Ok(Flow::Close),
            "/fail" => Err(Error::new("cannot decide")),
            "/hot" => {
                let value = request.hot(self.hot).unwrap_or(b"none").to_vec();
                request.set_header("x-seen", value)?;
                Ok(Flow::Continue)
            }
            "/move" => {
                request.set_target("/moved?to=here")?;
                request.set_authority("other.example:81")?;
                request.set_header("x-now", format!("{} {:?} {}", request.path(), request.query(), request.host()))?;
                Ok(Flow::Continue)
            }
            "/headers" => change_headers(request),
            "/time" => {
                log::warn!("{:?} {}", clock::monotonic(), random::number());
                Ok(Flow::Continue)
            }
            _ => Ok(Flow::Continue),
        }
    }
}

fn change_headers(request: &mut Request) -> Result<Flow, Error> {
    request.append_header("x-many", "2")?;
    request.append_header("X-Many", "3")?;
    request.remove_header("x-gone")?;
    request.set_header("x-set", b"\xff")?;
    let names: Vec<_> = request.headers().into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    request.set_header("x-names", names.join(","))?;
    let cookie = request.cookie("id").unwrap_or_default();
    let method = request.method_text().into_owned();
    request.set_header("x-about", format!("{cookie} {method} {} {}", request.client(), request.client_port()))?;
    Ok(Flow::Continue)
}

impl ResponseFilter for Obedient {
    fn on_response(&mut self, response: &mut Response) -> Result<Flow, Error> {
        let same = self.remembered == Some(response.exchange());
        let endpoint = response.endpoint().map(Name::text).unwrap_or_default();
        let request = (response.request_target(), response.request_authority(), response.request_header("x-ask"));
        response.set_header("x-about", format!("{same} {endpoint} {} {} {:?}", request.0, request.1, request.2))?;
        if response.status() == 500 {
            response.set_status(502)?;
        }
        Ok(if response.status() == 404 { Reply::status(200).into() } else { Flow::Continue })
    }
}

impl Balancer for Obedient {
    fn pick(&mut self, request: &PickRequest, candidates: &[Candidate]) -> Result<Pick, Error> {
        if request.attempt() > 1 {
            return Err(Error::new(format!("{} {} {:?}", request.upstream(), request.target(), request.cookie("id"))));
        }
        let healthy = candidates.iter().position(|candidate| candidate.health == Health::Healthy);
        Ok(healthy.map_or(Pick::None, Pick::Endpoint))
    }
}

impl Observer for Obedient {
    fn on_begun(&mut self, exchanges: &[Begun]) {
        exchanges.iter().for_each(|_| self.open.shift(1.0));
    }

    fn on_ended(&mut self, exchanges: &[Ended]) {
        let seconds: Vec<_> = exchanges.iter().map(|_| 0.5).collect();
        self.durations.record_all(&seconds);
        for ended in exchanges {
            self.open.shift(-1.0);
            self.sizes.with(&[&format!("{:?}", ended.ending)]).record(1.0);
        }
        self.sizes.with(&["none"]).record(f64::NAN);
    }
}

crate::register!(Obedient: ConnectionFilter, RequestFilter, ResponseFilter, Balancer, Observer);

fn host() -> TestHost<Obedient> {
    TestHost::configure(json!({})).unwrap()
}

#[test]
fn a_filter_continues_replies_closes_or_fails() {
    let continues = host().request(TestRequest::get("/"));
    assert!(continues.is_continue() && !continues.is_close() && continues.reply_status().is_none());
    let replies = host().request(TestRequest::get("/reply"));
    assert_eq!((replies.reply_status(), replies.reply_text()), (Some(201), Some("hello")));
    assert_eq!((replies.reply_header("x-a"), replies.is_continue()), (Some("b"), false));
    assert!(host().request(TestRequest::get("/close")).is_close());
    assert_eq!(host().request(TestRequest::get("/fail")).error(), Some("cannot decide"));
    let too_long = host().request(TestRequest::get("/long"));
    assert_eq!(too_long.error(), Some("the reply was refused: it has more than 64 headers or more than 1 MiB of body"));
    assert_eq!(too_long.reply_status(), None);
}

#[test]
fn hot_headers_arrive_with_the_request() {
    let mut host = TestHost::<Obedient>::configure(json!({ "hot": ["x-other", "x-third"] })).unwrap();
    let request = TestRequest::get("/hot").header("x-third", "3").header("x-hot", "1").header("X-HOT", "2");
    assert_eq!(host.request(request).header("x-seen"), Some("1"));
    assert_eq!(host.request(TestRequest::get("/hot")).header("x-seen"), Some("none"));
}

#[test]
fn a_request_shows_its_new_target_and_authority_at_once() {
    let outcome = host().request(TestRequest::get("/move").header("host", "a.example"));
    assert_eq!((outcome.target(), outcome.authority()), ("/moved?to=here", "other.example:81"));
    assert_eq!(outcome.header("x-now"), Some(r#"/moved Some("to=here") other.example"#));
}

#[test]
fn headers_are_read_and_changed() {
    let request = TestRequest::new("BREW", "/headers")
        .header("X-Many", "1")
        .header("cookie", "id=7")
        .header("x-gone", "1")
        .client("203.0.113.9")
        .client_port(5);
    let outcome = host().request(request);
    assert_eq!(outcome.header_values("x-many"), ["1", "2", "3"]);
    assert_eq!(outcome.header_values("x-gone"), [] as [&str; 0]);
    assert_eq!(outcome.header_values("x-set"), [HeaderValue::from(&b"\xff"[..])]);
    assert_eq!(outcome.header("x-names"), Some("x-many=1,x-many=2,x-many=3,cookie=id=7,x-set=\u{fffd}"));
    assert_eq!(outcome.header("x-about"), Some("7 BREW 203.0.113.9 5"));
}

#[test]
fn a_response_is_read_changed_and_replaced() {
    let mut host = host();
    let request = TestRequest::get("/x").header("x-ask", "y").authority("a.example");
    let exchange = host.request(request.clone()).exchange();
    let outcome = host.response(TestResponse::status(500).request(request).exchange(exchange));
    assert_eq!(outcome.status(), Some(502));
    assert_eq!(outcome.header("x-about"), Some(r#"true 192.0.2.80:80 /x a.example Some("y")"#));
    let outcome = host.response(TestResponse::status(404).header("a", "b").from_endpoint("", ""));
    assert_eq!((outcome.reply_status(), outcome.status(), outcome.header("a")), (Some(200), Some(404), Some("b")));
    assert_eq!(outcome.header("x-about"), Some("false  / localhost None"));
}

#[test]
fn a_connection_is_accepted_refused_or_undecided() {
    assert_eq!(host().connection("203.0.113.9"), Ok(Admission::Accept));
    assert_eq!(host().connection("2001:db8::1"), Ok(Admission::Refuse));
    assert_eq!(host().connection(TestConnection::from_client("::1").client_port(1)), Ok(Admission::Refuse));
    let undecided = TestConnection::from_client("::1").client_port(2).local("::2", 1).listener("inner");
    assert_eq!(host().connection(undecided), Err(Error::new("::2 inner")));
}

#[test]
fn a_balancer_picks_none_or_fails() {
    let sick = TestCandidate::new("a:1").health(Health::Unhealthy);
    assert_eq!(host().pick(TestPick::new().candidates([sick, "b:1".into()])), Ok(Pick::Endpoint(1)));
    assert_eq!(host().pick(TestPick::new().candidates([sick.candidate()])), Ok(Pick::None));
    let retry = TestPick::new().attempt(2).upstream("web").header("cookie", "id=1");
    assert_eq!(host().pick(retry), Err(Error::new(r#"web / Some("1")"#)));
}

#[test]
fn an_observer_counts_what_began_and_ended() {
    let mut host = host();
    host.begun(&[Begun::default(), Begun::default(), Begun::default()]);
    host.ended(&[Ended::default(), Ended { ending: Ending::ClientGone, ..Ended::default() }]);
    assert_eq!(host.gauge("open"), 1.0);
    assert_eq!(host.histogram_count("duration_seconds"), 2);
    assert_eq!(host.histogram_values("sizes_bytes", &[("ending", "Ending::ClientGone")]), [1.0]);
    assert_eq!(host.histogram_values("sizes_bytes", &[("ending", "none")]), [] as [f64; 0]);
}

#[test]
fn two_hosts_on_a_thread_share_nothing() {
    let (mut first, mut second) = (host(), host());
    first.request(TestRequest::get("/").listener("inner").route(""));
    assert_eq!((first.counter("requests_total"), second.counter("requests_total")), (1, 0));
    assert_eq!(first.counter_with("routed_total", &[("route", ""), ("listener", "inner")]), 2);
    first.advance(Duration::from_secs(5));
    for host in [&mut first, &mut second] {
        host.request(TestRequest::get("/time"));
    }
    let number = 0xe220_a839_7b1d_cdaf_u64;
    assert_eq!(first.logs(), ["info: configured with 0 more", &format!("warn: 1005s {number}")]);
    assert_eq!(second.logs(), ["info: configured with 0 more", &format!("warn: 1000s {number}")]);
}

#[test]
fn what_the_host_refuses_is_reported_together_when_configure_returns() {
    let many: Vec<_> = (0..16).map(|number| format!("x-{number}")).collect();
    refuses(json!({ "hot": many[1..] }), None);
    refuses(json!({ "hot": many }), Some(r#"hot header "X-Hot": there are 16 already, which is the limit"#));
    refuses(
        json!({ "hot": ["x y"], "counters": ["a-b"] }),
        Some(r#"hot header "x y": is not a header name; metric "a-b": "a-b" is not a name of a metric or label"#),
    );
    refuses(json!({ "counters": ["open"] }), Some(r#"metric "open": stands for another metric already"#));
    let many: Vec<_> = (0..60).map(|number| format!("m{number}")).collect();
    refuses(
        json!({ "counters": many }),
        Some(r#"metric "sizes_bytes": there are 64 metrics already, which is the limit"#),
    );
    refuses(json!({ "cold": [] }), Some("settings.cold: unknown field `cold`, expected `hot` or `counters`"));
}

#[test]
fn changes_that_the_host_refuses_leave_the_head_as_it_was() {
    let mut fields = head::Fields::default();
    for (name, value, error) in [
        ("a b", "1", HeadError::InvalidName),
        ("", "1", HeadError::InvalidName),
        ("a", "1\n2", HeadError::InvalidValue),
        ("a", "\u{7f}", HeadError::InvalidValue),
        ("Host", "1", HeadError::Reserved),
        ("transfer-encoding", "chunked", HeadError::Reserved),
        ("a", &"x".repeat(64 << 10), HeadError::TooLarge),
    ] {
        for changed in [fields.append(name, value.as_bytes()), fields.set(name, value.as_bytes())] {
            assert_eq!(changed.map_err(HeadError::from), Err(error), "{name}");
        }
    }
    assert_eq!(fields.all(), []);
    let mut side = RequestSide::default();
    assert!(["", "x", "/a b", "http://a/"].iter().all(|target| side.set_target(target.as_bytes()).is_err()));
    assert!(["", "a b", "a/b", "u@a"].iter().all(|authority| side.set_authority(authority.as_bytes()).is_err()));
    let mut response = ResponseSide { status: 200, ..ResponseSide::default() };
    assert!([100, 199, 204, 205, 304, 600].iter().all(|status| response.set_status(*status).is_err()));
    assert_eq!((side.target, response.status), (String::new(), 200));
}

#[test]
#[should_panic = "no Kind::Counter \"request_total\" with the labels [] is declared"]
fn a_test_that_asks_for_an_unknown_metric_fails() {
    host().counter("request_total");
}

#[test]
fn the_schema_names_the_settings() {
    let schema = TestHost::<Obedient>::settings_schema();
    assert_eq!(schema["properties"]["hot"]["description"], "Declared as hot headers, besides `x-hot`.");
}

#[track_caller]
fn refuses(settings: Value, message: Option<&str>) {
    let error = TestHost::<Obedient>::configure(settings).err().map(|error| error.to_string());
    assert_eq!(error.as_deref(), message);
}
