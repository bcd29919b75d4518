//! Another process takes a host's place, with its sockets: no request fails, over any number of times.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use command_fds::{CommandFdExt, FdMapping};
use harness::{Aioquic, Body, Dial, Http, Origin, Running, Site, eventually, run_command, signal, start_command};
use http::Request;
use serde_json::{Value, json};

use crate::endpoint::quick;

/// How often the host is exchanged under load.
const TIMES: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_that_are_exchanged_under_load_fail_no_request() {
    let site = Site::new().set("workers", 2).set("log.access", true);
    let endpoint = quick().await.to_string();
    let site = site.plugin("tag", "tag", json!({ "name": "a" })).chain(&["tag"]);
    let mut site = site.set("upstream.web.endpoints", json!([endpoint])).start_process().await;
    let done = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = Http::ALL.map(|http| tokio::spawn(ask(site.dial(http), done.clone()))).into();
    let url = format!("https://{}/", site.address("public"));
    let wrk = start_command("wrk", format!("-t 1 -c 32 -d 12s --timeout 10s {url}"), site.folder().path());
    let h2load = start_command("h2load", format!("-D 12 -c 8 -m 8 {url}"), site.folder().path());
    let (mut process, mut successors) = (site.process().id(), Vec::new());
    for time in 0..TIMES {
        tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
        signal(process, "USR2");
        process = successor(&mut site, time).await;
        successors.push(Successor(process));
        assert_eq!(handed_on(process), Vec::<String>::new());
    }
    assert_eq!(site.process().wait().await.code, Some(0), "the first one has drained");
    let (wrk, h2load) = (wrk.await.expect("wrk"), h2load.await.expect("h2load"));
    done.store(true, Ordering::Relaxed);
    for client in clients {
        assert!(client.await.expect("a client without a failed request") > 0);
    }
    assert!(!wrk.stdout.contains("Socket errors") && !wrk.stdout.contains("Non-2xx"), "{}", wrk.stdout);
    // h2load does not go to another connection when it is told to (RFC 9113, section 6.8): what it could not begin any more it
    // counts as failed. Of what reached a host, all was answered.
    assert!(
        h2load.stdout.contains(" 2xx, 0 3xx, 0 4xx, 0 5xx") && h2load.stdout.contains(", 0 timeout"),
        "{}",
        h2load.stdout
    );
    let log = site.process().log();
    let ended: Vec<&str> = log.lines().filter(|line| line.contains("\"ending\":")).collect();
    // A tool that leaves at its end does not wait for its last answers; while it runs, it tells what it missed.
    let went_well = |line: &str| {
        let left = line.contains("\"ending\":\"client-gone\"");
        left || line.contains("\"ending\":\"complete\"") && line.contains("\"status\":200")
    };
    let failed = ended.iter().find(|line| !went_well(line));
    assert!(ended.len() > 1_000 && failed.is_none(), "{failed:?}");
    assert_eq!(site.admin().get("/readyz").await.text(), "ready\n");
    end(&site, process).await;
    drop(successors);
}

/// A process that is not ours, and may not be left behind.
struct Successor(u32);

impl Drop for Successor {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-KILL", &self.0.to_string()]).stderr(Stdio::null()).status();
    }
}

/// The process that took over as the one of this number, from zero.
async fn successor(site: &mut Running, number: usize) -> u32 {
    let mut process = 0;
    eventually("another process has taken over", async || {
        let log = site.process().log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut taken =
            lines.filter(|line| line.get("message").is_some_and(|said| said == "another process has taken over"));
        process = taken.nth(number).and_then(|line| line.get("process")?.as_u64()).unwrap_or_default();
        process > 0
    })
    .await;
    u32::try_from(process).expect("a number of a process")
}

/// What a process has open, beside what this one has handed on to it by being started so, that its children would have, too.
fn inheritable(process: u32) -> Vec<String> {
    let own = handed_on(std::process::id());
    // wasmtime opens the last one in every child that a process with an engine forks, as this one is.
    handed_on(process).into_iter().filter(|open| !own.contains(open) && !open.ends_with("pagemap")).collect()
}

/// What children of a process would have of what it has open.
fn handed_on(process: u32) -> Vec<String> {
    const CLOSE_ON_EXEC: u32 = 0o2_000_000;
    let folder = format!("/proc/{process}");
    let open = std::fs::read_dir(format!("{folder}/fdinfo")).expect("its descriptors");
    let numbers = open.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let target = |number: &String| std::fs::read_link(format!("{folder}/fd/{number}")).unwrap_or_default();
    let is_inheritable = |number: &String| {
        let info = std::fs::read_to_string(format!("{folder}/fdinfo/{number}")).unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
        !["0", "1", "2"].contains(&number.as_str()) && flags.is_some_and(|flags| flags & CLOSE_ON_EXEC == 0)
    };
    // A number can be given to another file meanwhile: what is looked at has to be the same one before and after.
    let described = |number: String| {
        let before = target(&number);
        let is_it = is_inheritable(&number) && target(&number) == before;
        is_it.then(|| format!("{number}: {}", before.display()))
    };
    numbers.filter_map(described).collect()
}

/// Ends a process that is not ours.
async fn end(site: &Running, process: u32) {
    signal(process, "TERM");
    eventually("it is gone", async || tokio::net::TcpStream::connect(site.admin().address()).await.is_err()).await;
}

/// Asks again and again, each time over a connection of its own.
async fn ask(dial: Dial, done: Arc<AtomicBool>) -> u64 {
    let mut count = 0;
    while !done.load(Ordering::Relaxed) {
        let mut client = dial.clone().connect().await.unwrap_or_else(|error| panic!("connection {count}: {error}"));
        let request = Request::get("/").body(Body::empty()).expect("a request");
        let reply = client.send(request).await.unwrap_or_else(|error| panic!("request {count}: {error}"));
        assert_eq!(reply.status, 200, "request {count}");
        count += 1;
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_http_3_old_clients_stay_where_they_are_and_new_ones_come_to_the_other_process() {
    let site = Site::new().set("workers", 2).set("shutdown.drain", "1h").origin(Origin::echo());
    // With instances from a pool, wasmtime has a descriptor of its own.
    let site = site.plugin("tag", "tag", json!({ "name": "a" })).set("plugin.tag.isolation", "request").chain(&["tag"]);
    let mut site = site.set("listener.public.http", json!(["h1", "h3"])).start_process().await;
    let (program, done) = (Arc::new(Aioquic::start()), Arc::new(AtomicBool::new(false)));
    let options = json!({
        "do": "connect", "port": site.address("public").port(), "ca": site.folder().path().join("ca.pem"),
    });
    let asking = tokio::spawn(ask_over_http3(program.clone(), options, done.clone()));
    let old = program.connect(&site).await;
    let begun = old.request(("GET", "/hold-body/300000"), &[], json!({ "wait": 1 })).await;
    site.process().signal("USR2");
    let second = successor(&mut site, 0).await;
    let _second = Successor(second);
    // The first one has a client, and does not end.
    let mut clients = Vec::new();
    for _ in 0..6 {
        let client = program.connect(&site).await;
        client.tell(json!({ "do": "rebind" })).await;
        assert_eq!(client.get("/").await.status, 200);
        clients.push(client);
    }
    old.tell(json!({ "do": "rebind" })).await;
    old.tell(json!({ "do": "ping" })).await;
    assert_eq!(old.tell(json!({ "do": "goaway", "count": 2 })).await["closed"], Value::Null);
    site.origin(0).release();
    let answer = old.tell(json!({ "do": "answer", "stream": begun["stream"] })).await;
    assert_eq!((&answer["length"], &answer["reset"]), (&json!(600_000), &Value::Null), "{answer}");
    assert_eq!(site.process().wait().await.code, Some(0), "the first one has drained");
    for client in &clients {
        assert_eq!(client.get("/").await.status, 200);
    }
    // The third one has the sockets that the first one read.
    signal(second, "USR2");
    let third = successor(&mut site, 1).await;
    let _third = Successor(third);
    assert_eq!(handed_on(third), Vec::<String>::new());
    let client = program.connect(&site).await;
    for old in &clients {
        assert_eq!(old.tell(json!({ "do": "closed" })).await["closed"]["code"], 0x100, "in good order");
    }
    eventually("the second one has drained", async || !std::path::Path::new(&format!("/proc/{second}/exe")).exists())
        .await;
    assert_eq!(client.get("/").await.status, 200);
    done.store(true, Ordering::Relaxed);
    assert!(asking.await.expect("a client without a failed request") > 0);
    end(&site, third).await;
}

/// Asks again and again, each time over a connection of its own. One that came to a process just before another one took its
/// place may have to ask there (RFC 9114, section 5.2).
async fn ask_over_http3(program: Arc<Aioquic>, connect: Value, done: Arc<AtomicBool>) -> u64 {
    const REQUEST_REJECTED: u64 = 0x10b;
    let mut count = 0;
    while !done.load(Ordering::Relaxed) {
        let (connection, opened) = program.tell(connect.clone()).await;
        assert_eq!(opened.get("connected"), Some(&json!(true)), "connection {count}: {opened}");
        let fields = [(":method", "GET"), (":scheme", "https"), (":authority", harness::HOST), (":path", "/")];
        let (_, answer) = program.tell(json!({ "do": "request", "on": connection, "fields": fields })).await;
        let is_moved = answer.get("reset") == Some(&json!(REQUEST_REJECTED))
            || answer.pointer("/closed/code") == Some(&json!(0x100)) && answer.get("status") == Some(&Value::Null);
        assert!(is_moved || answer.get("status") == Some(&json!(200)), "request {count}: {answer}");
        program.tell(json!({ "do": "close", "on": connection })).await;
        count += 1;
    }
    count
}

#[tokio::test]
async fn where_the_other_process_does_not_come_up_nothing_has_changed() {
    let site = Site::new().set("workers", 2).origin(Origin::echo());
    let mut site = site.set("listener.public.http", json!(["h1", "h2", "h3"])).start_process().await;
    // Started with what it has on disk, it could not read this; and no copy is kept of what was last good.
    // The host writes that copy while it serves already, so a file takes the folder's place.
    let copies = site.folder().path().join(".palisade");
    eventually("no copy can be kept", async || {
        std::fs::remove_dir_all(&copies).ok();
        std::fs::write(&copies, "").is_ok()
    })
    .await;
    site.folder().write("palisade.toml", "no configuration");
    site.process().signal("USR2");
    eventually("it is told", async || site.process().log().contains("nobody takes over: the new process was not up"))
        .await;
    for http in Http::ALL {
        assert_eq!(site.connect(http).await.get("/").await.status, 200, "{http:?}");
    }
    let program = Arc::new(Aioquic::start());
    for _ in 0..4 {
        assert_eq!(program.connect(&site).await.get("/").await.status, 200);
    }
    assert_eq!(site.admin().get("/healthz").await.status, 200);
}

/// As systemd does for a socket unit (sd_listen_fds(3)).
#[tokio::test]
async fn sockets_of_a_service_manager_are_listened_on() {
    let sockets: Vec<TcpListener> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
    let addresses: Vec<_> = sockets.iter().map(|socket| socket.local_addr().expect("an address")).collect();
    let [public, plain, admin] = addresses[..] else { panic!("three addresses") };
    let site = Site::new().set("workers", 2).origin(Origin::echo()).set("admin.bind", admin.to_string());
    let site = site.set("listener.public.bind", public.to_string()).set("listener.plain.bind", plain.to_string());
    let (folder, _origins) = site.write();
    let mut command = Command::new(harness::program());
    command.arg("run").arg(folder.path().join("palisade.toml")).stdin(Stdio::null()).stderr(Stdio::null());
    // A fourth one is none that a host listens on.
    let other = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    command.env("LISTEN_FDS", "4");
    let sockets = sockets.into_iter().map(OwnedFd::from).chain([OwnedFd::from(other)]);
    let mappings = (3..).zip(sockets).map(|(child_fd, parent_fd)| FdMapping { parent_fd, child_fd });
    command.fd_mappings(mappings.collect()).expect("each is meant once");
    // Nobody accepts yet, and nobody is refused.
    let early = tokio::net::TcpStream::connect(plain).await.expect("it waits in the queue");
    let mut host = command.spawn().expect("a host");
    drop(command);
    eventually("it is up", async || {
        let answer = run_command("curl", &["-s", &format!("http://{admin}/readyz")], folder.path()).await;
        answer.stdout == "ready\n"
    })
    .await;
    drop(early);
    let url = format!("http://{plain}/");
    let asked = run_command("curl", &["-s", "-o", "/dev/null", "-w", "%{http_code}", &url], folder.path()).await;
    assert_eq!(asked.stdout, "200");
    assert_eq!(inheritable(host.id()), Vec::<String>::new());
    host.kill().expect("it runs");
    host.wait().expect("it has ended");
}
