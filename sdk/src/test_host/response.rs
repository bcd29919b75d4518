//! A response for a test.

use super::{TestRequest, address, head::ResponseSide, names};
use crate::{Exchange, bindings::response_filter::exports::palisade::plugin::response_filter::ResponseHead};

/// A response for [`TestHost::response`](crate::TestHost::response): to `GET /`, from the endpoint `192.0.2.80:80` of the
/// upstream `test`, unless said otherwise.
#[derive(Clone, Debug)]
pub struct TestResponse {
    pub(super) side: ResponseSide,
    pub(super) request: TestRequest,
    pub(super) exchange: Option<Exchange>,
    upstream: String,
    endpoint: String,
}

impl TestResponse {
    /// A response with this status and no headers.
    pub fn status(status: u16) -> Self {
        Self {
            side: ResponseSide { status, ..ResponseSide::default() },
            request: TestRequest::get("/"),
            exchange: None,
            upstream: "test".to_owned(),
            endpoint: "192.0.2.80:80".to_owned(),
        }
    }

    /// Adds a header, which may be any bytes.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.side.fields.arrive(name, value.as_ref());
        self
    }

    /// Sets the request that it answers.
    #[must_use]
    pub fn request(mut self, request: TestRequest) -> Self {
        self.request = request;
        self
    }

    /// Sets the exchange: that of an earlier request's outcome.
    #[must_use]
    pub fn exchange(mut self, exchange: Exchange) -> Self {
        self.exchange = Some(exchange);
        self
    }

    /// Sets the names of upstream and endpoint; empty for an answer of a plugin or the host.
    #[must_use]
    pub fn from_endpoint(mut self, upstream: &str, endpoint: &str) -> Self {
        (self.upstream, self.endpoint) = (upstream.to_owned(), endpoint.to_owned());
        self
    }

    /// The head as the host hands it over.
    pub(super) fn head(&self, exchange: u64) -> ResponseHead {
        ResponseHead {
            exchange,
            status: self.side.status,
            method: self.request.method(),
            protocol: self.request.protocol,
            client: address::to_host(self.request.client),
            listener: names::number(&self.request.listener),
            route: names::number(&self.request.route),
            upstream: names::number(&self.upstream),
            endpoint: names::number(&self.endpoint),
        }
    }
}
