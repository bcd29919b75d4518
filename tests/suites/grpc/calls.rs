//! The four kinds of calls: each message arrives whole, when it was sent, and in its order.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::{Stream, stream};
use harness::eventually;
use http::uri::PathAndQuery;
use tokio::sync::mpsc;
use tonic::Request;

use super::Grpc;
use super::channel::Plain;

pub(super) fn path(method: &str) -> PathAndQuery {
    format!("/test.Test/{method}").parse().expect("a path")
}

/// Messages that are sent one by one.
fn fed() -> (mpsc::Sender<Vec<u8>>, impl Stream<Item = Vec<u8>> + Send + 'static) {
    let (feed, pieces) = mpsc::channel(1);
    let next = async |mut pieces: mpsc::Receiver<Vec<u8>>| Some((pieces.recv().await?, pieces));
    (feed, stream::unfold(pieces, next))
}

#[tokio::test]
async fn a_unary_call_is_answered_and_its_heads_pass_the_chain() {
    let mut grpc = Grpc::new().await;
    for number in 0..3_u8 {
        let mut request = Request::new(vec![number; 100]);
        request.set_timeout(Duration::from_secs(7));
        let response = grpc.client.unary(request, path("Echo"), Plain).await.expect("an answer");
        assert_eq!(response.get_ref(), &vec![number; 100]);
        let metadata = |name: &str| response.metadata().get(name).map(|value| value.to_str().expect("text").to_owned());
        assert_eq!(metadata("x-tag").as_deref(), Some("a"));
        assert_eq!(metadata("x-seen-x-tag").as_deref(), Some("a"));
        // In whole microseconds, as tonic writes it.
        assert_eq!(metadata("x-seen-grpc-timeout").as_deref(), Some("7000000u"));
        assert_eq!(metadata("x-seen-te").as_deref(), Some("trailers"));
    }
    grpc.site.idle().await;
    assert_eq!(grpc.site.admin().metrics().await.count("palisade_endings_total", &[("ending", "complete")]), 3);
}

#[tokio::test]
async fn messages_of_the_server_arrive_while_it_streams() {
    let mut grpc = Grpc::new().await;
    let request = Request::new(vec![5]);
    let mut messages = grpc.client.server_streaming(request, path("Count"), Plain).await.expect("a head").into_inner();
    for number in 0..5 {
        // The next one is not sent before this one was received.
        grpc.service.steps.add_permits(1);
        assert_eq!(messages.message().await.expect("a message"), Some(vec![number]));
    }
    assert_eq!(messages.message().await.expect("a status of zero"), None);
    grpc.site.idle().await;
}

#[tokio::test]
async fn messages_of_the_client_arrive_while_it_streams() {
    let grpc = Grpc::new().await;
    let (feed, messages) = fed();
    let mut client = grpc.client.clone();
    let call = tokio::spawn(async move { client.client_streaming(Request::new(messages), path("Join"), Plain).await });
    for number in 0..5_u8 {
        feed.send(vec![number]).await.expect("a call that goes on");
        let count = usize::from(number) + 1;
        let joined = &grpc.service.joined;
        eventually("the server has it", async || joined.load(Ordering::SeqCst) == count).await;
    }
    drop(feed);
    let response = call.await.expect("a call that does not panic").expect("an answer");
    assert_eq!(response.into_inner(), [0, 1, 2, 3, 4]);
    grpc.site.idle().await;
}

#[tokio::test]
async fn both_sides_talk_in_turn_on_many_streams() {
    let mut grpc = Grpc::new().await;
    grpc.client.ready().await.expect("a connection");
    let talks = (0..20_u8).map(|talk| {
        let mut client = grpc.client.clone();
        async move {
            let (feed, messages) = fed();
            // The head of the answer comes before the first message of the request.
            let response = client.streaming(Request::new(messages), path("Talk"), Plain).await.expect("a head");
            let mut messages = response.into_inner();
            for number in 0..50_u8 {
                feed.send(vec![talk, number]).await.expect("a call that goes on");
                assert_eq!(messages.message().await.expect("a message"), Some(vec![talk, number]));
            }
            drop(feed);
            assert_eq!(messages.message().await.expect("a status of zero"), None);
        }
    });
    futures_util::future::join_all(talks).await;
    grpc.site.idle().await;
    let connections = grpc.site.admin().metrics().await.count("palisade_upstream_connections", &[]);
    assert_eq!(connections, 1, "twenty calls at a time need one connection");
}

#[tokio::test]
async fn large_messages_arrive_whole() {
    let mut grpc = Grpc::new().await;
    grpc.client = grpc.client.max_decoding_message_size(64 << 20);
    for bytes in [0, 1, 16 << 10, 1 << 20, 20 << 20] {
        let message: Vec<u8> = (0_u32..bytes).map(|place| place.to_le_bytes()[(place % 3) as usize]).collect();
        let response = grpc.client.unary(Request::new(message.clone()), path("Echo"), Plain).await;
        assert!(response.expect("an answer").into_inner() == message, "{bytes} bytes");
    }
}
