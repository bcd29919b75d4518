//! Streams and connections that an endpoint ends in its own way: refused, reset, gone away.

use std::sync::Arc;

use bytes::Bytes;
use h2::Reason;
use h2::server::Builder;
use harness::http2::{DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RST_STREAM, frame};
use harness::{Body, Http, LIMIT, Site};
use http::{Request, Response};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, watch};

use super::spoken::{Count, answer, greeted, read_until, speaking};
use super::{before, failures};
use crate::endpoint::serving;

#[tokio::test]
async fn what_an_endpoint_has_refused_goes_out_once_more() {
    // (how many streams are refused, the method, the body) and the answer, and how often it was asked.
    for (refused, method, body, expected, asked) in [
        (1, "GET", "", 200, 2),
        (1, "POST", "", 200, 2),
        // It is not kept, and a repeat needs all of it.
        (1, "POST", "body", 502, 1),
        (2, "GET", "", 502, 2),
        (0, "POST", "body", 200, 1),
    ] {
        let count = Count::default();
        let counted = count.clone();
        let address = speaking(Builder::new(), move |(_request, mut respond)| {
            let is_refused = counted.one() < refused;
            async move { if is_refused { respond.send_reset(Reason::REFUSED_STREAM) } else { answer(&mut respond) } }
        })
        .await;
        let site = before(address).await;
        let request = Request::builder().method(method).uri("/").body(Body::from(body)).expect("a request");
        let reply = site.connect(Http::H1).await.send(request).await.expect("an answer");
        assert_eq!((reply.status, count.get()), (expected, asked), "{refused} refused, {method} {body:?}");
    }
}

#[tokio::test]
async fn what_an_endpoint_has_reset_does_not_go_out_again() {
    for reason in [Reason::INTERNAL_ERROR, Reason::CANCEL, Reason::NO_ERROR, Reason::ENHANCE_YOUR_CALM] {
        let count = Count::default();
        let counted = count.clone();
        let address = speaking(Builder::new(), move |(_request, mut respond)| {
            let nth = counted.one();
            async move { if nth == 0 { answer(&mut respond) } else { respond.send_reset(reason) } }
        })
        .await;
        let site = before(address).await;
        let mut client = site.connect(Http::H2).await;
        assert_eq!(client.get("/").await.status, 200);
        // The connection was used before, the method may be repeated; it is the request that is refused.
        assert_eq!(client.get("/").await.status, 502, "{reason:?}");
        assert_eq!((count.get(), failures(&site, "reset").await), (2, 1), "{reason:?}");
    }
}

#[tokio::test]
async fn a_request_that_an_endpoint_going_away_did_not_see_goes_out_on_another_connection() {
    let count = Count::default();
    let counted = count.clone();
    let address = serving(move |mut stream| {
        let nth = counted.one();
        async move {
            if !greeted(&mut stream).await {
                return;
            }
            let Some(id) = read_until(&mut stream, HEADERS).await else { return };
            if nth == 0 {
                // The last stream that it looked at is none.
                let _ = stream.write_all(&frame(GOAWAY, 0, 0, &[0; 8])).await;
            } else {
                // `:status: 204` of the static table (RFC 7541, appendix A).
                let _ = stream.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, id, &[0x89])).await;
            }
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    })
    .await;
    let site = before(address).await;
    assert_eq!(site.connect(Http::H1).await.post("/", "").await.status, 204);
    assert_eq!((count.get(), failures(&site, "reset").await), (2, 0));
}

#[tokio::test]
async fn a_connection_that_goes_away_ends_what_it_has_begun_and_gets_nothing_new() {
    let (go, gone) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let count = Count::default();
    let (going, going_on, counted) = (go.clone(), gone.clone(), count.clone());
    let address = serving(move |stream| {
        let (go, gone, count) = (going.clone(), going_on.clone(), counted.clone());
        async move {
            let Ok(mut connection) = h2::server::handshake(stream).await else { return };
            let is_first = count.one() == 0;
            let Some(Ok((_request, mut respond))) = connection.accept().await else { return };
            if is_first {
                let leave = async {
                    go.notified().await;
                    answer(&mut respond);
                };
                connection.graceful_shutdown();
                tokio::select! {
                    () = leave => {}
                    _ = async {
                        gone.notify_one();
                        while let Some(Ok(more)) = connection.accept().await {
                            // A request that was on its way is not looked at.
                            drop(more);
                        }
                    } => {}
                }
                while connection.accept().await.is_some() {}
                return;
            }
            answer(&mut respond);
            while let Some(Ok((_request, mut respond))) = connection.accept().await {
                answer(&mut respond);
            }
        }
    })
    .await;
    let site = before(address).await;
    let mut first = site.connect(Http::H1).await;
    let held = tokio::spawn(async move { first.get("/").await });
    gone.notified().await;
    for http in Http::ALL {
        // With a body, too: nothing of it was sent on the connection that goes away.
        assert_eq!(site.connect(http).await.post("/", "body").await.status, 200, "{http:?}");
    }
    assert_eq!(count.get(), 2);
    go.notify_one();
    assert_eq!(held.await.expect("a client that does not panic").status, 200);
    assert_eq!(failures(&site, "reset").await, 0);
}

#[tokio::test]
async fn an_endpoint_that_closes_unused_connections_fails_no_request() {
    let count = Count::default();
    let counted = count.clone();
    let address = serving(move |stream| {
        counted.one();
        async move {
            let Ok(mut connection) = h2::server::handshake(stream).await else { return };
            if let Some(Ok((_request, mut respond))) = connection.accept().await {
                answer(&mut respond);
                connection.graceful_shutdown();
                while connection.accept().await.is_some() {}
            }
        }
    })
    .await;
    let site = before(address).await;
    let mut client = site.connect(Http::Plain).await;
    for number in 0..200_u32 {
        let reply = if number.is_multiple_of(2) { client.get("/").await } else { client.post("/", "body").await };
        assert_eq!(reply.status, 200, "request {number}");
    }
    assert_eq!((count.get(), failures(&site, "reset").await), (200, 0));
}

#[tokio::test]
async fn an_answer_is_whole_only_if_its_stream_was_ended() {
    for (pieces, is_whole) in ANSWERS {
        let address = serving(move |mut stream| async move {
            if !greeted(&mut stream).await {
                return;
            }
            let Some(id) = read_until(&mut stream, HEADERS).await else { return };
            // `:status: 200`
            let mut bytes = frame(HEADERS, END_HEADERS, id, &[0x88]);
            for (kind, flags, payload) in pieces.iter().filter(|(kind, ..)| *kind != CLOSE) {
                let stream = if *kind == GOAWAY { 0 } else { id };
                bytes.extend(frame(*kind, *flags, stream, payload));
            }
            let _ = stream.write_all(&bytes).await;
            if pieces.iter().any(|(kind, ..)| *kind == CLOSE) {
                let _ = stream.shutdown().await;
            }
            let _ = stream.read_to_end(&mut Vec::new()).await;
        })
        .await;
        // It answers once on each connection.
        let upstream = json!({ "endpoints": [address.to_string()], "protocol": "h2", "idle_connections": 0 });
        let site = Site::new().set("upstream.web", upstream).start().await;
        for http in Http::ALL {
            for upload in [false, true] {
                let (feed, fed) = Body::fed(None);
                let request = if upload { Request::post("/").body(fed) } else { Request::get("/").body(Body::empty()) };
                let answer = site.connect(http).await.send(request.expect("a request")).await;
                match answer {
                    // Where nothing of the body came, the host may still have said so itself.
                    Ok(reply) => assert_eq!(reply.status == 200, *is_whole, "{pieces:?} over {http:?}: {reply:?}"),
                    Err(error) => assert!(!is_whole, "{pieces:?} over {http:?}, upload: {upload}: {error}"),
                }
                drop(feed);
            }
        }
        site.idle().await;
    }
}

/// A frame's kind, flags and payload.
type Sent = (u8, u8, &'static [u8]);

/// Frames after the head of an answer, and whether they are all of it.
const ANSWERS: &[(&[Sent], bool)] = &[
    (&[(DATA, END_STREAM, b"ok")], true),
    // No error, and no end either (RFC 9113, section 8.1).
    (&[(DATA, 0, b"ok"), (RST_STREAM, 0, NO_ERROR)], false),
    // The endpoint has no use for the rest of the request.
    (&[(DATA, END_STREAM, b"ok"), (RST_STREAM, 0, NO_ERROR)], true),
    (&[(DATA, 0, b"ok"), (DATA, END_STREAM, b""), (RST_STREAM, 0, NO_ERROR)], true),
    (&[(DATA, 0, b"ok"), (RST_STREAM, 0, &[0, 0, 0, 2])], false),
    (&[(RST_STREAM, 0, NO_ERROR)], false),
    (&[(DATA, 0, b"ok"), (GOAWAY, 0, &[0; 8])], false),
    // The connection ends, and the stream does not.
    (&[(DATA, 0, b"ok"), (CLOSE, 0, b"")], false),
];
/// The connection is closed: no frame at all.
const CLOSE: u8 = u8::MAX;
const NO_ERROR: &[u8] = &[0; 4];

#[tokio::test]
async fn an_upload_that_its_endpoint_does_not_take_stops_with_its_client() {
    let (tell, mut told) = watch::channel(None);
    let mut builder = Builder::new();
    builder.initial_window_size(1_000);
    let address = speaking(builder, move |(request, mut respond)| {
        let tell = tell.clone();
        async move {
            // The beginning of an answer, while nothing of the request is read.
            let mut body = respond.send_response(Response::new(()), false).expect("a stream");
            body.send_data(Bytes::from_static(b"begun"), false).expect("a stream");
            let reason = std::future::poll_fn(|context| body.poll_reset(context)).await;
            tell.send_replace(Some(reason.expect("a reset")));
            drop(request);
        }
    })
    .await;
    let site = before(address).await;
    let stream = site.dial(Http::H2).stream().await.expect("a connection");
    let (sender, connection) = h2::client::handshake(stream).await.expect("a handshake");
    tokio::spawn(connection);
    let request = Request::post(format!("https://{}/", harness::HOST)).body(()).expect("a request");
    let (response, mut upload) =
        sender.ready().await.expect("a stream").send_request(request, false).expect("a stream");
    upload.send_data(Bytes::from(vec![7; 300_000]), false).expect("a body");
    let mut answer = response.await.expect("a head").into_body();
    assert!(answer.data().await.is_some());
    upload.send_reset(Reason::CANCEL);
    let noticed = tokio::time::timeout(LIMIT, told.wait_for(Option::is_some)).await;
    assert_eq!(*noticed.expect("at once").expect("an endpoint"), Some(Reason::CANCEL));
    site.idle().await;
    assert_eq!(site.admin().metrics().await.count("palisade_upstream_connections", &[]), 1);
}
