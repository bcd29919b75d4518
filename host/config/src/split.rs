//! Requests of one route that go to several upstreams, each with its share: `upstream` as a list, and `sticky`.

use std::time::Duration;

use crate::{
    duration,
    text::{Form, Seen, Value},
};

/// The upstreams of a route that has several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// 2 to 16, each upstream once; at least one weight is not zero.
    pub shares: Vec<Share>,
    /// What a client's next request goes by; none is chance each time.
    pub sticky: Option<Sticky>,
}

/// One upstream's share of a route's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Index into the config's upstreams.
    pub upstream: usize,
    /// Its share relative to the others: 0 to 1,000,000.
    pub weight: u32,
}

/// What makes a client's requests go to the upstream that its first one went to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sticky {
    /// A cookie that the host sets.
    Cookie {
        /// Its name, a token (RFC 6265, section 4.1.1).
        name: String,
        /// How long clients keep it; none is until they end.
        max_age: Option<Duration>,
    },
    /// The client's address.
    Client,
}

/// Reads a list of upstreams, each of which is found by this.
pub(crate) fn shares(value: &Value<'_>, find: impl Fn(&Value<'_>) -> Option<usize>) -> Option<Vec<Share>> {
    let elements = value.list(SHARES)?;
    if !(2..=SHARES_MAX).contains(&elements.len()) {
        return value.refuse(format!("holds {} upstreams: expected 2 to {SHARES_MAX}", elements.len()));
    }
    let mut seen = Seen::default();
    let mut shares = Vec::with_capacity(elements.len());
    for element in &elements {
        let Some(mut table) = element.table("an upstream's share") else { continue };
        let upstream = table.required("name", |name| {
            let upstream = find(&name)?;
            match seen.insert(upstream, &name) {
                Ok(()) => Some(upstream),
                Err(first) => name.refuse(format!("{} is {first} already", name.found())),
            }
        });
        let weight = table.required("weight", |value| value.whole(0..=1_000_000));
        table.finish();
        shares.extend(upstream.zip(weight).map(|(upstream, weight)| Share { upstream, weight }));
    }
    if shares.len() == elements.len() && shares.iter().all(|share| share.weight == 0) {
        return value.refuse("has no weight that is not zero: expected one");
    }
    Some(shares)
}

impl Sticky {
    pub(crate) fn read(value: &Value<'_>) -> Option<Self> {
        if !value.raw().is_table() {
            return value.choice("what requests stick to", &[("client", ())]).map(|()| Self::Client);
        }
        let mut table = value.table("sticky")?;
        let name = table.required("cookie", |value| cookie(&value));
        let max_age = table.optional("max_age", |value| {
            duration::read(&value, Duration::from_secs(1)..=Duration::from_secs(365 * 24 * 3_600))
        });
        table.finish();
        Some(Self::Cookie { name: name?, max_age })
    }
}

fn cookie(value: &Value<'_>) -> Option<String> {
    let text = value.text(COOKIE)?;
    let is_token = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
    if is_token && (1..=64).contains(&text.len()) { Some(text.to_owned()) } else { value.is_not(COOKIE) }
}

const SHARES_MAX: usize = 16;
const SHARES: Form = Form {
    noun: "a name or a list",
    expected: "an upstream, or several with their shares, such as [{ name = \"web\", weight = 95 }, …]",
};
const COOKIE: Form = Form { noun: "a cookie's name", expected: "1 to 64 letters, digits or signs, such as \"canary\"" };
