//! Panics when an endpoint is needed.

#![forbid(unsafe_code)]
#![expect(clippy::panic, reason = "this is what the guest is for")]

use palisade_sdk::prelude::*;

struct PanicsInBalancer;

impl Plugin for PanicsInBalancer {
    type Settings = NoSettings;

    fn configure(_settings: NoSettings, _host: &mut Setup) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Balancer for PanicsInBalancer {
    fn pick(&mut self, _request: &PickRequest, _candidates: &[Candidate]) -> Result<Pick, Error> {
        panic!("this plugin panics in the balancer")
    }
}

register!(PanicsInBalancer: Balancer);
