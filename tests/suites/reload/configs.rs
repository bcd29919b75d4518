//! Configurations that change, by everything that has them looked at.

use std::fs;

use harness::{Http, Origin, Running, Site, eventually, run_command};
use serde_json::json;

use super::{answering, answers, edit, edited, module, numbered, problems, rename, site, version};

async fn generation(site: &Running, number: u64) {
    eventually(&format!("generation {number} is served"), async || {
        site.admin().metrics().await.count("palisade_generation", &[]) == number
    })
    .await;
}

#[tokio::test]
async fn a_configuration_takes_over_when_its_file_changes() {
    let site = site().start().await;
    edit(&site, "[plugin.version.settings]\n", "[plugin.version.settings]\nsuffix = \"!\"\n");
    answers(&site, &format!("{}!", numbered(0))).await;
    // As an editor writes it.
    let config = edited(&site, "suffix = \"!\"", "suffix = \"?\"");
    fs::write(site.folder().path().join("palisade.toml"), config).expect("written");
    answers(&site, &format!("{}?", numbered(0))).await;
    assert_eq!(site.admin().problems().await, [""; 0]);
}

#[tokio::test]
async fn a_signal_and_the_command_and_the_admin_listener_are_reloads() {
    let mut site = site().start_process().await;
    let number = async |site: &Running| site.admin().metrics().await.count("palisade_generation", &[]);
    assert_eq!(number(&site).await, 1);
    site.process().signal("HUP");
    generation(&site, 2).await;
    let (status, outcome) = site.admin().reload().await;
    assert_eq!(
        (status, outcome),
        (200, json!({ "result": "complete", "generation": 3, "problems": [], "warnings": [] }))
    );
    let admin = site.admin().address().to_string();
    let ended = run_command("palisade", &["reload", "--admin", &admin], site.folder().path()).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "generation 4 is served\n"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_bad_configuration_is_refused_as_a_whole_and_told_by_every_way() {
    let mut site = site().start_process().await;
    for (text, instead, reason) in [
        ("[plugin.version]\n", "[plugin.version\n", "palisade.toml:"),
        ("module = \"version\"", "module = \"nobody\"", "nobody.wasm) did not load: there is no such file"),
        ("suffix = \"a\"", "suffix = 7", "refuses its configuration: settings.suffix"),
        ("grant = [\"metrics\"]", "grants = [\"metrics\"]", "did you mean \"grant\"?"),
        ("chain = \"site.pem\"", "chain = \"nobody.pem\"", "cannot read"),
    ] {
        rename(&site.folder().path().join("palisade.toml"), good(&site, "suffix = \"a\"\n"));
        let (status, outcome) = site.admin().reload().await;
        assert_eq!(status, 200, "{outcome}");
        let before = outcome["generation"].as_u64().expect("a number");
        let serving = answering(&site).await;
        edit(&site, text, instead);
        let found = problems(&site, 1).await;
        assert!(found[0].contains(reason), "{found:?}");
        let (status, outcome) = site.admin().reload().await;
        assert_eq!((status, &outcome["result"], &outcome["generation"]), (422, &json!("refused"), &json!(before)));
        assert!(outcome["problems"][0].as_str().is_some_and(|problem| problem.contains(reason)), "{outcome}");
        let admin = site.admin().address().to_string();
        let ended = run_command("palisade", &["reload", "--admin", &admin], site.folder().path()).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
        assert!(ended.stderr.contains(reason), "{}", ended.stderr);
        assert!(
            ended.stderr.ends_with(&format!("1 problem; generation {before} is served: refused\n")),
            "{}",
            ended.stderr
        );
        site.process().signal("HUP");
        assert_eq!(answering(&site).await, serving);
    }
}

/// The site's configuration as it was written first, with these settings.
fn good(site: &Running, settings: &str) -> String {
    let first = site.folder().path().join("first.toml");
    if !first.exists() {
        fs::copy(site.folder().path().join("palisade.toml"), &first).expect("copied");
    }
    let text = fs::read_to_string(first).expect("a configuration");
    text.replacen("[plugin.version.settings]\n", &format!("[plugin.version.settings]\n{settings}"), 1)
}

#[tokio::test]
async fn a_bad_text_keeps_no_plugin_from_being_replaced() {
    let site = site().start().await;
    edit(&site, "[plugin.version]\n", "[plugin.version\n");
    problems(&site, 1).await;
    rename(&module(&site, "version"), version(&numbered(1)));
    answers(&site, &numbered(1)).await;
    assert_eq!(site.admin().problems().await.len(), 1);
    let (status, outcome) = site.admin().reload().await;
    assert_eq!((status, &outcome["result"]), (422, &json!("refused")));
}

#[tokio::test]
async fn settings_can_change_while_the_file_is_bad() {
    let site = site().start().await;
    rename(&module(&site, "version"), "nothing");
    problems(&site, 1).await;
    edit(&site, "[plugin.version.settings]\n", "[plugin.version.settings]\nsuffix = \"!\"\n");
    answers(&site, &format!("{}!", numbered(0))).await;
    assert_eq!(site.admin().problems().await.len(), 1, "the file is bad still");
    // The version that runs does not take these.
    edit(&site, "suffix = \"!\"", "suffix = 7");
    let found = problems(&site, 2).await;
    assert!(found.iter().any(|problem| problem.contains("settings.suffix")), "{found:?}");
    assert_eq!(answering(&site).await, format!("{}!", numbered(0)));
}

#[tokio::test]
async fn a_version_and_its_settings_may_come_one_after_the_other() {
    let site = site().start().await;
    // The configuration names what is not there yet.
    edit(&site, "module = \"version\"", "module = \"later\"");
    problems(&site, 1).await;
    assert_eq!(answering(&site).await, numbered(0));
    rename(&module(&site, "later"), version(&numbered(1)));
    answers(&site, &numbered(1)).await;
    problems(&site, 0).await;
}

#[tokio::test]
async fn a_plugin_can_be_renamed_and_chains_can_change() {
    let site = Site::new().plugin("a", "version", json!({})).chain(&["a"]).origin(Origin::echo()).start().await;
    let mut client = site.connect(Http::Plain).await;
    client.get("/").await;
    let config = edited(&site, "plugin.a", "plugin.b")
        .replace("plugin.a", "plugin.b")
        .replace("chain = [\"a\"]", "chain = [\"b\"]");
    rename(&site.folder().path().join("palisade.toml"), config);
    generation(&site, 2).await;
    assert_eq!(client.get("/").await.header("x-version"), Some(numbered(0).as_str()));
    assert_eq!(site.admin().plugin("b").await.calls("request-filter"), 1);
    let config = edited(&site, "chain = [\"b\"]", "chain = []").replace("chain = [\"b\"]", "chain = []");
    rename(&site.folder().path().join("palisade.toml"), config);
    generation(&site, 3).await;
    assert_eq!(client.get("/").await.header("x-version"), None);
    // A name that comes again goes on counting.
    let config =
        edited(&site, "plugin.b", "plugin.a").replace("plugin.b", "plugin.a").replace("chain = []", "chain = [\"a\"]");
    rename(&site.folder().path().join("palisade.toml"), config);
    generation(&site, 4).await;
    client.get("/").await;
    assert_eq!(site.admin().plugin("a").await.calls("request-filter"), 2);
}

#[tokio::test]
async fn what_takes_a_restart_is_said_and_the_rest_is_served() {
    let site = site().start().await;
    edit(&site, "workers = 1\n", "workers = 2\n");
    generation(&site, 2).await;
    let (status, outcome) = site.admin().reload().await;
    assert_eq!(status, 200);
    assert_eq!(outcome["warnings"], json!(["workers stays 1 until the next start, which makes it 2"]));
}

#[tokio::test]
async fn the_admin_listener_moves_and_an_address_that_is_taken_changes_nothing() {
    let site = site().start().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("an address");
    let address = taken.local_addr().expect("an address").to_string();
    edit(&site, "[admin]\nbind = \"127.0.0.1:0\"", &format!("[admin]\nbind = \"{address}\""));
    let found = problems(&site, 1).await;
    assert!(found[0].starts_with(&format!("the admin listener cannot listen on {address}: ")), "{found:?}");
    edit(&site, &format!("[admin]\nbind = \"{address}\""), &format!("[admin]\nbind = \"{address}\"\n# again"));
    drop(taken);
    eventually("the old one is gone", async || tokio::net::TcpStream::connect(site.admin().address()).await.is_err())
        .await;
    let ready = run_command("curl", &["--silent", &format!("http://{address}/readyz")], site.folder().path()).await;
    assert_eq!(ready.stdout, "ready\n");
}

#[tokio::test]
async fn a_certificate_that_is_renewed_is_shown() {
    let site = site().start().await;
    let folder = site.folder().path();
    let made = run_command("palisade", &["certificate", "--name", harness::HOST, "--out", "made"], folder).await;
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    // The certificate comes first and does not belong to the key: nothing changes, and both are looked at again.
    rename(&folder.join("site.pem"), fs::read(folder.join(format!("made/{}.pem", harness::HOST))).expect("made"));
    let found = problems(&site, 1).await;
    assert!(found[0].contains("cannot be used together"), "{found:?}");
    assert_eq!(site.get("/").await.status, 200);
    rename(&folder.join("site.key"), fs::read(folder.join(format!("made/{}.key", harness::HOST))).expect("made"));
    problems(&site, 0).await;
    fs::copy(folder.join("made/ca.pem"), folder.join("ca.pem")).expect("copied");
    let reply = site.curl(&[], "/").await;
    assert_eq!(reply.code, Some(0), "{}", reply.stderr);
}

#[tokio::test]
async fn a_page_in_a_browser_cannot_have_a_host_reload() {
    let site = site().start().await;
    for (headers, status) in [
        (&[][..], 403),
        (&[("x-palisade-admin", "1"), ("origin", "https://elsewhere.test")][..], 403),
        (&[("x-palisade-admin", "1")][..], 200),
    ] {
        let request = http::Request::post("/reload").body(harness::Body::empty()).expect("a request");
        let (mut parts, body) = request.into_parts();
        for (name, value) in headers {
            parts.headers.insert(*name, value.parse().expect("a value"));
        }
        let reply = site.admin().connect().await.send(http::Request::from_parts(parts, body)).await.expect("an answer");
        assert_eq!(reply.status, status, "{headers:?}");
    }
    let get = site.admin().get("/reload").await;
    assert_eq!((get.status, get.header("allow")), (405, Some("POST")));
}
