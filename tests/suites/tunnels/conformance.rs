//! Autobahn's WebSocket test suite against an echo server, directly and through a chain: the same cases end the same way.
//!
//! The cases are Autobahn's own, run by `kosoku` because the suite itself needs Python 2. All families but compression are run
//! whole: framing, pings, reserved bits, opcodes, fragmentation, UTF-8, closing, limits up to 16 MiB. Of compression it is
//! the first cases of each setting: what follows the handshake there is bytes like any others.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use harness::{Folder, Site};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// The families that are run whole, as the suite numbers them.
const FAMILIES: [&str; 10] = ["1.1.*", "1.2.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.1.1"];

/// The families of compression: cases 12.1.1 to 12.5.18 and 13.1.1 to 13.7.18.
const COMPRESSION: [(u32, u32); 2] = [(12, 5), (13, 7)];

/// How many cases all of these are.
const COUNT: usize = 325;

/// What must be the same of each case.
const FIELDS: [&str; 6] = ["behavior", "behaviorClose", "remoteCloseCode", "remoteCloseReason", "received", "wasClean"];

/// How often what ended differently is run again.
const ROUNDS: usize = 3;

/// How long the suite may take: it sends 64 MiB in pieces of many sizes, and waits on purpose.
const SUITE_LIMIT: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn autobahns_suite_ends_through_a_chain_as_it_does_without() {
    let (_origin, address) = origin().await;
    let rules = json!([{ "name": "denied", "action": "deny", "when": { "path_prefix": "/denied" } }]);
    let site = Site::new().plugin("wall", "firewall", json!({ "rules": rules }));
    let site = site.plugin("tag", "tag", json!({ "name": "seen" })).plugin("qps", "qps", json!({}));
    let site = site.chain(&["wall", "tag", "qps"]).set("upstream.web.endpoints", json!([address.to_string()]));
    let site = site.start().await;
    let compression = COMPRESSION.into_iter().flat_map(|(family, settings)| {
        (1..=settings).flat_map(move |setting| [1, 2].map(|case| format!("{family}.{setting}.{case}")))
    });
    let mut cases: Vec<String> = FAMILIES.map(str::to_owned).into_iter().chain(compression).collect();
    let direct = run("direct", address, &cases).await;
    let mut differences = Vec::new();
    // In some cases an origin may have said a message back or not when it sees that the next one is wrong, as bytes happen
    // to fall into its reads. What is another way because of the host is so every time.
    for round in 0..ROUNDS {
        let direct = if round == 0 { &direct } else { &run("direct", address, &cases).await };
        let through = run("through", site.address("plain"), &cases).await;
        assert_eq!(through.len(), direct.len());
        (cases, differences) = compare(direct, &through);
        if cases.is_empty() {
            break;
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
    // The suite did look: an origin that got everything wrong would be the same on both sides.
    assert_eq!(direct.len(), COUNT);
    let passed = direct.values().filter(|case| case["behavior"] == "OK").count();
    assert!(passed > COUNT * 9 / 10, "{passed} of {COUNT} cases pass without the host");
    site.idle().await;
}

/// What differs where an origin has answered a good message before it saw that the next frame is wrong, or has not: the suite takes
/// both, the one as strict and the other as not, and which it is goes by how bytes fall into reads (RFC 6455, section 7.1.7).
const EITHER_WAY: [&str; 2] = ["behavior", "received"];

fn is_either_way(case: &Value) -> bool {
    matches!(case["behavior"].as_str(), Some("OK" | "NON-STRICT"))
}

/// The cases that ended differently, and how.
fn compare(direct: &BTreeMap<String, Value>, through: &BTreeMap<String, Value>) -> (Vec<String>, Vec<String>) {
    let tagged = |case: &Value| case["httpResponse"].as_str().is_some_and(|head| head.contains("x-tag: seen"));
    let (mut cases, mut differences) = (Vec::new(), Vec::new());
    for (case, direct) in direct {
        let through = &through[case];
        assert!(tagged(through) && !tagged(direct), "{case}: {}", through["httpResponse"]);
        let is_either = is_either_way(direct) && is_either_way(through) && direct["behavior"] != through["behavior"];
        let is_looked_at = |field: &&&str| !(is_either && EITHER_WAY.contains(*field));
        for field in FIELDS.iter().filter(is_looked_at).filter(|field| direct[**field] != through[**field]) {
            cases.push(case.clone());
            differences.push(format!("{case} {field}: {} / {}", direct[*field], through[*field]));
        }
    }
    cases.dedup();
    (cases, differences)
}

/// The echo server and where it listens.
pub(crate) async fn origin() -> (Child, SocketAddr) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/echo.py");
    let mut command = Command::new(python("python"));
    command.arg(script).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().expect("Python runs");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let line = tokio::time::timeout(harness::LIMIT, lines.next_line()).await.expect("a port in time");
    let port: u16 = line.expect("a line").expect("a port").parse().expect("a port");
    (child, SocketAddr::from(([127, 0, 0, 1], port)))
}

/// Every case's report, by its number.
async fn run(name: &str, address: SocketAddr, cases: &[String]) -> BTreeMap<String, Value> {
    let folder = Folder::new();
    let reports = folder.path().join(name);
    let mut command = Command::new(python("kosoku"));
    command.arg(address.to_string()).args(["--parallelism", "4", "--outdir"]).arg(&reports);
    for case in cases {
        command.args(["--include", case]);
    }
    // Its code says whether the origin passes every case, which is not asked here.
    let output = tokio::time::timeout(SUITE_LIMIT, command.stdin(Stdio::null()).kill_on_drop(true).output()).await;
    let output = output.expect("the suite ends").expect("the suite runs");
    let index = std::fs::read(reports.join("index.json"));
    let index = index.unwrap_or_else(|_| panic!("no report: {}", String::from_utf8_lossy(&output.stderr)));
    let index: BTreeMap<String, BTreeMap<String, Value>> = serde_json::from_slice(&index).expect("a report");
    let cases = index.into_values().flatten();
    let read = |entry: &Value| {
        let file = entry.get("reportfile").and_then(Value::as_str).unwrap_or_default();
        std::fs::read(reports.join(file)).expect("a case's report")
    };
    cases.map(|(case, entry)| (case, serde_json::from_slice(&read(&entry)).expect("JSON"))).collect()
}

fn python(program: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/python/bin").join(program);
    assert!(file.exists(), "{} is missing: run `cargo xtask test`", file.display());
    file
}
