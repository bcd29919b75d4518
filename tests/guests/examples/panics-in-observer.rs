//! Panics when an exchange has ended.

#![forbid(unsafe_code)]
#![expect(clippy::panic, reason = "this is what the guest is for")]

use palisade_sdk::prelude::*;

struct PanicsInObserver;

impl Plugin for PanicsInObserver {
    type Settings = NoSettings;

    fn configure(_settings: NoSettings, _host: &mut Setup) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Observer for PanicsInObserver {
    fn on_ended(&mut self, _exchanges: &[Ended]) {
        panic!("this plugin panics in the observer")
    }
}

register!(PanicsInObserver: Observer);
