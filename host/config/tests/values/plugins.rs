//! What is read of plugins, and of the host as a whole.

use super::*;

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
