//! `palisade plugin new`: what it writes builds, passes its tests and loads.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use harness::{Folder, run_command};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace")
}

/// `palisade plugin new` in this folder.
async fn new(folder: &Folder, arguments: &str) -> harness::Ended {
    let arguments: Vec<&str> = ["plugin", "new"].into_iter().chain(arguments.split(' ')).collect();
    run_command("palisade", &arguments, folder.path()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_begun_builds_passes_its_tests_and_loads() {
    let sdk = workspace().join("sdk");
    for (kind, phases, granted) in [
        ("filter", "request-filter, response-filter", "request-filter        proceed"),
        ("balancer", "balancer", "balancer              pick a:1"),
        ("observer", "observer", "observer              told of"),
    ] {
        let folder = Folder::new();
        let name = format!("my-{kind}");
        let made = new(&folder, &format!("{name} --kind {kind} --sdk {}", sdk.display())).await;
        assert_eq!(made.code, Some(0), "{}", made.stderr);
        let krate = folder.path().join(&name);
        // With the versions that this workspace has, so that nothing is fetched.
        fs::copy(workspace().join("Cargo.lock"), krate.join("Cargo.lock")).expect("a lock file");
        cargo(&krate, &["fmt", "--check"]);
        let tested = cargo(&krate, &["test", "--offline"]);
        assert!(String::from_utf8_lossy(&tested.stdout).contains("test result: ok. 3 passed"), "{tested:?}");
        cargo(&krate, &["build", "--offline", "--release", "--target", "wasm32-unknown-unknown"]);
        let file = target().join(format!("wasm32-unknown-unknown/release/my_{kind}.wasm")).display().to_string();
        let inspected = run_command("palisade", &["plugin", "inspect", &file], folder.path()).await;
        assert!(
            inspected.stdout.contains(&format!("\nphases        {phases}\n")),
            "{}{}",
            inspected.stdout,
            inspected.stderr
        );
        folder.write("s.json", if kind == "filter" { r#"{ "deny": ["/admin"] }"# } else { "{}" });
        folder.write("r.http", "GET / HTTP/1.1\nhost: a\n");
        let options = "--settings s.json --request r.http --grant metrics --endpoint a:1 --deadline-ms 30000";
        let run: Vec<&str> = ["plugin", "run", &file].into_iter().chain(options.split(' ')).collect();
        let run = run_command("palisade", &run, folder.path()).await;
        assert!(run.code == Some(0) && run.stdout.contains(granted), "{}{}", run.stdout, run.stderr);
    }
}

/// One folder for all kinds and all runs, so that what they depend on is built once.
fn target() -> PathBuf {
    workspace().join("target/new-plugins")
}

/// Runs cargo in a crate, as its README says. Warnings are errors.
#[track_caller]
fn cargo(krate: &Path, arguments: &[&str]) -> Output {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(arguments).current_dir(krate).env("CARGO_TARGET_DIR", target()).env("RUSTFLAGS", "-D warnings");
    let output = command.output().expect("cargo runs");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{arguments:?}: {}{}", said(&output.stdout), said(&output.stderr));
    output
}

#[tokio::test]
async fn what_cannot_be_begun_is_a_sentence() {
    let folder = Folder::new();
    folder.write("there/file", "kept");
    for (arguments, code, sentence) in [
        ("Edge --kind filter", 2, "is not the name of a crate"),
        ("../edge --kind filter", 2, "is not the name of a crate"),
        ("serde --kind filter", 2, "is taken"),
        ("edge --kind firewall", 2, "invalid value 'firewall' for '--kind <KIND>'"),
        ("edge", 2, "--kind <KIND>"),
        ("there --kind filter", 1, "cannot make the folder ./there: File exists"),
        ("edge --kind filter --path gone", 1, "there is no folder gone"),
        ("edge --kind filter --sdk there", 1, "there is not the folder of palisade-sdk"),
    ] {
        let ended = new(&folder, arguments).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{arguments}: {}", ended.stderr);
        assert!(ended.stderr.contains(sentence), "{arguments}: {}", ended.stderr);
        assert!(!folder.path().join("edge").exists(), "{arguments}");
    }
    assert_eq!(fs::read_to_string(folder.path().join("there/file")).expect("a file"), "kept");
}

#[tokio::test]
async fn without_a_folder_the_sdk_is_the_published_one() {
    let folder = Folder::new();
    let made = new(&folder, "edge --kind observer").await;
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let manifest = fs::read_to_string(folder.path().join("edge/Cargo.toml")).expect("a manifest");
    assert!(manifest.contains(&format!("palisade-sdk = \"{}\"\n", env!("CARGO_PKG_VERSION"))), "{manifest}");
    assert!(!manifest.contains("{{"), "{manifest}");
    let readme = fs::read_to_string(folder.path().join("edge/README.md")).expect("a README");
    for line in ["cargo test", "cargo build --release --target wasm32-unknown-unknown"] {
        assert!(readme.lines().any(|found| found == line), "{readme}");
    }
}
