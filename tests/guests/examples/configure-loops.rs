//! Never returns from configure.

#![forbid(unsafe_code)]

use std::hint;

use palisade_sdk::prelude::*;

struct ConfigureLoops;

impl Plugin for ConfigureLoops {
    type Settings = NoSettings;

    fn configure(_settings: NoSettings, _host: &mut Setup) -> Result<Self, Error> {
        loop {
            hint::black_box(());
        }
    }
}

impl RequestFilter for ConfigureLoops {
    fn on_request(&mut self, _request: &mut Request) -> Result<Flow, Error> {
        Ok(Flow::Continue)
    }
}

register!(ConfigureLoops: RequestFilter);
