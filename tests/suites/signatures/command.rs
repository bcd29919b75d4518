//! `palisade plugin keygen`, `sign` and `verify`, as an operator uses them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use harness::{Ended, Folder, Form, bytes_of, run_command};

async fn plugin(folder: &Folder, arguments: &str) -> Ended {
    let arguments: Vec<&str> = std::iter::once("plugin").chain(arguments.split(' ')).collect();
    run_command("palisade", &arguments, folder.path()).await
}

/// A folder with a plugin and two pairs of keys; the public halves.
async fn folder() -> (Folder, [String; 2]) {
    let folder = Folder::new();
    folder.write("tag.wasm", bytes_of("tag", Form::Module));
    let release = plugin(&folder, "keygen --out release").await;
    let other = plugin(&folder, "keygen --out other").await;
    assert_eq!((release.code, other.code), (Some(0), Some(0)), "{}{}", release.stderr, other.stderr);
    (folder, [release.stdout, other.stdout])
}

#[tokio::test]
async fn a_key_pair_is_two_files_that_are_never_overwritten() {
    let (folder, [public, _]) = folder().await;
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let mode = fs::metadata(folder.path().join("release.key")).unwrap().permissions().mode();
    assert_eq!((mode & 0o777, read("release.pub")), (0o600, public));
    let secret = read("release.key");
    assert!(secret.starts_with("ed25519-secret:") && secret.lines().count() == 1);
    for (present, lost) in [("release.key", "release.pub"), ("release.pub", "release.key")] {
        for kept in [present, lost] {
            folder.write(kept, "kept");
        }
        fs::remove_file(folder.path().join(lost)).unwrap();
        let again = plugin(&folder, "keygen --out release").await;
        assert_eq!((again.code, again.stdout.as_str()), (Some(1), ""), "{present}");
        assert!(again.stderr.contains(present), "{}", again.stderr);
        assert_eq!((read(present).as_str(), folder.path().join(lost).exists()), ("kept", false));
    }
}

#[tokio::test]
async fn a_signed_file_is_verified_by_the_key_that_signed_it() {
    let (folder, [public, other]) = folder().await;
    let signed = plugin(&folder, "sign tag.wasm --key release.key").await;
    assert!(
        signed.code == Some(0) && signed.stdout.ends_with(" in tag.wasm.sig\n"),
        "{}{}",
        signed.stdout,
        signed.stderr
    );
    for keys in ["release.pub", "other.pub release.pub", public.trim_end()] {
        let verified = plugin(&folder, &format!("verify tag.wasm --key {keys}")).await;
        let key = keys.rsplit(' ').next().unwrap();
        assert_eq!(verified.code, Some(0), "{keys}: {}", verified.stderr);
        assert!(verified.stdout.starts_with("tag.wasm: signed by the key "), "{}", verified.stdout);
        assert!(verified.stdout.ends_with(&format!(" ({key})\n")), "{}", verified.stdout);
    }
    check(&folder, &format!("verify tag.wasm --key {}", other.trim_end()), "which is not trusted: trusted are ").await;
    let inspected = plugin(&folder, "inspect tag.wasm").await;
    assert!(inspected.stdout.contains("\nsignature     by the key "), "{}", inspected.stdout);
    let mut bytes = bytes_of("tag", Form::Module);
    *bytes.last_mut().unwrap() ^= 1;
    folder.write("tag.wasm", bytes);
    check(&folder, "verify tag.wasm --key release.pub", "the file or its signature was altered").await;
}

#[tokio::test]
async fn what_cannot_be_signed_or_verified_is_a_sentence() {
    let (folder, _) = folder().await;
    check(&folder, "verify tag.wasm --key release.pub", "tag.wasm: is not signed: there is no signature beside it")
        .await;
    check(&folder, "verify tag.wasm --key gone.pub", "cannot read the key in gone.pub").await;
    check(&folder, "verify tag.wasm --key release.key", "is a private key: expected the public one").await;
    check(&folder, "sign tag.wasm --key release.pub", "release.pub: is not a key: expected \"ed25519-secret:\"").await;
    check(&folder, "sign gone.wasm --key release.key", "gone.wasm: cannot read the file").await;
    let inspected = plugin(&folder, "inspect tag.wasm").await;
    assert!(inspected.stdout.contains("\nsignature     none\n"), "{}", inspected.stdout);
}

/// The command fails with this.
async fn check(folder: &Folder, arguments: &str, sentence: &str) {
    let ended = plugin(folder, arguments).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{arguments}");
    assert!(ended.stderr.contains(sentence), "{arguments}: {}", ended.stderr);
}
