//! Method names, in; whether a request's method is among them, out. Methods are case-sensitive (RFC 9110, section 9.1).

use palisade_sdk::{Method, Request};
use schemars::JsonSchema;
use serde::Deserialize;

/// A method as settings name it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub(crate) struct MethodName(String);

impl TryFrom<String> for MethodName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if !is_token(&text) {
            return Err(format!("{text:?} is not a method"));
        }
        let upper = text.to_ascii_uppercase();
        if upper != text && KNOWN.iter().any(|method| method.text() == Some(&upper)) {
            return Err(format!("{text:?} is not a method: they are case-sensitive, did you mean {upper:?}?"));
        }
        Ok(Self(text))
    }
}

/// Whether the text is a token (RFC 9110, section 5.6.2), which methods and header names are.
pub(crate) fn is_token(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(letter)
}

/// Methods. Looking up one that has a number in [`Method`] is one comparison; the others cost a host call for their
/// text.
#[derive(Debug)]
pub(crate) struct MethodSet {
    known: Vec<Method>,
    other: Vec<String>,
}

impl MethodSet {
    /// Collects the names.
    pub(crate) fn new(names: impl IntoIterator<Item = MethodName>) -> Self {
        let mut set = Self { known: Vec::new(), other: Vec::new() };
        for MethodName(name) in names {
            match KNOWN.iter().find(|method| method.text() == Some(&name)) {
                Some(method) => set.known.push(*method),
                None => set.other.push(name),
            }
        }
        set
    }

    /// Whether the request's method is among them.
    pub(crate) fn contains_that_of(&self, request: &Request<'_>) -> bool {
        match request.method() {
            Method::Other => !self.other.is_empty() && self.other.iter().any(|name| *name == request.method_text()),
            method => self.known.contains(&method),
        }
    }
}

const KNOWN: [Method; 9] = [
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(), &str>) {
        let found = MethodName::try_from(text.to_owned());
        assert_eq!(found.map(|_| ()), expected.map_err(str::to_owned), "{text}");
    }

    #[test]
    fn a_method_is_a_token() {
        check("GET", Ok(()));
        check("PROPFIND", Ok(()));
        check("x-custom", Ok(()));
        check("", Err("\"\" is not a method"));
        check("GET ", Err("\"GET \" is not a method"));
    }

    #[test]
    fn a_known_method_in_the_wrong_case_is_a_mistake() {
        check("get", Err("\"get\" is not a method: they are case-sensitive, did you mean \"GET\"?"));
    }
}
