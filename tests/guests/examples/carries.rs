//! Keeps the `x-secret` of a request in a static, and tells with the response what is kept then and how often this instance
//! was called: `x-carried` and `x-calls`.

#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};

use palisade_sdk::prelude::*;

thread_local! {
    static KEPT: RefCell<String> = const { RefCell::new(String::new()) };
    static CALLS: Cell<u32> = const { Cell::new(0) };
}

#[derive(Deserialize, JsonSchema)]
struct Settings {
    #[serde(default)]
    prefix: String,
}

struct Carries {
    prefix: String,
}

impl Plugin for Carries {
    type Settings = Settings;

    fn configure(settings: Settings, _host: &mut Setup) -> Result<Self, Error> {
        Ok(Self { prefix: settings.prefix })
    }
}

impl RequestFilter for Carries {
    fn on_request(&mut self, request: &mut Request) -> Result<Flow, Error> {
        let secret = request.header("x-secret").map(|value| value.to_string()).unwrap_or_default();
        KEPT.set(format!("{}{secret}", self.prefix));
        CALLS.set(CALLS.get() + 1);
        Ok(Flow::Continue)
    }
}

impl ResponseFilter for Carries {
    fn on_response(&mut self, response: &mut Response) -> Result<Flow, Error> {
        CALLS.set(CALLS.get() + 1);
        response.set_header("x-carried", KEPT.with_borrow(Clone::clone))?;
        response.set_header("x-calls", CALLS.get().to_string())?;
        Ok(Flow::Continue)
    }
}

register!(Carries: RequestFilter, ResponseFilter);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_request_brought_is_told_with_the_response() {
        let mut host = TestHost::<Carries>::configure(json!({ "prefix": "the " })).unwrap();
        host.request(TestRequest::get("/").header("x-secret", "a"));
        let response = host.response(TestResponse::status(200));
        assert_eq!((response.header("x-carried"), response.header("x-calls")), (Some("the a"), Some("2")));
    }
}
