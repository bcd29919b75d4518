//! Guests that no compiler makes: what they return, or where they allocate, is outside of what can be.

use harness::{Form, Http, Site, bytes_of};
use serde_json::json;
use wasmparser::{Parser, Payload};

use super::{assert_good, site_of};

/// Fails at load, for this reason.
const AT_LOAD: [(&str, Guest, &str); 6] = [
    (
        "result-tag",
        Guest { configured: "(i32.store8 (i32.const 16) (i32.const 7))", ..HONEST },
        "failed while it was configured: trapped: invalid expected discriminant",
    ),
    (
        "result-outside",
        Guest { configured_at: "0x7fff0000", ..HONEST },
        "failed while it was configured: trapped: pointer out of bounds of memory",
    ),
    (
        "allocates-outside",
        Guest { allocated_at: "0x7fff0000", ..HONEST },
        "failed while it was configured: trapped: realloc return: beyond end of memory",
    ),
    (
        "memory",
        Guest { pages: "1000", ..HONEST },
        "failed while it was configured: used up its memory limit of 33554432 bytes",
    ),
    (
        "table",
        Guest { more: "(table 100000000 funcref)", ..HONEST },
        "failed while it was configured: trapped: table minimum size of 100000000 elements exceeds table limits",
    ),
    (
        "start",
        Guest { more: "(func $start (loop (br 0))) (start $start)", ..HONEST },
        "failed while it was configured: missed its deadline of 200 ms",
    ),
];

/// Fails on every request, counted so, for this reason.
const ON_REQUEST: [(&str, Guest, &str, &str); 4] = [
    ("verdict", Guest { verdict: "99", ..HONEST }, "trap", "trapped: unexpected discriminant: 99"),
    ("verdict-below", Guest { verdict: "-1", ..HONEST }, "trap", "trapped: unexpected discriminant: 4294967295"),
    (
        "reply-of-nothing",
        Guest { verdict: "1", ..HONEST },
        "absurd",
        "answered what the contract does not allow: the verdict is to reply, and no reply was prepared",
    ),
    (
        // The settings are the first thing that is allocated, the head's text the second.
        "allocates-outside",
        Guest { more: COUNT, allocated_at: "0x1000", counted: OUTSIDE_THEN, ..HONEST },
        "trap",
        "trapped: realloc return: beyond end of memory",
    ),
];

/// The parts of a guest's text.
#[derive(Clone, Copy)]
struct Guest {
    pages: &'static str,
    counted: &'static str,
    allocated_at: &'static str,
    configured: &'static str,
    configured_at: &'static str,
    verdict: &'static str,
    more: &'static str,
}

/// Lets every request pass.
const HONEST: Guest = Guest {
    pages: "1",
    counted: "",
    allocated_at: "4096",
    configured: "",
    configured_at: "16",
    verdict: "0",
    more: "",
};

const COUNT: &str = "(global $calls (mut i32) (i32.const 0))";
const OUTSIDE_THEN: &str = "(if (global.get $calls) (then (return (i32.const 0x7fff0000)))) \
                            (global.set $calls (i32.const 1))";

impl Guest {
    fn bytes(self) -> Vec<u8> {
        let Self { pages, counted, allocated_at, configured, configured_at, verdict, more } = self;
        let text = format!(
            r#"(module
              {more}
              (memory (export "memory") {pages})
              (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) {counted} (i32.const {allocated_at}))
              (func (export "palisade:plugin/lifecycle@0.1.0#configure") (param i32 i32) (result i32)
                {configured} (i32.const {configured_at}))
              (func (export "palisade:plugin/lifecycle@0.1.0#settings-schema") (result i32) (i32.const 32))
              (func (export "palisade:plugin/request-filter@0.1.0#on-request")
                (param i64 i32 i32 i32 i64 i64 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const {verdict})))"#
        );
        let mut bytes = wat::parse_str(text).expect("text that is WebAssembly");
        bytes.extend(component_types());
        bytes
    }
}

/// The sections in which a guest that the SDK built, with a request filter alone, says what component it becomes.
fn component_types() -> Vec<u8> {
    let honest = bytes_of("endless-loop", Form::Module);
    let mut sections = Vec::new();
    for payload in Parser::new(0).parse_all(&honest) {
        if let Payload::CustomSection(section) = payload.expect("a module")
            && section.name().starts_with("component-type")
        {
            let content = honest.get(section.range()).expect("the section of a module");
            sections.push(0);
            sections.extend(leb128(content.len()));
            sections.extend(content);
        }
    }
    sections
}

/// As binary WebAssembly writes unsigned numbers.
fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).expect("seven bits");
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

fn with(site: Site, name: &str, guest: Guest) -> Site {
    site.file(&format!("plugins/{name}.wasm"), guest.bytes())
        .set(&format!("plugin.{name}"), json!({ "module": name, "limits": { "configure_deadline": "200ms" } }))
        .route(json!({ "path": format!("/{name}"), "chain": [name] }))
}

#[tokio::test]
async fn a_guest_that_is_written_by_hand_and_honest_lets_requests_pass() {
    let site = with(site_of(&[], Form::Module), "honest", HONEST).start().await;
    assert_eq!(site.get("/honest").await.status, 200, "{}", site.admin().plugin("honest").await.json());
}

#[tokio::test]
async fn absurd_values_at_load_keep_the_plugin_out() {
    let site = AT_LOAD.iter().fold(site_of(&[], Form::Module), |site, (name, guest, _)| with(site, name, *guest));
    let site = site.with_problems().start().await;
    let mut client = site.connect(Http::H1).await;
    for (name, _, reason) in AT_LOAD {
        let figures = site.admin().plugin(name).await;
        let error = figures.last_error().split("did not load: ").last().unwrap();
        assert_eq!((figures.state(), error), ("failed", reason), "{name}");
        assert_eq!(client.get(&format!("/{name}")).await.status, 503, "{name}");
        assert_good(&mut client).await;
    }
}

#[tokio::test]
async fn absurd_values_on_a_request_fail_that_request() {
    let site = ON_REQUEST.iter().fold(site_of(&[], Form::Module), |site, (name, guest, ..)| with(site, name, *guest));
    let site = site.start().await;
    let mut client = site.connect(Http::H2).await;
    for (name, _, kind, reason) in ON_REQUEST {
        for request in 1..=3 {
            assert_eq!(client.get(&format!("/{name}")).await.status, 503, "{name}");
            let figures = site.admin().plugin(name).await;
            assert_eq!(figures.failures("request-filter", kind), request, "{name}: {}", figures.json());
        }
        let figures = site.admin().plugin(name).await;
        assert_eq!(figures.last_error(), format!("request-filter: {reason}"), "{name}");
        assert_good(&mut client).await;
    }
    assert_eq!(site.admin().get("/healthz").await.status, 200);
}
