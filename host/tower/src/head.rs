//! Heads as servers have them and heads as filters see them. What is not a filter's matter is kept aside and put back.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, Uri};
use http::{request, response};
use palisade_contract::{RequestHead, ResponseHead, head};

/// The rest of a request's head.
#[derive(Debug)]
pub(crate) struct RequestRest {
    parts: request::Parts,
    reserved: Vec<(HeaderName, HeaderValue)>,
    authority: Option<HeaderValue>,
}

impl RequestRest {
    /// Cuts a request's head in two. None where it is not one that filters could judge: it has no path, or not one host.
    pub(crate) fn cut(mut parts: request::Parts) -> Option<(RequestHead, Self)> {
        let mut seen = request::Request::new(()).into_parts().0;
        seen.method = parts.method.clone();
        seen.uri = parts.uri.clone();
        seen.headers = std::mem::take(&mut parts.headers);
        let reserved = reserved(&seen.headers);
        let head = RequestHead::from_parts(seen)?;
        let authority = head.authority.clone();
        Some((head, Self { parts, reserved, authority }))
    }

    /// How many bytes of body the client has announced.
    pub(crate) fn version(&self) -> http::Version {
        self.parts.version
    }

    pub(crate) fn extensions(&self) -> &http::Extensions {
        &self.parts.extensions
    }

    /// Puts the head together again. A length that a body no longer has is not put back.
    pub(crate) fn join(self, head: RequestHead, length: Length) -> Option<request::Parts> {
        let Self { mut parts, reserved, authority } = self;
        let RequestHead { method, target, authority: asked, headers } = head;
        let is_same_authority = asked == authority;
        (parts.method, parts.headers) = (method, headers);
        let mut uri = parts.uri.into_parts();
        uri.path_and_query = Some(target);
        if uri.authority.is_some() && !is_same_authority {
            uri.authority = asked.as_ref().and_then(|asked| Authority::try_from(asked.as_bytes()).ok());
        }
        parts.uri = Uri::from_parts(uri).ok()?;
        put_back(&mut parts.headers, reserved, length);
        if let (Some(asked), true) = (asked, parts.headers.contains_key(header::HOST)) {
            parts.headers.insert(header::HOST, asked);
        }
        Some(parts)
    }
}

/// The rest of a response's head.
#[derive(Debug)]
pub(crate) struct ResponseRest {
    parts: response::Parts,
    reserved: Vec<(HeaderName, HeaderValue)>,
}

impl ResponseRest {
    pub(crate) fn cut(mut parts: response::Parts) -> (ResponseHead, Self) {
        let mut headers = std::mem::take(&mut parts.headers);
        let reserved = reserved(&headers);
        // How long the body is is no secret; filters cannot change it.
        for (name, _) in reserved.iter().filter(|(name, _)| *name != header::CONTENT_LENGTH) {
            headers.remove(name);
        }
        (ResponseHead { status: parts.status, headers }, Self { parts, reserved })
    }

    pub(crate) fn join(self, head: ResponseHead, length: Length) -> response::Parts {
        let Self { mut parts, reserved } = self;
        (parts.status, parts.headers) = (head.status, head.headers);
        put_back(&mut parts.headers, reserved, length);
        parts
    }
}

/// What is known of a body's length once filters have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// The body is what it was.
    Untouched,
    /// Filters have made it this long.
    Known(u64),
    /// Filters may make it any length.
    Unknown,
}

fn reserved(headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    let fields = headers.iter().filter(|(name, _)| head::is_reserved(name));
    fields.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn put_back(headers: &mut HeaderMap, reserved: Vec<(HeaderName, HeaderValue)>, length: Length) {
    headers.remove(header::CONTENT_LENGTH);
    for (name, value) in reserved {
        let frames = name == header::CONTENT_LENGTH || name == header::TRANSFER_ENCODING;
        if !frames || length == Length::Untouched {
            headers.append(name, value);
        }
    }
    if let Length::Known(length) = length {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
}
