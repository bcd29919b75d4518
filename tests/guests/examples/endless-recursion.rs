//! Calls itself until the stack is used up.

#![forbid(unsafe_code)]

use std::hint;

use palisade_sdk::prelude::*;

struct EndlessRecursion;

impl Plugin for EndlessRecursion {
    type Settings = NoSettings;

    fn configure(_settings: NoSettings, _host: &mut Setup) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl RequestFilter for EndlessRecursion {
    fn on_request(&mut self, _request: &mut Request) -> Result<Flow, Error> {
        log::info!("{}", depth(1));
        Ok(Flow::Continue)
    }
}

register!(EndlessRecursion: RequestFilter);

#[expect(unconditional_recursion, reason = "this is what the guest is for")]
fn depth(below: u64) -> u64 {
    hint::black_box(depth(hint::black_box(below + 1))) + 1
}
