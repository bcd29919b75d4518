//! Closes without an answer.

#![forbid(unsafe_code)]

use palisade_sdk::prelude::*;

struct Close;

impl Plugin for Close {
    type Settings = NoSettings;

    fn configure(_settings: NoSettings, _host: &mut Setup) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl RequestFilter for Close {
    fn on_request(&mut self, _request: &mut Request) -> Result<Flow, Error> {
        Ok(Flow::Close)
    }
}

register!(Close: RequestFilter);
