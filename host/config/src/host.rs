//! Which hosts a route is for.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::text::{Form, Value};

/// One entry of a route's `host`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This host alone: a name in lower case, an IPv4 address, or an IPv6 address as RFC 5952 writes it, in brackets. No
    /// port.
    Exact(String),
    /// Every host that ends in this and is longer. It starts with a dot: `*.example.com` is `.example.com` here.
    Suffix(String),
}

impl HostPattern {
    pub(crate) fn read(value: &Value<'_>) -> Option<Self> {
        let text = value.text(HOST)?.to_ascii_lowercase();
        if let Some(reason) = mistake(&text) {
            return value.refuse(format!("{} {reason}", value.found()));
        }
        if let Some(suffix) = text.strip_prefix('*').filter(|suffix| suffix.strip_prefix('.').is_some_and(is_name)) {
            return Some(Self::Suffix(suffix.to_owned()));
        }
        if let Some(address) = bracketed(&text) {
            return Some(Self::Exact(format!("[{address}]")));
        }
        if is_name(&text) { Some(Self::Exact(text)) } else { value.is_not(HOST) }
    }
}

/// A host name as in a certificate (RFC 5890, section 2.3.1, with underscores) or an IPv4 address; in lower case.
pub(crate) fn is_name(text: &str) -> bool {
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    let is_address = text.parse::<Ipv4Addr>().is_ok();
    let last_is_number = text.rsplit('.').next().is_some_and(is_number);
    text.len() <= NAME_BYTES_MAX && text.split('.').all(is_label) && (is_address || !last_is_number)
}

fn is_label(label: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    (1..=LABEL_BYTES_MAX).contains(&label.len())
        && label.bytes().all(is_inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn bracketed(text: &str) -> Option<Ipv6Addr> {
    text.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

/// What is often written in place of a host.
fn mistake(text: &str) -> Option<&'static str> {
    if text == "*" {
        return Some("is every host: leave the key out instead");
    }
    if text.contains("://") {
        return Some("is a URL: expected the host alone");
    }
    if !text.is_ascii() {
        return Some("is not ASCII: expected its form that begins with \"xn--\"");
    }
    if text.ends_with('.') {
        return Some("ends in a dot: expected the name without it");
    }
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let (host, port) = text.rsplit_once(':')?;
    let has_port = is_port(port) && (bracketed(host).is_some() || !host.contains(':'));
    has_port.then_some("has a port: expected the host alone")
}

const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;
const HOST: Form = Form { noun: "a host", expected: "a name, such as \"www.example.com\" or \"*.example.com\"" };
