use super::*;
use crate::bindings::capabilities::palisade::plugin::types::IpAddress;

#[test]
fn a_target_has_a_path_and_perhaps_a_query() {
    check("/a/b?c=1?d", ("/a/b", Some("c=1?d")));
    check("/a", ("/a", None));
    check("/a?", ("/a", Some("")));
    check("*", ("*", None));
    check("/ä?ö", ("/ä", Some("ö")));
}

#[test]
fn a_host_is_the_authority_without_its_port_in_lower_case() {
    check_host("www.Example.COM:8443", "www.example.com");
    check_host("www.example.com", "www.example.com");
    check_host("[2001:DB8::1]:443", "[2001:db8::1]");
    check_host("[2001:db8::1]", "[2001:db8::1]");
    check_host("", "");
    check_host("a:", "a");
}

#[test]
fn hot_headers_come_in_the_order_of_declaration() {
    let hot = [&3u32.to_le_bytes()[..], b"a\xffb", &u32::MAX.to_le_bytes(), &0u32.to_le_bytes(), &9u32.to_le_bytes()];
    let head = head("", "/", &hot.concat());
    let request = Request::new(&head).unwrap();
    let mut setup = crate::Setup::default();
    let headers = ["a", "b", "c", "d", "e"].map(|name| setup.hot_header(name));
    let values = headers.map(|header| request.hot(header));
    // The fourth announces more bytes than there are, and nothing comes after it.
    assert_eq!(values, [Some(&b"a\xffb"[..]), None, Some(&b""[..]), None, None]);
}

#[test]
fn a_hot_header_says_whether_it_has_more_values() {
    let hot = [&1u32.to_le_bytes()[..], b"a", &(1 << 31 | 2u32).to_le_bytes(), b"bc", &u32::MAX.to_le_bytes()];
    let head = head("", "/", &hot.concat());
    let request = Request::new(&head).unwrap();
    let mut setup = crate::Setup::default();
    let values = ["a", "b", "c"].map(|name| request.hot_value(setup.hot_header(name)));
    let [one, more] = [(&b"a"[..], false), (&b"bc"[..], true)].map(|(bytes, has_more)| HotValue { bytes, has_more });
    assert_eq!(values, [Some(one), Some(more), None]);
}

#[test]
fn a_head_that_contradicts_itself_is_an_error() {
    for (authority, path, target, text) in
        [(9, 1, 1, "a/"), (1, 1, 9, "a/"), (1, 9, 1, "a/"), (1, 2, 3, "a/ä"), (2, 1, 1, "ä/"), (1, 1, 1, "ä/")]
    {
        let mut head = head("", "", b"");
        (head.authority_bytes, head.path_bytes, head.target_bytes) = (authority, path, target);
        head.text = text.as_bytes().to_vec();
        assert_eq!(Request::new(&head).is_ok(), text == "ä/" && authority == 2, "{head:?}");
    }
    let mut head = head("", "/", b"");
    head.text = b"\xff".to_vec();
    assert!(Request::new(&head).is_err());
}

#[track_caller]
fn check(target: &str, expected: (&str, Option<&str>)) {
    let head = head("a", target, b"");
    let request = Request::new(&head).unwrap();
    assert_eq!((request.path(), request.query()), expected);
    assert_eq!((request.target(), request.authority()), (target, "a"));
}

#[track_caller]
fn check_host(authority: &str, host: &str) {
    let head = head(authority, "/", b"");
    assert_eq!(Request::new(&head).unwrap().host(), host);
}

fn head(authority: &str, target: &str, hot: &[u8]) -> RequestHead {
    let bytes = |length: usize| u32::try_from(length).unwrap();
    RequestHead {
        exchange: 1,
        method: Method::Get,
        scheme: Scheme::Https,
        protocol: Protocol::Http1,
        client: IpAddress { high: 0, low: 0 },
        client_port: 0,
        listener: 0,
        route: 0,
        text: [authority.as_bytes(), target.as_bytes(), hot].concat(),
        authority_bytes: bytes(authority.len()),
        path_bytes: bytes(target.find('?').unwrap_or(target.len())),
        target_bytes: bytes(target.len()),
    }
}
