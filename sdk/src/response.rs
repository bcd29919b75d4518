//! The head of a response, as a [`ResponseFilter`](crate::ResponseFilter) sees and changes it.

use std::net::IpAddr;

use crate::{
    Exchange, HeadError, HeaderValue, Method, Name, Protocol,
    bindings::response_filter::exports::palisade::plugin::response_filter::ResponseHead,
    exchange, header,
    host::{self, response as head_of},
};

/// The head of a response, from an endpoint, a plugin or the host itself: nothing of it has been sent.
///
/// Status, addresses and names came with the call; every header is one host call.
#[derive(Debug)]
pub struct Response {
    head: ResponseHead,
}

impl Response {
    pub(crate) fn new(head: ResponseHead) -> Self {
        Self { head }
    }

    /// The number of this response and its request.
    pub fn exchange(&self) -> Exchange {
        Exchange::from_number(self.head.exchange)
    }

    /// The status, or what [`Response::set_status`] left.
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// The request's method.
    pub fn method(&self) -> Method {
        self.head.method
    }

    /// What the client speaks.
    pub fn protocol(&self) -> Protocol {
        self.head.protocol
    }

    /// The client's address. IPv4 is IPv4, also on a socket that listens on both.
    pub fn client(&self) -> IpAddr {
        exchange::address(self.head.client)
    }

    /// The listener that the request came to.
    pub fn listener(&self) -> Name {
        Name::from_number(self.head.listener)
    }

    /// The route that was chosen, if one matched.
    pub fn route(&self) -> Option<Name> {
        Name::some(self.head.route)
    }

    /// The upstream that answered. None where a plugin or the host did.
    pub fn upstream(&self) -> Option<Name> {
        Name::some(self.head.upstream)
    }

    /// The endpoint that answered. None where a plugin or the host did.
    pub fn endpoint(&self) -> Option<Name> {
        Name::some(self.head.endpoint)
    }

    /// The first value of a header. Names count without regard to case.
    pub fn header(&self, name: &str) -> Option<HeaderValue> {
        head_of::header(self.head.exchange, name).map(HeaderValue::from)
    }

    /// Every value of a header, in order.
    pub fn header_values(&self, name: &str) -> Vec<HeaderValue> {
        header::values(head_of::header_values(self.head.exchange, name))
    }

    /// All headers, names in lower case; values of one name are together and in order.
    pub fn headers(&self) -> Vec<(String, HeaderValue)> {
        header::fields(head_of::headers(self.head.exchange))
    }

    /// Replaces the status: 200 to 599, and not 204, 205 or 304 for another, which would change the framing.
    ///
    /// # Errors
    ///
    /// [`HeadError::InvalidValue`] for another status; the head is as it was before.
    pub fn set_status(&mut self, status: u16) -> Result<(), HeadError> {
        head_of::set_status(self.head.exchange, status)?;
        self.head.status = status;
        Ok(())
    }

    /// Replaces all values of a header by one.
    ///
    /// # Errors
    ///
    /// As [`HeadError`] says; the head is as it was before.
    pub fn set_header(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), HeadError> {
        Ok(head_of::set_header(self.head.exchange, name, value.as_ref())?)
    }

    /// Adds a value after those that are there.
    ///
    /// # Errors
    ///
    /// As [`HeadError`] says; the head is as it was before.
    pub fn append_header(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), HeadError> {
        Ok(head_of::append_header(self.head.exchange, name, value.as_ref())?)
    }

    /// Removes all values of a header, if there are any.
    ///
    /// # Errors
    ///
    /// As [`HeadError`] says; the head is as it was before.
    pub fn remove_header(&mut self, name: &str) -> Result<(), HeadError> {
        Ok(head_of::remove_header(self.head.exchange, name)?)
    }

    /// The first value of a header of the request, as it was forwarded.
    pub fn request_header(&self, name: &str) -> Option<HeaderValue> {
        host::request::header(self.head.exchange, name).map(HeaderValue::from)
    }

    /// Path and query of the request, as they were forwarded.
    pub fn request_target(&self) -> String {
        header::text(host::request::target(self.head.exchange))
    }

    /// Host and port of the request, as they were forwarded; may be empty.
    pub fn request_authority(&self) -> String {
        header::text(host::request::authority(self.head.exchange))
    }
}
