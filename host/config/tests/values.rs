//! Good configs and what is read from them.

use std::{net::SocketAddr, num::NonZeroUsize, path::Path, time::Duration};

use palisade_config::{
    Acme, AcmeCertificate, AcmeChallenge, Action, Admin, Backoff, Bounds, Capability, CertificateFiles, ChainEntry,
    ChainMode, Circuit, ClientCertificates, ClientMode, Config, Discover, Dns, Ejection, Endpoint, Engine, ErrorRate,
    FileCertificate, HealthAsk, HealthCheck, Hedge, HostPattern, HttpVersions, Isolation, Life, Listener,
    ListenerCertificate, ListenerLimits, ListenerProtocol, ListenerTls, Log, LogFormat, LogLevel, Mirror,
    NamedEndpoint, OnError, PathPolicy, Plugin, PluginLimits, ProxyProtocol, ReadError, Retries, RetryBudget, RetryOn,
    Route, Share, SharedSpace, Shutdown, Split, Sticky, Streams, TlsVersion, Upstream, UpstreamProtocol, UpstreamTls,
};
use serde_json::json;

const EVERY_KEY: &str = include_str!("every_key.toml");

#[test]
fn what_the_text_leaves_out_has_its_default() {
    let config = good(SMALL);
    assert_eq!((&config.plugins_dir, &config.cache_dir, config.workers, config.admin), (&None, &None, None, None));
    assert_eq!((config.log, config.shutdown, config.engine), (Log::default(), Shutdown::default(), Engine::default()));
    let [upstream] = config.upstreams.as_slice() else { panic!("{:?}", config.upstreams) };
    let [listener] = config.listeners.as_slice() else { panic!("{:?}", config.listeners) };
    assert_eq!(
        upstream,
        &Upstream {
            name: "web".to_owned(),
            endpoints: vec![Endpoint::new(address("127.0.0.1:80"))],
            names: Vec::new(),
            discover: None,
            health: None,
            ejection: Some(Ejection::default()),
            panic_percent: None,
            slow_start: Duration::ZERO,
            tls: None,
            protocol: UpstreamProtocol::Http1,
            proxy_protocol: None,
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(60),
            idle_connections: 64,
            connections: 1_024,
            streams: 100,
            total_timeout: None,
            connection_age: None,
            warm_connections: 0,
            retries: Retries::default(),
            circuit: None,
            hedge: None,
        }
    );
    assert_eq!(
        listener,
        &Listener {
            name: "public".to_owned(),
            bind: vec![address("127.0.0.1:8080")],
            protocol: ListenerProtocol::Http,
            http: HttpVersions { h1: true, h2: false, h3: false },
            tls: None,
            chain: Vec::new(),
            action: Action::Routes(vec![small_route()]),
            trusted_proxies: Vec::new(),
            proxy_protocol: Vec::new(),
            paths: PathPolicy::Normalize,
            http3_port: None,
            limits: ListenerLimits::default(),
        }
    );
    assert_eq!(config.warnings, []);
}

fn small_route() -> Route {
    Route {
        name: "public/0".to_owned(),
        hosts: Vec::new(),
        path: "/".to_owned(),
        upstream: 0,
        alternatives: Vec::new(),
        split: None,
        mirror: None,
        chain: Vec::new(),
        streams: streams(),
    }
}

fn streams() -> Streams {
    Streams {
        upgrades: vec!["websocket".to_owned()],
        tunnel_timeout: Duration::from_secs(3_600),
        body_timeout: None,
        response_timeout: None,
        total_timeout: None,
    }
}

#[test]
fn a_plugin_and_a_redirect_need_little() {
    let config = good(
        "plugins_dir = \"p\"\n[plugin.edge]\nmodule = \"firewall\"\n[[listener]]\nname = \"plain\"\nbind = \
         \"127.0.0.1:80\"\nchain = [\"edge\"]\nredirect_to_https = true",
    );
    assert_eq!(
        config.plugins,
        [Plugin {
            name: "edge".to_owned(),
            module: "firewall".to_owned(),
            on_error: None,
            grants: Vec::new(),
            fetch: Vec::new(),
            settings: json!({}),
            life: Life::default(),
            shared: SharedSpace::of("edge"),
            limits: PluginLimits::default(),
        }]
    );
    let actions: Vec<_> = config.listeners.into_iter().map(|listener| (listener.chain, listener.action)).collect();
    assert_eq!(actions, [(vec![enforced(0)], Action::RedirectToHttps { port: 443, status: 308 })]);
}

#[test]
fn tls_brings_http2() {
    let tls = "tls = { certificates = [{ chain = \"a.pem\", key = \"a.key\" }] }\nbind";
    let config = good(&SMALL.replace("bind", tls));
    let listener = config.listeners.first().expect("a listener");
    assert_eq!(listener.http, HttpVersions { h1: true, h2: true, h3: false });
    let tls = listener.tls.as_ref().map(|tls| (tls.min_version, tls.tickets, tls.early_data));
    assert_eq!(tls, Some((TlsVersion::V1_2, true, false)));
}

#[test]
fn early_data_is_taken_where_it_is_asked_for() {
    let tls = "http = [\"h2\", \"h3\"]\ntls = { certificates = [{ chain = \"a.pem\", key = \"a.key\" }], early_data = true }\nbind";
    let config = good(&SMALL.replace("bind", tls));
    let listener = config.listeners.first().expect("a listener");
    assert_eq!(listener.tls.as_ref().map(|tls| tls.early_data), Some(true));
}

#[test]
fn every_key_is_read_for_the_whole_host() {
    let config = good(EVERY_KEY);
    assert_eq!(config.file, Path::new("conf/palisade.toml"));
    assert_eq!(config.plugins_dir.as_deref(), Some(Path::new("conf/plugins")));
    assert_eq!(config.cache_dir.as_deref(), Some(Path::new("/var/cache/palisade")));
    assert_eq!(config.workers, NonZeroUsize::new(2));
    assert_eq!(config.zone.as_deref(), Some("a"));
    assert_eq!(config.log, Log { level: LogLevel::Debug, format: LogFormat::Json, access: false });
    assert_eq!(config.admin, Some(Admin { bind: address("[::1]:9901") }));
    assert_eq!(config.shutdown, Shutdown { drain: Duration::ZERO });
    assert_eq!(config.engine, Engine { stack_bytes: 1 << 20, memory_bytes: 512 << 20 });
    let account = Acme {
        name: "authority".to_owned(),
        directory: "https://acme.test/directory".to_owned(),
        contact: vec!["mailto:ops@foobar.com".to_owned()],
        ca: Some("conf/acme-ca.pem".into()),
        state: "conf/acme".into(),
        challenge: AcmeChallenge::Http01,
    };
    assert_eq!(config.acme, [account]);
    assert_eq!(config.warnings, []);
}

#[test]
fn every_key_is_read_for_plugins() {
    let plugins = good(EVERY_KEY).plugins;
    assert_eq!(
        plugins,
        [
            Plugin {
                name: "edge-firewall".to_owned(),
                module: "firewall".to_owned(),
                on_error: Some(OnError::Closed),
                grants: vec![Capability::Metrics, Capability::Shared, Capability::Fetch],
                fetch: vec!["filed".to_owned(), "plain".to_owned(), "told".to_owned(), "web".to_owned()],
                settings: json!({ "deny": ["203.0.113.0/24"], "status": 403, "ratio": 0.5, "nested": { "on": true } }),
                life: Life {
                    isolation: Isolation::Request,
                    idle: None,
                    backoff: Backoff { after: 3, first: Duration::from_secs(2), max: Duration::from_secs(10) },
                },
                shared: SharedSpace { name: "pool".to_owned(), bounds: Bounds { keys: 20_000, bytes: 8 << 20 } },
                limits: PluginLimits {
                    memory_bytes: 64 << 20,
                    deadline: Duration::from_millis(20),
                    configure_deadline: Duration::from_secs(60),
                    table_elements: 50_000,
                    instances: 4,
                    series: 2_000,
                    exchanges: 8,
                    body_bytes: 2 << 20,
                    bodies_bytes: 1 << 30,
                    fetches: 10,
                    fetch_body_bytes: 2 << 10,
                    fetch_timeout: Duration::from_secs(3),
                },
            },
            Plugin {
                name: "balance".to_owned(),
                module: "balance-2.0_rc1".to_owned(),
                on_error: Some(OnError::Open),
                grants: Vec::new(),
                fetch: Vec::new(),
                settings: json!({}),
                life: Life::default(),
                shared: SharedSpace { name: "balance".to_owned(), bounds: Bounds { keys: 10_000, bytes: 4 << 20 } },
                limits: PluginLimits::default(),
            },
        ]
    );
}

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

#[test]
fn every_key_is_read_for_tcp() {
    let listeners = good(EVERY_KEY).listeners;
    let [_, db, _] = listeners.as_slice() else { panic!("{listeners:?}") };
    assert_eq!((db.protocol, db.http), (ListenerProtocol::Tcp, HttpVersions { h1: false, h2: false, h3: false }));
    let Action::Routes(routes) = &db.action else { panic!("{:?}", db.action) };
    let timeouts: Vec<Duration> = routes.iter().map(|route| route.streams.tunnel_timeout).collect();
    assert_eq!(timeouts, [Duration::from_secs(8 * 3_600)]);
    let alternatives: Vec<&[usize]> = routes.iter().map(|route| route.alternatives.as_slice()).collect();
    assert_eq!(alternatives, [[2]]);
}

#[test]
fn every_key_is_read_for_listeners() {
    let listeners = good(EVERY_KEY).listeners;
    let [public, _, to_https] = listeners.as_slice() else { panic!("{listeners:?}") };
    let certificate = |name: &str, ocsp: Option<&str>| {
        ListenerCertificate::Files(FileCertificate {
            files: CertificateFiles {
                chain: format!("conf/{name}.pem").into(),
                key: format!("conf/{name}.key").into(),
            },
            ocsp: ocsp.map(Into::into),
        })
    };
    assert_eq!(public.bind, [address("[::]:443"), address("0.0.0.0:8443")]);
    assert_eq!(public.http, HttpVersions { h1: true, h2: false, h3: true });
    assert_eq!(
        public.tls,
        Some(ListenerTls {
            certificates: vec![
                certificate("a", None),
                certificate("b", Some("conf/b.ocsp")),
                ListenerCertificate::Acme(AcmeCertificate {
                    account: "authority".to_owned(),
                    names: vec!["foobar.com".to_owned(), "www.foobar.com".to_owned()],
                    file: "conf/acme/foobar.com.pem".into(),
                    challenge: AcmeChallenge::Http01,
                }),
            ],
            min_version: TlsVersion::V1_3,
            tickets: false,
            early_data: false,
            client_certificates: Some(ClientCertificates {
                mode: ClientMode::Optional,
                ca: "conf/clients.pem".into(),
                crl: Some("conf/revoked.pem".into()),
            }),
        })
    );
    assert_eq!(public.chain, [enforced(0), in_shadow(1)]);
    assert_eq!(public.paths, PathPolicy::Refuse);
    assert_eq!(public.http3_port, Some(8_443));
    let balancers: Vec<String> = public.proxy_protocol.iter().map(ToString::to_string).collect();
    assert_eq!(balancers, ["10.1.0.0/16"]);
    let proxies: Vec<String> = public.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(proxies, ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32"]);
    check_limits(&public.limits);
    assert_eq!(to_https.action, Action::RedirectToHttps { port: 8443, status: 302 });
}

fn check_limits(limits: &ListenerLimits) {
    assert_eq!(
        limits,
        &ListenerLimits {
            header_bytes: 128 << 10,
            headers: 200,
            target_bytes: 4_096,
            header_timeout: Duration::from_secs(5),
            body_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60),
            handshake_timeout: Duration::from_secs(3),
            connections: 500,
            connections_per_address: Some(20),
            streams: 50,
            request_body_bytes: Some(10 << 20),
            request_body_rate: 1_024,
            control_frames: 1_000,
            control_frames_per_second: 50,
        }
    );
}

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

#[test]
fn plugins_and_upstreams_keep_the_order_of_the_file() {
    let text = "plugins_dir = \"p\"\n[plugin.z]\nmodule = \"m\"\n[plugin.a]\nmodule = \"m\"\n".to_owned()
        + &SMALL.replace("bind", "chain = [\"a\", \"z\"]\nbind");
    let config = good(&text);
    let names: Vec<_> = config.plugins.iter().map(|plugin| plugin.name.as_str()).collect();
    assert_eq!(
        (names, &config.listeners.first().expect("a listener").chain),
        (vec!["z", "a"], &vec![enforced(1), enforced(0)])
    );
}

fn enforced(plugin: usize) -> ChainEntry {
    ChainEntry { plugin, mode: ChainMode::Enforce }
}

fn in_shadow(plugin: usize) -> ChainEntry {
    ChainEntry { plugin, mode: ChainMode::Shadow }
}

#[test]
fn plugins_share_a_namespace_with_the_same_bounds() {
    let joined = |name: &str, module: &str, shared: &str| {
        format!("[plugin.{name}]\nmodule = \"{module}\"\ngrant = [\"shared\"]\nshared = {{ {shared} }}\n")
    };
    let text = "plugins_dir = \"p\"\n".to_owned()
        + &joined("a", "m", "name = \"pool\", keys = 5")
        + &joined("b", "m", "keys = 5, name = \"pool\"")
        + &joined("c", "m", "name = \"d\"")
        + "[plugin.d]\nmodule = \"m\"\ngrant = [\"shared\"]\n"
        + &SMALL.replace("bind", "chain = [\"a\", \"b\", \"c\", \"d\"]\nbind");
    let config = good(&text);
    let shared: Vec<_> =
        config.plugins.iter().map(|plugin| (&*plugin.shared.name, plugin.shared.bounds.keys)).collect();
    assert_eq!(shared, [("pool", 5), ("pool", 5), ("d", 10_000), ("d", 10_000)]);
    assert_eq!(config.warnings, []);
}

#[test]
fn port_0_can_be_bound_often() {
    let config = good(&SMALL.replace("\"127.0.0.1:8080\"", "[\"127.0.0.1:0\", \"127.0.0.1:0\"]"));
    assert_eq!(config.listeners.first().expect("a listener").bind, [address("127.0.0.1:0"); 2]);
}

#[test]
fn what_is_hardly_meant_is_warned_of() {
    let warn = |text: &str, expected: &[&str]| {
        let rows: Vec<String> = good(text)
            .warnings
            .iter()
            .map(|warning| format!("{}:{}: {}: {}", warning.line, warning.column, warning.key, warning.message))
            .collect();
        assert_eq!(rows, expected, "of {text}");
    };
    warn(
        &SMALL.replace("127.0.0.1:80\"", "10.0.0.1:80\""),
        &[
            "2:13: upstream.web.endpoints: 10.0.0.1:80 is reached without encryption: write tls = { … }, or tls = false if that \
         is meant",
        ],
    );
    warn(
        &format!("{SMALL}[admin]\nbind = \"0.0.0.0:9901\"\nallow_remote = true"),
        &["9:8: admin.bind: \"0.0.0.0:9901\" lets other machines reach the admin listener"],
    );
    warn(
        &SMALL.replace("bind", "trusted_proxies = [\"0.0.0.0/0\"]\nbind"),
        &["5:20: listener[0].trusted_proxies[0]: \"0.0.0.0/0\" believes every client's own word on who it is"],
    );
    warn(
        &format!("plugins_dir = \"p\"\n[plugin.edge]\nmodule = \"m\"\nshared = {{ keys = 5 }}\n{SMALL}")
            .replace("bind", "chain = [\"edge\"]\nbind"),
        &["4:10: plugin.edge.shared: is of no use without grant = [\"shared\"]"],
    );
    let unused = "plugins_dir = \"p\"\n[plugin.edge]\nmodule = \"m\"\ngrant = [\"log\"]\n[upstream.spare]\nendpoints = \
                  [\"127.0.0.1:1\"]\n";
    warn(
        &format!("{unused}{SMALL}"),
        &[
            "2:1: plugin.edge: is in no chain",
            "4:10: plugin.edge.grant[0]: \"log\" is always granted",
            "5:1: upstream.spare: is in no route, and no plugin is granted it",
        ],
    );
}

#[test]
fn a_file_is_read_from_its_folder() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/every_key.toml");
    let config = Config::read(&file).expect("a config");
    assert_eq!(config.plugins_dir, Some(file.with_file_name("plugins")));
    assert_eq!(config.file, file);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = Config::read(Path::new("nowhere/palisade.toml")).expect_err("no file");
    assert_eq!(error.to_string(), "cannot read the config \"nowhere/palisade.toml\"");
    assert!(matches!(error, ReadError::Read { .. }), "{error:?}");
}

#[test]
fn a_file_that_is_not_text_is_refused() {
    let file = std::env::temp_dir().join(format!("palisade-config-{}.toml", std::process::id()));
    std::fs::write(&file, b"workers = 1\n\"a\xff\" = 2\n").expect("a temporary file");
    let error = Config::read(&file).expect_err("not text").to_string();
    std::fs::remove_file(&file).expect("the temporary file");
    let name = file.display();
    let expected =
        format!("{name}:2:3: the text is not UTF-8\n  |\n2 | \"a\u{fffd}\" = 2\n  |   ^\n\n1 problem in {name}");
    assert_eq!(error, expected);
}

#[cfg(unix)]
#[test]
fn a_file_without_an_end_is_refused() {
    let error = Config::read(Path::new("/dev/zero")).expect_err("too large").to_string();
    assert_eq!(error, "the config \"/dev/zero\" is too large: expected at most 16777216 bytes");
}

const SMALL: &str = "[upstream.web]
endpoints = [\"127.0.0.1:80\"]
[[listener]]
name = \"public\"
bind = \"127.0.0.1:8080\"
[[listener.route]]
upstream = \"web\"
";

#[track_caller]
#[expect(clippy::expect_used, reason = "a case that is no config fails its test")]
fn good(text: &str) -> Config {
    Config::parse(text, Path::new("conf/palisade.toml")).expect(text)
}

#[track_caller]
#[expect(clippy::expect_used, reason = "written in the test")]
fn address(text: &str) -> SocketAddr {
    text.parse().expect(text)
}
