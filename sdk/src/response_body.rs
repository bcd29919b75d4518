//! The body of a response that is about to come, and the head that it belongs to.

use crate::{
    Exchange, HeadError, HeaderValue, Method, Name,
    bindings::response_body_filter::exports::palisade::plugin::response_body_filter as wire,
    header,
    host::{self, response as head_of},
};

/// The body of a response, before any of it came: its head has passed the response filters and nothing of it was sent.
#[derive(Debug)]
pub struct ResponseBody {
    body: wire::ResponseBody,
    head: ResponseHead,
}

impl ResponseBody {
    pub(crate) fn new(body: wire::ResponseBody) -> Self {
        Self { head: ResponseHead::new(body.exchange), body }
    }

    /// The number of the response and its request.
    pub fn exchange(&self) -> Exchange {
        Exchange::from_number(self.body.exchange)
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.body.status
    }

    /// The request's method.
    pub fn method(&self) -> Method {
        self.body.method
    }

    /// The listener that the request came to.
    pub fn listener(&self) -> Name {
        Name::from_number(self.body.listener)
    }

    /// The route that was chosen, if one matched.
    pub fn route(&self) -> Option<Name> {
        Name::some(self.body.route)
    }

    /// The upstream that answered. None where a plugin or the host did.
    pub fn upstream(&self) -> Option<Name> {
        Name::some(self.body.upstream)
    }

    /// The endpoint that answered. None where a plugin or the host did.
    pub fn endpoint(&self) -> Option<Name> {
        Name::some(self.body.endpoint)
    }

    /// How long it is in bytes, where that is known: announced, and kept by the filters before.
    pub fn length(&self) -> Option<u64> {
        self.body.length
    }

    /// The response's head, to read and to change.
    pub fn head(&mut self) -> &mut ResponseHead {
        &mut self.head
    }
}

/// The head of a response whose body is at hand. Everything is one host call.
///
/// It can be changed before the body came, and together with a body that is buffered. Afterwards it has gone on, and changing
/// it gives [`HeadError::ReadOnly`].
#[derive(Debug)]
pub struct ResponseHead {
    exchange: u64,
}

impl ResponseHead {
    pub(crate) fn new(exchange: u64) -> Self {
        Self { exchange }
    }

    /// The first value of a header. Names count without regard to case.
    pub fn header(&self, name: &str) -> Option<HeaderValue> {
        head_of::header(self.exchange, name).map(HeaderValue::from)
    }

    /// Every value of a header, in order.
    pub fn header_values(&self, name: &str) -> Vec<HeaderValue> {
        header::values(head_of::header_values(self.exchange, name))
    }

    /// Replaces the status: 200 to 599, and not 204, 205 or 304 for another, which would change the framing.
    ///
    /// # Errors
    ///
    /// As [`HeadError`] says; the head is as it was before.
    pub fn set_status(&mut self, status: u16) -> Result<(), HeadError> {
        Ok(head_of::set_status(self.exchange, status)?)
    }

    /// Replaces all values of a header by one.
    ///
    /// # Errors
    ///
    /// As [`HeadError`] says; the head is as it was before.
    pub fn set_header(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), HeadError> {
        Ok(head_of::set_header(self.exchange, name, value.as_ref())?)
    }

    /// Adds a value after those that are there.
    ///
    /// # Errors
    ///
    /// As [`HeadError`] says; the head is as it was before.
    pub fn append_header(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), HeadError> {
        Ok(head_of::append_header(self.exchange, name, value.as_ref())?)
    }

    /// Removes all values of a header, if there are any.
    ///
    /// # Errors
    ///
    /// As [`HeadError`] says; the head is as it was before.
    pub fn remove_header(&mut self, name: &str) -> Result<(), HeadError> {
        Ok(head_of::remove_header(self.exchange, name)?)
    }

    /// The first value of a header of the request, as it was forwarded.
    pub fn request_header(&self, name: &str) -> Option<HeaderValue> {
        host::request::header(self.exchange, name).map(HeaderValue::from)
    }

    /// Path and query of the request, as they were forwarded.
    pub fn request_target(&self) -> String {
        header::text(host::request::target(self.exchange))
    }
}
