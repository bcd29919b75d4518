//! Lets clients make so many requests in so much time: exactly so many, because all workers count in one place.
//!
//! Every limit whose conditions hold is asked, in order, and the first that refuses answers. What a client has left is told
//! with the answer, in the fields of draft-ietf-httpapi-ratelimit-headers-10.

#![forbid(unsafe_code)]

mod fields;
mod key;
mod limit;
mod path;
mod period;
mod rate;
mod settings;

use std::collections::BTreeMap;

use palisade_sdk::prelude::*;

use crate::{
    fields::Fields,
    limit::{Limit, Subject},
    path::PathReader,
    settings::Settings,
};

register!(RateLimit: RequestFilter, ResponseFilter);

/// The plugin.
#[derive(Debug)]
pub struct RateLimit {
    limits: Vec<Limit>,
    looks_at_path: bool,
    path_reader: PathReader,
    status: u16,
    body: String,
    tells: bool,
    /// What is to be told with the responses of exchanges under way.
    untold: BTreeMap<Exchange, Fields>,
}

/// Exchanges of which it is remembered what to tell. Those that never have a response, because the client left, make room
/// for others; numbers of exchanges grow, so the first are the oldest.
const UNTOLD_MAX: usize = 4_096;

impl Plugin for RateLimit {
    type Settings = Settings;

    fn configure(settings: Settings, host: &mut Setup) -> Result<Self, Error> {
        let limits = Limit::all(settings.limits, host)?;
        Ok(Self {
            looks_at_path: limits.iter().any(Limit::looks_at_path),
            limits,
            path_reader: PathReader::default(),
            status: settings.status.0,
            body: settings.body,
            tells: settings.headers,
            untold: BTreeMap::new(),
        })
    }
}

impl RequestFilter for RateLimit {
    fn on_request(&mut self, request: &mut Request) -> Result<Flow, Error> {
        let path = if self.looks_at_path { self.path_reader.read(request.path()) } else { "" };
        let subject = Subject { request, path };
        let (now, mut fields) = (clock::wall(), Fields::default());
        for limit in self.limits.iter().filter(|limit| limit.is_for(&subject)) {
            let standing = limit.take(&subject, now)?;
            fields.add(limit, &standing);
            if let Some(wait) = standing.wait {
                let reply = Reply::status(self.status).header("retry-after", fields::seconds(wait).to_string());
                let reply = reply.text(self.body.as_str());
                self.tell_later(request.exchange(), fields);
                return Ok(reply.into());
            }
        }
        self.tell_later(request.exchange(), fields);
        Ok(Flow::Continue)
    }
}

impl ResponseFilter for RateLimit {
    fn on_response(&mut self, response: &mut Response) -> Result<Flow, Error> {
        if let Some(fields) = self.untold.remove(&response.exchange()) {
            // An upstream may have limits of its own: both are lists, and stay beside each other.
            response.append_header("ratelimit-policy", &fields.policy)?;
            response.append_header("ratelimit", &fields.left)?;
        }
        Ok(Flow::Continue)
    }
}

impl RateLimit {
    fn tell_later(&mut self, exchange: Exchange, fields: Fields) {
        if !self.tells || fields.is_empty() {
            return;
        }
        while self.untold.len() >= UNTOLD_MAX {
            self.untold.pop_first();
        }
        self.untold.insert(exchange, fields);
    }
}

#[cfg(test)]
mod tests;
