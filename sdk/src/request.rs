//! The head of a request, as a [`RequestFilter`](crate::RequestFilter) sees and changes it.

use std::{borrow::Cow, net::IpAddr};

use crate::{
    ClientCertificate, Error, Exchange, HeadError, HeaderValue, HotHeader, Method, Name, Protocol, Scheme, Tls,
    bindings::request_filter::exports::palisade::plugin::request_filter::RequestHead, exchange, header,
    host::request as head_of,
};

/// The head of a request: complete, and nothing of it has been forwarded.
///
/// What the accessors without a name to look up give came with the call and costs nothing: method, addresses, names, the
/// authority, the target and hot headers. Everything else is one host call each.
///
/// A function that returns something borrowed from it names the borrow: `fn first<'a>(request: &'a Request) -> &'a str`.
#[derive(Debug)]
pub struct Request<'a> {
    head: &'a RequestHead,
    authority: Cow<'a, str>,
    target: Cow<'a, str>,
    path_bytes: usize,
    hot: &'a [u8],
}

impl<'a> Request<'a> {
    /// Takes the head apart, copying nothing.
    pub(crate) fn new(head: &'a RequestHead) -> Result<Self, Error> {
        let apart = || {
            let authority_bytes = length(head.authority_bytes)?;
            let bytes = authority_bytes.checked_add(length(head.target_bytes)?)?;
            let (text, hot) = head.text.split_at_checked(bytes)?;
            let (authority, target) = std::str::from_utf8(text).ok()?.split_at_checked(authority_bytes)?;
            let path_bytes = length(head.path_bytes).filter(|bytes| target.is_char_boundary(*bytes))?;
            Some(Self { head, authority: authority.into(), target: target.into(), path_bytes, hot })
        };
        apart().ok_or_else(|| Error::new("the request's authority and target are not text of the length announced"))
    }

    /// The number of this request and its response.
    pub fn exchange(&self) -> Exchange {
        Exchange::from_number(self.head.exchange)
    }

    /// The method (RFC 9110, section 9).
    pub fn method(&self) -> Method {
        self.head.method
    }

    /// The method's text. A host call for [`Method::Other`] only.
    pub fn method_text(&self) -> Cow<'static, str> {
        match self.head.method.text() {
            Some(text) => text.into(),
            None => head_of::method(self.head.exchange).into(),
        }
    }

    /// How the client reached the listener.
    pub fn scheme(&self) -> Scheme {
        self.head.scheme
    }

    /// What the client speaks.
    pub fn protocol(&self) -> Protocol {
        self.head.protocol
    }

    /// The client's address. IPv4 is IPv4, also on a socket that listens on both.
    pub fn client(&self) -> IpAddr {
        exchange::address(self.head.client)
    }

    /// The client's port.
    pub fn client_port(&self) -> u16 {
        self.head.client_port
    }

    /// How the client came through TLS; none in clear text. Needs the grant `"tls"`.
    pub fn tls(&self) -> Option<Tls> {
        Tls::at_hand()
    }

    /// The client's certificate; none where it has shown none. Needs the grant `"tls"`.
    pub fn client_certificate(&self) -> Option<ClientCertificate> {
        ClientCertificate::at_hand()
    }

    /// The listener that the request came to.
    pub fn listener(&self) -> Name {
        Name::from_number(self.head.listener)
    }

    /// The route that was chosen. None where no route matches: the host answers 404 unless a plugin answers first.
    pub fn route(&self) -> Option<Name> {
        Name::some(self.head.route)
    }

    /// Host and port as the client wrote them, or as [`Request::set_authority`] left them; may be empty.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The authority without its port, in lower case. An IPv6 address keeps its brackets.
    pub fn host(&self) -> Cow<'_, str> {
        let digits = self.authority.bytes().rev().take_while(u8::is_ascii_digit).count();
        let host = self.authority.get(..self.authority.len() - digits).and_then(|before| before.strip_suffix(':'));
        let host = host.unwrap_or(&self.authority);
        if host.bytes().any(|byte| byte.is_ascii_uppercase()) { host.to_ascii_lowercase().into() } else { host.into() }
    }

    /// Path and query as the client wrote them, or as [`Request::set_target`] left them.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The target up to the `?`. It is not decoded: `%2F` is not `/` here.
    pub fn path(&self) -> &str {
        self.target.get(..self.path_bytes).unwrap_or_default()
    }

    /// The target after the `?`, or none without one.
    pub fn query(&self) -> Option<&str> {
        self.target.get(self.path_bytes..)?.strip_prefix('?')
    }

    /// The first value of a hot header, as it was when this filter was called. No host call.
    pub fn hot(&self, header: HotHeader) -> Option<&'a [u8]> {
        self.hot_value(header).map(|value| value.bytes)
    }

    /// The first value of a hot header, and whether there are more of them: [`Request::header_values`] gives all. No host call.
    pub fn hot_value(&self, header: HotHeader) -> Option<HotValue<'a>> {
        let mut rest = self.hot;
        for _ in 0..header.index() {
            (_, rest) = first_hot(rest)?;
        }
        first_hot(rest)?.0
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

    /// The first cookie of this name, as it was sent. None where it is not UTF-8.
    pub fn cookie(&self, name: &str) -> Option<String> {
        header::cookie(&head_of::header_values(self.head.exchange, "cookie"), name)
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

    /// Replaces path and query: origin-form (RFC 9112, section 3.2.1). The route stays as it was chosen.
    ///
    /// # Errors
    ///
    /// As [`HeadError`] says; the head is as it was before.
    pub fn set_target(&mut self, target: &str) -> Result<(), HeadError> {
        head_of::set_target(self.head.exchange, target.as_bytes())?;
        self.path_bytes = target.find('?').unwrap_or(target.len());
        self.target = Cow::Owned(target.to_owned());
        Ok(())
    }

    /// Replaces host and port: what the endpoint sees as `Host` or `:authority`. The route stays as it was chosen.
    ///
    /// # Errors
    ///
    /// As [`HeadError`] says; the head is as it was before.
    pub fn set_authority(&mut self, authority: &str) -> Result<(), HeadError> {
        head_of::set_authority(self.head.exchange, authority.as_bytes())?;
        self.authority = Cow::Owned(authority.to_owned());
        Ok(())
    }
}

/// What came of a hot header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HotValue<'a> {
    /// The first value.
    pub bytes: &'a [u8],
    /// Whether there are values after it.
    pub has_more: bool,
}

impl Method {
    /// The method's text, or none for [`Method::Other`].
    pub const fn text(self) -> Option<&'static str> {
        match self {
            Self::Get => Some("GET"),
            Self::Head => Some("HEAD"),
            Self::Post => Some("POST"),
            Self::Put => Some("PUT"),
            Self::Delete => Some("DELETE"),
            Self::Connect => Some("CONNECT"),
            Self::Options => Some("OPTIONS"),
            Self::Trace => Some("TRACE"),
            Self::Patch => Some("PATCH"),
            Self::Other => None,
        }
    }
}

fn length(bytes: u32) -> Option<usize> {
    usize::try_from(bytes).ok()
}

/// The hot header at the front, and what comes after it: a length as little-endian u32, then so many bytes; `0xffffffff`
/// and no bytes where the request has no such header.
fn first_hot(text: &[u8]) -> Option<(Option<HotValue<'_>>, &[u8])> {
    let (length, rest) = text.split_first_chunk()?;
    match u32::from_le_bytes(*length) {
        u32::MAX => Some((None, rest)),
        length => {
            let (bytes, rest) = rest.split_at_checked(self::length(length & !MORE_VALUES)?)?;
            Some((Some(HotValue { bytes, has_more: length & MORE_VALUES != 0 }), rest))
        }
    }
}

/// In the length of a hot header: it has more values than the first.
const MORE_VALUES: u32 = 1 << 31;

#[cfg(test)]
mod tests;
