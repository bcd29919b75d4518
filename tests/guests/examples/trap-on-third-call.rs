//! Panics on every third call of an instance. A fresh instance counts from the start.

#![forbid(unsafe_code)]
#![expect(clippy::panic, reason = "this is what the guest is for")]

use std::sync::atomic::{AtomicU32, Ordering};

use palisade_sdk::prelude::*;

static CALLS: AtomicU32 = AtomicU32::new(0);

struct TrapOnThirdCall;

impl Plugin for TrapOnThirdCall {
    type Settings = NoSettings;

    fn configure(_settings: NoSettings, _host: &mut Setup) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl RequestFilter for TrapOnThirdCall {
    fn on_request(&mut self, _request: &mut Request) -> Result<Flow, Error> {
        match CALLS.fetch_add(1, Ordering::Relaxed) % 3 {
            2 => panic!("this is a third call"),
            _ => Ok(Flow::Continue),
        }
    }
}

register!(TrapOnThirdCall: RequestFilter);
