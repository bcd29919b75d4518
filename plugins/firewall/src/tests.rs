//! The plugin as the host sees it: settings, connections and requests in; decisions and counters out.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::*;

fn firewall(settings: Value) -> TestHost<Firewall> {
    TestHost::configure(settings).unwrap()
}

/// What became of a request: a status, or one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Continues,
    Closes,
    Status(u16),
}
use Fate::{Closes, Continues, Status};

fn ask(host: &mut TestHost<Firewall>, request: TestRequest) -> Fate {
    let outcome = host.request(request);
    match outcome.reply_status() {
        Some(status) => Status(status),
        None if outcome.is_close() => Closes,
        None if outcome.is_continue() => Continues,
        None => panic!("{:?}", outcome.error()),
    }
}

#[track_caller]
fn check(settings: Value, requests: &[(TestRequest, Fate)]) {
    let mut host = firewall(settings.clone());
    for (request, expected) in requests {
        assert_eq!(ask(&mut host, request.clone()), *expected, "{request:?}\nby {settings:#}");
    }
}

fn deny(when: Value) -> Value {
    json!({ "rules": [{ "name": "no", "action": "deny", "when": when }] })
}

fn get(target: &str) -> TestRequest {
    TestRequest::get(target)
}

fn from(client: &str) -> TestRequest {
    get("/").client(client)
}

#[track_caller]
fn check_error(settings: Value, expected: &str) {
    let error = TestHost::<Firewall>::configure(settings.clone()).err();
    assert_eq!(error.map(|error| error.to_string()).as_deref(), Some(expected), "{settings:#}");
}

#[test]
fn without_settings_everything_is_let_in() {
    check(json!({}), &[(get("/%zz"), Continues), (from("2001:db8::1"), Continues)]);
}

#[test]
fn the_longest_prefix_decides_between_allow_and_deny() {
    let settings =
        json!({ "deny": ["10.0.0.0/8", "10.1.2.0/24", "2001:db8::/32"], "allow": ["10.1.0.0/16", "2001:db8:1::/48"] });
    let requests = [
        (from("10.0.0.1"), Status(403)),
        (from("10.1.0.1"), Continues),
        (from("10.1.2.1"), Status(403)),
        (from("::ffff:10.0.0.1"), Status(403)),
        (from("2001:db8::1"), Status(403)),
        (from("2001:db8:1::1"), Continues),
        (from("192.0.2.1"), Continues),
    ];
    check(settings, &requests);
    let both = json!({ "deny": ["10.0.0.0/8"], "allow": ["10.0.0.0/8"] });
    check(both, &[(from("10.0.0.1"), Status(403))]);
}

#[test]
fn addresses_on_no_list_get_the_default() {
    let settings = json!({ "allow": ["192.0.2.0/24"], "default": "deny" });
    check(settings, &[(from("192.0.2.9"), Continues), (from("198.51.100.1"), Status(403)), (from("::1"), Status(403))]);
}

#[test]
fn an_allowed_address_still_has_rules() {
    let mut settings = deny(json!({ "path_prefix": "/admin" }));
    settings["allow"] = json!(["192.0.2.1"]);
    check(settings, &[(get("/admin"), Status(403)), (get("/"), Continues)]);
}

#[test]
fn a_denied_path_cannot_be_spelled_otherwise() {
    let denied =
        ["/admin", "/admin/x", "//admin", "/./admin", "/x/../admin", "/%61dmin", "/x/%2e%2E/admin", "/admin?x=1"];
    let malformed = ["/%2fadmin", "/x%5c..%5cadmin", "/admin%00", "/../admin", "/x/..;/admin"];
    let passing = ["/admin/../x", "/", "/x?path=/admin"];
    let requests: Vec<_> = denied.iter().chain(&malformed).map(|path| (get(path), Status(403))).collect();
    check(deny(json!({ "path_prefix": "/admin" })), &requests);
    check(deny(json!({ "path_prefix": ["/admin"] })), &passing.map(|path| (get(path), Continues)));
    check(deny(json!({ "path": "/admin" })), &[(get("/%61dmin"), Status(403)), (get("/admin/"), Continues)]);
    check(deny(json!({ "path_regex": "^/adm[i]n$" })), &[(get("//%61dmin"), Status(403)), (get("/admins"), Continues)]);
}

#[test]
fn a_malformed_path_gets_what_was_configured() {
    let with = |malformed: &str| {
        let mut settings = deny(json!({ "path_prefix": "/admin" }));
        settings["malformed"] = malformed.into();
        settings
    };
    check(with("deny"), &[(get("/a%2Fb"), Status(403))]);
    check(with("close"), &[(get("/a%2Fb"), Closes), (get("/admin"), Status(403))]);
    check(with("allow"), &[(get("/a%2Fb"), Continues), (get("/./admin%2Fb"), Status(403))]);
    let no_rule_looks = json!({ "rules": [{ "name": "no", "action": "deny", "when": { "methods": "PUT" } }] });
    check(no_rule_looks, &[(get("/a%2Fb"), Continues)]);
}

#[test]
fn methods_are_case_sensitive() {
    let requests = [
        (TestRequest::post("/"), Status(403)),
        (TestRequest::new("PROPFIND", "/"), Status(403)),
        (TestRequest::new("post", "/"), Continues),
        (TestRequest::new("MKCOL", "/"), Continues),
        (get("/"), Continues),
    ];
    check(deny(json!({ "methods": ["POST", "PROPFIND"] })), &requests);
    check(deny(json!({ "methods": "PUT" })), &[(TestRequest::new("PROPFIND", "/"), Continues)]);
}

#[test]
fn hosts_match_without_case_port_or_trailing_dot() {
    let to = |authority: &str| get("/").authority(authority);
    let requests = [
        (to("www.example.com"), Status(403)),
        (to("WWW.Example.COM.:8443"), Status(403)),
        (to("a.b.example.org:443"), Status(403)),
        (to("example.org"), Continues),
        (to("example.com"), Continues),
        (to(""), Continues),
        (to("[2001:db8::1]:443"), Continues),
    ];
    check(deny(json!({ "hosts": ["www.example.com", "*.example.org"] })), &requests);
}

#[test]
fn every_value_of_a_header_counts() {
    let with = |values: &[&str]| values.iter().fold(get("/"), |request, value| request.header("x-a", value));
    let twice = with(&["good", "bad"]);
    let bad = json!({ "header": [{ "name": "X-A", "equals": "bad" }] });
    check(
        deny(bad),
        &[
            (with(&["bad"]), Status(403)),
            (twice.clone(), Status(403)),
            (with(&["good"]), Continues),
            (with(&[]), Continues),
        ],
    );
    let pattern = json!({ "header": [{ "name": "x-a", "regex": "^b" }] });
    check(deny(pattern), &[(twice.clone(), Status(403)), (with(&["good"]), Continues)]);
    let absent = json!({ "header": [{ "name": "x-a", "absent": true }] });
    check(deny(absent), &[(with(&[]), Status(403)), (with(&[""]), Continues), (twice, Continues)]);
    let present = json!({ "header": [{ "name": "x-a", "present": true }] });
    check(deny(present), &[(with(&[]), Continues), (with(&[""]), Status(403))]);
    let bytes = json!({ "header": [{ "name": "x-a", "contains": "bad" }] });
    check(deny(bytes), &[(get("/").header("x-a", b"\xff").header("x-a", b"\xffbad\xfe"), Status(403))]);
}

#[test]
fn a_header_beyond_the_hot_ones_counts_as_well() {
    let tests: Vec<_> = (0..20).map(|index| json!({ "name": format!("x-{index}"), "equals": "1" })).collect();
    let complete = (0..20).fold(get("/"), |request, index| request.header(&format!("x-{index}"), "1"));
    let incomplete = (0..19).fold(get("/"), |request, index| request.header(&format!("x-{index}"), "1"));
    check(deny(json!({ "header": tests })), &[(complete, Status(403)), (incomplete, Continues)]);
    let absent: Vec<_> = (0..20).map(|index| json!({ "name": format!("x-{index}"), "absent": true })).collect();
    check(deny(json!({ "header": absent })), &[(get("/"), Status(403)), (get("/").header("x-19", "1"), Continues)]);
}

#[test]
fn values_of_one_request_are_not_those_of_the_next() {
    let when = json!({ "header": [{ "name": "x-a", "equals": "bad" }] });
    let good = get("/").header("x-a", "good");
    check(
        deny(when),
        &[(good.clone(), Continues), (good.clone().header("x-a", "bad"), Status(403)), (good, Continues)],
    );
}

#[test]
fn a_query_parameter_is_matched_decoded() {
    let when = json!({ "query": [{ "name": "debug", "equals": "on" }] });
    check(
        deny(when),
        &[(get("/?a&%64ebug=o%6e"), Status(403)), (get("/?debug=off"), Continues), (get("/"), Continues)],
    );
}

#[test]
fn all_conditions_of_a_rule_have_to_hold() {
    let when = json!({
        "client": ["192.0.2.0/24", "198.51.100.0/24"],
        "methods": ["GET"],
        "hosts": ["localhost"],
        "path_prefix": "/a",
        "path_regex": "z$",
        "header": [{ "name": "x-a", "present": true }, { "name": "x-b", "absent": true }],
        "query": [{ "name": "q", "present": true }],
    });
    let matching = get("/a/z?q").header("x-a", "1");
    let requests = [
        (matching.clone(), Status(403)),
        (matching.clone().client("198.51.100.7"), Status(403)),
        (matching.clone().client("203.0.113.1"), Continues),
        (matching.clone().authority("other"), Continues),
        (matching.clone().header("x-b", "1"), Continues),
        (get("/a/z?q"), Continues),
        (get("/a/z").header("x-a", "1"), Continues),
        (get("/a/y?q").header("x-a", "1"), Continues),
        (get("/b/z?q").header("x-a", "1"), Continues),
        (TestRequest::post("/a/z?q").header("x-a", "1"), Continues),
    ];
    check(deny(when), &requests);
}

#[test]
fn the_first_rule_that_matches_decides() {
    let settings = json!({
        "default_action": "close",
        "rules": [
            { "name": "seen", "action": "count", "when": { "path_prefix": "/a" } },
            { "name": "office", "action": "allow", "when": { "client": "198.51.100.0/24" } },
            { "name": "teapot", "action": "deny", "status": 418, "body": "no\n", "when": { "path": "/a/tea" } },
            { "name": "public", "action": "allow", "when": { "path_prefix": "/a" } },
        ],
    });
    let mut host = firewall(settings);
    assert_eq!(ask(&mut host, get("/a/tea").client("198.51.100.1")), Continues);
    let outcome = host.request(get("/a/tea"));
    assert_eq!((outcome.reply_status(), outcome.reply_text()), (Some(418), Some("no\n")));
    assert_eq!(ask(&mut host, get("/a/b")), Continues);
    assert_eq!(ask(&mut host, get("/b")), Closes);
    let matched = |rule, action| host.counter_with("matched_total", &[("rule", rule), ("action", action)]);
    assert_eq!(
        [matched("seen", "count"), matched("office", "allow"), matched("teapot", "deny"), matched("public", "allow")],
        [3, 1, 1, 1]
    );
    let denied = |rule| host.counter_with("denied_total", &[("rule", rule), ("phase", "request")]);
    assert_eq!(["teapot", "default", "public", "addresses"].map(denied), [1, 1, 0, 0]);
}

#[test]
fn a_connection_is_refused_for_what_the_address_alone_decides() {
    let settings = json!({
        "deny": ["203.0.113.0/24"],
        "default_action": "deny",
        "rules": [
            { "name": "tried", "action": "count" },
            { "name": "office", "action": "allow", "when": { "client": "198.51.100.0/24" } },
            { "name": "partner", "action": "allow", "when": { "client": "192.0.2.0/25", "path_prefix": "/api" } },
            { "name": "scanner", "action": "close", "when": { "client": "192.0.2.0/24" } },
        ],
    });
    let mut host = firewall(settings);
    let cases = [
        ("203.0.113.9", Admission::Refuse, "addresses"),
        ("198.51.100.1", Admission::Accept, "office"),
        ("192.0.2.1", Admission::Accept, "partner"),
        ("192.0.2.200", Admission::Refuse, "scanner"),
        ("10.0.0.1", Admission::Refuse, "default"),
    ];
    for (client, expected, reason) in cases {
        assert_eq!(host.connection(client).unwrap(), expected, "{client}");
        let refused = u64::from(expected == Admission::Refuse);
        assert_eq!(
            host.counter_with("denied_total", &[("rule", reason), ("phase", "connection")]),
            refused,
            "{client}"
        );
    }
    assert_eq!(ask(&mut host, from("192.0.2.1")), Closes);
    assert_eq!(ask(&mut host, get("/api").client("192.0.2.1")), Continues);
}

#[test]
fn requests_are_denied_where_the_connection_phase_did_not_run() {
    let settings = json!({
        "deny": ["203.0.113.0/24"],
        "connections": "accept",
        "status": 451,
        "body": "elsewhere\n",
        "rules": [{ "name": "scanner", "action": "deny", "when": { "client": "192.0.2.0/24" } }],
    });
    let mut host = firewall(settings);
    for client in ["203.0.113.9", "192.0.2.1"] {
        assert_eq!(host.connection(client).unwrap(), Admission::Accept);
        let outcome = host.request(from(client));
        assert_eq!((outcome.reply_status(), outcome.reply_text()), (Some(451), Some("elsewhere\n")));
    }
}

#[test]
fn a_hundred_thousand_prefixes_each_decide() {
    let network = |index: u32| Ipv4Addr::from_bits(0x0100_0000 + index * 512);
    let deny: Vec<_> = (0..100_000).map(|index| format!("{}/24", network(index))).collect();
    let mut host = firewall(json!({ "deny": deny }));
    for index in (0..100_000).step_by(997) {
        let inside = Ipv4Addr::from_bits(network(index).to_bits() + 255);
        let outside = Ipv4Addr::from_bits(network(index).to_bits() + 256);
        assert_eq!(host.connection(inside.to_string().as_str()).unwrap(), Admission::Refuse);
        assert_eq!(host.connection(outside.to_string().as_str()).unwrap(), Admission::Accept);
    }
}

#[test]
fn a_mistake_in_the_settings_is_named_with_its_key() {
    let rule = |rule: Value| json!({ "rules": [{ "name": "a", "action": "allow" }, rule] });
    let when = |when: Value| rule(json!({ "name": "b", "action": "deny", "when": when }));
    check_error(
        json!({ "deny": ["10.0.0.0/8", "10.0.0.0/33"] }),
        "settings.deny[1]: \"10.0.0.0/33\" is not a network: prefix length is at most 32",
    );
    check_error(json!({ "allow": [5] }), "settings.allow[0]: invalid type: integer `5`, expected a string");
    check_error(json!({ "default": "close" }), "settings.default: unknown variant `close`, expected `allow` or `deny`");
    check_error(json!({ "status": 200 }), "settings.status: 200 is not the status of a denial: expected 400 to 599");
    check_error(
        when(json!({ "client": [] })),
        "settings.rules[1].when.client: the list is empty: leave the key out where it does not matter",
    );
    check_error(
        when(json!({ "path_regex": "(" })),
        "settings.rules[1].when.path_regex: \"(\" is not a regular expression: unclosed group",
    );
    check_error(
        when(json!({ "path_regex": ["a", "b{2"] })),
        "settings.rules[1].when.path_regex[1]: \"b{2\" is not a regular expression: unclosed counted repetition",
    );
    check_error(
        when(json!({ "path": 5 })),
        "settings.rules[1].when.path: invalid type: integer `5`, expected a string or a list of strings",
    );
    check_error(when(json!({ "path": "a" })), "settings.rules[1].when.path: \"a\" does not begin with \"/\"");
    check_error(
        when(json!({ "header": [{ "name": "host", "present": true }] })),
        "settings.rules[1].when.header[0]: host is not among the headers: use hosts",
    );
    check_error(
        when(json!({ "header": [{ "name": "a b", "present": true }] })),
        "settings.rules[1].when.header[0]: \"a b\" is not a header name",
    );
    check_error(
        when(json!({ "query": [{ "name": "a" }] })),
        "settings.rules[1].when.query[0]: expected one of present = true, absent = true, equals, contains and regex",
    );
    check_error(
        rule(json!({ "name": "a", "action": "deny" })),
        "settings.rules[1].name: \"a\" is the name of another rule",
    );
    check_error(
        rule(json!({ "name": "default", "action": "deny" })),
        "settings.rules[1].name: \"default\" is what metrics call denials by no rule",
    );
    check_error(rule(json!({ "name": "", "action": "deny" })), "settings.rules[1].name: is empty");
    check_error(
        rule(json!({ "name": "b", "action": "allow", "status": 404 })),
        "settings.rules[1]: status and body go with action = \"deny\"",
    );
}

#[test]
fn the_schema_describes_every_setting() {
    let schema = TestHost::<Firewall>::settings_schema();
    for (name, property) in schema["properties"].as_object().unwrap() {
        assert!(property["description"].is_string(), "{name}: {property:#}");
    }
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(
        (&schema["$defs"]["Status"]["minimum"], &schema["$defs"]["Status"]["maximum"]),
        (&json!(400), &json!(599))
    );
}
