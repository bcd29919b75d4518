//! Which requests of a listener go to which upstream.

use crate::{
    ChainEntry, HostPattern, ListenerProtocol, Mirror, Share, Split, Sticky, Streams,
    listener::IS_TCP,
    name,
    scope::Scope,
    split,
    text::{Form, Seen, Value},
};

/// One `[[listener.route]]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Unique in the whole config. By default the listener's name, a slash and the position from 0: `public/0`.
    pub name: String,
    /// The hosts that it is for, or over TCP the names that clients ask for within TLS (RFC 6066, section 3); empty is every
    /// host.
    pub hosts: Vec<HostPattern>,
    /// The path that it is for, with everything below it: `/api` is for `/api` and `/api/x`, not for `/apis`. Starts
    /// with a slash and ends in none, but for `/` itself, which is for every path.
    pub path: String,
    /// Index into the config's upstreams; of several, the first.
    pub upstream: usize,
    /// Indices of the upstreams that a plugin may send a connection to instead, over TCP: none to 16.
    pub alternatives: Vec<usize>,
    /// Where there are several.
    pub split: Option<Split>,
    /// Who gets copies of its requests.
    pub mirror: Option<Mirror>,
    /// In order: the route's own chain, or else the listener's.
    pub chain: Vec<ChainEntry>,
    /// What exchanges may do that last.
    pub streams: Streams,
}

/// What the routes of one listener share while they are read.
#[derive(Debug)]
pub(crate) struct Routes<'a> {
    pub(crate) listener: &'a str,
    pub(crate) carries: Carries,
    pub(crate) chain: &'a [ChainEntry],
    pub(crate) taken: Seen<(Option<HostPattern>, String)>,
}

/// What the listener's connections carry, as far as its routes mind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carries {
    Http,
    /// Bytes over TCP, within TLS that ends here.
    Decrypted,
    /// Bytes over TCP as they are: what of them is TLS does not end here.
    AsIs,
}

impl Carries {
    pub(crate) fn of(protocol: ListenerProtocol, says_tls: bool) -> Self {
        match (protocol, says_tls) {
            (ListenerProtocol::Http, _) => Self::Http,
            (ListenerProtocol::Tcp, true) => Self::Decrypted,
            (ListenerProtocol::Tcp, false) => Self::AsIs,
        }
    }
}

impl Route {
    pub(crate) fn read(
        value: &Value<'_>,
        position: usize,
        routes: &mut Routes<'_>,
        scope: &mut Scope<'_>,
    ) -> Option<Self> {
        let mut table = value.table("a route")?;
        let name = table.optional("name", |value| name::read_unique(&value, &mut scope.route_names));
        let hosts = table.or("host", Vec::new(), |value| hosts(&value));
        let path = if routes.carries == Carries::Http { table.optional("path", path) } else { None };
        let path = path.unwrap_or_else(|| "/".to_owned());
        let encrypts =
            if routes.carries == Carries::AsIs && !hosts.is_empty() { Encrypts::No } else { Encrypts::Maybe };
        let shares = table.required("upstream", |value| {
            if value.raw().is_array() {
                return split::shares(&value, |name| upstream(name, encrypts, scope));
            }
            Some(vec![Share { upstream: upstream(&value, encrypts, scope)?, weight: 1 }])
        });
        let sticky = table.optional("sticky", |value| sticky(&value, shares.as_deref(), routes.carries));
        let chain = table.optional("chain", |value| scope.chain(&value));
        let (mut alternatives, mut mirror) = (Vec::new(), None);
        let streams = if routes.carries == Carries::Http {
            table.refuse_all(
                ["alternatives"],
                "is for listeners with protocol = \"tcp\": requests go to the route's upstream",
            );
            mirror = table.optional("mirror", |value| Mirror::read(&value, scope));
            Streams::read(&mut table)
        } else {
            table.refuse_all(OF_HTTP, IS_TCP);
            alternatives = table.or("alternatives", Vec::new(), |value| self::alternatives(&value, encrypts, scope));
            Streams::of_tcp(&mut table)
        };
        table.finish();
        routes.take(value, &hosts, &path);
        let shares = shares?;
        Some(Self {
            name: name.unwrap_or_else(|| format!("{}/{position}", routes.listener)),
            hosts: hosts.into_iter().map(|(host, _)| host).collect(),
            path,
            upstream: shares.first()?.upstream,
            alternatives,
            split: (shares.len() > 1).then_some(Split { shares, sticky }),
            mirror,
            chain: chain.unwrap_or_else(|| routes.chain.to_vec()),
            streams,
        })
    }
}

/// What requests stick to, where they go to several upstreams.
fn sticky(value: &Value<'_>, shares: Option<&[Share]>, carries: Carries) -> Option<Sticky> {
    let sticky = Sticky::read(value)?;
    if shares.is_some_and(|shares| shares.len() < 2) {
        return value.refuse(
            "is of use with several upstreams alone: expected upstream = [{ name = …, weight = … }, …] beside it",
        );
    }
    if carries != Carries::Http && matches!(sticky, Sticky::Cookie { .. }) {
        return value.refuse("cookies are of HTTP: expected \"client\"");
    }
    Some(sticky)
}

/// What only a listener of HTTP knows of its routes.
const OF_HTTP: [&str; 6] = ["path", "mirror", "upgrades", "body_timeout", "response_timeout", "total_timeout"];

const DOUBLE_TLS: &str = "has tls, and the route's clients bring their own, which is passed on as it is: expected an upstream \
                          with tls = false, or tls on the listener, which then ends here";

impl Routes<'_> {
    /// Keeps what a route is for; reports what another one is for already.
    fn take(&mut self, route: &Value<'_>, hosts: &[(HostPattern, Value<'_>)], path: &str) {
        if hosts.is_empty()
            && let Err(first) = self.taken.insert((None, path.to_owned()), route)
        {
            route.refuse::<()>(format!("is for every host with path {path:?}, and so is {first}"));
        }
        for (host, value) in hosts {
            if let Err(first) = self.taken.insert((Some(host.clone()), path.to_owned()), route) {
                value.refuse::<()>(format!("{} with path {path:?} is in {first} already", value.found()));
            }
        }
    }
}

/// Whether connections to an upstream may be encrypted by the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encrypts {
    Maybe,
    No,
}

fn upstream(value: &Value<'_>, encrypts: Encrypts, scope: &Scope<'_>) -> Option<usize> {
    let upstream = scope.upstreams.find(value)?;
    if encrypts == Encrypts::No && scope.encrypted.contains(&upstream) {
        return value.refuse(DOUBLE_TLS);
    }
    Some(upstream)
}

fn alternatives(value: &Value<'_>, encrypts: Encrypts, scope: &Scope<'_>) -> Option<Vec<usize>> {
    let elements = value.list(ALTERNATIVES)?;
    if elements.len() > ALTERNATIVES_MAX {
        return value.refuse(format!("holds {} upstreams: expected at most {ALTERNATIVES_MAX}", elements.len()));
    }
    Some(elements.iter().filter_map(|element| upstream(element, encrypts, scope)).collect())
}

const ALTERNATIVES_MAX: usize = 16;
const ALTERNATIVES: Form = Form { noun: "a list", expected: "upstreams, such as [\"replicas\"]" };

fn hosts<'a>(value: &Value<'a>) -> Option<Vec<(HostPattern, Value<'a>)>> {
    let elements = value.one_or_more();
    if elements.is_empty() {
        return value.refuse("holds no host: leave the key out for every host");
    }
    Some(elements.into_iter().filter_map(|element| Some((HostPattern::read(&element)?, element))).collect())
}

fn path(value: Value<'_>) -> Option<String> {
    let text = value.text(PATH)?;
    let reason = match text {
        "/" => return Some(text.to_owned()),
        _ if !text.starts_with('/') => return value.is_not(PATH),
        _ if text.len() > PATH_BYTES_MAX => "is too long: expected at most 1024 bytes",
        _ if text.contains(['?', '#']) => "has a query or a fragment: expected the path alone",
        _ if !text.bytes().all(|byte| byte.is_ascii_graphic()) => {
            "has a space or a character that is not ASCII: expected it percent-encoded"
        }
        _ if text.ends_with('/') => "ends in a slash: expected it without, which is for everything below as well",
        _ if text.split('/').skip(1).any(|segment| matches!(segment, "" | "." | "..")) => {
            "has an empty segment, \".\" or \"..\": expected the path that requests have after these are resolved"
        }
        _ => return Some(text.to_owned()),
    };
    value.refuse(format!("{} {reason}", value.found()))
}

const PATH_BYTES_MAX: usize = 1_024;
const PATH: Form = Form { noun: "a path", expected: "one that starts with a slash, such as \"/api\"" };
