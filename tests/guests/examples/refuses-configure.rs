//! Refuses whatever settings it gets.

#![forbid(unsafe_code)]

use palisade_sdk::prelude::*;

struct RefusesConfigure;

impl Plugin for RefusesConfigure {
    type Settings = NoSettings;

    fn configure(_settings: NoSettings, _host: &mut Setup) -> Result<Self, Error> {
        Err(Error::setting("limit", "there is no limit that this plugin accepts"))
    }
}

impl RequestFilter for RefusesConfigure {
    fn on_request(&mut self, _request: &mut Request) -> Result<Flow, Error> {
        Ok(Flow::Continue)
    }
}

register!(RefusesConfigure: RequestFilter);
