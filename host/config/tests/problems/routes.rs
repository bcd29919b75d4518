//! `[[listener.route]]`.

use crate::check::{check, listener, route};

#[test]
fn a_route_goes_to_an_upstream() {
    check(
        &route("").replace("upstream = \"web\"", ""),
        &["4:1: listener[0].route[0].upstream: is missing: a route needs it"],
    );
    check(
        &route("").replace("upstream = \"web\"", "upstream = \"wbe\""),
        &["5:12: listener[0].route[0].upstream: no upstream is called \"wbe\": did you mean \"web\"?"],
    );
    check(
        &listener("bind = \"127.0.0.1:80\"\nroute = { upstream = \"web\" }")
            .replace("[[listener.route]]\nupstream = \"web\"\n", ""),
        &["4:9: listener[0].route: a table is not a list: expected [[listener.route]] with two brackets on each side"],
    );
    check(
        &route("name = \"api\"\n[[listener.route]]\nupstream = \"web\"\npath = \"/a\"\nname = \"api\""),
        &["10:8: listener[0].route[1].name: \"api\" is listener[0].route[0].name already"],
    );
}

#[test]
fn a_routes_hosts_are_names() {
    let form = "expected a name, such as \"www.example.com\" or \"*.example.com\"";
    let rows = [
        ("*", "is every host: leave the key out instead"),
        ("https://a.com", "is a URL: expected the host alone"),
        ("a.com:443", "has a port: expected the host alone"),
        ("[::1]:443", "has a port: expected the host alone"),
        ("a.com.", "ends in a dot: expected the name without it"),
        ("münchen.de", "is not ASCII: expected its form that begins with \"xn--\""),
        ("a.*.com", &format!("is not a host: {form}")),
        ("*a.com", &format!("is not a host: {form}")),
        ("*.*.com", &format!("is not a host: {form}")),
        ("-a.com", &format!("is not a host: {form}")),
        ("a..com", &format!("is not a host: {form}")),
        ("1.2.3", &format!("is not a host: {form}")),
        ("::1", &format!("is not a host: {form}")),
        ("", &format!("is not a host: {form}")),
    ];
    for (host, message) in rows {
        let row = format!("6:8: listener[0].route[0].host: \"{host}\" {message}");
        check(&route(&format!("host = \"{host}\"")), &[&row]);
    }
    check(&route("host = []"), &["6:8: listener[0].route[0].host: holds no host: leave the key out for every host"]);
    check(&route("host = 1"), &[&format!("6:8: listener[0].route[0].host: 1 is not a host: {form}")]);
}

#[test]
fn a_routes_path_is_one_that_requests_have() {
    let segments =
        "has an empty segment, \".\" or \"..\": expected the path that requests have after these are resolved";
    let rows = [
        ("api", "is not a path: expected one that starts with a slash, such as \"/api\""),
        ("", "is not a path: expected one that starts with a slash, such as \"/api\""),
        ("/api/", "ends in a slash: expected it without, which is for everything below as well"),
        ("/a?b", "has a query or a fragment: expected the path alone"),
        ("/a b", "has a space or a character that is not ASCII: expected it percent-encoded"),
        ("/a//b", segments),
        ("/../a", segments),
    ];
    for (path, message) in rows {
        check(
            &route(&format!("path = \"{path}\"")),
            &[&format!("6:8: listener[0].route[0].path: \"{path}\" {message}")],
        );
    }
}

#[test]
fn no_two_routes_are_for_the_same_requests() {
    check(
        &route(
            "host = [\"a.com\", \"*.b.com\"]\npath = \"/x\"\n[[listener.route]]\nupstream = \"web\"\nhost = [\"c.com\", \
             \"*.B.com\"]\npath = \"/x\"\n[[listener.route]]\nupstream = \"web\"\n[[listener.route]]\nupstream = \
             \"web\"\npath = \"/\"",
        ),
        &[
            "10:18: listener[0].route[1].host[1]: \"*.B.com\" with path \"/x\" is in listener[0].route[0] already",
            "14:1: listener[0].route[3]: is for every host with path \"/\", and so is listener[0].route[2]",
        ],
    );
}

#[test]
fn a_routes_upgrades_are_protocols_that_can_be_passed_on() {
    let form = "is not a protocol: expected a name, and maybe a version, such as \"websocket\"";
    let rows = [
        ("a b", form),
        ("", form),
        ("h2c", "is between a client and its next hop, and is never passed on"),
        ("HTTP/2.0", "is between a client and its next hop, and is never passed on"),
        ("TLS/1.0", "is between a client and its next hop, and is never passed on"),
    ];
    for (protocol, message) in rows {
        let row = format!("6:13: listener[0].route[0].upgrades[0]: \"{protocol}\" {message}");
        check(&route(&format!("upgrades = [\"{protocol}\"]")), &[&row]);
    }
    check(
        &route("upgrades = [\"websocket\", \"WebSocket\"]"),
        &["6:26: listener[0].route[0].upgrades[1]: \"WebSocket\" is listener[0].route[0].upgrades[0] already"],
    );
    check(
        &route("tunnel_timeout = \"0s\""),
        &["6:18: listener[0].route[0].tunnel_timeout: \"0s\" is out of range: expected 1ms to 24h"],
    );
}

#[test]
fn a_route_may_have_several_upstreams_each_with_its_share() {
    let split = |shares: &str| route("").replace("upstream = \"web\"", &format!("upstream = {shares}"));
    check(&split("[]"), &["5:12: listener[0].route[0].upstream: holds 0 upstreams: expected 2 to 16"]);
    check(
        &split("[{ name = \"web\" }, { name = \"web\", weight = 1_000_001 }, { name = \"wbe\", weight = 1 }]"),
        &[
            "5:13: listener[0].route[0].upstream[0].weight: is missing: an upstream's share needs it",
            "5:40: listener[0].route[0].upstream[1].name: \"web\" is listener[0].route[0].upstream[0].name already",
            "5:56: listener[0].route[0].upstream[1].weight: 1000001 is out of range: expected 0 to 1000000",
            "5:78: listener[0].route[0].upstream[2].name: no upstream is called \"wbe\": did you mean \"web\"?",
        ],
    );
    check(
        &split("[\"web\", 1]"),
        &[
            "5:13: listener[0].route[0].upstream[0]: \"web\" is not a table: expected the keys of an upstream's share",
            "5:20: listener[0].route[0].upstream[1]: 1 is not a table: expected the keys of an upstream's share",
        ],
    );
    let two = "[upstream.two]\nendpoints = [\"127.0.0.1:81\"]\n";
    check(
        &(split("[{ name = \"web\", weight = 0 }, { name = \"two\", weight = 0 }]") + "\n" + two),
        &["5:12: listener[0].route[0].upstream: has no weight that is not zero: expected one"],
    );
}

#[test]
fn requests_stick_by_a_cookie_or_to_their_client() {
    check(
        &route("sticky = \"client\""),
        &[
            "6:10: listener[0].route[0].sticky: is of use with several upstreams alone: expected upstream = [{ name = …, \
           weight = … }, …] beside it",
        ],
    );
    check(
        &route("sticky = \"cookie\""),
        &["6:10: listener[0].route[0].sticky: \"cookie\" is not what requests stick to: expected \"client\""],
    );
    check(
        &route("sticky = { cookie = \"a b\", max_age = \"500ms\" }"),
        &[
            "6:21: listener[0].route[0].sticky.cookie: \"a b\" is not a cookie's name: expected 1 to 64 letters, digits or \
             signs, such as \"canary\"",
            "6:38: listener[0].route[0].sticky.max_age: \"500ms\" is out of range: expected 1s to 8760h",
        ],
    );
}

#[test]
fn a_mirror_is_bounded() {
    check(
        &route("mirror = { percent = 101, requests = 0, body = \"17 MiB\" }"),
        &[
            "6:10: listener[0].route[0].mirror.upstream: is missing: a mirror needs it",
            "6:22: listener[0].route[0].mirror.percent: 101 is out of range: expected 0 to 100",
            "6:38: listener[0].route[0].mirror.requests: 0 is out of range: expected 1 to 10000",
            "6:48: listener[0].route[0].mirror.body: \"17 MiB\" is out of range: expected 0 B to 16 MiB",
        ],
    );
}
