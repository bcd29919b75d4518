//! Replies with a body of 2 MiB, twice of what is allowed.

#![forbid(unsafe_code)]

use palisade_sdk::prelude::*;

struct BigReply;

impl Plugin for BigReply {
    type Settings = NoSettings;

    fn configure(_settings: NoSettings, _host: &mut Setup) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl RequestFilter for BigReply {
    fn on_request(&mut self, _request: &mut Request) -> Result<Flow, Error> {
        Ok(Reply::status(200).body(vec![b'x'; 2 << 20]).into())
    }
}

register!(BigReply: RequestFilter);
