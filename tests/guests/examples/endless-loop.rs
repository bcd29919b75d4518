//! Never returns from a request, and makes no host call.

#![forbid(unsafe_code)]

use std::hint;

use palisade_sdk::prelude::*;

struct EndlessLoop;

impl Plugin for EndlessLoop {
    type Settings = NoSettings;

    fn configure(_settings: NoSettings, _host: &mut Setup) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl RequestFilter for EndlessLoop {
    fn on_request(&mut self, _request: &mut Request) -> Result<Flow, Error> {
        loop {
            hint::black_box(());
        }
    }
}

register!(EndlessLoop: RequestFilter);
