//! Envoy, with one worker; the rules are its RBAC filter's, one policy each.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;
use serde_json::{Value, json};

use super::of_python;
use crate::peer::{Kind, Place};
use crate::rules;

pub(super) struct Envoy {
    pub(super) has_rules: bool,
}

impl Kind for Envoy {
    fn name(&self) -> &'static str {
        if self.has_rules { "Envoy, RBAC" } else { "Envoy" }
    }

    fn prepare(&self, place: &Place, port: u16, origins: [SocketAddr; 2]) -> Result<(PathBuf, Vec<String>)> {
        let config = json!({
            "static_resources": {
                "listeners": [listener(place, port, self.has_rules)],
                "clusters": [{
                    "name": "web",
                    "type": "STATIC",
                    "lb_policy": "ROUND_ROBIN",
                    "load_assignment": {
                        "cluster_name": "web",
                        "endpoints": [{ "lb_endpoints": origins.map(|origin| json!({ "endpoint": { "address": address(origin) } })) }],
                    },
                }],
            },
        });
        let file = place.folder.join("envoy.json");
        fs::write(&file, config.to_string())?;
        let words = ["--concurrency", "1", "--log-level", "error", "--disable-hot-restart", "-c"].map(str::to_owned);
        let words = words.into_iter().chain([file.display().to_string()]);
        Ok((of_python("envoy"), words.collect()))
    }
}

fn address(of: SocketAddr) -> Value {
    json!({ "socket_address": { "address": of.ip().to_string(), "port_value": of.port() } })
}

fn typed(kind: &str, mut config: Value) -> Value {
    if let Some(fields) = config.as_object_mut() {
        fields.insert("@type".to_owned(), json!(format!("type.googleapis.com/{kind}")));
    }
    config
}

fn listener(place: &Place, port: u16, has_rules: bool) -> Value {
    let router = typed("envoy.extensions.filters.http.router.v3.Router", json!({}));
    let mut filters = vec![json!({ "name": "envoy.filters.http.router", "typed_config": router })];
    if has_rules {
        let config = typed("envoy.extensions.filters.http.rbac.v3.RBAC", json!({ "rules": rules() }));
        filters.insert(0, json!({ "name": "envoy.filters.http.rbac", "typed_config": config }));
    }
    let manager = json!({
        "stat_prefix": "public",
        "codec_type": "AUTO",
        "generate_request_id": false,
        "route_config": { "virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "routes": [{ "match": { "prefix": "/" }, "route": { "cluster": "web" } }],
        }] },
        "http_filters": filters,
    });
    let kind = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    let certificate = json!({
        "certificate_chain": { "filename": place.chain().display().to_string() },
        "private_key": { "filename": place.key().display().to_string() },
    });
    let tls =
        json!({ "common_tls_context": { "tls_certificates": [certificate], "alpn_protocols": ["h2", "http/1.1"] } });
    let tls = typed("envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext", tls);
    json!({
        "address": address(SocketAddr::from(([127, 0, 0, 1], port))),
        "filter_chains": [{
            "filters": [{ "name": "envoy.filters.network.http_connection_manager", "typed_config": typed(kind, manager) }],
            "transport_socket": { "name": "envoy.transport_sockets.tls", "typed_config": tls },
        }],
    })
}

fn rules() -> Value {
    let any = json!([{ "any": true }]);
    let network = |network: &String| {
        let (address, length) = network.split_once('/').unwrap_or((network, "32"));
        let length: u32 = length.parse().unwrap_or(32);
        json!({ "direct_remote_ip": { "address_prefix": address, "prefix_len": length } })
    };
    let networks: Vec<Value> = rules::networks().iter().map(network).collect();
    let regex = |text: &str| json!({ "regex": text });
    let path = |text: &str| json!({ "url_path": { "path": { "safe_regex": regex(text) } } });
    let header =
        |name: &str, text: &str| json!({ "header": { "name": name, "string_match": { "safe_regex": regex(text) } } });
    let prefixes = format!("^({}).*", rules::PREFIXES.join("|"));
    let methods = rules::METHODS.join("|");
    let domain = format!(".*{}", rules::DOMAIN.replace('.', "\\."));
    let writes = json!({ "and_rules": { "rules": [header(":method", &methods), header(":authority", &domain)] } });
    let policy = |permissions: Value| json!({ "permissions": [permissions], "principals": any });
    json!({
        "action": "DENY",
        "policies": {
            "addresses": { "permissions": any, "principals": networks },
            "admin": policy(path(&prefixes)),
            "writes": policy(writes),
            "scripts": policy(path(&format!(".*{}", rules::SCRIPTS.trim_end_matches('$')))),
            "scanners": policy(header("user-agent", &format!("(?i).*({}).*", rules::AGENTS))),
        },
    })
}
