//! A request for a test.

use std::net::IpAddr;

use super::{address, head::RequestSide, names, tls::TestTls};
use crate::{
    Method, Protocol, Scheme, bindings::request_filter::exports::palisade::plugin::request_filter::RequestHead,
};

/// A request for [`TestHost::request`](crate::TestHost::request): from 192.0.2.1 over HTTPS and HTTP/2 to `localhost`, on
/// the listener `test` and the route `test`, unless said otherwise.
///
/// ```
/// use palisade_sdk::TestRequest;
///
/// let request = TestRequest::get("/admin/x?y=1").header("host", "www.example.com").client("203.0.113.9");
/// # let _ = request;
/// ```
#[derive(Clone, Debug)]
pub struct TestRequest {
    pub(super) side: RequestSide,
    pub(super) protocol: Protocol,
    scheme: Scheme,
    pub(super) client: IpAddr,
    client_port: u16,
    pub(super) listener: String,
    pub(super) route: String,
}

impl TestRequest {
    /// A `GET`.
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// A `POST`.
    pub fn post(target: &str) -> Self {
        Self::new("POST", target)
    }

    /// A request with any method.
    pub fn new(method: &str, target: &str) -> Self {
        let side = RequestSide {
            method: method.to_owned(),
            target: target.to_owned(),
            authority: "localhost".to_owned(),
            ..RequestSide::default()
        };
        Self {
            side,
            protocol: Protocol::Http2,
            scheme: Scheme::Https,
            client: address::DEFAULT_CLIENT,
            client_port: address::DEFAULT_CLIENT_PORT,
            listener: "test".to_owned(),
            route: "test".to_owned(),
        }
    }

    /// Adds a header, which may be any bytes. `host` sets the authority instead, as it does in production.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        if name.eq_ignore_ascii_case("host") {
            return self.authority(&String::from_utf8_lossy(value.as_ref()));
        }
        self.side.fields.arrive(name, value.as_ref());
        self
    }

    /// Sets host and port.
    #[must_use]
    pub fn authority(mut self, authority: &str) -> Self {
        self.side.authority = authority.to_owned();
        self
    }

    /// Sets the client's address.
    ///
    /// # Panics
    ///
    /// Where it is not an address.
    #[must_use]
    pub fn client(mut self, address: &str) -> Self {
        self.client = address::parse(address);
        self
    }

    /// Sets the client's port.
    #[must_use]
    pub fn client_port(mut self, port: u16) -> Self {
        self.client_port = port;
        self
    }

    /// Sets what the client speaks.
    #[must_use]
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Sets how the client reached the listener.
    #[must_use]
    pub fn scheme(mut self, scheme: Scheme) -> Self {
        self.scheme = scheme;
        self
    }

    /// Sets how the client came through TLS. Without it the plugin is told of none.
    #[must_use]
    pub fn tls(mut self, tls: TestTls) -> Self {
        self.side.tls = Some(tls);
        self
    }

    /// Sets the listener's name.
    #[must_use]
    pub fn listener(mut self, name: &str) -> Self {
        self.listener = name.to_owned();
        self
    }

    /// Sets the route's name; empty for none.
    #[must_use]
    pub fn route(mut self, name: &str) -> Self {
        self.route = name.to_owned();
        self
    }

    pub(super) fn method(&self) -> Method {
        let known = [
            Method::Get,
            Method::Head,
            Method::Post,
            Method::Put,
            Method::Delete,
            Method::Connect,
            Method::Options,
            Method::Trace,
            Method::Patch,
        ];
        known.into_iter().find(|method| method.text() == Some(&self.side.method)).unwrap_or(Method::Other)
    }

    /// The head as the host hands it over.
    pub(crate) fn head(&self, exchange: u64, hot_headers: &[String]) -> RequestHead {
        let side = &self.side;
        let mut text = [side.authority.as_bytes(), side.target.as_bytes()].concat();
        for name in hot_headers {
            match side.fields.first(name) {
                Some(value) => {
                    let has_more = side.fields.values(name).len() > 1;
                    text.extend((bytes(value.len()) | if has_more { MORE_VALUES } else { 0 }).to_le_bytes());
                    text.extend(value);
                }
                None => text.extend(u32::MAX.to_le_bytes()),
            }
        }
        RequestHead {
            exchange,
            method: self.method(),
            scheme: self.scheme,
            protocol: self.protocol,
            client: address::to_host(self.client),
            client_port: self.client_port,
            listener: names::number(&self.listener),
            route: names::number(&self.route),
            text,
            authority_bytes: bytes(side.authority.len()),
            path_bytes: bytes(side.target.find('?').unwrap_or(side.target.len())),
            target_bytes: bytes(side.target.len()),
        }
    }
}

/// In the length of a hot header: it has more values than the first.
const MORE_VALUES: u32 = 1 << 31;

fn bytes(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
