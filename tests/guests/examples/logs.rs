//! Logs 100,000 lines for every request.

#![forbid(unsafe_code)]

use palisade_sdk::prelude::*;

struct Logs;

impl Plugin for Logs {
    type Settings = NoSettings;

    fn configure(_settings: NoSettings, _host: &mut Setup) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl RequestFilter for Logs {
    fn on_request(&mut self, _request: &mut Request) -> Result<Flow, Error> {
        for line in 0..100_000 {
            log::info!("line {line}");
        }
        Ok(Flow::Continue)
    }
}

register!(Logs: RequestFilter);
