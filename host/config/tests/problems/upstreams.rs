//! `[upstream.NAME]`.

use crate::check::{check, upstream};

#[test]
fn endpoints_are_addresses_each_once() {
    check(&upstream("endpoints = []"), &["2:13: upstream.web.endpoints: holds 0 endpoints: expected 1 to 10000"]);
    check(&upstream(""), &["1:1: upstream.web.endpoints: is missing: an upstream needs it"]);
    check(
        &upstream("endpoints = \"127.0.0.1:80\""),
        &["2:13: upstream.web.endpoints: \"127.0.0.1:80\" is not a list: expected endpoints, such as \
           [\"10.0.1.11:8443\"]"],
    );
    let form = "expected \"IP:port\" or \"name:port\", such as \"10.0.1.11:8443\" or \"web.internal:8443\"";
    check(
        &upstream(
            "endpoints = [\n\"web.internal\",\n\"web:0\",\n\"::1\",\n\"127.0.0.1:0\",\n\"1.2.3.4:99999\",\n80,\n\"we b:80\"]",
        ),
        &[
            "3:1: upstream.web.endpoints[0]: \"web.internal\" has no port: expected one, such as \"web.internal:443\"",
            "4:1: upstream.web.endpoints[1]: port 0 cannot be connected to",
            "5:1: upstream.web.endpoints[2]: \"::1\" has no port: expected one, such as \"[::1]:443\"",
            "6:1: upstream.web.endpoints[3]: port 0 cannot be connected to",
            &format!("7:1: upstream.web.endpoints[4]: \"1.2.3.4:99999\" is not an address: {form}"),
            &format!("8:1: upstream.web.endpoints[5]: 80 is not an address: {form}"),
            &format!("9:1: upstream.web.endpoints[6]: \"we b:80\" is not an address: {form}"),
        ],
    );
    check(
        &upstream("tls = false\nendpoints = [\"web:80\", \"WEB:80\"]"),
        &["3:24: upstream.web.endpoints[1]: \"WEB:80\" is upstream.web.endpoints[0] already"],
    );
    check(
        &upstream("endpoints = [\"127.0.0.1:80\", { address = \"127.0.0.1:80\" }, \"[::ffff:127.0.0.1]:80\"]"),
        &[
            "2:42: upstream.web.endpoints[1].address: \"127.0.0.1:80\" is upstream.web.endpoints[0] already",
            "2:60: upstream.web.endpoints[2]: \"[::ffff:127.0.0.1]:80\" is upstream.web.endpoints[0] already",
        ],
    );
    check(
        &upstream("endpoints = [{ weight = 0, zone = \"\" }, { address = \"127.0.0.1:81\", weight = 65_536 }]"),
        &[
            "2:14: upstream.web.endpoints[0].address: is missing: an endpoint needs it",
            "2:25: upstream.web.endpoints[0].weight: 0 is out of range: expected 1 to 65535",
            "2:35: upstream.web.endpoints[0].zone: \"\" is not a zone: expected 1 to 63 bytes of text, such as \"b\"",
            "2:78: upstream.web.endpoints[1].weight: 65536 is out of range: expected 1 to 65535",
        ],
    );
}

#[test]
fn an_endpoint_has_a_level_or_is_a_backup() {
    let endpoint = |keys: &str| upstream(&format!("endpoints = [{{ address = \"127.0.0.1:81\", {keys} }}]"));
    check(
        &endpoint("priority = 10"),
        &["2:53: upstream.web.endpoints[0].priority: 10 is out of range: expected 0 to 9"],
    );
    check(
        &endpoint("backup = 1"),
        &["2:51: upstream.web.endpoints[0].backup: 1 is not a boolean: expected true or false"],
    );
    check(
        &endpoint("priority = 1, backup = true"),
        &[
            "2:65: upstream.web.endpoints[0].backup: stands beside priority: expected one of them, as a backup comes after all",
        ],
    );
}

#[test]
fn an_upstream_has_tls_limits_and_timeouts() {
    let endpoints = "endpoints = [\"127.0.0.1:80\"]";
    check(
        &upstream(&format!("{endpoints}\ntls = true")),
        &["3:7: upstream.web.tls: true is not an upstream's tls: expected false or a table, such as { server_name = \
           \"web.internal\" }"],
    );
    check(
        &upstream(&format!("{endpoints}\ntls = {{ ca = 1, certificate = {{ chain = \"a.pem\" }} }}")),
        &[
            "3:7: upstream.web.tls.server_name: is missing: an upstream's tls needs it",
            "3:14: upstream.web.tls.ca: 1 is not a path: expected one from the config's folder or from the root, such as \
             \"web.pem\"",
            "3:31: upstream.web.tls.certificate.key: is missing: a certificate needs it",
        ],
    );
    check(
        &upstream(&format!(
            "{endpoints}\ntls = {{ server_name = \"web\", pins = [\"sha256:00\", \"sha256:{}\", \"{}\"] }}",
            "é".repeat(32),
            "00".repeat(32)
        )),
        &[
            "3:38: upstream.web.tls.pins[0]: \"sha256:00\" is not a pin: expected \"sha256:\" and 64 hexadecimal digits",
            "3:51: upstream.web.tls.pins[1]: \"sha256:éééééééééééééééééééééééééééééééé\" is not a pin: expected \"sha256:\" and \
             64 hexadecimal digits",
            "3:94: upstream.web.tls.pins[2]: \"0000000000000000000000000000000000000000000000000000000000000000\" is not a pin: \
             expected \"sha256:\" and 64 hexadecimal digits",
        ],
    );
    check(
        &upstream(&format!("{endpoints}\ntls = {{ server_name = \"*.web.internal\" }}")),
        &[
            "3:23: upstream.web.tls.server_name: \"*.web.internal\" is not a server name: expected a host name or an IP \
           address, such as \"web.internal\"",
        ],
    );
    check(
        &upstream(&format!(
            "{endpoints}\nconnect_timeout = \"0ms\"\nresponse_timeout = \"61m\"\nidle_timeout = \"1.5s\"\n\
             body_timeout = true\nidle_connections = 10_001\nconnections = 0\ntimeout = \"1s\""
        )),
        &[
            "3:19: upstream.web.connect_timeout: \"0ms\" is out of range: expected 1ms to 1h",
            "4:20: upstream.web.response_timeout: \"61m\" is out of range: expected 1ms to 1h",
            "5:16: upstream.web.idle_timeout: \"1.5s\" is not a duration: expected a whole number with ms, s, m or h, such \
             as \"500ms\" or \"10s\"",
            "6:16: upstream.web.body_timeout: true is not a duration: expected a whole number with ms, s, m or h, such as \
             \"500ms\" or \"10s\"",
            "7:20: upstream.web.idle_connections: 10001 is out of range: expected 0 to 10000",
            "8:15: upstream.web.connections: 0 is out of range: expected 1 to 1000000",
            "9:1: upstream.web.timeout: is not a key of an upstream: expected endpoints, discover, tls, health, ejection, panic_percent, slow_start, \
             protocol, proxy_protocol, connect_timeout, \
             response_timeout, total_timeout, idle_timeout, body_timeout, idle_connections, connections, streams, connection_age, \
             warm_connections, retries, circuit or hedge",
        ],
    );
}

#[test]
fn a_protocol_is_one_that_the_upstream_can_agree_on() {
    let plain = |protocol: &str| upstream(&format!("protocol = {protocol}\nendpoints = [\"127.0.0.1:80\"]"));
    check(
        &plain("\"h3\""),
        &["2:12: upstream.web.protocol: \"h3\" is not a protocol: expected \"h1\", \"h2\" or \"auto\""],
    );
    check(
        &plain("\"auto\""),
        &["2:12: upstream.web.protocol: \"auto\" is agreed on within TLS: expected \"h1\" or \"h2\" on an upstream \
           without it"],
    );
    check(
        &upstream("streams = 0\nbody_timeout = \"25h\"\nendpoints = [\"127.0.0.1:80\"]"),
        &[
            "2:11: upstream.web.streams: 0 is out of range: expected 1 to 1000",
            "3:16: upstream.web.body_timeout: \"25h\" is out of range: expected 1ms to 24h",
        ],
    );
}

#[test]
fn endpoints_are_found_in_one_place() {
    check(
        &upstream("tls = false\nendpoints = [\"127.0.0.1:80\"]\ndiscover = { file = \"a\" }"),
        &["4:12: upstream.web.discover: stands beside endpoints: expected one of them"],
    );
    check(
        &upstream("tls = false\ndiscover = { file = \"a\", srv = \"_a._tcp.b\" }"),
        &["3:12: upstream.web.discover: is from one place: expected srv or file"],
    );
    check(
        &upstream("tls = false\ndiscover = { srv = \"web.internal\" }"),
        &[
            "3:20: upstream.web.discover.srv: \"web.internal\" is not a service: expected the name of SRV records, such as \
           \"_mysql._tcp.db.internal\"",
        ],
    );
}

#[test]
fn a_health_check_is_of_one_kind() {
    let endpoints = "endpoints = [\"127.0.0.1:80\"]";
    let with = |health: &str| upstream(&format!("{endpoints}\nhealth = {health}"));
    check(&with("{}"), &["3:10: upstream.web.health.check: is missing: a health check needs it"]);
    check(
        &with("{ check = \"ping\" }"),
        &["3:20: upstream.web.health.check: \"ping\" is not a check: expected \"http\", \"tcp\", \"tls\" or \"mysql\""],
    );
    check(
        &with("{ check = \"tcp\", path = \"/\", user = \"a\" }"),
        &[
            "3:34: upstream.web.health.path: is of another check: expected check = \"http\" beside it",
            "3:46: upstream.web.health.user: is of another check: expected check = \"mysql\" beside it",
        ],
    );
    check(
        &with("{ check = \"tls\" }"),
        &["3:20: upstream.web.health.check: is of a handshake: expected the upstream's tls beside it"],
    );
    check(
        &with("{ check = \"http\", path = \"healthz\", host = \"a b\", status = [\"200-\", 600], interval = \"1ms\" }"),
        &[
            "3:35: upstream.web.health.path: \"healthz\" is not a path: expected one that begins with \"/\", such as \
             \"/healthz\"",
            "3:53: upstream.web.health.host: \"a b\" is not a host: expected a name with or without a port, such as \
             \"www.example.com\"",
            "3:70: upstream.web.health.status[0]: \"200-\" is not a status: expected 100 to 599, or a range such as \
             \"200-299\"",
            "3:78: upstream.web.health.status[1]: 600 is out of range: expected 100 to 599",
            "3:95: upstream.web.health.interval: \"1ms\" is out of range: expected 100ms to 1h",
        ],
    );
}

#[test]
fn an_ejection_has_times_in_order() {
    let with = |ejection: &str| upstream(&format!("endpoints = [\"127.0.0.1:80\"]\nejection = {ejection}"));
    check(
        &with("true"),
        &["3:12: upstream.web.ejection: true is not an ejection: expected false or a table, such as { failures = 5 }"],
    );
    check(
        &with("{ time = \"10s\", time_max = \"5s\", share_percent = 101 }"),
        &[
            "3:39: upstream.web.ejection.time_max: is shorter than time: expected as much or more",
            "3:61: upstream.web.ejection.share_percent: 101 is out of range: expected 0 to 100",
        ],
    );
}

#[test]
fn retries_are_bounded_and_for_known_reasons() {
    let retries = |keys: &str| upstream(&format!("endpoints = [\"127.0.0.1:80\"]\nretries = {{ {keys} }}"));
    let reason = "is not a reason to retry: expected \"connect\", \"reset\", \"refused\", \"timeout\" or a status of 400 to \
                  599, such as \"503\"";
    check(
        &retries("attempts = 11, backoff = \"0ms\", body = \"17 MiB\", per_try_timeout = \"0s\""),
        &[
            "3:24: upstream.web.retries.attempts: 11 is out of range: expected 0 to 10",
            "3:38: upstream.web.retries.backoff: \"0ms\" is out of range: expected 1ms to 10s",
            "3:52: upstream.web.retries.body: \"17 MiB\" is out of range: expected 0 B to 16 MiB",
            "3:80: upstream.web.retries.per_try_timeout: \"0s\" is out of range: expected 1ms to 1h",
        ],
    );
    check(
        &retries("on = [\"connect\", \"200\", \"error\"], budget = { percent = 101, minimum = 1_001 }"),
        &[
            &format!("3:30: upstream.web.retries.on[1]: \"200\" {reason}"),
            "3:68: upstream.web.retries.budget.percent: 101 is out of range: expected 0 to 100",
            "3:83: upstream.web.retries.budget.minimum: 1001 is out of range: expected 0 to 1000",
        ],
    );
    check(
        &retries("on = [\"425\"]"),
        &["3:19: upstream.web.retries.on[0]: 425 is for the client, which knows when its handshake is done"],
    );
    check(
        &retries("on = \"connect\", budget = 5"),
        &[
            "3:18: upstream.web.retries.on: \"connect\" is not a list: expected reasons, such as [\"connect\", \"reset\", \
             \"503\"]",
            "3:38: upstream.web.retries.budget: 5 is not a table: expected the keys of a budget",
        ],
    );
}

#[test]
fn circuits_and_connections_are_bounded() {
    let keys = |keys: &str| upstream(&format!("endpoints = [\"127.0.0.1:80\"]\n{keys}"));
    check(
        &keys(
            "circuit = { requests = 0, pending = 1_000_001, error_rate = { requests = 0, window = \"10ms\", trials = 0 } }",
        ),
        &[
            "3:24: upstream.web.circuit.requests: 0 is out of range: expected 1 to 1000000",
            "3:37: upstream.web.circuit.pending: 1000001 is out of range: expected 0 to 1000000",
            "3:61: upstream.web.circuit.error_rate.percent: is missing: an error rate needs it",
            "3:74: upstream.web.circuit.error_rate.requests: 0 is out of range: expected 1 to 1000000",
            "3:86: upstream.web.circuit.error_rate.window: \"10ms\" is out of range: expected 1s to 1h",
            "3:103: upstream.web.circuit.error_rate.trials: 0 is out of range: expected 1 to 1000",
        ],
    );
    check(
        &keys("hedge = { percentile = 100 }\nconnection_age = \"10ms\"\nidle_connections = 4\nwarm_connections = 5"),
        &[
            "3:9: upstream.web.hedge.after: is missing: a hedge needs it",
            "3:24: upstream.web.hedge.percentile: 100 is out of range: expected 50 to 99",
            "4:18: upstream.web.connection_age: \"10ms\" is out of range: expected 1s to 24h",
            "6:20: upstream.web.warm_connections: 5 is more than are kept unused or may be open: expected at most 4",
        ],
    );
}
