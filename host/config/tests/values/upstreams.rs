//! What is read of upstreams: endpoints, how they are checked, tried and kept from overload.

use super::*;

#[test]
fn endpoints_have_addresses_and_names_or_are_found() {
    let upstreams = good(EVERY_KEY).upstreams;
    let [_, plain, told, filed] = upstreams.as_slice() else { panic!("{upstreams:?}") };
    let named = |name: &str, port: u16, place| NamedEndpoint {
        name: name.to_owned(),
        endpoint: Endpoint::new(address(&format!("0.0.0.0:{port}"))),
        place,
    };
    let mut second = named("db.internal.", 81, 1);
    (second.endpoint.weight, second.endpoint.zone) = (2, Some("c".to_owned()));
    assert_eq!((plain.endpoints.len(), &plain.names), (1, &vec![named("web.internal", 80, 0), second]));
    let ask = HealthAsk::Mysql { user: "watch".to_owned(), galera: false, writable: false };
    let health = plain.health.as_ref().map(|health| (&health.ask, health.interval, health.jitter, health.timeout));
    let [interval, jitter, timeout] = [5_000, 500, 2_000].map(Duration::from_millis);
    assert_eq!((health, &plain.ejection), (Some((&ask, interval, jitter, timeout)), &None));
    assert_eq!((&told.endpoints, &told.discover), (&Vec::new(), &Some(Discover::Srv("_web._tcp.internal".to_owned()))));
    assert_eq!(filed.discover, Some(Discover::File("conf/web.endpoints".into())));
}

fn web_health() -> HealthCheck {
    HealthCheck {
        ask: HealthAsk::Http {
            path: "/healthz?full".to_owned(),
            host: Some("web.internal:8443".to_owned()),
            status: vec![204..=204, 300..=399],
            body: Some("fine".to_owned()),
        },
        port: Some(9_000),
        interval: Duration::from_secs(2),
        jitter: Duration::ZERO,
        timeout: Duration::from_secs(1),
        rise: 1,
        fall: 3,
    }
}

fn web_ejection() -> Ejection {
    Ejection {
        failures: None,
        statuses: vec![500..=599],
        error_percent: Some(40),
        latency_factor: Some(3),
        window: Duration::from_secs(30),
        requests: 50,
        time: Duration::from_secs(10),
        time_max: Duration::from_secs(20),
        share_percent: 30,
    }
}

#[test]
fn every_key_is_read_for_dns() {
    assert_eq!(
        good(EVERY_KEY).dns,
        Dns {
            resolvers: vec![address("127.0.0.1:5353"), address("[::1]:53")],
            timeout: Duration::from_millis(500),
            min_ttl: Duration::from_secs(5),
            max_ttl: Duration::from_secs(60),
        }
    );
    assert_eq!(good(SMALL).dns, Dns::default());
}

#[test]
fn every_key_is_read_for_upstreams() {
    let upstreams = good(EVERY_KEY).upstreams;
    let [web, plain, told, _] = upstreams.as_slice() else { panic!("{upstreams:?}") };
    assert_eq!(
        web,
        &Upstream {
            name: "web".to_owned(),
            endpoints: vec![
                Endpoint::new(address("10.0.1.11:8443")),
                Endpoint {
                    address: address("[2001:db8::12]:8443"),
                    weight: 3,
                    zone: Some("b".to_owned()),
                    priority: 2,
                },
                Endpoint { priority: Endpoint::BACKUP, ..Endpoint::new(address("10.0.1.13:8443")) },
            ],
            names: Vec::new(),
            discover: None,
            health: Some(web_health()),
            ejection: Some(web_ejection()),
            panic_percent: Some(20),
            slow_start: Duration::from_secs(30),
            tls: Some(UpstreamTls {
                ca: Some("conf/internal-ca.pem".into()),
                server_name: "web.internal".to_owned(),
                certificate: Some(CertificateFiles { chain: "conf/host.pem".into(), key: "/keys/host.key".into() }),
                pins: vec![std::array::from_fn(|index| u8::try_from(index).unwrap_or_default())],
            }),
            protocol: UpstreamProtocol::Auto,
            proxy_protocol: None,
            connect_timeout: Duration::from_secs(2),
            response_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(90),
            body_timeout: Duration::from_millis(500),
            idle_connections: 2,
            connections: 10,
            streams: 20,
            total_timeout: Some(Duration::from_secs(120)),
            connection_age: Some(Duration::from_secs(600)),
            warm_connections: 2,
            retries: web_retries(),
            circuit: Some(web_circuit()),
            hedge: Some(Hedge { after: Duration::from_millis(20), percentile: Some(90) }),
        }
    );
    assert_eq!((plain.name.as_str(), &plain.tls, plain.protocol), ("plain", &None, UpstreamProtocol::Http2));
    assert_eq!((told.proxy_protocol, told.idle_connections), (Some(ProxyProtocol::V2), 0));
}

fn web_retries() -> Retries {
    Retries {
        attempts: 3,
        on: RetryOn { connect: true, reset: false, refused: false, timeout: true, statuses: vec![502, 503] },
        same_endpoint: true,
        per_try_timeout: Some(Duration::from_secs(5)),
        backoff: Duration::from_millis(10),
        backoff_max: Duration::from_secs(1),
        body_bytes: 1 << 10,
        budget: RetryBudget { percent: 10, minimum: 1 },
    }
}

fn web_circuit() -> Circuit {
    Circuit {
        requests: Some(100),
        pending: 10,
        pending_timeout: Duration::from_millis(200),
        error_rate: Some(ErrorRate {
            percent: 40,
            requests: 50,
            window: Duration::from_secs(20),
            open: Duration::from_secs(3),
            trials: 5,
        }),
    }
}
