//! What the origin answers, and how many times it has.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Buf, Bytes};
use http_body_util::{BodyExt, Full};
use hyper::body::Body;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Request, Response};
use serde_json::{Map, Value, json};

/// The answers of one origin.
#[derive(Debug)]
pub(crate) struct Answers {
    name: String,
    requests: AtomicU64,
}

impl Answers {
    pub(crate) fn new(name: String) -> Self {
        Self { name, requests: AtomicU64::new(0) }
    }

    /// Describes a request in one line of JSON, once its body is read.
    pub(crate) async fn answer<B: Body>(&self, request: Request<B>) -> Response<Full<Bytes>> {
        if request.uri().path() == "/requests" {
            return reply("text/plain", self.requests.load(Ordering::Relaxed).to_string());
        }
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let (head, body) = request.into_parts();
        let body_bytes = count(body).await;
        let description = json!({
            "origin": self.name,
            "request": number,
            "method": head.method.as_str(),
            "target": head.uri.to_string(),
            "headers": headers(&head.headers),
            "body_bytes": body_bytes,
        });
        reply("application/json", description.to_string())
    }
}

/// How long a body is, as far as it comes.
async fn count<B: Body>(body: B) -> usize {
    let mut body = pin!(body);
    let mut bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        bytes += frame.data_ref().map_or(0, Buf::remaining);
    }
    bytes
}

/// Name and value of each header; several values of one name are joined, and odd bytes replaced.
fn headers(headers: &HeaderMap) -> Value {
    let joined = headers.keys().map(|name| {
        let values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        (name.to_string(), Value::from(values.collect::<Vec<_>>().join(", ")))
    });
    Value::Object(joined.collect::<Map<_, _>>())
}

fn reply(kind: &'static str, line: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(line + "\n"));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn a_request_is_described_and_counted() {
        let answers = Answers::new("A".into());
        check(&answers, "/requests", "0\n").await;
        let described = |number: u32| {
            format!(
                "{{\"body_bytes\":5,\"headers\":{{\"x-a\":\"1, 2\"}},\"method\":\"POST\",\"origin\":\"A\",\
                 \"request\":{number},\"target\":\"/hello?b\"}}\n"
            )
        };
        check(&answers, "/hello?b", &described(1)).await;
        check(&answers, "/hello?b", &described(2)).await;
        check(&answers, "/requests", "2\n").await;
    }

    async fn check(answers: &Answers, target: &str, expected: &str) {
        let request = Request::post(target).header("x-a", "1").header("x-a", "2");
        let request = request.body(Full::<Bytes>::from("hello")).expect("a request");
        let body = answers.answer(request).await.into_body().collect().await.expect("a body").to_bytes();
        assert_eq!(body, expected.as_bytes());
    }
}
