//! Four endpoints, one of which fails in one way after the other: clients of idempotent requests see nothing of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use harness::{Http, Running, Site, eventually};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::endpoint::{OK, serving};

/// What an endpoint does with each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Does {
    Answer,
    /// As a process that was killed: connections end, and none is taken.
    Refuse,
    /// As a process that was stopped: what comes is taken in by the kernel, and no more.
    Hang,
    Fail,
    Dawdle,
    /// Half of a head, and then a reset.
    Break,
}

pub(super) struct Endpoint {
    pub(super) address: SocketAddr,
    pub(super) does: watch::Sender<Does>,
    asked: Arc<AtomicUsize>,
}

impl Endpoint {
    pub(super) async fn new() -> Self {
        let (does, doing) = watch::channel(Does::Answer);
        let asked = Arc::new(AtomicUsize::new(0));
        let counting = asked.clone();
        let address = serving(move |stream| answering(stream, doing.clone(), counting.clone())).await;
        Self { address, does, asked }
    }
}

async fn answering(mut stream: TcpStream, mut doing: watch::Receiver<Does>, asked: Arc<AtomicUsize>) {
    let mut bytes = Vec::new();
    loop {
        let does = *doing.borrow_and_update();
        if does == Does::Refuse {
            return;
        }
        bytes.clear();
        while !bytes.ends_with(b"\r\n\r\n") {
            tokio::select! {
                read = stream.read_buf(&mut bytes) => if !read.is_ok_and(|read| read > 0) { return },
                // One that dies or stops does so at once.
                _ = doing.wait_for(|does| *does == Does::Refuse) => return,
            }
        }
        asked.fetch_add(1, Ordering::SeqCst);
        let does = *doing.borrow();
        let answer: &[u8] = match does {
            Does::Answer => OK,
            Does::Refuse => return,
            Does::Hang => {
                let _ = doing.wait_for(|does| *does != Does::Hang).await;
                return;
            }
            Does::Fail => b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n",
            Does::Dawdle => {
                tokio::time::sleep(Duration::from_millis(150)).await;
                OK
            }
            Does::Break => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-le").await;
                let _ = stream.set_zero_linger();
                return;
            }
        };
        if stream.write_all(answer).await.is_err() {
            return;
        }
    }
}

/// A host before four of them, as whoever wants this to hold would configure it.
async fn before(endpoints: &[Endpoint]) -> Running {
    let addresses: Vec<SocketAddr> = endpoints.iter().map(|endpoint| endpoint.address).collect();
    Site::new().set("workers", 2).set("upstream.web", upstream(&addresses)).start().await
}

/// An upstream of these that keeps serving when one of them fails.
pub(super) fn upstream(addresses: &[SocketAddr]) -> Value {
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let retries = json!({
        "attempts": 3, "on": ["connect", "reset", "refused", "timeout", "500"], "per_try_timeout": "300ms",
        "budget": { "percent": 50, "minimum": 50 },
    });
    json!({
        "endpoints": addresses, "retries": retries, "response_timeout": "2s",
        "ejection": { "failures": 3, "time": "500ms", "time_max": "1s" },
    })
}

/// Clients that ask until they are told to stop; the statuses other than 200 that they got.
fn clients(site: &Running, until: &watch::Receiver<bool>) -> Vec<JoinHandle<Vec<u16>>> {
    let ask = |number: usize| {
        let (dial, until) = (site.dial(Http::ALL.into_iter().cycle().nth(number).unwrap_or(Http::H1)), until.clone());
        tokio::spawn(async move {
            let mut client = dial.connect().await.expect("a connection");
            let mut failed = Vec::new();
            while !*until.borrow() {
                failed.extend(Some(client.get("/").await.status).filter(|status| *status != 200));
            }
            failed
        })
    };
    (0..8).map(ask).collect()
}

#[tokio::test]
async fn no_idempotent_request_fails_while_one_of_four_endpoints_does() {
    let mut endpoints = Vec::new();
    for _ in 0..4 {
        endpoints.push(Endpoint::new().await);
    }
    let site = before(&endpoints).await;
    let (stop, stopped) = watch::channel(false);
    let clients = clients(&site, &stopped);
    let ways = [Does::Refuse, Does::Hang, Does::Fail, Does::Dawdle, Does::Break];
    for (endpoint, does) in endpoints.iter().cycle().zip(ways) {
        let before = endpoint.asked.load(Ordering::SeqCst);
        eventually("it is asked", async || endpoint.asked.load(Ordering::SeqCst) > before).await;
        endpoint.does.send_replace(does);
        tokio::time::sleep(Duration::from_millis(500)).await;
        endpoint.does.send_replace(Does::Answer);
        let before = endpoint.asked.load(Ordering::SeqCst);
        // Traffic comes back.
        eventually("it is asked again", async || endpoint.asked.load(Ordering::SeqCst) > before).await;
    }
    stop.send_replace(true);
    for client in clients {
        assert_eq!(client.await.expect("a client that does not panic"), [0_u16; 0]);
    }
    site.idle().await;
}

#[tokio::test]
async fn where_all_four_fail_clients_are_told_at_once() {
    let mut endpoints = Vec::new();
    for _ in 0..4 {
        endpoints.push(Endpoint::new().await);
    }
    let site = before(&endpoints).await;
    let mut client = site.connect(Http::H1).await;
    assert_eq!(client.get("/").await.status, 200);
    for does in [Does::Refuse, Does::Fail, Does::Break, Does::Hang] {
        all(&endpoints, does);
        let began = Instant::now();
        // One that hangs costs what the operator allows it.
        for _ in 0..if does == Does::Hang { 2 } else { 20 } {
            let status = client.get("/").await.status;
            assert!((500..=504).contains(&status), "{does:?}: {status}");
        }
        // Each with its pauses between tries, and none behind another one.
        assert!(began.elapsed() < Duration::from_secs(20), "{does:?}: {:?}", began.elapsed());
        all(&endpoints, Does::Answer);
        eventually("it serves again", async || client.get("/").await.status == 200).await;
    }
}

/// A client that asks until it is told to stop, with a pause after each answer; the statuses, when it asked, and how long that took.
fn patient(site: &Running, until: &watch::Receiver<bool>) -> JoinHandle<Vec<(u16, Instant, Duration)>> {
    let (dial, until) = (site.dial(Http::H1), until.clone());
    tokio::spawn(async move {
        let mut client = dial.connect().await.expect("a connection");
        let mut told = Vec::new();
        while !*until.borrow() {
            let began = Instant::now();
            let status = client.get("/").await.status;
            told.push((status, began, began.elapsed()));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        told
    })
}

#[tokio::test]
async fn where_all_four_hang_nearly_all_clients_are_told_at_once_and_all_are_served_again() {
    let mut endpoints = Vec::new();
    for _ in 0..4 {
        endpoints.push(Endpoint::new().await);
    }
    let site = before(&endpoints).await;
    assert_eq!(site.connect(Http::H1).await.get("/").await.status, 200);
    all(&endpoints, Does::Hang);
    let (stop, stopped) = watch::channel(false);
    let clients: Vec<_> = (0..8).map(|_| patient(&site, &stopped)).collect();
    tokio::time::sleep(Duration::from_secs(6)).await;
    stop.send_replace(true);
    let mut told = Vec::new();
    for client in clients {
        told.extend(client.await.expect("a client that does not panic"));
    }
    assert!(told.iter().all(|(status, ..)| [503, 504].contains(status)), "{told:?}");
    let refused = told.iter().filter(|(status, ..)| *status == 503);
    let first = refused.map(|(_, began, _)| *began).min().expect("one that is told at once");
    let after: Vec<_> = told.iter().filter(|(_, began, _)| *began >= first).collect();
    let is_quick =
        |(status, _, took): &&&(u16, Instant, Duration)| *status == 503 && *took < Duration::from_millis(100);
    let quick = after.iter().filter(is_quick).count();
    assert!(quick >= 200 && quick * 10 >= after.len() * 9, "{quick} of {}", after.len());
    // Those who wait find out whether that is still so: few, however many ask.
    let waited = told.iter().filter(|(status, ..)| *status == 504).count();
    assert!((1..=60).contains(&waited), "{waited}");
    let seen = site.admin().get("/endpoints").await.text().to_owned();
    assert!(seen.contains("does not answer in time"), "{seen}");
    all(&endpoints, Does::Answer);
    let mut client = site.connect(Http::H1).await;
    eventually("it serves again", async || client.get("/").await.status == 200).await;
    for endpoint in &endpoints {
        let before = endpoint.asked.load(Ordering::SeqCst);
        eventually("each takes its part again", async || {
            client.get("/").await.status == 200 && endpoint.asked.load(Ordering::SeqCst) > before
        })
        .await;
    }
    site.idle().await;
}

fn all(endpoints: &[Endpoint], does: Does) {
    for endpoint in endpoints {
        endpoint.does.send_replace(does);
    }
}
