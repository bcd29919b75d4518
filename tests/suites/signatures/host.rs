//! The host with `trusted_keys`: at work, and when it checks its configuration.

use harness::{Form, Http, Origin, Site, bytes_of, run_command};
use palisade_signature::SecretKey;
use serde_json::json;

/// What lies in `plugins` under a name: its bytes and its signature.
struct Drop {
    name: &'static str,
    bytes: Vec<u8>,
    signature: Option<String>,
    /// Why it does not load.
    reason: Option<String>,
}

/// One good drop-in and one for each way of being none. They all hold the good one's code, which is in the cache: that is
/// no way around.
fn drops(release: &SecretKey, old: &SecretKey) -> Vec<Drop> {
    let bytes = bytes_of("tag", Form::Module);
    let (release_id, old_id) = (release.public().id(), old.public().id());
    let stranger = SecretKey::generate().expect("random numbers");
    let drop = |name, signature: Option<String>, reason: Option<String>| Drop {
        name,
        bytes: bytes.clone(),
        signature,
        reason,
    };
    let mut tampered = drop(
        "tampered",
        Some(release.sign(&bytes).to_string()),
        Some(format!(
            "is not what the trusted key \"release\" ({release_id}) signed: the file or its signature was altered"
        )),
    );
    // Still a plugin that would run: a custom section more.
    tampered.bytes.extend([0, 2, 1, b'x']);
    vec![
        drop("signed", Some(release.sign(&bytes).to_string()), None),
        tampered,
        drop("unsigned", None, Some("is not signed: there is no signature beside it".into())),
        drop(
            "foreign",
            Some(stranger.sign(&bytes).to_string()),
            Some(format!(
                "is signed by the key {}, which is not trusted: trusted are \"release\" ({release_id}), \"old\" ({old_id})",
                stranger.public().id()
            )),
        ),
        drop(
            "expired",
            Some(old.sign(&bytes).to_string()),
            Some(format!("is signed by the trusted key \"old\" ({old_id}), which expired at the end of 2020-12-31")),
        ),
        drop(
            "malformed",
            Some("signed, honestly\n".into()),
            Some(
                "has a signature that is not one: expected the lines \"palisade-signature-1\", \"key …\" and \"ed25519 …\""
                    .into(),
            ),
        ),
    ]
}

/// A site with each of them alone on a route of its own name, and the keys of which one is asked for.
fn site_of(drops: &[Drop], release: &SecretKey, old: &SecretKey) -> Site {
    let keys = json!([
        { "name": "release", "key": release.public().to_string() },
        { "name": "old", "key": old.public().to_string(), "expires": "2020-12-31" },
    ]);
    unguarded_site_of(drops).set("trusted_keys", keys)
}

fn unguarded_site_of(drops: &[Drop]) -> Site {
    drops.iter().fold(Site::new().origin(Origin::echo()), |site, drop| {
        let site = site.file(&format!("plugins/{}.wasm", drop.name), drop.bytes.clone());
        let site = match &drop.signature {
            Some(signature) => site.file(&format!("plugins/{}.wasm.sig", drop.name), signature.clone()),
            None => site,
        };
        let site =
            site.set(&format!("plugin.{}", drop.name), json!({ "module": drop.name, "settings": { "name": "a" } }));
        site.route(json!({ "path": format!("/{}", drop.name), "chain": [drop.name] }))
    })
}

fn keys() -> [SecretKey; 2] {
    [(); 2].map(|()| SecretKey::generate().expect("random numbers"))
}

#[tokio::test]
async fn what_is_not_signed_as_asked_refuses_its_own_requests_and_says_why() {
    let [release, old] = keys();
    let drops = drops(&release, &old);
    let site = site_of(&drops, &release, &old).start().await;
    let mut client = site.connect(Http::H1).await;
    let ready = site.admin().get("/readyz").await;
    for drop in &drops {
        let figures = site.admin().plugin(drop.name).await;
        let reply = client.get(&format!("/{}", drop.name)).await;
        match &drop.reason {
            None => assert_eq!((figures.state(), reply.status), ("running", 200), "{}", drop.name),
            Some(reason) => {
                let file = site.folder().path().join(format!("plugins/{}.wasm", drop.name));
                let sentence = format!("plugin \"{}\" ({}) did not load: {reason}", drop.name, file.display());
                assert_eq!((figures.state(), reply.status), ("failed", 503), "{}", drop.name);
                assert_eq!(figures.last_error(), sentence);
                assert!(ready.text().contains(&format!("degraded: {sentence}\n")), "{}", ready.text());
            }
        }
    }
    let files = site.admin().get("/plugins").await.json()["files"].clone();
    let signers: Vec<_> = files.as_array().unwrap().iter().map(|file| (&file["module"], &file["signed_by"])).collect();
    let of = |name: &str| signers.iter().find(|(module, _)| *module == name).map(|(_, signer)| (*signer).clone());
    assert_eq!((of("signed"), of("foreign")), (Some(json!("release")), Some(json!(null))));
}

#[tokio::test]
async fn a_check_says_the_same_of_every_file() {
    let [release, old] = keys();
    let drops = drops(&release, &old);
    let (folder, _origins) = site_of(&drops, &release, &old).write();
    let ended = run_command("palisade", &["check", "palisade.toml"], folder.path()).await;
    let expected = drops.iter().filter_map(|drop| {
        let reason = drop.reason.as_ref()?;
        Some(format!("plugin \"{0}\" (plugins/{0}.wasm) did not load: {reason}", drop.name))
    });
    let mut expected: Vec<String> = expected.collect();
    let mut found: Vec<String> = ended.stderr.lines().map(str::to_owned).collect();
    assert_eq!(found.pop(), Some(format!("{} problems in palisade.toml", expected.len())), "{}", ended.stderr);
    expected.sort();
    found.sort();
    assert_eq!((ended.code, found), (Some(1), expected));
}

#[tokio::test]
async fn without_trusted_keys_no_signature_is_asked_for() {
    let [release, old] = keys();
    let site = unguarded_site_of(&drops(&release, &old)).start().await;
    for name in ["signed", "tampered", "unsigned", "foreign", "expired", "malformed"] {
        assert_eq!(site.get(&format!("/{name}")).await.status, 200, "{name}");
    }
}
