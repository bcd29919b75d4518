//! Allows and denies by address, method, host, path, header and query.
//!
//! Addresses come first: the lists `allow` and `deny` and their `default`. Then the rules, in order, of which the first
//! one that matches decides. What the client's address alone decides is enforced when the connection opens, before TLS;
//! the request phase decides all of it again, so it is right on its own.

#![forbid(unsafe_code)]

mod conditions;
mod denial;
mod headers;
mod host_set;
mod list;
mod method_set;
mod network;
mod network_map;
mod path;
mod path_set;
mod pattern;
mod query;
mod recent;
mod rules;
mod settings;
mod state_table;
mod value_test;

use std::net::IpAddr;

use palisade_sdk::prelude::*;

use crate::{
    conditions::Subject,
    denial::{ADDRESSES, Answer, DEFAULT, Denials, MALFORMED},
    headers::Headers,
    network_map::NetworkMap,
    path::PathReader,
    recent::Recent,
    rules::{ByClient, Families, Rule, Rules},
    settings::{Action, AddressDefault, Connections, Decision, Settings},
};

register!(Firewall: ConnectionFilter, RequestFilter);

/// The plugin.
#[derive(Debug)]
pub struct Firewall {
    addresses: NetworkMap<AddressDefault>,
    address_default: AddressDefault,
    /// Whether addresses are denied.
    recent: Recent<bool>,
    connections: Connections,
    rules: Rules,
    default_action: Decision,
    malformed: Decision,
    answer: Answer,
    headers: Headers,
    denials: FixedDenials,
    path_reader: PathReader,
    decoded: Vec<u8>,
}

/// Denials for the reasons that are no rules.
#[derive(Debug)]
struct FixedDenials {
    addresses: Denials,
    malformed: Denials,
    default: Denials,
}

impl Plugin for Firewall {
    type Settings = Settings;

    fn configure(settings: Settings, host: &mut Setup) -> Result<Self, Error> {
        let families = Families {
            denied: host.counter_with("denied_total", "Requests and connections denied.", &["rule", "phase"]),
            matched: host.counter_with("matched_total", "Matches of rules.", &["rule", "action"]),
        };
        let mut headers = Headers::default();
        let answer = Answer::new(settings.status, settings.body);
        let rules = Rules::new(settings.rules, &answer, &families, &mut headers, host)?;
        let allowed = settings.allow.iter().map(|network| (*network, AddressDefault::Allow));
        let denied = settings.deny.iter().map(|network| (*network, AddressDefault::Deny));
        Ok(Self {
            addresses: NetworkMap::new(allowed.chain(denied)),
            address_default: settings.default,
            recent: Recent::default(),
            connections: settings.connections,
            rules,
            default_action: settings.default_action,
            malformed: settings.malformed,
            answer,
            headers,
            denials: FixedDenials {
                addresses: Denials::of(ADDRESSES, &families.denied),
                malformed: Denials::of(MALFORMED, &families.denied),
                default: Denials::of(DEFAULT, &families.denied),
            },
            path_reader: PathReader::default(),
            decoded: Vec::new(),
        })
    }
}

impl ConnectionFilter for Firewall {
    fn on_connection(&mut self, connection: &Connection) -> Result<Admission, Error> {
        if self.connections == Connections::Accept {
            return Ok(Admission::Accept);
        }
        let client = connection.client();
        let denials = if self.denies_address(client) {
            Some(self.denials.addresses)
        } else {
            match self.rules.decide_by_client(client) {
                ByClient::Decided(rule) => rule.refuse(),
                ByClient::Unmatched => (self.default_action != Decision::Allow).then_some(self.denials.default),
                ByClient::Open => None,
            }
        };
        Ok(denials.map_or(Admission::Accept, |denials| {
            denials.connections.add(1);
            Admission::Refuse
        }))
    }
}

impl RequestFilter for Firewall {
    fn on_request(&mut self, request: &mut Request) -> Result<Flow, Error> {
        if self.denies_address(request.client()) {
            self.denials.addresses.requests.add(1);
            return Ok(self.answer.flow(Decision::Deny));
        }
        self.headers.forget();
        let mut path = &b""[..];
        if self.rules.look_at_path() {
            let read = self.path_reader.read(request.path());
            if read.malformed.is_some() && self.malformed != Decision::Allow {
                self.denials.malformed.requests.add(1);
                return Ok(self.answer.flow(self.malformed));
            }
            path = read.bytes;
        }
        let subject = Subject::new(request, path, &self.headers);
        match self.rules.decide(&subject, &mut self.decoded) {
            Some(rule) => Ok(rule.flow()),
            None if self.default_action == Decision::Allow => Ok(Flow::Continue),
            None => {
                self.denials.default.requests.add(1);
                Ok(self.answer.flow(self.default_action))
            }
        }
    }
}

impl Firewall {
    fn denies_address(&mut self, client: IpAddr) -> bool {
        let Self { addresses, address_default, recent, .. } = self;
        recent.find(client, || addresses.find(client).unwrap_or(*address_default) == AddressDefault::Deny)
    }
}

impl Rule {
    /// What a request that it decides comes to. Counts a denial.
    fn flow(&self) -> Flow {
        let decision = match self.action {
            Action::Allow | Action::Count => Decision::Allow,
            Action::Deny => Decision::Deny,
            Action::Close => Decision::Close,
        };
        if decision != Decision::Allow {
            self.denials.requests.add(1);
        }
        self.answer.flow(decision)
    }

    /// Where to count the refusal of a connection that it decides about; none where it lets it in. Counts the match of
    /// a refusal; otherwise each request will.
    fn refuse(&self) -> Option<Denials> {
        match self.action {
            Action::Allow | Action::Count => None,
            Action::Deny | Action::Close => {
                self.matched.add(1);
                Some(self.denials)
            }
        }
    }
}

#[cfg(test)]
mod tests;
