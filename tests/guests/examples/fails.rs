//! Can never decide.

#![forbid(unsafe_code)]

use palisade_sdk::prelude::*;

struct Fails;

impl Plugin for Fails {
    type Settings = NoSettings;

    fn configure(_settings: NoSettings, _host: &mut Setup) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl RequestFilter for Fails {
    fn on_request(&mut self, _request: &mut Request) -> Result<Flow, Error> {
        Err(Error::new("this plugin always fails"))
    }
}

register!(Fails: RequestFilter);
