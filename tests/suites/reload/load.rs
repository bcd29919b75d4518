//! Proof under load: versions and configurations change all the time, and no request fails or sees two of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use harness::{Dial, Http, Running, run_command};
use serde_json::json;

use super::{edited, module, numbered, rename, site, version, whole};

/// Swaps between two versions, reloads of the configuration, and bad versions in between.
const SWAPS: usize = 200;
const CONFIGS: usize = 50;
const BAD: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_swaps_under_load_fail_no_request_and_mix_no_versions() {
    let site = site().set("plugin.version.settings.marks_bodies", true).set("workers", 2).set("log.access", false);
    let site = site.start_process().await;
    let done = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = Http::ALL.map(|http| tokio::spawn(ask(site.dial(http), done.clone()))).into();
    let loads = loads(&site, &done);
    change(&site).await;
    done.store(true, Ordering::Relaxed);
    let mut seen = BTreeSet::new();
    let mut asked = 0;
    for client in clients {
        let (count, versions) = client.await.expect("a client that found nothing wrong");
        asked += count;
        seen.extend(versions);
    }
    for (tool, counted) in loads {
        let (requests, failed) = counted.await.expect("a tool that runs");
        assert_eq!(failed, 0, "{tool}: of {requests} requests");
        assert!(requests > 0, "{tool} has asked nothing");
        asked += requests;
    }
    // As the host has it: a tool that leaves at the end of a round does not wait for its last answers.
    let metrics = site.admin().metrics().await;
    for class in ["1xx", "3xx", "4xx", "5xx"] {
        assert_eq!(metrics.count("palisade_requests_total", &[("class", class)]), 0, "{class}");
    }
    for ending in ["upstream-failed", "truncated", "closed"] {
        assert_eq!(metrics.count("palisade_endings_total", &[("ending", ending)]), 0, "{ending}");
    }
    assert_eq!(metrics.count("palisade_plugin_failures_total", &[]), 0);
    let all =
        [0, 1].map(numbered).into_iter().flat_map(|version| ["-a", "-b"].map(|suffix| format!("{version}{suffix}")));
    assert!(all.clone().all(|version| seen.contains(&version)), "{seen:?}");
    eprintln!("{SWAPS} swaps, {CONFIGS} reloads and {BAD} bad versions under {asked} requests");
}

/// Changes everything, one thing after the other, and waits for each to be served or refused.
async fn change(site: &Running) {
    let (file, config) = (module(site, "version"), site.folder().path().join("palisade.toml"));
    let marked =
        |suffix: &str| edited(site, "marks_bodies = true\n", &format!("marks_bodies = true\nsuffix = \"{suffix}\"\n"));
    let (first, second) = (marked("-a"), marked("-b"));
    rename(&config, &first);
    let mut generation = 2;
    reloads(site, "complete", generation).await;
    for step in 1..=SWAPS {
        rename(&file, version(&numbered(step % 2)));
        generation += 1;
        reloads(site, "complete", generation).await;
        if step.is_multiple_of(SWAPS / CONFIGS) {
            let is_first = (step / (SWAPS / CONFIGS)).is_multiple_of(2);
            rename(&config, if is_first { &first } else { &second });
            generation += 1;
            reloads(site, "complete", generation).await;
        }
        if step.is_multiple_of(SWAPS / BAD) {
            rename(&file, bad(step / (SWAPS / BAD)));
            reloads(site, "refused", generation).await;
        }
    }
    rename(&file, version(&numbered(SWAPS % 2)));
    reloads(site, "complete", generation).await;
}

/// What is no version of the plugin: cut off, something else, or one that does not take its settings.
fn bad(number: usize) -> Vec<u8> {
    match number % 3 {
        0 => version(&numbered(0)).into_iter().take(10_000).collect(),
        1 => b"no plugin".to_vec(),
        _ => version("refuses-000000"),
    }
}

async fn reloads(site: &Running, result: &str, generation: u64) {
    let (_, outcome) = site.admin().reload().await;
    assert_eq!(outcome.get("result"), Some(&json!(result)), "{outcome}");
    // What has been seen to change by itself may have been taken over before it was asked for, and once more then.
    let served = outcome.get("generation").and_then(serde_json::Value::as_u64);
    assert!(served >= Some(generation), "{outcome} at {generation}");
}

/// Asks over one connection for as long as it is to, and looks at each answer.
async fn ask(dial: Dial, done: Arc<AtomicBool>) -> (u64, BTreeSet<String>) {
    let mut client = dial.connect().await.expect("a connection");
    let (mut count, mut seen) = (0, BTreeSet::new());
    while !done.load(Ordering::Relaxed) {
        let reply = client.get("/").await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert!(reply.text().contains("\n="), "a body without a mark");
        seen.insert(whole(&reply).to_owned());
        count += 1;
    }
    (count, seen)
}

/// The load of h2load and of wrk, run again and again in short rounds until it is enough: how many requests they made, and
/// how many of them failed.
fn loads(site: &Running, done: &Arc<AtomicBool>) -> Vec<(&'static str, tokio::task::JoinHandle<(u64, u64)>)> {
    let folder = site.folder().path().to_owned();
    let url = format!("https://127.0.0.1:{}/bytes/100", site.address("public").port());
    let start = |tool: &'static str, arguments: &'static [&'static str], read: fn(&str) -> Option<(u64, u64)>| {
        let (folder, url, done) = (folder.clone(), url.clone(), done.clone());
        let requests = AtomicU64::new(0);
        let failures = AtomicU64::new(0);
        let task = tokio::spawn(async move {
            while !done.load(Ordering::Relaxed) {
                let arguments: Vec<&str> = arguments.iter().copied().chain([url.as_str()]).collect();
                let ended = run_command(tool, &arguments, &folder).await;
                let counted = read(&ended.stdout);
                let (asked, failed) = counted.unwrap_or_else(|| panic!("{tool} says {}{}", ended.stdout, ended.stderr));
                requests.fetch_add(asked, Ordering::Relaxed);
                failures.fetch_add(failed, Ordering::Relaxed);
            }
            (requests.into_inner(), failures.into_inner())
        });
        (tool, task)
    };
    vec![
        start("h2load", &["-t", "1", "-c", "2", "-m", "4", "-D", "2"], h2load),
        start("wrk", &["-t", "1", "-c", "4", "-d", "2s"], wrk),
    ]
}

/// `requests: 9 total, 9 started, 9 done, 9 succeeded, 0 failed, 0 errored, 0 timeout`. What is cut by the end of a round
/// is no failure.
fn h2load(text: &str) -> Option<(u64, u64)> {
    let line = text.lines().find_map(|line| line.strip_prefix("requests: "))?;
    let count = |what: &str| {
        let part = line.split(", ").find(|part| part.ends_with(what))?;
        part.split(' ').next()?.parse::<u64>().ok()
    };
    Some((count("done")?, count("failed")? + count("timeout")?))
}

/// `9 requests in 2.00s, 1.00MB read`, and where there are any `Socket errors: connect 0, read 1, …` and `Non-2xx or 3xx
/// responses: 1`.
fn wrk(text: &str) -> Option<(u64, u64)> {
    let requests = text.lines().find_map(|line| line.trim().split_once(" requests in "))?.0.parse().ok()?;
    let errors = text.lines().filter_map(|line| line.trim().strip_prefix("Socket errors: "));
    let sockets =
        errors.flat_map(|line| line.split([' ', ','])).filter_map(|word| word.parse::<u64>().ok()).sum::<u64>();
    let answers = text.lines().filter_map(|line| line.trim().strip_prefix("Non-2xx or 3xx responses: "));
    Some((requests, sockets + answers.filter_map(|count| count.parse::<u64>().ok()).sum::<u64>()))
}
