//! The command line itself: what it says, and with which code it ends.

use harness::{Ended, Folder, run_command};

use super::{check, folder};

async fn palisade(arguments: &[&str], folder: &Folder) -> Ended {
    run_command("palisade", arguments, folder.path()).await
}

#[tokio::test]
async fn a_good_configuration_is_ok() {
    let ended = check(&folder(&[])).await;
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "palisade.toml: ok\n", ""));
}

#[tokio::test]
async fn what_is_hardly_meant_is_a_warning_and_good_all_the_same() {
    let ended = check(&folder(&[("chain = [\"wall\"]", "chain = []")])).await;
    let warning =
        "warning: palisade.toml:4:1: plugin.wall: is in no chain\n  |\n4 | [plugin.wall]\n  | ^^^^^^^^^^^^^\n";
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "palisade.toml: ok\n", warning));
}

#[tokio::test]
async fn a_configuration_that_cannot_be_read_is_a_sentence() {
    let sentence = "cannot read the config \"gone.toml\": No such file or directory (os error 2)\n";
    for command in ["check", "run"] {
        let ended = palisade(&[command, "gone.toml"], &folder(&[])).await;
        assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(1), "", sentence), "{command}");
    }
}

#[tokio::test]
async fn a_bad_configuration_does_not_run() {
    let ended = palisade(&["run", "palisade.toml"], &folder(&[("\"www.example.test\"", "7")])).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.starts_with("palisade.toml:19:12: listener[0].route[0].host: "), "{}", ended.stderr);
}

#[tokio::test]
async fn an_address_that_is_taken_is_a_sentence() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = palisade(&["run", "palisade.toml"], &folder(&[("127.0.0.1:8443", &address)])).await;
    let last = ended.stderr.lines().last().unwrap();
    assert_eq!(last, format!("listener \"public\" cannot listen on {address}: Address already in use (os error 98)"));
    assert_eq!(ended.code, Some(1));
}

#[tokio::test]
async fn wrong_usage_ends_with_two() {
    let folder = folder(&[]);
    for arguments in [&[][..], &["chekc", "palisade.toml"], &["check"], &["check", "a", "b"], &["run", "--fast", "a"]] {
        let ended = palisade(arguments, &folder).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(ended.stderr.contains("Usage: palisade"), "{arguments:?}: {}", ended.stderr);
    }
    for arguments in [["--help"], ["--version"]] {
        assert_eq!(palisade(&arguments, &folder).await.code, Some(0), "{arguments:?}");
    }
}

#[tokio::test]
async fn certificates_are_made_and_an_authority_is_kept() {
    let folder = Folder::new();
    let make = ["certificate", "--name", "a.test", "--name", "127.0.0.1", "--out", "made"];
    let ended = palisade(&make, &folder).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "made/ca.pem\nmade/a.test.pem\nmade/a.test.key\n"));
    let read = |name: &str| std::fs::read(folder.path().join("made").join(name)).unwrap();
    let (authority, certificate) = (read("ca.pem"), read("a.test.pem"));
    assert_eq!(palisade(&make, &folder).await.code, Some(0));
    assert_eq!(read("ca.pem"), authority);
    assert_ne!(read("a.test.pem"), certificate);
}
