//! Asks an upstream about every request, as often as its settings say, and puts the last answer into `x-answer`. An answer that
//! is not 200 is replied with, and so is why there is none. `/plain` is not asked about; `/panic` panics; after `/fail` it fails
//! when it was answered. The gauge `waiting` counts requests that wait.

#![forbid(unsafe_code)]
#![expect(clippy::panic, reason = "one of the things that the guest is for")]

use std::{rc::Rc, time::Duration};

use palisade_sdk::prelude::*;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    upstream: String,
    #[serde(default = "root")]
    target: String,
    #[serde(default = "once")]
    times: u32,
    #[serde(default)]
    body: String,
    /// Milliseconds; zero for what the operator allows.
    #[serde(default)]
    timeout: u64,
}

fn root() -> String {
    "/".into()
}

fn once() -> u32 {
    1
}

#[derive(Clone)]
struct Asks {
    settings: Rc<Settings>,
    waiting: Gauge,
}

struct Waits(Gauge);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.shift(-1.0);
    }
}

impl Plugin for Asks {
    type Settings = Settings;

    fn configure(settings: Settings, host: &mut Setup) -> Result<Self, Error> {
        Ok(Self { settings: Rc::new(settings), waiting: host.gauge("waiting", "Requests that wait.") })
    }
}

impl Asks {
    fn question(&self, path: &str) -> Fetch {
        let Settings { upstream, target, body, timeout, .. } = self.settings.as_ref();
        let fetch = if body.is_empty() { Fetch::get(upstream, target) } else { Fetch::post(upstream, target) };
        let fetch = fetch.header("x-path", path).body(body.as_bytes());
        if *timeout == 0 { fetch } else { fetch.timeout(Duration::from_millis(*timeout)) }
    }
}

impl AsyncRequestFilter for Asks {
    async fn on_request(&self, request: &mut Request<'_>) -> Result<Flow, Error> {
        match request.path() {
            "/plain" => return Ok(Flow::Continue),
            "/panic" => panic!("the path says so"),
            _ => {}
        }
        request.set_header("x-before", "1")?;
        self.waiting.shift(1.0);
        let _waits = Waits(self.waiting);
        for _ in 0..self.settings.times {
            match self.question(request.path()).send().await {
                Ok(answer) if answer.status() == 200 => request.set_header("x-answer", answer.body())?,
                Ok(answer) => return Ok(Reply::status(answer.status()).into()),
                Err(error) => return Ok(Reply::status(502).text(error.to_string()).into()),
            }
        }
        if request.path() == "/fail" {
            return Err(Error::new("the path says so"));
        }
        Ok(Flow::Continue)
    }
}

register!(Asks: AsyncRequestFilter);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_awaited() {
        let mut host = TestHost::<Asks>::configure(json!({ "upstream": "auth", "times": 2 })).unwrap();
        host.answers(|fetch| {
            Ok(Fetched::status_only(200).with_body(format!("{} {}", fetch.upstream(), fetch.target())))
        });
        assert_eq!(host.async_request(TestRequest::get("/")).header_values("x-answer"), ["auth /"]);
        assert!(host.async_request(TestRequest::get("/plain")).is_continue());
        host.answers(|_| Err(FetchError::Timeout));
        let outcome = host.async_request(TestRequest::get("/"));
        assert_eq!(outcome.reply_text(), Some("the answer was not whole in time"));
        assert_eq!(host.gauge("waiting"), 0.0);
    }
}
