//! What plugins are asked about: any exchange, as far as the host would let it come to them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::{HeaderMap, HeaderName, HeaderValue};
use palisade_contract::{Candidate, Ending, Health, Name, Outcome};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// One connection with one exchange on it, and one that carries anything.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) client: IpAddr,
    pub(super) server_name: Option<String>,
    pub(super) method: http::Method,
    pub(super) target: String,
    pub(super) request: Headers,
    pub(super) status: u16,
    pub(super) response: Headers,
    /// How many bytes a body announces, if it does, and its pieces.
    pub(super) body: (Option<u64>, Vec<Vec<u8>>),
    pub(super) stream: Vec<(bool, Vec<u8>)>,
    pub(super) candidates: Vec<Candidate>,
    pub(super) version: u64,
    pub(super) attempt: u32,
    pub(super) ending: Ending,
    /// How far the clock goes before it.
    pub(super) millis: u64,
}

/// Names and values of a head.
#[derive(Debug, Clone)]
pub(super) struct Headers(Vec<(&'static str, Vec<u8>)>);

impl Headers {
    pub(super) fn map(&self) -> HeaderMap {
        let value = |bytes: &[u8]| HeaderValue::from_bytes(bytes).ok();
        let fields = self.0.iter().filter_map(|(name, bytes)| Some((HeaderName::from_static(name), value(bytes)?)));
        let mut map = HeaderMap::new();
        map.extend(fields.map(|(name, value)| (Some(name), value)));
        map
    }

    fn any() -> impl Strategy<Value = Self> {
        let names = ["user-agent", "x-secret", "x-key", "cookie", "accept", "content-type", "x-forwarded-for"];
        let words = ["curl/8", "Scanner", "node=1", "a, b", ""].map(|word| word.as_bytes().to_vec());
        let value = prop_oneof![select(words.to_vec()), vec(any::<u8>(), 0..40)];
        vec((select(names.to_vec()), value), 0..6).prop_map(Self)
    }
}

impl Asked {
    pub(super) fn any() -> impl Strategy<Value = Self> {
        let client = client();
        let targets = [
            "/",
            "/admin/x",
            "/a.php",
            "/?q=1",
            "/shares/add/k",
            "/shares/add/k/3",
            "/shares/get/k",
            "/shares/set/k/v",
            "/shares/take/k/w",
            "/shares/counter/k",
            "/plain",
            "/panic",
            "/fail",
            "/double",
            "/x-header",
            "/close",
        ];
        let target =
            prop_oneof![select(targets.to_vec()).prop_map(str::to_owned), "/([a-zA-Z0-9._~-]|%[2-7][0-9A-F]){0,40}",];
        let methods = ["GET", "POST", "PUT", "DELETE", "HEAD", "PURGE"];
        let method = select(methods.to_vec()).prop_map(|name| name.parse().expect("a method"));
        let words = ["!reply", "!close", "!panic", "!fail", "!pass", "REFUSE", "TRAP", "line\n", "other\n"];
        let words = words.map(|word| word.as_bytes().to_vec()).to_vec();
        let piece = || prop_oneof![6 => vec(any::<u8>(), 0..600), 1 => select(words.clone())];
        let stream = vec((any::<bool>(), piece()), 0..5);
        let body = (option::of(0_u64..2_000), vec(piece(), 0..4));
        let server_name = option::of(select(vec!["refused.example".to_owned(), "www.foobar.com".to_owned()]));
        let endings =
            vec![Ending::Complete, Ending::ClientGone, Ending::UpstreamFailed, Ending::Truncated, Ending::Closed];
        (
            (client, server_name, method, target, Headers::any()),
            (200_u16..600, Headers::any(), body, stream),
            (vec(candidate(), 0..8), 0_u64..3, 0_u32..3, select(endings), 0_u64..2_000),
        )
            .prop_map(|(request, response, rest)| {
                let ((client, server_name, method, target, request), (status, response, body, stream)) =
                    (request, response);
                let (candidates, version, attempt, ending, millis) = rest;
                Self {
                    client,
                    server_name,
                    method,
                    target,
                    request,
                    status,
                    response,
                    body,
                    stream,
                    candidates,
                    version,
                    attempt,
                    ending,
                    millis,
                }
            })
    }
}

fn candidate() -> impl Strategy<Value = Candidate> {
    let health = select(vec![Health::Healthy, Health::Unhealthy, Health::Draining, Health::Reserve]);
    let outcomes =
        vec![Outcome::Untried, Outcome::ConnectFailed, Outcome::TimedOut, Outcome::Reset, Outcome::BadStatus];
    let named = (1_u32..9, any::<u64>(), 1_u32..100, 0_u8..3);
    (named, (health, select(outcomes)), (0_u32..50, 0_u32..100_000, 0_u32..5, 0_u16..=1_000)).prop_map(
        |((endpoint, key, weight, priority), (health, outcome), (in_flight, latency_micros, failures, slow_start))| {
            Candidate {
                endpoint: Name(endpoint),
                key,
                weight,
                zone: Name::NONE,
                priority,
                health,
                outcome,
                in_flight,
                latency_micros,
                failures,
                slow_start_permille: slow_start,
            }
        },
    )
}

fn client() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (0_u8..4, any::<u8>()).prop_map(|(second, third)| IpAddr::V4(Ipv4Addr::new(10, second, third, 7))),
        any::<u32>().prop_map(|bits| IpAddr::V4(bits.into())),
        any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from(bits))),
    ]
}
