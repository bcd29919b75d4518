//! What operators see of a host that runs: `palisade top`, and commands that find nobody to ask.

use harness::{Http, Origin, Site, run_command};
use serde_json::json;

use super::{module, problems, rename};

#[tokio::test]
async fn top_shows_what_each_plugin_costs_and_what_is_wrong() {
    let site = Site::new()
        .plugin("a", "version", json!({}))
        .plugin("tag", "tag", json!({ "name": "a" }))
        .set("plugin.gone.module", "gone")
        .chain(&["a", "tag"])
        .origin(Origin::echo())
        .with_problems()
        .start()
        .await;
    let mut client = site.connect(Http::Plain).await;
    for _ in 0..7 {
        client.get("/").await;
    }
    rename(&module(&site, "version"), "nothing");
    problems(&site, 2).await;
    let admin = site.admin().address().to_string();
    let ended = run_command("palisade", &["top", "--once", "--admin", &admin], site.folder().path()).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let lines: Vec<Vec<&str>> = ended.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["generation", "1,", "3", "plugins"]);
    assert_eq!(lines[2], ["PLUGIN", "PHASE", "CALLS/S", "MEAN", "FAILED", "INSTANCES", "MEMORY", "STATE"]);
    let of = |plugin: &str| lines.iter().find(|line| line.first() == Some(&plugin)).expect("a line");
    assert_eq!(of("a")[1..6], ["request-filter", "0.0", "-", "0", "1"]);
    assert_eq!(of("a")[8..], ["earlier", "version"]);
    assert_eq!(of("tag").last(), Some(&"running"));
    assert_eq!(of("gone").last(), Some(&"failed"));
    assert!(ended.stdout.contains("problems:\n"), "{}", ended.stdout);
    assert!(!ended.stdout.contains('\x1b'), "one table is text alone");
}

#[tokio::test]
async fn where_there_is_nobody_to_ask_it_is_said() {
    let (folder, _origins) = Site::new().origin(Origin::echo()).write();
    let config = std::fs::read_to_string(folder.path().join("palisade.toml")).expect("a configuration");
    folder.write("palisade.toml", config.replace("[admin]\nbind = \"127.0.0.1:0\"\n", ""));
    for command in ["reload", "top"] {
        for (arguments, code, sentence) in [
            (&["palisade.toml"][..], 1, "has no [admin]"),
            (&["--admin", "127.0.0.1:1"][..], 1, "no host answers at 127.0.0.1:1"),
            (&["gone.toml"][..], 1, "cannot read the config"),
            (&[][..], 2, "Usage: palisade"),
            (&["palisade.toml", "--admin", "127.0.0.1:1"][..], 2, "cannot be used with"),
        ] {
            let arguments = [&[command], arguments].concat();
            let ended = run_command("palisade", &arguments, folder.path()).await;
            assert_eq!(ended.code, Some(code), "{arguments:?}: {}", ended.stderr);
            assert!(ended.stderr.contains(sentence), "{arguments:?}: {}", ended.stderr);
        }
    }
}
