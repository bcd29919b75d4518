//! An answer that is cut short never looks complete.

use harness::{Body, ClientError, Http, Origin, Running, Site};
use http::Request;

async fn site(origin: Origin) -> Running {
    Site::new().origin(origin).start().await
}

#[tokio::test]
async fn a_client_sees_that_an_answer_broke_off() {
    let site = site(Origin::echo()).await;
    for path in ["/cut", "/cut-chunked"] {
        for bytes in [1, 1_000, 100_000, 1_000_000] {
            for http in Http::ALL {
                let request = Request::get(format!("{path}/{bytes}")).body(Body::empty()).unwrap();
                let whole = site.connect(http).await.get(&format!("/bytes/{bytes}")).await.body;
                match site.connect(http).await.send(request).await {
                    // What had come by then is right, however much it was.
                    Err(ClientError::Truncated { status: 200, received, .. }) => {
                        assert!(whole.starts_with(&received), "{path}/{bytes} {http:?}");
                    }
                    other => panic!("{path}/{bytes} {http:?}: {other:?}"),
                }
            }
        }
    }
    site.idle().await;
    assert_eq!(site.admin().metrics().await.count("palisade_endings_total", &[("ending", "truncated")]), 24);
}

#[tokio::test]
async fn curl_says_that_an_answer_broke_off() {
    let site = site(Origin::echo()).await;
    // 18: partial file; 92: the stream was not closed cleanly.
    for (version, path, code) in [
        ("--http1.1", "/cut/5000", 18),
        ("--http1.1", "/cut-chunked/5000", 18),
        ("--http2", "/cut/5000", 92),
        ("--http2", "/cut-chunked/5000", 92),
    ] {
        let ended = site.curl(&[version, "--output", "/dev/null"], path).await;
        assert_eq!(ended.code, Some(code), "{version} {path}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn an_endpoint_that_breaks_off_anywhere_is_seen_to() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n123456789".to_owned(),
        chunked.to_owned(),
        format!("{chunked}5"),
        format!("{chunked}5\r\nhello"),
        format!("{chunked}5\r\nhello\r\n"),
        format!("{chunked}5\r\nhello\r\n0"),
        format!("{chunked}5\r\nhello\r\n0\r\n"),
        format!("{chunked}5\r\nhello\r\n0\r\nx-trailer: 1\r\n"),
        format!("{chunked}5\r\nhello\r\nz\r\n\r\n"),
        format!("{chunked}5\r\nhello5\r\nworld\r\n0\r\n\r\n"),
        format!("{chunked}ffffffffffffffff1\r\nhello\r\n0\r\n\r\n"),
    ] {
        let site = site(Origin::raw(answer.clone())).await;
        for http in Http::ALL {
            let request = Request::get("/").body(Body::empty()).unwrap();
            match site.connect(http).await.send(request).await {
                // Where nothing of the body came, the connection may be closed before the head is sent.
                Err(_) => {}
                Ok(reply) if reply.status == 502 => {}
                other => panic!("{answer:?} {http:?}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn an_answer_that_ends_with_its_connection_is_whole() {
    let site = site(Origin::raw("HTTP/1.1 200 OK\r\n\r\nall of it")).await;
    for http in Http::ALL {
        assert_eq!(site.connect(http).await.get("/").await.text(), "all of it", "{http:?}");
    }
}

#[tokio::test]
async fn no_last_chunk_follows_what_broke_off() {
    let site = site(Origin::echo()).await;
    for http in [Http::Plain, Http::H1] {
        let mut raw = site.raw(http).await;
        assert!(raw.send("GET /cut-chunked/1000 HTTP/1.1\r\nHost: www.example.test\r\n\r\n").await);
        let read = raw.read_to_end().await;
        assert!(read.starts_with(b"HTTP/1.1 200 OK\r\n"), "{http:?}");
        assert!(!read.ends_with(b"0\r\n\r\n"), "{http:?}");
    }
}

/// The answer to HTTP/1.0 has no length of its own: only an end that is no good one can tell.
#[tokio::test]
async fn an_old_client_sees_that_an_answer_broke_off() {
    let site = site(Origin::echo()).await;
    for http in [Http::Plain, Http::H1] {
        for (path, is_whole) in [("/chunked/100000", true), ("/cut-chunked/100000", false), ("/cut/100000", false)] {
            let mut raw = site.raw(http).await;
            assert!(raw.send(format!("GET {path} HTTP/1.0\r\nHost: www.example.test\r\n\r\n")).await);
            let (read, ends_well) = raw.read_to_its_end().await;
            assert!(read.starts_with(b"HTTP/1.0 200 OK\r\n"), "{http:?} {path}");
            assert_eq!(ends_well, is_whole, "{http:?} {path}");
        }
    }
}
