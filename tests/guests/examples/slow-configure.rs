//! Spends as many milliseconds in configure as its settings say.

#![forbid(unsafe_code)]

use std::time::Duration;

use palisade_sdk::prelude::*;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    millis: u64,
}

struct SlowConfigure;

impl Plugin for SlowConfigure {
    type Settings = Settings;

    fn configure(settings: Settings, _host: &mut Setup) -> Result<Self, Error> {
        let end = clock::monotonic() + Duration::from_millis(settings.millis);
        while clock::monotonic() < end {}
        Ok(Self)
    }
}

impl RequestFilter for SlowConfigure {
    fn on_request(&mut self, _request: &mut Request) -> Result<Flow, Error> {
        Ok(Flow::Continue)
    }
}

register!(SlowConfigure: RequestFilter);
