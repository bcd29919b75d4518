//! Adds headers to the request until the host refuses, at most a million.

#![forbid(unsafe_code)]

use palisade_sdk::prelude::*;

struct HeaderBomb;

impl Plugin for HeaderBomb {
    type Settings = NoSettings;

    fn configure(_settings: NoSettings, _host: &mut Setup) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl RequestFilter for HeaderBomb {
    fn on_request(&mut self, request: &mut Request) -> Result<Flow, Error> {
        for number in 0..1_000_000 {
            request.append_header(&format!("x-bomb-{number}"), "boom")?;
        }
        Ok(Flow::Continue)
    }
}

register!(HeaderBomb: RequestFilter);
