//! Files of `plugins_dir` that come, change and go.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use harness::{Form, Http, Origin, Site, bytes_of, eventually};
use serde_json::json;

use super::{answering, answers, module, numbered, problems, rename, site, version};

#[tokio::test]
async fn a_new_version_takes_over_by_rename_by_an_editor_and_by_a_slow_copy() {
    let site = site().start().await;
    let file = module(&site, "version");
    assert_eq!(answering(&site).await, numbered(0));
    rename(&file, version(&numbered(1)));
    answers(&site, &numbered(1)).await;
    // As an editor writes: into the file as it is.
    fs::write(&file, version(&numbered(2))).expect("written");
    answers(&site, &numbered(2)).await;
    let copied = file.clone();
    let longest_pause = tokio::task::spawn_blocking(move || copy_slowly(&version(&numbered(3)), &copied));
    answers(&site, &numbered(3)).await;
    // Where the machine let the copy stand still for longer, half of it may well have been looked at.
    let refused = site.admin().metrics().await.count("palisade_reloads_total", &[("result", "refused")]);
    let pause = longest_pause.await.expect("a copy");
    assert!(refused == 0 || pause > Duration::from_millis(150), "half a file was looked at: {pause:?}");
    let figures = site.admin().plugin("version").await;
    assert_eq!((&figures.json()["generation"], &figures.json()["pending_error"]), (&json!(4), &json!(null)));
    assert_eq!(site.admin().metrics().await.count("palisade_generation", &[]), 4);
    assert_eq!(site.admin().metrics().await.count("palisade_reloads_total", &[("result", "complete")]), 3);
}

/// As over a slow line, for most of a second: never still for long. Gives how long it was at most.
fn copy_slowly(bytes: &[u8], file: &Path) -> Duration {
    let mut open = fs::File::create(file).expect("created");
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    for piece in bytes.chunks(bytes.len().div_ceil(40)) {
        open.write_all(piece).expect("written");
        longest = longest.max(last.elapsed());
        last = Instant::now();
        std::thread::sleep(Duration::from_millis(20));
    }
    longest
}

#[tokio::test]
async fn a_bad_version_is_an_error_and_the_one_before_goes_on() {
    let site = site().start().await;
    let file = module(&site, "version");
    rename(&file, version(&numbered(1)));
    answers(&site, &numbered(1)).await;
    let good = version(&numbered(2));
    for (bytes, reason) in [
        (good[..good.len() / 2].to_vec(), "is malformed WebAssembly at byte"),
        (Vec::new(), "is not WebAssembly: it begins with \"\""),
        (b"#!/bin/sh\n".to_vec(), "is not WebAssembly: it begins with \"#!/bin/s\""),
        (version("refuses-000000"), "refuses its configuration: this version takes no settings"),
        (bytes_of("refuses-configure", Form::Module), "refuses its configuration: settings.limit: "),
        (bytes_of("configure-loops", Form::Module).repeat(2), "is malformed WebAssembly at byte"),
        (bytes_of("unknown-abi", Form::Module), "speaks version 9.0.0 of the plugin contract"),
    ] {
        rename(&file, bytes);
        let sentence = format!(
            "{} is not used, and plugin \"version\" goes on in the version from before: {reason}",
            file.display()
        );
        eventually("the reason is told", async || {
            let problems = site.admin().problems().await;
            problems.len() == 1 && problems[0].starts_with(&sentence)
        })
        .await;
        assert_eq!(answering(&site).await, numbered(1), "{reason}");
        let figures = site.admin().plugin("version").await;
        assert_eq!((figures.state(), &figures.json()["generation"]), ("running", &json!(2)));
        assert!(figures.json()["pending_error"].as_str().is_some_and(|pending| pending.starts_with(reason)));
        let ready = site.admin().get("/readyz").await;
        assert_eq!(ready.status, 200);
        assert!(ready.text().contains(&format!("degraded: {sentence}")), "{}", ready.text());
    }
    assert_eq!(site.admin().metrics().await.count("palisade_problems", &[]), 1);
    assert_eq!(site.admin().metrics().await.count("palisade_reloads_total", &[("result", "refused")]), 7);
    // The very file that runs is good, and is the plugin that runs.
    rename(&file, version(&numbered(1)));
    problems(&site, 0).await;
    assert_eq!(site.admin().plugin("version").await.json()["generation"], json!(2));
    rename(&file, version(&numbered(2)));
    answers(&site, &numbered(2)).await;
    assert_eq!(site.admin().get("/readyz").await.text(), "ready\n");
}

#[tokio::test]
async fn a_file_that_a_chain_needs_is_not_gone_when_it_is_removed() {
    let site = site().start().await;
    let file = module(&site, "version");
    fs::remove_file(&file).expect("removed");
    let sentence = format!(
        "{} is not used, and plugin \"version\" goes on in the version from before: there is no such file",
        file.display()
    );
    assert_eq!(problems(&site, 1).await, [sentence]);
    assert_eq!(answering(&site).await, numbered(0));
    // Also in an instance that is made after the file has gone: another configuration of the same code.
    super::edit(&site, "[plugin.version.limits]\n", "[plugin.version.limits]\nmemory = \"16 MiB\"\n");
    eventually("the configuration is served", async || {
        site.admin().metrics().await.count("palisade_generation", &[]) == 2
    })
    .await;
    assert_eq!(answering(&site).await, numbered(0));
    rename(&file, version(&numbered(1)));
    answers(&site, &numbered(1)).await;
    problems(&site, 0).await;
}

#[tokio::test]
async fn one_bad_file_is_one_error_and_others_are_replaced_meanwhile() {
    let site = Site::new()
        .plugin("a", "version", json!({}))
        .plugin("b", "version", json!({}))
        .plugin("tag", "tag", json!({ "name": "kept" }))
        .file("plugins/other.wasm", version(&numbered(5)))
        .plugin("other", "version", json!({}))
        .set("plugin.other.module", "other")
        .route(json!({ "path": "/", "chain": ["a", "b", "tag"] }))
        .route(json!({ "path": "/other", "chain": ["other"] }))
        .origin(Origin::echo())
        .start()
        .await;
    rename(&module(&site, "version"), "nothing");
    rename(&module(&site, "other"), version(&numbered(6)));
    let found = problems(&site, 1).await;
    assert!(
        found[0].contains("version.wasm is not used, and plugins \"a\", \"b\" go on in the version from before"),
        "{found:?}"
    );
    let mut client = site.connect(Http::Plain).await;
    eventually("the other one is replaced", async || {
        client.get("/other").await.header("x-version") == Some(numbered(6).as_str())
    })
    .await;
    let reply = client.get("/").await;
    assert_eq!((reply.header("x-version"), reply.header("x-tag")), (Some(numbered(0).as_str()), Some("kept")));
}

#[tokio::test]
async fn a_plugin_that_did_not_load_at_the_start_comes_with_its_file() {
    let site =
        Site::new().set("plugin.version.module", "version").chain(&["version"]).origin(Origin::echo()).start().await;
    let mut client = site.connect(Http::Plain).await;
    assert_eq!(client.get("/").await.status, 503);
    assert_eq!(site.admin().plugin("version").await.state(), "failed");
    rename(&module(&site, "version"), version(&numbered(1)));
    problems(&site, 0).await;
    let reply = client.get("/").await;
    assert_eq!((reply.status, reply.header("x-version")), (200, Some(numbered(1).as_str())));
}

#[tokio::test]
async fn what_a_plugin_has_counted_goes_on_in_its_next_version() {
    let site = site().start().await;
    let calls = async || {
        let metrics = site.admin().metrics().await;
        metrics.count("palisade_plugin_calls_total", &[("plugin", "version"), ("phase", "request-filter")])
    };
    let mut client = site.connect(Http::Plain).await;
    for number in 1..=5_u64 {
        client.get("/").await;
        assert_eq!(calls().await, number);
        let next = numbered(usize::try_from(number).expect("a number"));
        rename(&module(&site, "version"), version(&next));
        eventually("the version is told", async || {
            let figures = site.admin().plugin("version").await;
            figures.json()["generation"] == json!(number + 1)
        })
        .await;
        assert_eq!(calls().await, number, "counted anew");
    }
    let figures = site.admin().plugin("version").await;
    assert_eq!(figures.calls("request-filter"), 5);
    eventually("the instances from before are gone", async || {
        site.admin().plugin("version").await.json()["instances"] == json!(1)
    })
    .await;
}

#[tokio::test]
async fn what_nobody_uses_is_looked_at_and_changes_nothing() {
    let site = site().start().await;
    rename(&module(&site, "spare"), "nothing");
    let found = problems(&site, 1).await;
    assert!(
        found[0].contains("spare.wasm, which no plugin of the configuration names: is not WebAssembly"),
        "{found:?}"
    );
    rename(&module(&site, "spare"), bytes_of("tag", Form::Module));
    problems(&site, 0).await;
    fs::write(site.folder().path().join("plugins/notes.txt"), "not a plugin").expect("written");
    fs::write(site.folder().path().join("plugins/.hidden.wasm"), "half a plugin").expect("written");
    let (status, outcome) = site.admin().reload().await;
    assert_eq!((status, &outcome["result"], &outcome["generation"]), (200, &json!("complete"), &json!(2)));
}
