//! Allocates on a request until the host gives no more memory.

#![forbid(unsafe_code)]

use palisade_sdk::prelude::*;

struct MemoryHog {
    held: Vec<Vec<u8>>,
}

impl Plugin for MemoryHog {
    type Settings = NoSettings;

    fn configure(_settings: NoSettings, _host: &mut Setup) -> Result<Self, Error> {
        Ok(Self { held: Vec::new() })
    }
}

impl RequestFilter for MemoryHog {
    fn on_request(&mut self, _request: &mut Request) -> Result<Flow, Error> {
        loop {
            self.held.push(vec![1; 1 << 20]);
        }
    }
}

register!(MemoryHog: RequestFilter);
