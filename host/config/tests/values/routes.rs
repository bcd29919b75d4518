//! What is read of routes.

use super::*;

#[test]
fn every_key_is_read_for_routes() {
    let listeners = good(EVERY_KEY).listeners;
    let Some(Action::Routes(routes)) = listeners.first().map(|listener| &listener.action) else { panic!() };
    assert_eq!(
        routes.as_slice(),
        [
            Route {
                name: "api".to_owned(),
                hosts: vec![
                    HostPattern::Exact("www.foobar.com".to_owned()),
                    HostPattern::Suffix(".foobar.com".to_owned()),
                    HostPattern::Exact("192.0.2.7".to_owned()),
                    HostPattern::Exact("[2001:db8::1]".to_owned()),
                ],
                path: "/api".to_owned(),
                upstream: 0,
                alternatives: Vec::new(),
                split: Some(Split {
                    shares: vec![Share { upstream: 0, weight: 95 }, Share { upstream: 2, weight: 5 }],
                    sticky: Some(Sticky::Cookie {
                        name: "canary".to_owned(),
                        max_age: Some(Duration::from_secs(720 * 3_600)),
                    }),
                }),
                mirror: Some(Mirror { upstream: 1, percent: 5, requests: 10, body_bytes: 1 << 10 }),
                chain: vec![enforced(1)],
                streams: Streams {
                    upgrades: vec!["websocket".to_owned(), "SPDY/3.1".to_owned()],
                    tunnel_timeout: Duration::from_secs(600),
                    body_timeout: Some(Duration::from_secs(10 * 365 * 24 * 3_600)),
                    response_timeout: Some(Duration::from_secs(90)),
                    total_timeout: Some(Duration::from_secs(180)),
                },
            },
            Route {
                name: "public/1".to_owned(),
                hosts: Vec::new(),
                path: "/".to_owned(),
                upstream: 1,
                alternatives: Vec::new(),
                split: None,
                mirror: None,
                chain: vec![enforced(0), in_shadow(1)],
                streams: Streams { upgrades: Vec::new(), ..Streams::default() },
            },
        ]
    );
}
