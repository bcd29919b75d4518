//! Panics while it is configured.

#![forbid(unsafe_code)]
#![expect(clippy::panic, reason = "this is what the guest is for")]

use palisade_sdk::prelude::*;

struct PanicsAtConfigure;

impl Plugin for PanicsAtConfigure {
    type Settings = NoSettings;

    fn configure(_settings: NoSettings, _host: &mut Setup) -> Result<Self, Error> {
        panic!("this plugin panics at configure")
    }
}

impl RequestFilter for PanicsAtConfigure {
    fn on_request(&mut self, _request: &mut Request) -> Result<Flow, Error> {
        Ok(Flow::Continue)
    }
}

register!(PanicsAtConfigure: RequestFilter);
