//! `[[listener]]`.

use crate::check::{check, listener};

#[test]
fn listeners_bind_each_address_once() {
    check(
        &listener("bind = [\"[::]:443\", \"localhost\", \"10.0.0.1\"]"),
        &[
            "3:21: listener[0].bind[1]: \"localhost\" is not an address: expected \"IP:port\", such as \"0.0.0.0:443\" or \
             \"[::]:443\"",
            "3:34: listener[0].bind[2]: \"10.0.0.1\" has no port: expected one, such as \"10.0.0.1:443\"",
        ],
    );
    check(&listener("bind = []"), &["3:8: listener[0].bind: holds 0 addresses: expected 1 to 64"]);
    check(
        &listener(
            "bind = [\"127.0.0.1:80\", \"127.0.0.1:80\"]\nredirect_to_https = true\n[[listener]]\nname = \"public\"\n\
             bind = \"[::ffff:127.0.0.1]:80\"",
        ),
        &[
            "3:25: listener[0].bind[1]: \"127.0.0.1:80\" is bound by listener[0].bind[0] already",
            "6:8: listener[1].name: \"public\" is listener[0].name already",
            "7:8: listener[1].bind: \"[::ffff:127.0.0.1]:80\" is bound by listener[0].bind[0] already",
        ],
    );
    check(&listener(""), &["1:1: listener[0].bind: is missing: a listener needs it"]);
}

#[test]
fn a_listener_speaks_what_it_can() {
    let bind = "bind = \"127.0.0.1:443\"";
    check(
        &listener(&format!("{bind}\nhttp = [\"h2\", \"h3\", \"http/1.1\", \"h1\", \"h1\"]")),
        &[
            "4:9: listener[0].http[0]: \"h2\" needs tls: expected \"h1\" alone on a listener without it",
            "4:15: listener[0].http[1]: \"h3\" needs tls: expected \"h1\" alone on a listener without it",
            "4:21: listener[0].http[2]: \"http/1.1\" is not an HTTP version: expected \"h1\", \"h2\" or \"h3\"",
            "4:39: listener[0].http[4]: \"h1\" is there already",
        ],
    );
    let tls = "tls = { certificates = [{ chain = \"a.pem\", key = \"a.key\" }] }";
    check(
        &listener(&format!("{bind}\nhttp = [\"h3\"]\n{tls}")),
        &[
            "4:8: listener[0].http: holds \"h3\" alone: expected \"h1\" or \"h2\" beside it, by which clients learn of it",
        ],
    );
    check(
        &listener(&format!("{bind}\nhttp = []")),
        &["4:8: listener[0].http: holds no version: expected at least one"],
    );
    check(
        &listener(&format!("{bind}\nhttp = \"h1\"")),
        &["4:8: listener[0].http: \"h1\" is not a list: expected HTTP versions, such as [\"h1\", \"h2\"]"],
    );
}

#[test]
fn a_listeners_tls_has_certificates() {
    let bind = "bind = \"127.0.0.1:443\"";
    check(
        &listener(&format!("{bind}\ntls = {{ certificates = [], min_version = \"1.1\", tickets = \"no\" }}")),
        &[
            "4:24: listener[0].tls.certificates: holds 0 certificates: expected 1 to 1000",
            "4:42: listener[0].tls.min_version: \"1.1\" is not a TLS version: expected \"1.2\" or \"1.3\"",
            "4:59: listener[0].tls.tickets: \"no\" is not a boolean: expected true or false",
        ],
    );
    let early = |http: &str, more: &str| {
        let certificates = "certificates = [{ chain = \"a\", key = \"b\" }]";
        listener(&format!("{bind}\n{http}\ntls = {{ early_data = true, {certificates}{more} }}"))
    };
    let refused = |why: &str| format!("5:22: listener[0].tls.early_data: {why}");
    let h3 = "http = [\"h2\", \"h3\"]";
    check(
        &early("http = [\"h2\"]", ""),
        &[&refused("has no use: the listener does not speak HTTP/3 (\"h3\" in http)")],
    );
    check(&early(h3, ", tickets = false"), &[&refused("needs session tickets: expected tickets = true beside it")]);
    check(
        &early(h3, ", client_certificates = { mode = \"optional\", ca = \"c.pem\" }"),
        &[&refused("takes requests that may be replayed: expected no client_certificates beside it")],
    );
    check(
        &listener(&format!("{bind}\ntls = {{ certificates = [{{ chain = \"a.pem\" }}, 3] }}")),
        &[
            "4:25: listener[0].tls.certificates[0].key: is missing: a certificate needs it",
            "4:46: listener[0].tls.certificates[1]: 3 is not a table: expected the keys of a certificate",
        ],
    );
    check(
        &listener(&format!(
            "{bind}\ntls = {{ certificates = [{{ chain = \"a\", key = \"b\" }}], client_certificates = {{ mode = \"on\" }} }}"
        )),
        &[
            "4:76: listener[0].tls.client_certificates.ca: is missing: client_certificates needs it",
            "4:85: listener[0].tls.client_certificates.mode: \"on\" is not a mode: expected \"required\" or \"optional\"",
        ],
    );
    check(
        &listener(&format!("{bind}\ntls = {{}}\nhttp = [\"h2\"]")),
        &["4:7: listener[0].tls.certificates: is missing: a listener's tls needs it"],
    );
}

#[test]
fn a_chain_names_plugins_each_once() {
    let bind = "bind = \"127.0.0.1:443\"";
    check(
        &listener(&format!("{bind}\nchain = [\"web\"]")),
        &["4:10: listener[0].chain[0]: no plugin is called \"web\": expected the NAME of a [plugin.NAME]"],
    );
    let plugin = "plugins_dir = \"p\"\n[plugin.edge]\nmodule = \"firewall\"\n";
    check(
        &(plugin.to_owned() + &listener(&format!("{bind}\nchain = [\"egde\", \"edge\", \"edge\", 3]"))),
        &[
            "7:10: listener[0].chain[0]: no plugin is called \"egde\": did you mean \"edge\"?",
            "7:26: listener[0].chain[2]: \"edge\" is listener[0].chain[1] already",
            "7:34: listener[0].chain[3]: 3 is not a name: expected a lower-case letter, then at most 62 lower-case letters, \
             digits or hyphens, such as \"web-1\"",
        ],
    );
    let chain = "chain = [\"edge\", { plugin = \"edge\", mode = \"shadow\" }, { mode = \"shade\", plugins = 1 }]";
    check(
        &(plugin.to_owned() + &listener(&format!("{bind}\n{chain}"))),
        &[
            "7:29: listener[0].chain[1].plugin: \"edge\" is listener[0].chain[0] already",
            "7:56: listener[0].chain[2].plugin: is missing: an entry of a chain needs it",
            "7:65: listener[0].chain[2].mode: \"shade\" is not a mode: expected \"enforce\" or \"shadow\"",
            "7:74: listener[0].chain[2].plugins: is not a key of an entry of a chain: did you mean \"plugin\"?",
        ],
    );
}

#[test]
fn trusted_proxies_are_networks() {
    check(
        &listener("bind = \"127.0.0.1:443\"\ntrusted_proxies = [\"10.0.0.1/8\", \"10.0.0.0/33\", \"2001:db8::/32\"]"),
        &[
            "4:20: listener[0].trusted_proxies[0]: \"10.0.0.1/8\" has bits after its prefix: expected \"10.0.0.0/8\"",
            "4:34: listener[0].trusted_proxies[1]: \"10.0.0.0/33\" is not a network: expected \"IP/prefix\", such as \
             \"10.0.0.0/8\" or \"2001:db8::/32\"",
        ],
    );
}

#[test]
fn a_port_of_http_3_is_for_listeners_that_speak_it() {
    check(
        &listener("bind = \"127.0.0.1:443\"\nhttp3_port = 8443"),
        &["4:14: listener[0].http3_port: has no use: the listener does not speak HTTP/3 (\"h3\" in http)"],
    );
    let tls = "tls = { certificates = [{ chain = \"a.pem\", key = \"a.key\" }] }";
    check(
        &listener(&format!("bind = \"127.0.0.1:443\"\n{tls}\nhttp = [\"h1\", \"h3\"]\nhttp3_port = 0")),
        &["6:14: listener[0].http3_port: 0 is out of range: expected 1 to 65535"],
    );
}

#[test]
fn a_policy_for_paths_is_one_of_three() {
    check(
        &listener("bind = \"127.0.0.1:443\"\npaths = \"strict\""),
        &[
            "4:9: listener[0].paths: \"strict\" is not a policy for paths: expected \"normalize\", \"refuse\" or \"keep\"",
        ],
    );
}

#[test]
fn a_listeners_limits_have_bounds() {
    check(
        &listener(
            "bind = \"127.0.0.1:443\"\n[listener.limits]\nheader_bytes = \"4KiB\"\nheaders = 0\ntarget_bytes = \"65 KiB\"\n\
             header_timeout = \"0s\"\nconnections = 0\nstreams = 1_001\nconnections_per_address = \"none\"\nrequest_body = -1\nbody_bytes = 1\n\
             request_body_rate = \"2 MiB\"\ncontrol_frames = 99\ncontrol_frames_per_second = 0",
        ),
        &[
            "5:16: listener[0].limits.header_bytes: \"4KiB\" is out of range: expected 8 KiB to 1 MiB",
            "6:11: listener[0].limits.headers: 0 is out of range: expected 1 to 1000",
            "7:16: listener[0].limits.target_bytes: \"65 KiB\" is out of range: expected 1 B to 64 KiB",
            "8:18: listener[0].limits.header_timeout: \"0s\" is out of range: expected 1ms to 1h",
            "9:15: listener[0].limits.connections: 0 is out of range: expected 1 to 1000000",
            "10:11: listener[0].limits.streams: 1001 is out of range: expected 1 to 1000",
            "11:27: listener[0].limits.connections_per_address: \"none\" is not a whole number: expected 1 to 1000000",
            "12:16: listener[0].limits.request_body: -1 is out of range: expected 0 to 18446744073709551615",
            "13:1: listener[0].limits.body_bytes: is not a key of a listener's limits: expected header_bytes, headers, \
             target_bytes, header_timeout, body_timeout, idle_timeout, handshake_timeout, connections, \
             connections_per_address, streams, \
             request_body, request_body_rate, control_frames or control_frames_per_second",
            "14:21: listener[0].limits.request_body_rate: \"2 MiB\" is out of range: expected 0 B to 1 MiB",
            "15:18: listener[0].limits.control_frames: 99 is out of range: expected 100 to 1000000",
            "16:29: listener[0].limits.control_frames_per_second: 0 is out of range: expected 1 to 100000",
        ],
    );
    check(
        &listener("bind = \"127.0.0.1:443\"\nlimits = { header_bytes = \"8 KiB\", target_bytes = \"9 KiB\" }"),
        &["4:51: listener[0].limits.target_bytes: \"9 KiB\" is more than header_bytes: the target is part of the head"],
    );
}

#[test]
fn a_redirect_is_for_plain_http_and_has_no_routes() {
    let redirect = "[[listener]]\nname = \"plain\"\nbind = \"127.0.0.1:80\"\nredirect_to_https = ";
    check(
        &format!("{redirect}{{ port = 0, status = 303, host = \"a\" }}"),
        &[
            "4:30: listener[0].redirect_to_https.port: 0 is out of range: expected 1 to 65535",
            "4:42: listener[0].redirect_to_https.status: 303 is not a status of a redirect: expected 301, 302, 307 or 308",
            "4:47: listener[0].redirect_to_https.host: is not a key of a redirect: expected port or status",
        ],
    );
    check(
        &format!("{redirect}\"yes\""),
        &[
            "4:21: listener[0].redirect_to_https: \"yes\" is not a redirect: expected true, or a table such as { port = 8443 \
           }",
        ],
    );
    check(
        &format!(
            "{redirect}true\ntls = {{ certificates = [{{ chain = \"a\", key = \"b\" }}] }}\n[[listener.route]]\nupstream = \
             \"web\""
        ),
        &[
            "4:21: listener[0].redirect_to_https: is for plain HTTP: expected a listener without tls",
            "6:1: listener[0].route: has no use: the listener redirects every request to https",
        ],
    );
    check(
        &format!("{redirect}false"),
        &["1:1: listener[0].route: is missing: a listener needs a [[listener.route]] or redirect_to_https = true"],
    );
}

#[test]
fn a_listener_that_carries_anything_knows_nothing_of_http() {
    let useless = "has no use: the listener has protocol = \"tcp\", whose bytes are passed on as they are";
    check(
        &listener(
            "bind = \"127.0.0.1:3306\"\nprotocol = \"tcp\"\nhttp = [\"h1\"]\npaths = \"keep\"\ntrusted_proxies = \
             []\nredirect_to_https = true",
        )
        .replace("upstream = \"web\"\n", "upstream = \"web\"\npath = \"/a\"\nupgrades = []\nbody_timeout = \"1s\"\n"),
        &[
            &format!("5:8: listener[0].http: {useless}"),
            &format!("6:9: listener[0].paths: {useless}"),
            &format!("7:19: listener[0].trusted_proxies: {useless}"),
            &format!("8:21: listener[0].redirect_to_https: {useless}"),
            &format!("11:8: listener[0].route[0].path: {useless}"),
            &format!("12:12: listener[0].route[0].upgrades: {useless}"),
            &format!("13:16: listener[0].route[0].body_timeout: {useless}"),
        ],
    );
    check(
        &listener("bind = \"127.0.0.1:3306\"\nprotocol = \"udp\""),
        &["4:12: listener[0].protocol: \"udp\" is not a protocol: expected \"http\" or \"tcp\""],
    );
    check(
        "[[listener]]\nname = \"db\"\nbind = \"127.0.0.1:3306\"\nprotocol = \"tcp\"",
        &["1:1: listener[0].route: is missing: a listener needs a [[listener.route]]"],
    );
}

#[test]
fn tls_that_passes_through_is_not_wrapped_in_tls() {
    check(
        &listener("bind = \"127.0.0.1:443\"\nprotocol = \"tcp\"")
            .replace("upstream = \"web\"\n", "upstream = \"web\"\nhost = \"a.test\"\n")
            .replace("endpoints =", "tls = { server_name = \"a.test\" }\nendpoints ="),
        &[
            "6:12: listener[0].route[0].upstream: has tls, and the route's clients bring their own, which is passed on as it \
             is: expected an upstream with tls = false, or tls on the listener, which then ends here",
        ],
    );
}
