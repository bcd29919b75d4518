//! With `trusted_keys`: what is not signed does not take over, whenever it comes.

use std::fs;

use harness::{Origin, Running, Site, eventually};
use palisade_signature::SecretKey;
use serde_json::json;

use super::{answering, answers, edit, module, numbered, problems, rename, version};

async fn site(key: &SecretKey) -> Running {
    let bytes = version(&numbered(0));
    Site::new()
        .plugin("version", "version", json!({}))
        .file("plugins/version.wasm.sig", key.sign(&bytes).to_string())
        .set("trusted_keys", json!([{ "name": "release", "key": key.public().to_string() }]))
        .chain(&["version"])
        .origin(Origin::echo())
        .start()
        .await
}

#[tokio::test]
async fn a_new_version_takes_over_with_its_signature() {
    let key = SecretKey::generate().expect("random numbers");
    let site = site(&key).await;
    assert_eq!(answering(&site).await, numbered(0));
    let (file, next) = (module(&site, "version"), version(&numbered(1)));
    rename(&file, &next);
    let found = problems(&site, 1).await;
    assert!(found[0].contains("the file or its signature was altered"), "{found:?}");
    assert_eq!(answering(&site).await, numbered(0));
    let signature = file.with_extension("wasm.sig");
    rename(&signature, key.sign(&next).to_string());
    answers(&site, &numbered(1)).await;
    problems(&site, 0).await;
    fs::remove_file(&signature).expect("removed");
    let found = problems(&site, 1).await;
    assert!(found[0].contains("there is no signature beside it"), "{found:?}");
    assert_eq!(answering(&site).await, numbered(1));
}

#[tokio::test]
async fn a_configuration_that_trusts_other_keys_is_refused_while_it_would_trust_nobody_who_signed() {
    let (key, other) = (SecretKey::generate().expect("numbers"), SecretKey::generate().expect("numbers"));
    let site = site(&key).await;
    edit(&site, &key.public().to_string(), &other.public().to_string());
    let found = problems(&site, 1).await;
    assert!(found[0].contains("which is not trusted"), "{found:?}");
    assert_eq!(answering(&site).await, numbered(0));
    // Both together are what the operator wants.
    let file = module(&site, "version");
    let next = version(&numbered(1));
    rename(&file.with_extension("wasm.sig"), other.sign(&next).to_string());
    rename(&file, &next);
    answers(&site, &numbered(1)).await;
    problems(&site, 0).await;
    eventually("the key is known", async || {
        let files = site.admin().get("/plugins").await.json()["files"].clone();
        files[0]["signed_by"] == json!("release")
    })
    .await;
}
