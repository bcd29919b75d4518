//! What the system lets a host have: open files for its connections, and address space for its plugins.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use harness::{Origin, Site, eventually, program};
use serde_json::json;

/// A host under a limit of the system's, which ends with this.
struct Limited(Child);

impl Limited {
    /// With a limit as of `prlimit`, soft and hard, as in `--nofile=256:5000`.
    fn start(folder: &Path, limit: &str) -> Self {
        let log = fs::File::create(folder.join("palisade.log")).expect("a log");
        let mut command = Command::new("prlimit");
        command.arg(limit).arg(program()).args(["run", "palisade.toml"]);
        let child = command.current_dir(folder).stdin(Stdio::null()).stderr(log).spawn();
        Self(child.expect("prlimit is in util-linux"))
    }

    /// A number of a file below /proc: the one that begins there after this word.
    fn number(&self, file: &str, word: &str) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/{file}", self.0.id())).expect("a process");
        let rest = text.lines().find_map(|line| line.strip_prefix(word)).expect("a line");
        rest.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Two listeners that may have 1,000 connections, one of them 600.
fn site() -> Site {
    let site = Site::new().set("listener.public.limits.connections", 600);
    site.set("listener.plain.limits.connections", 400).origin(Origin::echo())
}

async fn ready(folder: &Path) -> String {
    let mut log = String::new();
    eventually("the host is up", async || {
        log = fs::read_to_string(folder.join("palisade.log")).unwrap_or_default();
        log.contains("the admin listener is up")
    })
    .await;
    log
}

#[tokio::test]
async fn a_host_takes_what_its_listeners_need_and_never_waits_for_its_table_to_grow() {
    let (folder, _origins) = site().write();
    let host = Limited::start(folder.path(), "--nofile=256:5000");
    let log = ready(folder.path()).await;
    assert_eq!(host.number("limits", "Max open files"), 5_000);
    assert!(host.number("status", "FDSize:") >= 5_000, "the table has {}", host.number("status", "FDSize:"));
    assert!(!log.contains("files open"), "{log}");
}

#[tokio::test]
async fn too_few_files_for_a_listener_are_told_at_the_start() {
    let (folder, _origins) = site().write();
    let host = Limited::start(folder.path(), "--nofile=256:1199");
    let log = ready(folder.path()).await;
    assert_eq!(host.number("limits", "Max open files"), 1_199);
    let told = "the process may have 1199 files open, and a listener may have 600 connections, each with one more to an endpoint: \
                expected a hard limit of 3024 (LimitNOFILE= of systemd, `ulimit -Hn`), or fewer `limits.connections`";
    assert!(log.contains(told), "{log}");
}

#[tokio::test]
async fn with_little_address_space_plugins_run_all_the_same() {
    let (folder, _origins) = site().plugin("tag", "tag", json!({ "name": "a" })).chain(&["tag"]).write();
    let _host = Limited::start(folder.path(), "--as=3000000000");
    let log = ready(folder.path()).await;
    assert!(log.contains("there is little address space") && !log.contains("did not load"), "{log}");
}
