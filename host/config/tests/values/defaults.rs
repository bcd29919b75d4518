//! What a configuration leaves out, and so has its default.

use super::*;

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
