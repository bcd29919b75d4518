//! Exports every phase and does nothing in any of them.

#![forbid(unsafe_code)]

use palisade_sdk::prelude::*;

struct Noop;

impl Plugin for Noop {
    type Settings = NoSettings;

    fn configure(_settings: NoSettings, _host: &mut Setup) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl ConnectionFilter for Noop {
    fn on_connection(&mut self, _connection: &Connection) -> Result<Admission, Error> {
        Ok(Admission::Accept)
    }
}

impl RequestFilter for Noop {
    fn on_request(&mut self, _request: &mut Request) -> Result<Flow, Error> {
        Ok(Flow::Continue)
    }
}

impl ResponseFilter for Noop {
    fn on_response(&mut self, _response: &mut Response) -> Result<Flow, Error> {
        Ok(Flow::Continue)
    }
}

impl Balancer for Noop {
    fn pick(&mut self, _request: &PickRequest, candidates: &[Candidate]) -> Result<Pick, Error> {
        Ok(if candidates.is_empty() { Pick::None } else { Pick::Endpoint(0) })
    }
}

impl Observer for Noop {
    fn on_ended(&mut self, _exchanges: &[Ended]) {}
}

register!(Noop: ConnectionFilter, RequestFilter, ResponseFilter, Balancer, Observer);
