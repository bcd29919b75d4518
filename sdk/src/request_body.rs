//! The body of a request that is about to come, and the head that it belongs to.

use crate::{
    Exchange, HeadError, HeaderValue, Method, Name,
    bindings::request_body_filter::exports::palisade::plugin::request_body_filter as wire, header,
    host::request as head_of,
};

/// The body of a request, before any of it came: its head has passed every request filter and nothing of it was forwarded.
#[derive(Debug)]
pub struct RequestBody {
    body: wire::RequestBody,
    head: RequestHead,
}

impl RequestBody {
    pub(crate) fn new(body: wire::RequestBody) -> Self {
        Self { head: RequestHead::new(body.exchange), body }
    }

    /// The number of the request and its response.
    pub fn exchange(&self) -> Exchange {
        Exchange::from_number(self.body.exchange)
    }

    /// The request's method.
    pub fn method(&self) -> Method {
        self.body.method
    }

    /// The listener that the request came to.
    pub fn listener(&self) -> Name {
        Name::from_number(self.body.listener)
    }

    /// The route that was chosen.
    pub fn route(&self) -> Option<Name> {
        Name::some(self.body.route)
    }

    /// How long it is in bytes, where that is known: announced by the client, and kept by the filters before.
    pub fn length(&self) -> Option<u64> {
        self.body.length
    }

    /// The request's head, to read and to change.
    pub fn head(&mut self) -> &mut RequestHead {
        &mut self.head
    }
}

/// The head of a request whose body is at hand. Everything is one host call.
///
/// It can be changed before the body came, and together with a body that is buffered. Afterwards it has gone on, and changing
/// it gives [`HeadError::ReadOnly`].
#[derive(Debug)]
pub struct RequestHead {
    exchange: u64,
}

impl RequestHead {
    pub(crate) fn new(exchange: u64) -> Self {
        Self { exchange }
    }

    /// Path and query.
    pub fn target(&self) -> String {
        header::text(head_of::target(self.exchange))
    }

    /// Host and port; may be empty.
    pub fn authority(&self) -> String {
        header::text(head_of::authority(self.exchange))
    }

    /// The first value of a header. Names count without regard to case.
    pub fn header(&self, name: &str) -> Option<HeaderValue> {
        head_of::header(self.exchange, name).map(HeaderValue::from)
    }

    /// Every value of a header, in order.
    pub fn header_values(&self, name: &str) -> Vec<HeaderValue> {
        header::values(head_of::header_values(self.exchange, name))
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

    /// Replaces path and query: origin-form (RFC 9112, section 3.2.1). The route stays as it was chosen.
    ///
    /// # Errors
    ///
    /// As [`HeadError`] says; the head is as it was before.
    pub fn set_target(&mut self, target: &str) -> Result<(), HeadError> {
        Ok(head_of::set_target(self.exchange, target.as_bytes())?)
    }

    /// Replaces host and port: what the endpoint sees as `Host`. The route stays as it was chosen.
    ///
    /// # Errors
    ///
    /// As [`HeadError`] says; the head is as it was before.
    pub fn set_authority(&mut self, authority: &str) -> Result<(), HeadError> {
        Ok(head_of::set_authority(self.exchange, authority.as_bytes())?)
    }
}
