//! What the system lets a host have: open files for its connections, address space for its plugins, processors for its workers.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use harness::{Origin, Site, eventually, program, run_command};
use serde_json::{Value, json};

/// A host under a limit of the system's, which ends with this.
struct Limited(Child);

impl Limited {
    /// Starts it with a limit as of `prlimit`, soft and hard, as in `--nofile=256:5000`, and waits until it is up. With what it has said.
    async fn start(folder: &Path, limit: &str) -> (Self, String) {
        Self::start_by(&["prlimit", limit], folder).await
    }

    /// Likewise, by a command that becomes the one that is named behind it.
    async fn start_by(begun_by: &[&str], folder: &Path) -> (Self, String) {
        let file = folder.join("palisade.log");
        let (name, arguments) = begun_by.split_first().expect("a command");
        let mut command = Command::new(name);
        command.args(arguments).arg(program()).args(["run", "palisade.toml"]).current_dir(folder).stdin(Stdio::null());
        let child = command.stderr(fs::File::create(&file).expect("a log")).spawn();
        let (host, mut log) = (Self(child.expect("it is in util-linux or coreutils")), String::new());
        eventually("the host is up", async || {
            log = fs::read_to_string(&file).unwrap_or_default();
            log.contains("the admin listener is up")
        })
        .await;
        (host, log)
    }

    /// A number of a file below /proc: the one that begins there after this word.
    fn number(&self, file: &str, word: &str) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/{file}", self.0.id())).expect("a process");
        let rest = text.lines().find_map(|line| line.strip_prefix(word)).expect("a line");
        rest.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
    }

    /// How each of its workers is scheduled: the 41st field of what proc(5) says of a thread, which is the 39th behind its name.
    fn policies_of_workers(&self) -> Vec<u64> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.0.id())).expect("a process");
        let policy = |thread: fs::DirEntry| {
            let text = fs::read_to_string(thread.path().join("stat")).ok()?;
            let (name, fields) = text.rsplit_once(") ")?;
            name.contains("(worker-").then(|| fields.split_whitespace().nth(38)?.parse().ok())?
        };
        threads.filter_map(|thread| policy(thread.ok()?)).collect()
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

#[tokio::test]
async fn a_host_takes_what_its_listeners_need_and_never_waits_for_its_table_to_grow() {
    let (folder, _origins) = site().write();
    let (host, log) = Limited::start(folder.path(), "--nofile=256:5000").await;
    assert_eq!(host.number("limits", "Max open files"), 5_000);
    assert!(host.number("status", "FDSize:") >= 5_000, "the table has {}", host.number("status", "FDSize:"));
    assert!(!log.contains("files open"), "{log}");
}

#[tokio::test]
async fn too_few_files_for_a_listener_are_told_at_the_start() {
    let (folder, _origins) = site().write();
    let (host, log) = Limited::start(folder.path(), "--nofile=256:1199").await;
    assert_eq!(host.number("limits", "Max open files"), 1_199);
    let told = "the process may have 1199 files open, and a listener may have 600 connections, each with one more to an endpoint: \
                expected a hard limit of 3024 (LimitNOFILE= of systemd, `ulimit -Hn`), or fewer `limits.connections`";
    assert!(log.contains(told), "{log}");
}

/// The policies of sched(7), as the kernel numbers them.
const OTHER: u64 = 0;
const BATCH: u64 = 3;
const IDLE: u64 = 5;

#[tokio::test]
async fn workers_that_outnumber_the_processors_interrupt_nobody() {
    let processors = std::thread::available_parallelism().expect("a number").get();
    let by_itself: &[&str] = &["env"];
    for (workers, begun_by, policy) in [
        (processors, by_itself, OTHER),
        (processors + 1, by_itself, BATCH),
        // Somebody has chosen already.
        (processors + 1, &["chrt", "--idle", "0"], IDLE),
    ] {
        let (folder, _origins) = site().set("workers", workers).write();
        let (host, _log) = Limited::start_by(begun_by, folder.path()).await;
        assert_eq!(host.policies_of_workers(), vec![policy; workers], "{workers} workers, {begun_by:?}");
    }
}

#[tokio::test]
async fn with_little_address_space_plugins_run_all_the_same() {
    let (folder, _origins) = site().plugin("tag", "tag", json!({ "name": "a" })).chain(&["tag"]).write();
    let (_host, log) = Limited::start(folder.path(), "--as=3000000000").await;
    assert!(log.contains("there is little address space"), "{log}");
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut public = lines.filter(|line| line["listener"] == "public");
    let address = public.next().and_then(|line| Some(line["address"].as_str()?.to_owned())).expect("an address");
    let url = format!("https://{address}/");
    let reply =
        run_command("curl", &["-sk", "--max-time", "10", "-D", "-", "-o", "/dev/null", &url], folder.path()).await;
    assert!(reply.stdout.contains("x-tag: a"), "{}", reply.stdout);
}
