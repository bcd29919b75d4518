//! A request that was sent, kept for as long as it may have to go out again.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Extensions, Method, Request, Uri, Version};

use crate::body::RequestBody;

/// A request that may have to go out again. Most do not, so its fields are kept in one piece of memory, and made fields again
/// only where they are wanted: copying a map of them costs five times as much.
pub(super) struct Spare {
    method: Method,
    uri: Uri,
    version: Version,
    fields: Fields,
    extensions: Extensions,
    body: RequestBody,
}

impl Spare {
    /// The same request, where its body can be sent again.
    pub(super) fn of(request: &Request<RequestBody>) -> Option<Self> {
        Some(Self {
            body: request.body().again()?,
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            fields: Fields::of(request.headers()),
            extensions: request.extensions().clone(),
        })
    }

    /// The request once more; none where its body has gone too far.
    pub(super) fn request(&self) -> Option<Request<RequestBody>> {
        let mut again = Request::new(self.body.again()?);
        again.method_mut().clone_from(&self.method);
        again.uri_mut().clone_from(&self.uri);
        *again.version_mut() = self.version;
        *again.headers_mut() = self.fields.map();
        again.extensions_mut().clone_from(&self.extensions);
        Some(again)
    }

    pub(super) fn headers(&self) -> HeaderMap {
        self.fields.map()
    }

    pub(super) fn body(&self) -> &RequestBody {
        &self.body
    }
}

/// Fields in the order of their map, each behind the lengths of its name and value, and whether it is sensitive.
struct Fields(Vec<u8>);

/// Most heads are shorter.
const USUAL_BYTES: usize = 1 << 10;

impl Fields {
    fn of(headers: &HeaderMap) -> Self {
        let mut kept = Vec::with_capacity(USUAL_BYTES);
        for (name, value) in headers {
            let (name, is_sensitive) = (name.as_str().as_bytes(), u8::from(value.is_sensitive()));
            // Names are bounded by 64 KiB and heads by far less than four gigabytes.
            let [n0, n1] = u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes();
            let [v0, v1, v2, v3] = u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes();
            kept.extend_from_slice(&[n0, n1, v0, v1, v2, v3, is_sensitive]);
            kept.extend_from_slice(name);
            kept.extend_from_slice(value.as_bytes());
        }
        Self(kept)
    }

    fn map(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut rest = self.0.as_slice();
        while let Some((name, value, after)) = field(rest) {
            headers.append(name, value);
            rest = after;
        }
        headers
    }
}

fn field(kept: &[u8]) -> Option<(HeaderName, HeaderValue, &[u8])> {
    let (name_bytes, rest) = kept.split_first_chunk::<2>()?;
    let (value_bytes, rest) = rest.split_first_chunk::<4>()?;
    let (is_sensitive, rest) = rest.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*name_bytes)))?;
    let (value, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*value_bytes)).ok()?)?;
    let mut value = HeaderValue::from_bytes(value).ok()?;
    value.set_sensitive(*is_sensitive != 0);
    Some((HeaderName::from_bytes(name).ok()?, value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back_as_they_were() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("host", "a"), ("x-own", "1"), ("cookie", "a=1"), ("x-own", ""), ("accept", "*/*")] {
            let mut value = HeaderValue::from_static(value);
            value.set_sensitive(name == "cookie");
            headers.append(HeaderName::from_static(name), value);
        }
        headers.append("x-bytes", HeaderValue::from_bytes(b"\xff\t ").expect("a value"));
        let again = Fields::of(&headers).map();
        assert_eq!(again, headers);
        assert!(again["cookie"].is_sensitive() && !again["host"].is_sensitive());
        assert_eq!(again.get_all("x-own").iter().collect::<Vec<_>>(), ["1", ""]);
        assert_eq!(Fields::of(&HeaderMap::new()).map(), HeaderMap::new());
    }
}
