//! Replies to every request with the status, headers and body of its settings.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use palisade_sdk::prelude::*;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default = "ok")]
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
}

fn ok() -> u16 {
    200
}

struct Replying {
    reply: Reply,
}

impl Plugin for Replying {
    type Settings = Settings;

    fn configure(settings: Settings, _host: &mut Setup) -> Result<Self, Error> {
        let reply = Reply::status(settings.status).text(settings.body);
        let reply = settings.headers.iter().fold(reply, |reply, (name, value)| reply.header(name, value));
        Ok(Self { reply })
    }
}

impl RequestFilter for Replying {
    fn on_request(&mut self, _request: &mut Request) -> Result<Flow, Error> {
        Ok(self.reply.clone().into())
    }
}

register!(Replying: RequestFilter);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_are_the_reply() {
        let settings = json!({ "status": 418, "body": "teapot", "headers": { "x-a": "1" } });
        let outcome = TestHost::<Replying>::configure(settings).unwrap().request(TestRequest::get("/"));
        assert_eq!((outcome.reply_status(), outcome.reply_text()), (Some(418), Some("teapot")));
        assert_eq!(outcome.reply_header("x-a"), Some("1"));
    }

    #[test]
    fn a_status_that_ends_no_exchange_is_an_error() {
        let outcome = TestHost::<Replying>::configure(json!({ "status": 101 })).unwrap().request(TestRequest::get("/"));
        assert_eq!(
            outcome.error(),
            Some("the reply was refused: its status is not 200 to 599, or the value of a header is not one")
        );
    }
}
