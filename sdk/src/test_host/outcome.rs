//! What a filter did with a test's request or response.

use super::{head::Fields, world::World};
use crate::{Exchange, HeaderValue, bindings::capabilities::palisade::plugin::types::Verdict};

/// What a filter decided, and the head as the filter left it.
#[derive(Clone, Debug)]
pub struct TestOutcome {
    exchange: Exchange,
    verdict: Verdict,
    status: Option<u16>,
    target: String,
    authority: String,
    fields: Fields,
    reply: Option<Reply>,
    error: Option<String>,
}

#[derive(Clone, Debug)]
struct Reply {
    status: u16,
    fields: Fields,
    body: Vec<u8>,
}

impl TestOutcome {
    pub(crate) fn of_request(world: &World, verdict: Verdict) -> Self {
        Self::new(world, verdict, None, world.request.fields.clone())
    }

    pub(crate) fn of_response(world: &World, verdict: Verdict) -> Self {
        Self::new(world, verdict, Some(world.response.status), world.response.fields.clone())
    }

    fn new(world: &World, verdict: Verdict, status: Option<u16>, fields: Fields) -> Self {
        let reply = world.reply.clone().filter(|_| verdict == Verdict::Reply);
        Self {
            exchange: Exchange::from_number(world.exchange),
            verdict,
            status,
            target: world.request.target.clone(),
            authority: world.request.authority.clone(),
            fields,
            reply: reply.map(|reply| Reply { status: reply.status, fields: reply.fields, body: reply.body }),
            error: world.fault.clone().filter(|_| verdict == Verdict::Failed),
        }
    }

    /// The number of the exchange.
    pub fn exchange(&self) -> Exchange {
        self.exchange
    }

    /// True where the next plugin would be asked.
    pub fn is_continue(&self) -> bool {
        self.verdict == Verdict::Proceed
    }

    /// True where the connection would be closed, or the stream reset, without an answer.
    pub fn is_close(&self) -> bool {
        self.verdict == Verdict::Close
    }

    /// What the filter's error says, or none where it decided.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// The status of the reply, or none without one.
    pub fn reply_status(&self) -> Option<u16> {
        self.reply.as_ref().map(|reply| reply.status)
    }

    /// The body of the reply, or none without a reply.
    pub fn reply_body(&self) -> Option<&[u8]> {
        self.reply.as_ref().map(|reply| reply.body.as_slice())
    }

    /// The body of the reply as text, or none without a reply or where it is not UTF-8.
    pub fn reply_text(&self) -> Option<&str> {
        std::str::from_utf8(self.reply_body()?).ok()
    }

    /// The first value of a header of the reply, or none without one or where it is not UTF-8.
    pub fn reply_header(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.reply.as_ref()?.fields.first(name)?).ok()
    }

    /// The first value of a header of the head after the filter, or none without one or where it is not UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.fields.first(name)?).ok()
    }

    /// Every value of a header of the head after the filter.
    pub fn header_values(&self, name: &str) -> Vec<HeaderValue> {
        self.fields.values(name).into_iter().map(HeaderValue::from).collect()
    }

    /// The request's target after the filter.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The request's authority after the filter.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The response's status after the filter; none for a request.
    pub fn status(&self) -> Option<u16> {
        self.status
    }
}
