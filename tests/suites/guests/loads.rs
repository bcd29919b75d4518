//! Files that are no plugins, and plugins that do not start: a sentence for each, and everything else runs.

use harness::{Form, Http, Origin, Running, Site, bytes_of};
use serde_json::json;

use super::{assert_good, site_of};

/// A guest that never starts, and why.
const GUESTS: [(&str, &str); 12] = [
    ("refuses-configure", "refuses its configuration: settings.limit: there is no limit that this plugin accepts"),
    (
        "panics-at-configure",
        "failed while it was configured: trapped: panicked at tests/guests/examples/panics-at-configure.rs:14:9: this plugin panics at configure (wasm trap: wasm `unreachable` instruction executed)",
    ),
    // What is wrong with these two besides is not even come to: see `absurd` for guests of the kind that have a phase.
    ("absurd-result", "has no phase besides its lifecycle, so no chain can use it"),
    ("bad-allocator", "has no phase besides its lifecycle, so no chain can use it"),
    ("configure-loops", "failed while it was configured: missed its deadline of 100 ms"),
    (
        "no-component-type",
        "is a core module that cannot become a component: it has no section \"component-type\"; was it built with palisade-sdk?",
    ),
    (
        "no-lifecycle",
        "does not export \"palisade:plugin/lifecycle@0.1.0\", which every plugin has; was it built with `register!`?",
    ),
    (
        "unknown-abi",
        "speaks version 9.0.0 of the plugin contract, this host speaks 0.1.0; rebuild it with a palisade-sdk for 0.1.0",
    ),
    ("unknown-import", "imports \"acme:telemetry/tracing@1.0.0\", which this host does not have"),
    (
        "wants-files",
        "imports \"wasi:filesystem/preopens@0.2.0\": plugins have no files, no sockets and no environment, and no grant gives them",
    ),
    (
        "wants-sockets",
        "imports \"wasi:sockets/instance-network@0.2.0\": plugins have no files, no sockets and no environment, and no grant gives them",
    ),
    (
        "wrong-type",
        "does not fit the plugin contract: request-filter.on-request has another type: failed to convert function to given type: type mismatch with parameters: expected `record` found `string`",
    ),
];

#[tokio::test]
async fn a_module_that_does_not_start_is_a_sentence_and_refuses_its_own_requests() {
    check_guests(Form::Module).await;
}

#[tokio::test]
async fn a_component_that_does_not_start_is_a_sentence_and_refuses_its_own_requests() {
    check_guests(Form::Component).await;
}

async fn check_guests(form: Form) {
    let guests = GUESTS.map(|(guest, _)| guest);
    let site = site_of(&guests, form).set("plugin.configure-loops.limits.configure_deadline", "100ms");
    check(&site.with_problems().start().await, &GUESTS).await;
}

#[tokio::test]
async fn a_file_that_is_no_plugin_is_a_sentence_and_refuses_its_own_requests() {
    let whole = bytes_of("tag", Form::Module);
    let half = whole[..whole.len() / 2].to_vec();
    let cases = [
        ("empty", Vec::new(), "is not WebAssembly: it begins with \"\", not with \"\\x00asm\""),
        (
            "text",
            b"not WebAssembly at all".to_vec(),
            "is not WebAssembly: it begins with \"not WebA\", not with \"\\x00asm\"",
        ),
        (
            "header",
            b"\0asm".to_vec(),
            "is malformed WebAssembly at byte 4: unexpected end-of-file; is the file complete?",
        ),
        ("half", half, "is malformed WebAssembly at byte *: unexpected end-of-file; is the file complete?"),
        (
            "half-component",
            bytes_of("tag", Form::Component)[..10_000].to_vec(),
            "is malformed WebAssembly at byte *: unexpected end-of-file; is the file complete?",
        ),
        (
            "doubled",
            [whole.as_slice(), whole.as_slice()].concat(),
            "is malformed WebAssembly at byte *: expected section, got wasm magic number; is the file complete?",
        ),
        (
            "tail",
            [whole.as_slice(), b"and more"].concat(),
            "is malformed WebAssembly at byte *: unexpected end-of-file; is the file complete?",
        ),
    ];
    let site = cases.iter().fold(site_of(&[], Form::Module), |site, (name, bytes, _)| {
        let route = json!({ "path": format!("/{name}"), "chain": [name] });
        let site = site.file(&format!("plugins/{name}.wasm"), bytes.clone());
        site.set(&format!("plugin.{name}"), json!({ "module": name })).route(route)
    });
    let expected: Vec<_> = cases.iter().map(|(name, _, reason)| (*name, *reason)).collect();
    check(&site.with_problems().start().await, &expected).await;
}

/// Each of these does not run for this reason, and its route answers 503; the good plugin serves.
async fn check(site: &Running, expected: &[(&str, &str)]) {
    let mut client = site.connect(Http::H1).await;
    let ready = site.admin().get("/readyz").await;
    assert_eq!(ready.status, 200);
    for (name, reason) in expected {
        let file = site.folder().path().join(format!("plugins/{name}.wasm"));
        let sentence = format!("plugin \"{name}\" ({}) did not load: {reason}", file.display());
        let figures = site.admin().plugin(name).await;
        assert_eq!(figures.state(), "failed", "{name}");
        assert!(is_like(figures.last_error(), &sentence), "{name}: {}", figures.last_error());
        let degraded = format!("degraded: {sentence}");
        assert!(ready.text().lines().any(|line| is_like(line, &degraded)), "{}", ready.text());
        assert_eq!(client.get(&format!("/{name}")).await.status, 503, "{name}");
        assert_good(&mut client).await;
    }
    assert!(site.origin(0).seen().iter().all(|seen| seen.target == "/good"));
}

/// Where the pattern has a star, the text has something.
fn is_like(text: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => text == pattern,
        Some((begin, end)) => text.len() > begin.len() + end.len() && text.starts_with(begin) && text.ends_with(end),
    }
}

#[tokio::test]
async fn a_capability_is_given_only_where_it_is_granted() {
    let site = site_of(&["counts"], Form::Module).set("plugin.counts.grant", json!([])).with_problems().start().await;
    let reason = "asks for the capability \"metrics\", which the config does not grant: add `grant = [\"metrics\"]` to \
                  [plugin.counts] to allow it";
    check(&site, &[("counts", reason)]).await;
}

#[tokio::test]
async fn a_grant_that_is_taken_back_keeps_exactly_that_plugin_from_loading() {
    let plugins = ["one", "two", "three"];
    for ungranted in [None, Some("two")] {
        let site = plugins.iter().fold(site_of(&[], Form::Module), |site, name| {
            let route = json!({ "path": format!("/{name}"), "chain": [name] });
            site.plugin(name, "counts", json!({})).route(route)
        });
        let site = ungranted.iter().fold(site, |site, name| site.set(&format!("plugin.{name}.grant"), json!([])));
        let site = site.with_problems().start().await;
        for name in plugins {
            let (state, status) = if ungranted == Some(name) { ("failed", 503) } else { ("running", 200) };
            assert_eq!(site.admin().plugin(name).await.state(), state, "{name}");
            assert_eq!(site.get(&format!("/{name}")).await.status, status, "{name}");
        }
        assert_good(&mut site.connect(Http::H1).await).await;
    }
}

#[tokio::test]
async fn a_missing_file_is_closed_or_open_as_its_plugin_says() {
    for (on_error, status) in [(None, 503), (Some("closed"), 503), (Some("open"), 200)] {
        let mut ghost = json!({ "module": "ghost" });
        if let Some(on_error) = on_error {
            ghost["on_error"] = json!(on_error);
        }
        let route = json!({ "path": "/ghost", "chain": ["ghost"] });
        let site = site_of(&[], Form::Module).set("plugin.ghost", ghost).route(route).with_problems().start().await;
        for http in [Http::H1, Http::H2] {
            let mut client = site.connect(http).await;
            for _ in 0..100 {
                assert_eq!(client.get("/ghost").await.status, status, "{on_error:?} {http:?}");
            }
            assert_good(&mut client).await;
        }
        let ready = site.admin().get("/readyz").await;
        assert!(ready.text().contains("degraded: plugin \"ghost\" ("), "{}", ready.text());
        assert!(ready.text().ends_with("did not load: there is no such file\n"), "{}", ready.text());
    }
}

#[tokio::test]
async fn a_slow_configure_is_let_be_within_its_deadline() {
    for (deadline, state) in [("30s", "running"), ("50ms", "failed")] {
        let site = Site::new().origin(Origin::echo()).plugin("slow", "slow-configure", json!({ "millis": 200 }));
        let site =
            site.set("plugin.slow.limits.configure_deadline", deadline).chain(&["slow"]).with_problems().start().await;
        assert_eq!(site.admin().plugin("slow").await.state(), state, "{deadline}");
        assert_eq!(site.get("/").await.status, if state == "running" { 200 } else { 503 }, "{deadline}");
    }
}

#[tokio::test]
async fn a_bad_file_that_no_plugin_names_is_told_and_hurts_nobody() {
    let site = site_of(&[], Form::Module).file("plugins/leftover.wasm", b"half a file".to_vec()).start().await;
    let files = site.admin().get("/plugins").await.json()["files"].clone();
    let errors: Vec<_> = files.as_array().unwrap().iter().map(|file| (&file["module"], &file["error"])).collect();
    let error = json!("is not WebAssembly: it begins with \"half a f\", not with \"\\x00asm\"");
    assert_eq!(errors, [(&json!("leftover"), &error), (&json!("tag"), &json!(null))]);
    assert_good(&mut site.connect(Http::H2).await).await;
}
