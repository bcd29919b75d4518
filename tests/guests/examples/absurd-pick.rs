//! Picks the millionth candidate, however many there are.

#![forbid(unsafe_code)]

use palisade_sdk::prelude::*;

struct AbsurdPick;

impl Plugin for AbsurdPick {
    type Settings = NoSettings;

    fn configure(_settings: NoSettings, _host: &mut Setup) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Balancer for AbsurdPick {
    fn pick(&mut self, _request: &PickRequest, _candidates: &[Candidate]) -> Result<Pick, Error> {
        Ok(Pick::Endpoint(1_000_000))
    }
}

register!(AbsurdPick: Balancer);
