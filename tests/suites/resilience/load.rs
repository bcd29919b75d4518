//! wrk and h2load against four endpoints, two of which are processes that are killed and stopped, while the other two answer 500, dawdle and
//! break off.

use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;
use std::time::Duration;

use harness::{Running, Site, eventually, origin_program, signal, start_command};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::outages::{Does, Endpoint, upstream};

/// An origin as a process of its own. Dropping it kills it.
struct Origin {
    address: SocketAddr,
    process: Child,
}

impl Origin {
    async fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let address = free.expect("a port that nobody has");
        let mut origin = Self { address, process: spawn(address) };
        origin.listens().await;
        origin
    }

    async fn listens(&mut self) {
        let address = self.address;
        eventually("the origin listens", async || TcpStream::connect(address).await.is_ok()).await;
    }

    async fn kill(&mut self) {
        self.process.kill().await.expect("a process");
    }

    async fn start_again(&mut self) {
        self.process = spawn(self.address);
        self.listens().await;
    }

    fn signal(&self, name: &str) {
        signal(self.process.id().expect("a process"), name);
    }
}

fn spawn(address: SocketAddr) -> Child {
    let mut command = Command::new(origin_program());
    command.args(["--port", &address.port().to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
    command.kill_on_drop(true).spawn().expect("an origin")
}

/// How long each endpoint fails, and how long all are well after that.
const PAUSE: Duration = Duration::from_millis(900);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_of_load_tools_fails_while_processes_are_killed_and_stopped() {
    let (mut killed, stopped) = (Origin::start().await, Origin::start().await);
    let (failing, breaking) = (Endpoint::new().await, Endpoint::new().await);
    let addresses = [killed.address, stopped.address, failing.address, breaking.address];
    let site = Site::new().set("workers", 2).set("upstream.web", upstream(&addresses)).start_process().await;
    let url = format!("https://{}/", site.address("public"));
    let wrk = start_command("wrk", format!("-t 1 -c 16 -d 12s --timeout 10s {url}"), site.folder().path());
    let h2load = start_command("h2load", format!("-D 12 -c 4 -m 4 {url}"), site.folder().path());
    tokio::time::sleep(PAUSE).await;
    killed.kill().await;
    tokio::time::sleep(PAUSE).await;
    killed.start_again().await;
    tokio::time::sleep(PAUSE).await;
    stopped.signal("STOP");
    tokio::time::sleep(PAUSE).await;
    stopped.signal("CONT");
    tokio::time::sleep(PAUSE).await;
    for (endpoint, does) in [(&failing, Does::Fail), (&breaking, Does::Dawdle), (&breaking, Does::Break)] {
        endpoint.does.send_replace(does);
        tokio::time::sleep(PAUSE).await;
        endpoint.does.send_replace(Does::Answer);
    }
    let mut before = Vec::new();
    for address in addresses {
        before.push(asked(&site, address).await);
    }
    let (wrk, h2load) = (wrk.await.expect("wrk"), h2load.await.expect("h2load"));
    assert!(!wrk.stdout.contains("Socket errors") && !wrk.stdout.contains("Non-2xx"), "{}", wrk.stdout);
    let went_well = h2load.stdout.contains(" 0 failed, 0 errored, 0 timeout");
    assert!(went_well && h2load.stdout.contains(" 2xx, 0 3xx, 0 4xx, 0 5xx"), "{}", h2load.stdout);
    // Traffic has come back to all of them.
    for (address, before) in addresses.into_iter().zip(before) {
        assert!(asked(&site, address).await > before, "{address}");
    }
}

/// How many requests this endpoint was given.
async fn asked(site: &Running, address: SocketAddr) -> u64 {
    let endpoint = address.to_string();
    let labels = [("upstream", "web"), ("endpoint", endpoint.as_str())];
    site.admin().metrics().await.count("palisade_upstream_requests_total", &labels)
}
