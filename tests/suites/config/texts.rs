//! What is wrong with a text: every problem with its line, column and key.

use super::{check, folder};

/// What of the good configuration is replaced by what, and every problem that is then told.
type Case = (&'static str, &'static str, &'static [&'static str]);

const CASES: [Case; 44] = [
    (
        r#"cache_dir   ="#,
        r#"cache_dri   ="#,
        &[r#"2:1: cache_dri: is not a key of the config: did you mean "cache_dir"?"#],
    ),
    (
        r#"plugins_dir = "plugins""#,
        r#"plugins_dir = 7"#,
        &[
            r#"1:15: plugins_dir: 7 is not a path: expected one from the config's folder or from the root, such as "web.pem""#,
        ],
    ),
    (
        r#"plugins_dir = "plugins""#,
        "plugins_dir = \"plugins\"\nworkers = 0",
        &["2:11: workers: 0 is out of range: expected 1 to 256"],
    ),
    (r#"plugins_dir = "plugins""#, "plugins_dir = \"plugins\"\nplugins_dir = \"others\"", &["2:1: duplicate key"]),
    (
        r#"plugins_dir = "plugins""#,
        "",
        &["4:1: plugin.wall: needs plugins_dir, the folder that modules are in, which is missing"],
    ),
    (r#"plugins_dir = "plugins""#, "plugins_dir = \"plugins", &[r#"1:23: invalid basic string, expected `"`"#]),
    (
        "[plugin.wall]",
        "[plugin.Wall]",
        &[
            r#"4:9: plugin.Wall: "Wall" is not a name: expected a lower-case letter, then at most 62 lower-case letters, digits or hyphens, such as "web-1""#,
            r#"16:10: listener[0].chain[0]: no plugin is called "wall": did you mean "Wall"?"#,
        ],
    ),
    (r#"module   = "firewall""#, "", &["4:1: plugin.wall.module: is missing: a plugin needs it"]),
    (
        r#"module   = "firewall""#,
        r#"module   = "../firewall""#,
        &[
            r#"5:12: plugin.wall.module: "../firewall" is not a module: expected the name of a file in plugins_dir without .wasm: letters, digits, ".", "-" and "_""#,
        ],
    ),
    (
        r#"module   = "firewall""#,
        "module   = \"firewall\"\non_error = \"ajar\"",
        &[r#"6:12: plugin.wall.on_error: "ajar" is not a policy: expected "closed" or "open""#],
    ),
    (
        r#"["metrics"]"#,
        r#"["metrics", "files"]"#,
        &[r#"6:24: plugin.wall.grant[1]: "files" is not a capability: expected "metrics", "shared" or "tls""#],
    ),
    (
        r#"["metrics"]"#,
        r#""metrics""#,
        &[r#"6:12: plugin.wall.grant: "metrics" is not a list: expected capabilities, such as ["metrics"]"#],
    ),
    (
        r#"{ deny = ["203.0.113.0/24"] }"#,
        r#""deny all""#,
        &[r#"7:12: plugin.wall.settings: "deny all" is not a table: expected settings, such as { status = 403 }"#],
    ),
    (
        r#"{ deny = ["203.0.113.0/24"] }"#,
        "{}\nlimits = { memory = \"1 KiB\" }",
        &[r#"8:21: plugin.wall.limits.memory: "1 KiB" is out of range: expected 64 KiB to 4 GiB"#],
    ),
    (
        r#"{ deny = ["203.0.113.0/24"] }"#,
        "{}\nlimits = { deadline = \"soon\" }",
        &[
            r#"8:23: plugin.wall.limits.deadline: "soon" is not a duration: expected a whole number with ms, s, m or h, such as "500ms" or "10s""#,
        ],
    ),
    (r#"endpoints = ["127.0.0.1:3001"]"#, "", &["9:1: upstream.web.endpoints: is missing: an upstream needs it"]),
    (r#"["127.0.0.1:3001"]"#, "[]", &["10:13: upstream.web.endpoints: holds 0 endpoints: expected 1 to 10000"]),
    (
        r#"["127.0.0.1:3001"]"#,
        r#"["localhost"]"#,
        &[r#"10:14: upstream.web.endpoints[0]: "localhost" has no port: expected one, such as "localhost:443""#],
    ),
    (
        r#"["127.0.0.1:3001"]"#,
        r#"["127.0.0.1:0"]"#,
        &["10:14: upstream.web.endpoints[0]: port 0 cannot be connected to"],
    ),
    (
        r#"["127.0.0.1:3001"]"#,
        r#"["127.0.0.1:3001", "127.0.0.1:3001"]"#,
        &[r#"10:32: upstream.web.endpoints[1]: "127.0.0.1:3001" is upstream.web.endpoints[0] already"#],
    ),
    (
        r#"["127.0.0.1:3001"]"#,
        r#"[{ address = "127.0.0.1:3001", weight = 0 }]"#,
        &["10:53: upstream.web.endpoints[0].weight: 0 is out of range: expected 1 to 65535"],
    ),
    (
        r#""127.0.0.1:3001""#,
        r#"{ address = "127.0.0.1:3001", priority = 0, backup = true }"#,
        &[
            "10:67: upstream.web.endpoints[0].backup: stands beside priority: expected one of them, as a backup comes after all",
        ],
    ),
    (
        r#"plugins_dir = "plugins""#,
        "plugins_dir = \"plugins\"\nzone = \"\"",
        &[r#"2:8: zone: "" is not a zone: expected 1 to 63 bytes of text, such as "b""#],
    ),
    (
        r#"["127.0.0.1:3001"]"#,
        "[\"127.0.0.1:3001\"]\nconnect_timeout = \"2 hours\"",
        &[
            r#"11:19: upstream.web.connect_timeout: "2 hours" is not a duration: expected a whole number with ms, s, m or h, such as "500ms" or "10s""#,
        ],
    ),
    (
        r#"["127.0.0.1:3001"]"#,
        "[\"127.0.0.1:3001\"]\ntls = {}",
        &["11:7: upstream.web.tls.server_name: is missing: an upstream's tls needs it"],
    ),
    (r#"name  = "public""#, "", &["12:1: listener[0].name: is missing: a listener needs it"]),
    (
        r#"bind  = "127.0.0.1:8443""#,
        r#"bind  = "*:8443""#,
        &[
            r#"14:9: listener[0].bind: "*:8443" is not an address: expected "IP:port", such as "0.0.0.0:443" or "[::]:443""#,
        ],
    ),
    (
        r#"bind  = "127.0.0.1:8443""#,
        r#"bind  = ["127.0.0.1:8443", "127.0.0.1:8443"]"#,
        &[r#"14:28: listener[0].bind[1]: "127.0.0.1:8443" is bound by listener[0].bind[0] already"#],
    ),
    (
        r#"bind  = "127.0.0.1:8443""#,
        "bind  = \"127.0.0.1:8443\"\nhttp = [\"h3\"]",
        &[r#"15:8: listener[0].http: holds "h3" alone: expected "h1" or "h2" beside it, by which clients learn of it"#],
    ),
    (
        r#"bind  = "127.0.0.1:8443""#,
        "bind  = \"127.0.0.1:8443\"\ntrusted_proxies = [\"10.0.0.0/33\"]",
        &[
            r#"15:20: listener[0].trusted_proxies[0]: "10.0.0.0/33" is not a network: expected "IP/prefix", such as "10.0.0.0/8" or "2001:db8::/32""#,
        ],
    ),
    (
        r#"bind  = "127.0.0.1:8443""#,
        "bind  = \"127.0.0.1:8443\"\nlimits = { headers = 5000 }",
        &["15:22: listener[0].limits.headers: 5000 is out of range: expected 1 to 1000"],
    ),
    (r#", key = "site.key""#, "", &["15:27: listener[0].tls.certificates[0].key: is missing: a certificate needs it"]),
    (
        r#"[{ chain = "site.pem", key = "site.key" }]"#,
        "[]",
        &["15:26: listener[0].tls.certificates: holds 0 certificates: expected 1 to 1000"],
    ),
    (r#"["wall"]"#, r#"["wal"]"#, &[r#"16:10: listener[0].chain[0]: no plugin is called "wal": did you mean "wall"?"#]),
    (r#"["wall"]"#, r#"["wall", "wall"]"#, &[r#"16:18: listener[0].chain[1]: "wall" is listener[0].chain[0] already"#]),
    (
        r#"["wall"]"#,
        "[\"wall\"]\nredirect_to_https = true",
        &[
            "17:21: listener[0].redirect_to_https: is for plain HTTP: expected a listener without tls",
            "19:1: listener[0].route: has no use: the listener redirects every request to https",
        ],
    ),
    (
        r#""www.example.test""#,
        r#""www.example.test:443""#,
        &[r#"19:12: listener[0].route[0].host: "www.example.test:443" has a port: expected the host alone"#],
    ),
    (
        r#""www.example.test""#,
        "\"www.example.test\"\npath = \"api\"",
        &[
            r#"20:8: listener[0].route[0].path: "api" is not a path: expected one that starts with a slash, such as "/api""#,
        ],
    ),
    (
        r#"upstream = "web""#,
        r#"upstream = "wed""#,
        &[r#"20:12: listener[0].route[0].upstream: no upstream is called "wed": did you mean "web"?"#],
    ),
    (
        r#"upstream = "web""#,
        "upstream = \"web\"\n[[listener.route]]\nhost = \"www.example.test\"\nupstream = \"web\"",
        &[r#"22:8: listener[0].route[1].host: "www.example.test" with path "/" is in listener[0].route[0] already"#],
    ),
    (
        "[upstream.web]",
        "[admin]\nbind = \"0.0.0.0:9901\"\n[upstream.web]",
        &[
            r#"10:8: admin.bind: "0.0.0.0:9901" is not a loopback address: expected one, such as "127.0.0.1:9901", or allow_remote = true"#,
        ],
    ),
    (
        "[upstream.web]",
        "[log]\nlevel = \"loud\"\n[upstream.web]",
        &[r#"10:9: log.level: "loud" is not a log level: expected "off", "error", "warn", "info", "debug" or "trace""#],
    ),
    (
        "[upstream.web]",
        "[shutdown]\ndrain = \"1d\"\n[upstream.web]",
        &[
            r#"10:9: shutdown.drain: "1d" is not a duration: expected a whole number with ms, s, m or h, such as "500ms" or "10s""#,
        ],
    ),
    (
        "[upstream.web]",
        "[engine]\nstack = \"1 GiB\"\n[upstream.web]",
        &[r#"10:9: engine.stack: "1 GiB" is out of range: expected 64 KiB to 4 MiB"#],
    ),
];

#[tokio::test]
async fn every_problem_is_told_with_its_place_its_key_and_what_was_expected() {
    for (text, instead, expected) in CASES {
        let ended = check(&folder(&[(text, instead)])).await;
        let problems = ended.stderr.lines().filter_map(|line| line.strip_prefix("palisade.toml:"));
        assert_eq!(problems.collect::<Vec<_>>(), expected, "{instead}");
        let plural = if expected.len() == 1 { "problem" } else { "problems" };
        let last = format!("{} {plural} in palisade.toml", expected.len());
        assert_eq!(ended.stderr.lines().rfind(|line| !line.is_empty()), Some(last.as_str()), "{instead}");
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{instead}");
    }
}

#[tokio::test]
async fn all_problems_are_told_at_once_each_under_its_line() {
    let changes = [("plugins_dir =", "plugin_dir  ="), ("[\"wall\"]", "[\"wal\"]"), ("\"www.example.test\"", "7")];
    let ended = check(&folder(&changes)).await;
    assert_eq!(ended.stderr.trim_end(), ALL.trim());
    assert_eq!(ended.code, Some(1));
}

const ALL: &str = r#"
palisade.toml:1:1: plugin_dir: is not a key of the config: did you mean "plugins_dir"?
  |
1 | plugin_dir  = "plugins"
  | ^^^^^^^^^^

palisade.toml:4:1: plugin.wall: needs plugins_dir, the folder that modules are in, which is missing
  |
4 | [plugin.wall]
  | ^^^^^^^^^^^^^

palisade.toml:16:10: listener[0].chain[0]: no plugin is called "wal": did you mean "wall"?
   |
16 | chain = ["wal"]
   |          ^^^^^

palisade.toml:19:12: listener[0].route[0].host: 7 is not a host: expected a name, such as "www.example.com" or "*.example.com"
   |
19 | host     = 7
   |            ^

4 problems in palisade.toml
"#;
