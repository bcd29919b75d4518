//! Logs 100,000 lines for every request. Its allocator is the standard library's.

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

#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: std::alloc::System = std::alloc::System;

register!(Logs: RequestFilter; own_allocator);
