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
