//! Replies with the `x-secret` of the request before, in `x-last-secret`, and keeps this request's in a static: what an
//! instance that is shared lets through, and an instance of its own does not.

#![forbid(unsafe_code)]

use std::cell::RefCell;

use palisade_sdk::prelude::*;

thread_local! {
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

struct Remembers;

impl Plugin for Remembers {
    type Settings = NoSettings;

    fn configure(_settings: NoSettings, _host: &mut Setup) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl RequestFilter for Remembers {
    fn on_request(&mut self, request: &mut Request) -> Result<Flow, Error> {
        let secret = request.header("x-secret").map(|value| value.to_string());
        let last = LAST.replace(secret).unwrap_or_else(|| "none".to_owned());
        Ok(Reply::status(200).header("x-last-secret", last).into())
    }
}

register!(Remembers: RequestFilter);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_request_is_told_the_secret() {
        let mut host = TestHost::<Remembers>::configure(json!({})).unwrap();
        let first = host.request(TestRequest::get("/").header("x-secret", "a"));
        let second = host.request(TestRequest::get("/"));
        assert_eq!(first.reply_header("x-last-secret"), Some("none"));
        assert_eq!(second.reply_header("x-last-secret"), Some("a"));
    }
}
