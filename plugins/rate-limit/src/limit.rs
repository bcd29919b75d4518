//! One limit: which requests it is for, whom it tells apart, and what it comes to for one more.

use std::time::Duration;

use palisade_sdk::prelude::*;

use crate::{
    key::{By, HotHeaders, KeyMaker, Prefixes},
    path::is_at_or_below,
    rate::{FILL_MAX, REQUESTS_MAX, Rate, Standing},
    settings::LimitSettings,
};

/// A limit at work.
#[derive(Debug)]
pub(crate) struct Limit {
    pub(crate) name: String,
    /// Its item of `RateLimit-Policy`.
    pub(crate) policy: String,
    rate: Rate,
    keys: KeyMaker,
    methods: Vec<String>,
    paths: Vec<String>,
    allowed: Counter,
    limited: Counter,
}

/// What a limit is asked about.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) request: &'a Request<'a>,
    /// As [`crate::path`] reads it; empty where no limit looks at it.
    pub(crate) path: &'a str,
}

/// How often a count is tried again that others changed meanwhile. Each of these times one of them has counted.
const TRIES_MAX: usize = 100;

impl Limit {
    /// The limits of the settings, which are checked.
    ///
    /// # Errors
    /// A sentence that names the setting.
    pub(crate) fn all(settings: Vec<LimitSettings>, host: &mut Setup) -> Result<Vec<Self>, Error> {
        let allowed = host.counter_with("allowed_total", "Requests that a limit let pass.", &["limit"]);
        let limited = host.counter_with("limited_total", "Requests that a limit refused.", &["limit"]);
        if settings.is_empty() || settings.len() > LIMITS_MAX {
            return Err(Error::setting("limits", format!("are {}: expected 1 to {LIMITS_MAX}", settings.len())));
        }
        let mut limits: Vec<Self> = Vec::with_capacity(settings.len());
        let mut headers = HotHeaders::default();
        for (index, one) in settings.into_iter().enumerate() {
            let at = |key: &str| format!("limits[{index}].{key}");
            if limits.iter().any(|limit| limit.name == one.name) {
                return Err(Error::setting(at("name"), format!("{:?} is the name of another limit already", one.name)));
            }
            let rate = check(&one).map_err(|(key, message)| Error::setting(at(key), message))?;
            let prefixes = Prefixes { ipv4: one.ipv4_prefix, ipv6: one.ipv6_prefix };
            limits.push(Self {
                policy: format!("\"{}\";q={};w={}", one.name, rate.quota(), crate::fields::seconds(rate.window())),
                rate,
                keys: KeyMaker::new(&one.name, one.by, prefixes, (&mut headers, host)),
                methods: one.methods,
                paths: one.paths,
                allowed: allowed.with(&[&one.name]),
                limited: limited.with(&[&one.name]),
                name: one.name,
            });
        }
        Ok(limits)
    }

    pub(crate) fn looks_at_path(&self) -> bool {
        !self.paths.is_empty() || self.keys.looks_at_path()
    }

    /// Whether the request is one of those that it limits.
    pub(crate) fn is_for(&self, subject: &Subject<'_>) -> bool {
        let request = subject.request;
        let of_method = self.methods.is_empty() || self.methods.iter().any(|method| *method == request.method_text());
        of_method && (self.paths.is_empty() || self.paths.iter().any(|path| is_at_or_below(subject.path, path)))
    }

    /// Counts one more request of a client.
    ///
    /// # Errors
    /// What is shared cannot be asked, or others changed the count more often than it is tried.
    pub(crate) fn take(&self, subject: &Subject<'_>, now: Duration) -> Result<Standing, Error> {
        let standing = self.count(&self.keys.key(subject), now)?;
        let counter = if standing.wait.is_none() { self.allowed } else { self.limited };
        counter.add(1);
        Ok(standing)
    }

    fn count(&self, key: &[u8], now: Duration) -> Result<Standing, Error> {
        let counter = SharedCounter::at(key);
        let mut counted = counter.get()?;
        for _ in 0..TRIES_MAX {
            let step = self.rate.step(counted, now);
            let Some(next) = step.next else { return Ok(step.standing) };
            // A client that has everything left again is one that never asked.
            match counter.expiring(step.standing.full_in).compare_and_set(counted, next)? {
                Exchanged::Done => return Ok(step.standing),
                Exchanged::Found(other) => counted = other,
            }
        }
        Err(Error::new(format!("{:?} is counted by others all the time: tried {TRIES_MAX} times", self.name)))
    }
}

/// A problem: the key of the limit's settings, and what is wrong there.
type Problem = (&'static str, String);

fn check(limit: &LimitSettings) -> Result<Rate, Problem> {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if limit.name.is_empty() || limit.name.len() > 63 || !limit.name.bytes().all(is_inner) {
        let expected = "expected at most 63 lower-case letters, digits or hyphens";
        return Err(("name", format!("{:?} is not a name: {expected}", limit.name)));
    }
    if limit.by.is_empty() || limit.by.len() > BY_MAX {
        return Err(("by", format!("has {} entries: expected 1 to {BY_MAX}", limit.by.len())));
    }
    if let Some(By::Header(name) | By::Cookie(name)) = limit.by.iter().find(|by| !is_named(by)) {
        return Err(("by", format!("{name:?} is not the name of a header or a cookie")));
    }
    if limit.ipv4_prefix > 32 {
        return Err(("ipv4_prefix", format!("{} is out of range: expected 0 to 32", limit.ipv4_prefix)));
    }
    if limit.ipv6_prefix > 128 {
        return Err(("ipv6_prefix", format!("{} is out of range: expected 0 to 128", limit.ipv6_prefix)));
    }
    if let Some(path) = limit.paths.iter().find(|path| !path.starts_with('/')) {
        return Err(("paths", format!("{path:?} does not begin with \"/\"")));
    }
    if let Some(method) = limit.methods.iter().find(|method| !is_token(method)) {
        return Err(("methods", format!("{method:?} is not a method")));
    }
    rate(limit)
}

fn rate(limit: &LimitSettings) -> Result<Rate, Problem> {
    let in_range = |key: &'static str, count: u32| match count {
        1..=REQUESTS_MAX => Ok(count),
        _ => Err((key, format!("{count} is out of range: expected 1 to {REQUESTS_MAX}"))),
    };
    let (requests, period) = (in_range("requests", limit.requests)?, limit.per.0);
    let Some(burst) = limit.burst else { return Ok(Rate::Window { requests, period }) };
    let rate = Rate::Bucket { burst: in_range("burst", burst)?, interval: period / requests };
    if rate.window() > FILL_MAX {
        return Err((
            "burst",
            format!("{burst} would take {} s to come again: expected a week at most", rate.window().as_secs()),
        ));
    }
    Ok(rate)
}

fn is_named(by: &By) -> bool {
    match by {
        By::Client | By::Path => true,
        By::Header(name) | By::Cookie(name) => is_token(name),
    }
}

/// A token (RFC 9110, section 5.6.2), which methods and the names of headers and cookies are.
fn is_token(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.len() <= 128 && text.bytes().all(is_letter)
}

const LIMITS_MAX: usize = 64;
const BY_MAX: usize = 4;
