//! Appends `x-tag` with the name of its settings to requests and responses, which shows the order of a chain.

#![forbid(unsafe_code)]

use palisade_sdk::prelude::*;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    name: String,
}

struct Tag {
    name: String,
}

impl Plugin for Tag {
    type Settings = Settings;

    fn configure(settings: Settings, _host: &mut Setup) -> Result<Self, Error> {
        Ok(Self { name: settings.name })
    }
}

impl RequestFilter for Tag {
    fn on_request(&mut self, request: &mut Request) -> Result<Flow, Error> {
        request.append_header("x-tag", &self.name)?;
        Ok(Flow::Continue)
    }
}

impl ResponseFilter for Tag {
    fn on_response(&mut self, response: &mut Response) -> Result<Flow, Error> {
        response.append_header("x-tag", &self.name)?;
        Ok(Flow::Continue)
    }
}

register!(Tag: RequestFilter, ResponseFilter);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_are_tagged_after_what_was_there() {
        let mut host = TestHost::<Tag>::configure(json!({ "name": "b" })).unwrap();
        let request = host.request(TestRequest::get("/").header("x-tag", "a"));
        let response = host.response(TestResponse::status(200).header("x-tag", "a"));
        assert_eq!(request.header_values("x-tag"), ["a", "b"]);
        assert_eq!(response.header_values("x-tag"), ["a", "b"]);
    }
}
