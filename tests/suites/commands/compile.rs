//! `palisade plugin compile`: what it makes is the plugin still. A build without a compiler, which is what it is for, is not built here; see
//! docs/small.md.

use harness::{Folder, Form, Origin, Site, bytes_of, run_command};
use serde_json::json;

#[tokio::test]
async fn a_compiled_plugin_is_the_plugin_still() {
    for form in [Form::Module, Form::Component] {
        let folder = Folder::new();
        folder.write("tag.wasm", bytes_of("tag", form));
        let palisade =
            async |words: &str| run_command("palisade", &words.split(' ').collect::<Vec<_>>(), folder.path()).await;
        let compiled = palisade("plugin compile tag.wasm").await;
        assert!(compiled.code == Some(0) && compiled.stdout.starts_with("tag.cwasm: "), "{}", compiled.stderr);
        let inspected = palisade("plugin inspect tag.cwasm").await;
        assert!(inspected.stdout.contains("\ncode          compiled, "), "{}{}", inspected.stdout, inspected.stderr);
        let plain = palisade("plugin inspect tag.wasm").await;
        assert!(plain.stdout.contains("\ncode          none\n"), "{}", plain.stdout);
        let runs = match form {
            Form::Module => "\nruns          directly, as its core module\n",
            Form::Component => "\nruns          as a component: it is a component, not a core module\n",
        };
        assert!(plain.stdout.contains(runs) && inspected.stdout.contains(runs), "{}", plain.stdout);
        // What was compiled before is compiled anew, and does not grow.
        let again = palisade("plugin compile tag.cwasm --out again.cwasm").await;
        let size = |name: &str| std::fs::metadata(folder.path().join(name)).map(|about| about.len()).unwrap();
        assert_eq!((again.code, size("again.cwasm")), (Some(0), size("tag.cwasm")), "{}", again.stderr);
        let over = palisade("plugin compile tag.cwasm").await;
        assert!(over.code == Some(1) && over.stderr.contains("would be written over itself"), "{}", over.stderr);
        serves(std::fs::read(folder.path().join("tag.cwasm")).unwrap()).await;
    }
}

/// A host that finds it as `packed.cwasm` runs it.
async fn serves(bytes: Vec<u8>) {
    let site = Site::new().origin(Origin::echo()).file("plugins/packed.cwasm", bytes);
    let site = site.set("plugin.packed", json!({ "module": "packed", "settings": { "name": "a" } }));
    let site = site.route(json!({ "chain": ["packed"] })).start().await;
    assert_eq!(site.get("/").await.status, 200);
    assert_eq!(site.admin().plugin("packed").await.state(), "running");
}
