//! How calls end: with a status, at once or late, or because one side has left.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::stream;
use harness::{Http, Site, eventually};
use http_body_util::{BodyExt, Full};
use serde_json::json;
use tonic::{Code, Request, Status};

use super::Grpc;
use super::calls::path;
use super::channel::Plain;

fn is_expected(status: &Status) {
    assert_eq!((status.code(), status.message()), (Code::FailedPrecondition, "not like this: \u{e4}"));
    assert_eq!(status.metadata().get("x-why").map(|why| why.to_str().expect("text")), Some("because"));
}

#[tokio::test]
async fn a_status_alone_is_the_whole_answer() {
    let mut grpc = Grpc::new().await;
    let status = grpc.client.unary(Request::new(Vec::new()), path("Fail"), Plain).await.expect_err("a status");
    is_expected(&status);
    // Without a body its head is tagged as any other.
    assert_eq!(status.metadata().get("x-tag").map(|tag| tag.to_str().expect("text")), Some("a"));
}

#[tokio::test]
async fn a_status_after_messages_comes_in_the_trailers() {
    let mut grpc = Grpc::new().await;
    let response = grpc.client.server_streaming(Request::new(Vec::new()), path("FailLate"), Plain).await;
    let mut messages = response.expect("a head").into_inner();
    assert_eq!(messages.message().await.expect("a message"), Some(b"first".to_vec()));
    is_expected(&messages.message().await.expect_err("a status"));
    grpc.site.idle().await;
}

#[tokio::test]
async fn the_trailers_of_a_call_are_trailers_on_the_wire() {
    let grpc = Grpc::new().await;
    let mut sender = grpc.site.dial(Http::H2).http2().await.expect("a connection");
    // A message of two bytes, not compressed.
    let body = Full::new(bytes::Bytes::from_static(&[0, 0, 0, 0, 2, 7, 7]));
    let request = http::Request::post(format!("https://{}/test.Test/Echo", harness::HOST))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body)
        .expect("a request");
    let response = sender.send_request(request).await.expect("a head");
    assert_eq!(response.headers().get("x-seen-te").map(http::HeaderValue::as_bytes), Some(&b"trailers"[..]));
    assert!(response.headers().get("grpc-status").is_none());
    let collected = response.into_body().collect().await.expect("a whole body");
    assert_eq!(collected.trailers().and_then(|trailers| trailers.get("grpc-status")).expect("a status"), "0");
    assert_eq!(collected.to_bytes(), &[0, 0, 0, 0, 2, 7, 7][..]);
}

#[tokio::test]
async fn a_call_that_is_refused_while_the_client_streams_has_its_status() {
    let mut grpc = Grpc::new().await;
    let endless = stream::iter(std::iter::repeat_with(|| vec![7; 10_000]));
    let status = grpc.client.streaming(Request::new(endless), path("Refuse"), Plain).await.expect_err("a status");
    is_expected(&status);
    idle(&grpc).await;
}

#[tokio::test]
async fn a_client_that_does_not_wait_any_longer_is_noticed_by_the_server() {
    let mut grpc = Grpc::new().await;
    let call = grpc.client.unary(Request::new(Vec::new()), path("Never"), Plain);
    assert!(tokio::time::timeout(Duration::from_millis(300), call).await.is_err(), "an answer to a call that has none");
    idle(&grpc).await;
    // The connection is as good as before.
    let answer = grpc.client.unary(Request::new(vec![1]), path("Echo"), Plain).await;
    assert_eq!(answer.expect("an answer").into_inner(), [1]);
    assert_eq!(grpc.site.admin().metrics().await.count("palisade_upstream_connections", &[]), 1);
}

#[tokio::test]
async fn a_client_that_leaves_a_stream_is_noticed_by_the_server() {
    let mut grpc = Grpc::new().await;
    let response = grpc.client.server_streaming(Request::new(vec![100]), path("Count"), Plain).await;
    let mut messages = response.expect("a head").into_inner();
    grpc.service.steps.add_permits(1);
    assert_eq!(messages.message().await.expect("a message"), Some(vec![0]));
    drop(messages);
    idle(&grpc).await;

    // In the middle of its own messages, too.
    let stream = grpc.site.dial(Http::H2).stream().await.expect("a connection");
    let (sender, connection) = h2::client::handshake(stream).await.expect("a handshake");
    tokio::spawn(connection);
    let request = http::Request::post(format!("https://{}/test.Test/Talk", harness::HOST)).body(()).expect("a request");
    let (response, mut talk) = sender.ready().await.expect("a stream").send_request(request, false).expect("a stream");
    let head = response.await.expect("a head");
    assert_eq!(grpc.service.active.load(Ordering::SeqCst), 1);
    talk.send_reset(h2::Reason::CANCEL);
    drop(head);
    idle(&grpc).await;
    assert_eq!(grpc.site.admin().metrics().await.count("palisade_endings_total", &[("ending", "client-gone")]), 2);
}

#[tokio::test]
async fn a_silent_call_lasts_for_as_long_as_its_route_allows() {
    for (patience, lasts) in [("off", true), ("300ms", false)] {
        let site = Site::new().set("listener.public.limits.body_timeout", "300ms");
        let site = site.route(json!({ "body_timeout": patience }));
        let mut grpc = Grpc::of(site).await;
        let response = grpc.client.server_streaming(Request::new(vec![1]), path("Count"), Plain).await;
        let mut messages = response.expect("a head").into_inner();
        let silence = tokio::time::timeout(Duration::from_millis(1_200), messages.message()).await;
        assert_eq!(silence.is_err(), lasts, "{patience}: {silence:?}");
        if lasts {
            grpc.service.steps.add_permits(1);
            assert_eq!(messages.message().await.expect("a message"), Some(vec![0]));
        }
    }
}

/// Neither the server nor the host has anything to do any more.
async fn idle(grpc: &Grpc) {
    eventually("the server knows", async || grpc.service.active.load(Ordering::SeqCst) == 0).await;
    grpc.site.idle().await;
}
