//! A start that finds something bad: it begins with what was last good, if there is anything.

use std::fs;
use std::path::PathBuf;

use harness::{Origin, Running, Site, eventually, run_command};
use palisade_signature::SecretKey;
use serde_json::json;

use super::{answering, answers, edited, module, numbered, problems, rename, site, version};

/// Waits until a copy holds this text in its configuration and this plugin.
async fn kept(site: &Running, text: &str, plugin: &[u8]) {
    eventually("what is served is kept", async || {
        copies(site).into_iter().any(|copy| {
            fs::read_to_string(copy.join("config.toml")).is_ok_and(|kept| kept.contains(text))
                && fs::read(copy.join("plugins/version.wasm")).is_ok_and(|kept| kept == plugin)
        })
    })
    .await;
}

/// Those that are whole.
fn copies(site: &Running) -> Vec<PathBuf> {
    let below = |folder: &PathBuf| -> Vec<PathBuf> {
        fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("an entry").path()).collect()
    };
    let copies = below(&site.folder().path().join(".palisade"));
    copies.iter().flat_map(below).filter(|copy| copy.extension().is_none()).collect()
}

#[tokio::test]
async fn a_start_with_a_bad_configuration_serves_the_one_that_was_last_good() {
    for bad in ["", "nonsense", "[plugin.version]\nmodule = 7\n"] {
        let mut site = site().start_process().await;
        kept(&site, "module = \"version\"", &version(&numbered(0))).await;
        let config = site.folder().path().join("palisade.toml");
        let good = fs::read_to_string(&config).expect("a configuration");
        fs::write(&config, bad).expect("written");
        site.restart().await;
        assert_eq!(answering(&site).await, numbered(0));
        let found = site.admin().problems().await;
        assert!(!found.is_empty() && found.iter().all(|problem| problem.contains("palisade.toml")), "{found:?}");
        assert!(site.admin().get("/readyz").await.text().contains("degraded: "));
        assert!(site.process().log().contains("\"level\":\"ERROR\""));
        let checked = run_command("palisade", &["check", "palisade.toml"], site.folder().path()).await;
        assert_eq!(checked.code, Some(1), "a check goes by what is on disk: {}", checked.stdout);
        // It is mended while the host runs.
        rename(&config, good);
        problems(&site, 0).await;
    }
}

#[tokio::test]
async fn a_start_with_a_bad_plugin_runs_the_version_that_was_last_good() {
    let mut site = site().start_process().await;
    rename(&module(&site, "version"), version(&numbered(1)));
    answers(&site, &numbered(1)).await;
    kept(&site, "", &version(&numbered(1))).await;
    for bad in [Some("nothing"), None] {
        match bad {
            Some(bad) => rename(&module(&site, "version"), bad),
            None => fs::remove_file(module(&site, "version")).expect("removed"),
        }
        problems(&site, 1).await;
        site.restart().await;
        assert_eq!(answering(&site).await, numbered(1));
        let found = site.admin().problems().await;
        assert!(found.len() == 1 && found[0].contains("goes on in the version from before"), "{found:?}");
    }
    // What is good on disk is what counts.
    rename(&module(&site, "version"), version(&numbered(2)));
    answers(&site, &numbered(2)).await;
    kept(&site, "", &version(&numbered(2))).await;
    eventually("the copy of the version before is gone", async || copies(&site).len() == 1).await;
}

#[tokio::test]
async fn a_configuration_that_a_reload_refuses_is_refused_by_the_next_start() {
    let mut site = site().start_process().await;
    kept(&site, "module = \"version\"", &version(&numbered(0))).await;
    rename(&site.folder().path().join("palisade.toml"), edited(&site, "module = \"version\"", "module = \"nobody\""));
    let before = problems(&site, 1).await;
    site.restart().await;
    assert_eq!(answering(&site).await, numbered(0));
    assert_eq!(site.admin().problems().await, before);
}

#[tokio::test]
async fn without_anything_good_or_where_it_is_not_wanted_a_start_is_as_bad_as_what_is_on_disk() {
    let (folder, _origins) = site().write();
    let run = async |arguments: &[&str]| run_command("palisade", arguments, folder.path()).await;
    folder.write("palisade.toml", "nonsense");
    assert_eq!(run(&["run", "palisade.toml"]).await.code, Some(1));
    let mut site = site().start_process().await;
    kept(&site, "module = \"version\"", &version(&numbered(0))).await;
    site.process().signal("TERM");
    assert_eq!(site.process().wait().await.code, Some(0));
    fs::write(site.folder().path().join("palisade.toml"), "nonsense").expect("written");
    let ended = run_command("palisade", &["run", "--no-last-good", "palisade.toml"], site.folder().path()).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.starts_with("palisade.toml:1:"), "{}", ended.stderr);
}

#[tokio::test]
async fn what_is_kept_is_believed_no_more_than_what_is_on_disk() {
    let key = SecretKey::generate().expect("random numbers");
    let bytes = version(&numbered(0));
    let mut site = Site::new()
        .plugin("version", "version", json!({}))
        .file("plugins/version.wasm.sig", key.sign(&bytes).to_string())
        .set("trusted_keys", json!([{ "name": "release", "key": key.public().to_string() }]))
        .chain(&["version"])
        .origin(Origin::echo())
        .start_process()
        .await;
    kept(&site, "trusted_keys", &bytes).await;
    // Somebody has exchanged the kept file for another one, which nobody has signed.
    fs::write(copies(&site)[0].join("plugins/version.wasm"), version(&numbered(6))).expect("written");
    rename(&module(&site, "version"), "nothing");
    site.restart().await;
    assert_eq!(site.get("/").await.status, 503);
    assert_eq!(site.admin().plugin("version").await.state(), "failed");
}
