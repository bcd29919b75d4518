//! No client ever gets an answer, or a piece of one, that is another's: while others abort, reset and leave, too.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use harness::{Answer, Body, Client, ClientError, Http, Origin, Reply, Running, Site};
use http::Request;
use http_body_util::BodyExt;

/// Clients of each protocol, and what each asks for one after the other.
const CLIENTS: usize = 8;
const REQUESTS: usize = 60;

/// The body says nothing but the target, often enough that it comes in many pieces.
fn answers_its_target() -> Origin {
    Origin::answering(|seen| {
        let body_bytes = seen.body_bytes.map_or("?".to_owned(), |bytes| bytes.to_string());
        let piece = format!("{}#{body_bytes}\n", seen.target);
        Answer::body(piece.repeat(3_000)).header("x-target", &seen.target)
    })
}

#[tokio::test]
async fn every_answer_belongs_to_its_request_while_others_leave() {
    let site = Site::new().set("workers", 2).set("upstream.web.idle_connections", 4);
    let site = Arc::new(site.origin(answers_its_target()).start().await);
    let answered = Arc::new(AtomicUsize::new(0));
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..CLIENTS {
        for http in Http::ALL {
            clients.spawn(one_client(site.clone(), http, number, answered.clone()));
        }
    }
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    // A third of all requests are not abandoned, and each of them was answered.
    assert_eq!(answered.load(Ordering::SeqCst), 3 * CLIENTS * REQUESTS / 3);
    site.idle().await;
}

async fn one_client(site: Arc<Running>, http: Http, number: usize, answered: Arc<AtomicUsize>) {
    let mut client = site.connect(http).await;
    for request in 0..REQUESTS {
        let target = format!("/{http:?}/{number}/{request}");
        let body = "x".repeat(request * 100);
        let asked = Request::post(&target).body(Body::from(body)).expect("a request");
        match request % 3 {
            0 => {
                let reply = client.send(asked).await.unwrap_or_else(|error| panic!("{target}: {error}"));
                assert_is_for(&reply, &target, request * 100);
                answered.fetch_add(1, Ordering::SeqCst);
            }
            1 => leave_before_the_answer(&mut client, asked).await,
            _ => leave_within_the_answer(&mut client, asked, &target).await,
        }
        // A connection over HTTP/1.1 is gone with the answer that was abandoned.
        if http != Http::H2 && request % 3 != 0 {
            client = site.connect(http).await;
        }
    }
}

fn assert_is_for(reply: &Reply, target: &str, body_bytes: usize) {
    assert_eq!(reply.header("x-target"), Some(target));
    let line = format!("{target}#{body_bytes}");
    assert!(reply.text().lines().all(|own| own == line) && reply.text().lines().count() == 3_000, "{target}");
}

/// The request is on its way, or not yet: nobody knows, and that is the point.
async fn leave_before_the_answer(client: &mut Client, asked: Request<Body>) {
    tokio::select! {
        biased;
        answer = client.open(asked) => drop(answer),
        () = yield_often() => {}
    }
}

async fn yield_often() {
    for _ in 0..5 {
        tokio::task::yield_now().await;
    }
}

async fn leave_within_the_answer(client: &mut Client, asked: Request<Body>, target: &str) {
    let answer: Result<_, ClientError> = client.open(asked).await;
    let mut answer = answer.unwrap_or_else(|error| panic!("{target}: {error}"));
    assert_eq!(answer.headers().get("x-target").map(|value| value.as_bytes()), Some(target.as_bytes()));
    let piece = answer.body_mut().frame().await.expect("a piece").expect("a piece").into_data().expect("data");
    let begin = format!("{target}#");
    assert!(piece.starts_with(begin.as_bytes().get(..piece.len().min(begin.len())).unwrap_or_default()), "{target}");
}

#[tokio::test]
async fn what_an_endpoint_sends_unasked_reaches_nobody() {
    // A second answer follows the first on the endpoint's connection; the next request must not take it.
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfirst";
    let stray = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nstray";
    let site = Site::new().origin(Origin::raw(format!("{answer}{stray}"))).start().await;
    for http in Http::ALL {
        let mut client = site.connect(http).await;
        for _ in 0..10 {
            let request = Request::get("/").body(Body::empty()).unwrap();
            let reply = client.send(request).await.unwrap();
            assert!(reply.status == 502 || reply.text() == "first", "{http:?} {}", reply.text());
        }
    }
}
