//! `health` of an upstream: what its endpoints are asked from time to time, and which answers are good.

use std::{ops::RangeInclusive, time::Duration};

use crate::{
    duration,
    text::{Form, Table, Value},
};

/// What endpoints are asked from time to time, to know whether they can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is asked.
    pub ask: HealthAsk,
    /// Where, if not at the endpoint's own port.
    pub port: Option<u16>,
    /// From one check of an endpoint to the next: 100 ms to 1 h.
    pub interval: Duration,
    /// At most this much is added to each interval, by chance, so that checks do not come all at once.
    pub jitter: Duration,
    /// How long one check may take: 1 ms to 1 h.
    pub timeout: Duration,
    /// Checks in a row that an endpoint which is down has to pass: 1 to 100.
    pub rise: u32,
    /// Checks in a row that an endpoint which is up has to fail: 1 to 100.
    pub fall: u32,
}

/// What a check asks, and what it wants to hear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthAsk {
    /// A request, over the upstream's TLS and protocol.
    Http {
        /// The target, with its query.
        path: String,
        /// The Host; none is the endpoint's own address.
        host: Option<String>,
        /// Good statuses.
        status: Vec<RangeInclusive<u16>>,
        /// What the first 64 KiB of the body must have in them.
        body: Option<String>,
    },
    /// A connection.
    Tcp,
    /// A TLS handshake, with everything that is checked of an endpoint.
    Tls,
    /// A login at MySQL or MariaDB without a password, and a question.
    Mysql {
        /// Who logs in.
        user: String,
        /// Whether it has to be a synced node of a Galera cluster's primary component.
        galera: bool,
        /// Whether it has to take writes.
        writable: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Http,
    Tcp,
    Tls,
    Mysql,
}

/// Whether the upstream has TLS, as far as that can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secured {
    Yes,
    No,
}

impl HealthCheck {
    pub(crate) fn read(value: &Value<'_>, secured: Secured) -> Option<Self> {
        let mut table = value.table("a health check")?;
        let kinds = [("http", Kind::Http), ("tcp", Kind::Tcp), ("tls", Kind::Tls), ("mysql", Kind::Mysql)];
        let kind = table.required("check", |value| {
            let kind = value.choice("a check", &kinds)?;
            if kind == Kind::Tls && secured == Secured::No {
                return value.refuse("is of a handshake: expected the upstream's tls beside it");
            }
            Some(kind)
        });
        let ask = ask(&mut table, kind);
        let port = table.optional("port", |value| value.whole(1..=u16::MAX));
        let interval = table.or("interval", Duration::from_secs(5), |value| {
            duration::read(&value, Duration::from_millis(100)..=Duration::from_secs(3_600))
        });
        let jitter = table
            .or("jitter", interval / 10, |value| duration::read(&value, Duration::ZERO..=Duration::from_secs(3_600)));
        let timeout = table.or("timeout", Duration::from_secs(2).min(interval), duration::timeout);
        let rise = table.or("rise", 2, |value| value.whole(1..=100));
        let fall = table.or("fall", 2, |value| value.whole(1..=100));
        table.finish();
        Some(Self { ask: ask?, port, interval, jitter, timeout, rise, fall })
    }
}

/// What is asked. The keys of another check have no place beside it.
fn ask(table: &mut Table<'_>, kind: Option<Kind>) -> Option<HealthAsk> {
    let is_http = |value: &Value<'_>| fits(value, kind, (Kind::Http, "http"));
    let is_mysql = |value: &Value<'_>| fits(value, kind, (Kind::Mysql, "mysql"));
    let path = table.optional("path", |value| is_http(&value).and_then(|()| self::path(&value)));
    let host = table.optional("host", |value| is_http(&value).and_then(|()| self::host(&value)));
    let status = table.optional("status", |value| is_http(&value).and_then(|()| statuses(&value)));
    let body = table.optional("body", |value| is_http(&value).and_then(|()| self::body(&value)));
    let user = table.optional("user", |value| is_mysql(&value).and_then(|()| self::user(&value)));
    let galera = table.optional("galera", |value| is_mysql(&value).and_then(|()| value.boolean()));
    let writable = table.optional("writable", |value| is_mysql(&value).and_then(|()| value.boolean()));
    Some(match kind? {
        Kind::Http => HealthAsk::Http {
            path: path.unwrap_or_else(|| "/".to_owned()),
            host,
            status: status.unwrap_or_else(|| vec![200..=399]),
            body,
        },
        Kind::Tcp => HealthAsk::Tcp,
        Kind::Tls => HealthAsk::Tls,
        Kind::Mysql => HealthAsk::Mysql {
            user: user.unwrap_or_else(|| "monitor".to_owned()),
            galera: galera.unwrap_or(true),
            writable: writable.unwrap_or(true),
        },
    })
}

fn fits(value: &Value<'_>, kind: Option<Kind>, (wanted, name): (Kind, &str)) -> Option<()> {
    match kind {
        // What is wrong with the kind is told already.
        None => Some(()),
        Some(kind) if kind == wanted => Some(()),
        Some(_) => value.refuse(format!("is of another check: expected check = \"{name}\" beside it")),
    }
}

fn path(value: &Value<'_>) -> Option<String> {
    let text = value.text(PATH)?;
    let fits = text.starts_with('/') && text.len() <= 2_048 && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits && !text.contains('#') { Some(text.to_owned()) } else { value.is_not(PATH) }
}

fn host(value: &Value<'_>) -> Option<String> {
    let text = value.text(HOST)?;
    let is_of_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    let fits = (1..=255).contains(&text.len()) && text.bytes().all(is_of_host);
    if fits { Some(text.to_owned()) } else { value.is_not(HOST) }
}

fn body(value: &Value<'_>) -> Option<String> {
    let text = value.text(BODY)?;
    if (1..=1_024).contains(&text.len()) { Some(text.to_owned()) } else { value.is_not(BODY) }
}

fn user(value: &Value<'_>) -> Option<String> {
    let text = value.text(USER)?;
    let fits = (1..=80).contains(&text.len()) && !text.chars().any(char::is_control);
    if fits { Some(text.to_owned()) } else { value.is_not(USER) }
}

/// Reads statuses: numbers and ranges of them.
pub(crate) fn statuses(value: &Value<'_>) -> Option<Vec<RangeInclusive<u16>>> {
    let elements = value.list(STATUSES)?;
    if elements.is_empty() || elements.len() > STATUSES_MAX {
        return value.refuse(format!("holds {} statuses: expected 1 to {STATUSES_MAX}", elements.len()));
    }
    let ranges: Vec<_> = elements.iter().filter_map(status).collect();
    (ranges.len() == elements.len()).then_some(ranges)
}

fn status(value: &Value<'_>) -> Option<RangeInclusive<u16>> {
    let Some(text) = value.raw().as_str() else {
        return value.whole(100..=599).map(|status| status..=status);
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let is_status = |status: &u16| (100..=599).contains(status);
    let parse = |text: &str| text.parse().ok().filter(is_status);
    match (parse(first), parse(last)) {
        (Some(first), Some(last)) if first <= last => Some(first..=last),
        _ => value.is_not(STATUS),
    }
}

const STATUSES_MAX: usize = 100;
const STATUSES: Form = Form { noun: "a list", expected: "statuses, such as [200, \"300-399\"]" };
const STATUS: Form = Form { noun: "a status", expected: "100 to 599, or a range such as \"200-299\"" };
const PATH: Form = Form { noun: "a path", expected: "one that begins with \"/\", such as \"/healthz\"" };
const HOST: Form = Form { noun: "a host", expected: "a name with or without a port, such as \"www.example.com\"" };
const BODY: Form = Form { noun: "a part of a body", expected: "1 to 1024 bytes of text" };
const USER: Form = Form { noun: "a user", expected: "1 to 80 bytes of text, such as \"monitor\"" };
