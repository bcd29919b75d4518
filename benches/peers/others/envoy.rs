//! Envoy, with one worker; the rules are its RBAC filter's, one policy each, or Lua's, or those of a Wasm filter (`envoy-rules`).

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;
use serde_json::{Value, json};

use super::{Rules, of_python};
use crate::peer::{Kind, Place};
use crate::rules;

#[derive(Debug)]
pub(super) struct Envoy {
    pub(super) rules: Rules,
}

impl Kind for Envoy {
    fn name(&self) -> String {
        let name = match self.rules {
            Rules::None => "Envoy",
            Rules::Native => "Envoy, RBAC",
            Rules::Lua => "Envoy, Lua",
            Rules::Wasm => "Envoy, Wasm",
        };
        name.to_owned()
    }

    fn prepare(&self, place: &Place, port: u16, origins: [SocketAddr; 2]) -> Result<(PathBuf, Vec<String>)> {
        let config = json!({
            "static_resources": {
                "listeners": [listener(place, port, self.filter())],
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
        let file = place.folder.join(format!("envoy-{:?}.json", self.rules));
        fs::write(&file, config.to_string())?;
        let words = ["--concurrency", "1", "--log-level", "error", "--disable-hot-restart", "-c"].map(str::to_owned);
        let words = words.into_iter().chain([file.display().to_string()]);
        Ok((of_python("envoy"), words.collect()))
    }

    fn has_rules(&self) -> bool {
        self.rules != Rules::None
    }
}

impl Envoy {
    /// What holds the rules.
    fn filter(&self) -> Option<Value> {
        let filter = |name: &str, kind: &str, config: Value| {
            Some(json!({
                "name": format!("envoy.filters.http.{name}"),
                "typed_config": typed(&format!("envoy.extensions.filters.http.{name}.v3.{kind}"), config),
            }))
        };
        match self.rules {
            Rules::None => None,
            Rules::Native => filter("rbac", "RBAC", json!({ "rules": rules() })),
            Rules::Lua => {
                filter("lua", "Lua", json!({ "default_source_code": { "inline_string": rules::lua() + ON_REQUEST } }))
            }
            Rules::Wasm => filter("wasm", "Wasm", wasm()),
        }
    }
}

const ON_REQUEST: &str = r#"
function envoy_on_request(handle)
  local headers = handle:headers()
  local address = handle:streamInfo():downstreamDirectRemoteAddress():match("^[^:]*")
  local path = headers:get(":path"):match("^[^?]*")
  if denied(address, path, headers:get(":method"), headers:get(":authority"), headers:get("user-agent") or "") then
    handle:respond({ [":status"] = "403" }, "")
  end
end
"#;

fn wasm() -> Value {
    let mut settings: Vec<String> = rules::networks().iter().map(|network| format!("network {network}")).collect();
    settings.extend(rules::PREFIXES.map(|prefix| format!("prefix {prefix}")));
    settings.extend(rules::METHODS.map(|method| format!("method {method}")));
    settings.push(format!("domain {}", rules::DOMAIN));
    settings.push(format!("scripts {}", rules::SCRIPTS));
    settings.push(format!("agents (?i-u){}", rules::AGENTS));
    // `cargo xtask bench peers` puts it there.
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/benches/envoy_rules.wasm");
    json!({ "config": {
        "name": "rules",
        "configuration": typed("google.protobuf.StringValue", json!({ "value": settings.join("\n") })),
        "vm_config": { "runtime": "envoy.wasm.runtime.v8", "code": { "local": { "filename": file.display().to_string() } } },
    } })
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

fn listener(place: &Place, port: u16, filter: Option<Value>) -> Value {
    let router = typed("envoy.extensions.filters.http.router.v3.Router", json!({}));
    let router = json!({ "name": "envoy.filters.http.router", "typed_config": router });
    let filters: Vec<Value> = filter.into_iter().chain([router]).collect();
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
