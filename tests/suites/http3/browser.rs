//! A browser loads a page over HTTP/3 through the chain of three: Chromium, without a screen.

use std::process::Stdio;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use harness::{Answer, HOST, Origin, Running, Seen, eventually};
use rcgen::{KeyPair, PublicKeyData};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::process::{Child, Command};

use super::chained;

const DOWNLOAD_BYTES: usize = 50 << 20;
const UPLOAD_BYTES: usize = 10 << 20;

/// Loads and sends, and tells what came of it.
const PAGE: &str = r#"<!doctype html><title>Palisade</title><link rel="stylesheet" href="/style"><h1>Palisade</h1><script>
const told = async () => {
    const download = await (await fetch("/download")).arrayBuffer();
    const upload = await (await fetch("/upload", { method: "POST", body: new Uint8Array(UPLOAD) })).text();
    const denied = (await fetch("/admin")).status;
    const protocols = performance.getEntries().map(entry => entry.nextHopProtocol).filter(Boolean);
    return { protocols, download: download.byteLength, upload, denied };
};
told().catch(error => ({ error: String(error) })).then(told => {
    document.querySelector("h1").textContent = "Palisade over " + (told.protocols || ["nothing"])[0];
    return fetch("/told", { method: "POST", body: JSON.stringify(told), headers: { "x-told": JSON.stringify(told) } });
});
</script>"#;

fn answer(seen: &Seen) -> Answer {
    match seen.target.as_str() {
        "/" => {
            let page = PAGE.replace("UPLOAD", &UPLOAD_BYTES.to_string());
            Answer::body(page).header("content-type", "text/html; charset=utf-8")
        }
        "/style" => Answer::body("h1 { color: teal }").header("content-type", "text/css"),
        "/download" => Answer::body(vec![7; DOWNLOAD_BYTES]).header("content-type", "application/octet-stream"),
        "/upload" => Answer::body(seen.body_bytes.unwrap_or_default().to_string()).header("content-type", "text/plain"),
        _ => Answer::status(204),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_loads_a_page_over_http_3_through_the_chain() {
    let site = chained().origin(Origin::answering(answer)).start().await;
    let picture = site.folder().path().join("page.png");
    let port = site.address("public").port();
    // Chromium takes no alternative of a server whose authority it was given by hand: it is told to begin with HTTP/3.
    let begin = format!("--origin-to-force-quic-on={HOST}:{port}");
    let mut browser =
        browse(&site, &[&begin, "--virtual-time-budget=60000", &format!("--screenshot={}", picture.display())]);
    let mut told = None;
    eventually("the page has told", async || {
        let seen = site.origin(0).seen();
        told = seen.iter().find(|seen| seen.target == "/told").map(|seen| seen.values("x-told").concat());
        told.is_some()
    })
    .await;
    let told: Value = serde_json::from_str(&told.expect("it was told")).expect("JSON");
    let protocols = told["protocols"].as_array().expect("protocols");
    assert!(protocols.len() >= 4 && protocols.iter().all(|protocol| protocol == "h3"), "{told}");
    assert_eq!((&told["download"], &told["upload"]), (&json!(DOWNLOAD_BYTES), &json!(UPLOAD_BYTES.to_string())));
    assert_eq!(told["denied"], 403);
    let ended = tokio::time::timeout(Duration::from_secs(60), browser.wait()).await;
    assert!(ended.expect("the browser ends").expect("it ran").success());
    let drawn = std::fs::read(picture).expect("a picture of the page");
    assert!(drawn.starts_with(b"\x89PNG") && drawn.len() > 1_000, "{} bytes", drawn.len());
    let metrics = site.admin().metrics().await;
    assert!(metrics.count("palisade_requests_total", &[("protocol", "h3"), ("class", "2xx")]) >= 5);
    assert_eq!(metrics.count("palisade_requests_total", &[("protocol", "http/1.1")]), 0);
}

/// The browser on its way to the site's page, which it takes for what its name and its key say it is.
pub(crate) fn browse(site: &Running, more: &[&str]) -> Child {
    let folder = site.folder().path();
    let key = std::fs::read_to_string(folder.join("site.key")).expect("a key");
    let key = KeyPair::from_pem(&key).expect("a key").subject_public_key_info();
    let port = site.address("public").port();
    let mut command = Command::new("chromium");
    command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]);
    command.args(["--disable-background-networking", "--disable-component-update"]);
    command.arg(format!("--user-data-dir={}", folder.join("browser").display()));
    command.arg(format!("--host-resolver-rules=MAP {HOST} 127.0.0.1"));
    command.arg(format!("--ignore-certificate-errors-spki-list={}", BASE64_STANDARD.encode(Sha256::digest(key))));
    command.args(more).arg(format!("https://{HOST}:{port}/"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    command.spawn().unwrap_or_else(|error| panic!("chromium cannot be run: {error}; run `cargo xtask test`"))
}
