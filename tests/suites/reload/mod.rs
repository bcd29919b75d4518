//! Plugins and configurations that change while the host runs.

mod commands;
mod configs;
mod exchanges;
mod files;
mod last_good;
mod load;
mod memory;
mod signed;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use harness::{Form, Http, Origin, Reply, Running, Site, bytes_of, eventually};
use serde_json::json;

/// Within which a change takes effect: a second, and as much again and again for a machine that has much else to do.
const WITHIN: Duration = Duration::from_secs(5);

/// The guest `version`, in the version of this name, which has 14 letters.
fn version(name: &str) -> Vec<u8> {
    const FIRST: &[u8] = b"version-000000";
    assert_eq!(name.len(), FIRST.len());
    let bytes = bytes_of("version", Form::Module);
    let place = bytes.windows(FIRST.len()).position(|found| found == FIRST).expect("a version in the file");
    let (before, after) = (bytes.iter().take(place), bytes.iter().skip(place + FIRST.len()));
    before.copied().chain(name.bytes()).chain(after.copied()).collect()
}

fn numbered(number: usize) -> String {
    format!("version-{number:06}")
}

/// A site with one plugin, `version`, in its first version, and an origin that says what it was asked.
fn site() -> Site {
    Site::new().plugin("version", "version", json!({})).chain(&["version"]).origin(Origin::echo())
}

/// Where a module of the site lies.
fn module(site: &Running, name: &str) -> PathBuf {
    site.folder().path().join(format!("plugins/{name}.wasm"))
}

/// Puts a file in its place as a careful operator does: it is written elsewhere, some time ago, and renamed.
pub(crate) fn rename(file: &Path, bytes: impl AsRef<[u8]>) {
    let part = file.with_extension("part");
    fs::write(&part, bytes).expect("a file of the test");
    let long_ago = SystemTime::now() - Duration::from_secs(10);
    fs::File::open(&part).and_then(|part| part.set_modified(long_ago)).expect("an old file");
    fs::rename(&part, file).expect("a file in its place");
}

/// The site's configuration with one text in it replaced by another one.
fn edited(site: &Running, text: &str, instead: &str) -> String {
    let config = fs::read_to_string(site.folder().path().join("palisade.toml")).expect("a configuration");
    assert!(config.contains(text), "{text} in {config}");
    config.replacen(text, instead, 1)
}

/// Changes the configuration's file.
fn edit(site: &Running, text: &str, instead: &str) {
    rename(&site.folder().path().join("palisade.toml"), edited(site, text, instead));
}

/// The version that this answer is wholly from: the request that the origin has seen, the response, and the end of its
/// body, if bodies are marked.
fn whole(reply: &Reply) -> &str {
    let own = reply.header("x-version").unwrap_or("none");
    let (echo, mark) = reply.text().rsplit_once("\n=").unwrap_or((reply.text(), own));
    let echo: serde_json::Value = serde_json::from_str(echo).expect("what the origin was asked");
    assert_eq!((echo.pointer("/headers/x-version"), mark), (Some(&json!([own])), own), "of two versions");
    own
}

/// The version that answers, which must be the one that has seen the request.
async fn answering(site: &Running) -> String {
    let reply = site.connect(Http::Plain).await.get("/").await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    whole(&reply).to_owned()
}

async fn answers(site: &Running, version: &str) {
    let began = std::time::Instant::now();
    eventually(&format!("{version} answers"), async || answering(site).await == version).await;
    assert!(began.elapsed() < WITHIN, "{version} took {:?}", began.elapsed());
}

/// Waits for the list of problems to be so many, and gives it.
async fn problems(site: &Running, count: usize) -> Vec<String> {
    let mut problems = Vec::new();
    eventually(&format!("there are {count} problems"), async || {
        problems = site.admin().problems().await;
        problems.len() == count
    })
    .await;
    problems
}
