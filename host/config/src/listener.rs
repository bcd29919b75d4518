//! Where clients are accepted and what becomes of their requests.

use std::net::SocketAddr;

use ipnet::IpNet;

use crate::{
    ChainEntry, ListenerLimits, ListenerTls, Route, address, name, redirect,
    route::{Carries, Routes},
    scope::Scope,
    text::{Form, Seen, Table, Value},
};

/// One `[[listener]]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Unique among the listeners.
    pub name: String,
    /// 1 to 64 addresses; none is bound by another listener. Port 0 is any free port.
    pub bind: Vec<SocketAddr>,
    /// What its connections carry.
    pub protocol: ListenerProtocol,
    /// What is spoken: at least one version; HTTP/2 only over TLS, and HTTP/3 only beside one of the others. None where
    /// connections carry anything.
    pub http: HttpVersions,
    /// `None` is clear text, or bytes that are passed on as they are.
    pub tls: Option<ListenerTls>,
    /// In order: what requests pass that no route is for, and the default of routes.
    pub chain: Vec<ChainEntry>,
    /// What becomes of requests.
    pub action: Action,
    /// Peers whose `X-Forwarded-*` and `Forwarded` headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Peers whose connections begin with a header of the PROXY protocol.
    pub proxy_protocol: Vec<IpNet>,
    /// What becomes of paths that are not in their normal form.
    pub paths: PathPolicy,
    /// The UDP port at which clients find HTTP/3, where it is not the one that they came to by TCP.
    pub http3_port: Option<u16>,
    /// What clients may use.
    pub limits: ListenerLimits,
}

impl Listener {
    pub(crate) fn read(value: &Value<'_>, scope: &mut Scope<'_>) -> Option<Self> {
        let mut table = value.table("a listener")?;
        let name = table.required("name", |value| name::read_unique(&value, &mut scope.listener_names));
        let bind = table.required("bind", |value| addresses(&value, &mut scope.bound));
        let says_tls = table.has("tls");
        let protocol = table.or("protocol", ListenerProtocol::Http, |value| value.choice("a protocol", &PROTOCOLS));
        let http = Http::read(&mut table, protocol, says_tls);
        let tls = table.optional("tls", |value| ListenerTls::read(&value, http.versions, scope));
        let chain = table.or("chain", Vec::new(), |value| scope.chain(&value));
        let routes = Routes {
            listener: name.as_deref().unwrap_or_default(),
            carries: Carries::of(protocol, says_tls),
            chain: &chain,
            taken: Seen::default(),
        };
        let action = Action::read(&mut table, routes, scope);
        let proxy_protocol = table.or("proxy_protocol", Vec::new(), |value| networks(&value));
        let limits = table.or("limits", ListenerLimits::default(), |value| ListenerLimits::read(&value));
        table.finish();
        Some(Self {
            name: name?,
            bind: bind?,
            protocol,
            http: http.versions,
            tls,
            chain,
            action: action?,
            trusted_proxies: http.trusted_proxies,
            proxy_protocol,
            paths: http.paths,
            http3_port: http.http3_port,
            limits,
        })
    }
}

/// What connections to a listener carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerProtocol {
    /// HTTP, each request of which is looked at.
    Http,
    /// Anything over TCP: bytes are passed on both ways.
    Tcp,
}

const PROTOCOLS: [(&str, ListenerProtocol); 2] = [("http", ListenerProtocol::Http), ("tcp", ListenerProtocol::Tcp)];

/// The keys that are about HTTP.
struct Http {
    versions: HttpVersions,
    trusted_proxies: Vec<IpNet>,
    paths: PathPolicy,
    http3_port: Option<u16>,
}

impl Http {
    fn read(table: &mut Table<'_>, protocol: ListenerProtocol, says_tls: bool) -> Self {
        if protocol == ListenerProtocol::Tcp {
            table.refuse_all(["http", "redirect_to_https", "trusted_proxies", "paths", "http3_port"], IS_TCP);
            let versions = HttpVersions { h1: false, h2: false, h3: false };
            return Self { versions, trusted_proxies: Vec::new(), paths: PathPolicy::default(), http3_port: None };
        }
        let versions = table.optional("http", |value| HttpVersions::read(&value, says_tls));
        let versions = versions.unwrap_or(HttpVersions { h1: true, h2: says_tls, h3: false });
        let http3_port = |value: Value<'_>| {
            if versions.h3 { value.whole(1..=65_535) } else { value.refuse(NO_HTTP3) }
        };
        Self {
            versions,
            http3_port: table.optional("http3_port", http3_port),
            trusted_proxies: table.or("trusted_proxies", Vec::new(), |value| networks(&value)),
            paths: table.or("paths", PathPolicy::default(), |value| value.choice("a policy for paths", &PATHS)),
        }
    }
}

/// Why a key of HTTP/3 has no use.
pub(crate) const NO_HTTP3: &str = "has no use: the listener does not speak HTTP/3 (\"h3\" in http)";

/// Why a key of HTTP has no use.
pub(crate) const IS_TCP: &str =
    "has no use: the listener has protocol = \"tcp\", whose bytes are passed on as they are";

fn addresses(value: &Value<'_>, bound: &mut Seen<SocketAddr>) -> Option<Vec<SocketAddr>> {
    let elements = value.one_or_more();
    if elements.is_empty() || elements.len() > ADDRESSES_MAX {
        return value.refuse(format!("holds {} addresses: expected 1 to {ADDRESSES_MAX}", elements.len()));
    }
    Some(elements.iter().filter_map(|element| address::bind(element, bound)).collect())
}

fn networks(value: &Value<'_>) -> Option<Vec<IpNet>> {
    let network = |element: &Value<'_>| {
        let network = address::network(element)?;
        if network.prefix_len() == 0 {
            element.warn(format!("{} believes every client's own word on who it is", element.found()));
        }
        Some(network)
    };
    Some(value.list(NETWORKS)?.iter().filter_map(network).collect())
}

const ADDRESSES_MAX: usize = 64;
const NETWORKS: Form = Form { noun: "a list", expected: "networks, such as [\"10.0.0.0/8\"]" };

/// What becomes of a path that is not in its normal form (RFC 3986, section 6.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PathPolicy {
    /// It is brought into it, before anything looks at it.
    #[default]
    Normalize,
    /// The request is refused.
    Refuse,
    /// It goes on as the client wrote it.
    Keep,
}

const PATHS: [(&str, PathPolicy); 3] =
    [("normalize", PathPolicy::Normalize), ("refuse", PathPolicy::Refuse), ("keep", PathPolicy::Keep)];

/// The HTTP versions of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpVersions {
    /// HTTP/1.0 and 1.1.
    pub h1: bool,
    /// HTTP/2.
    pub h2: bool,
    /// HTTP/3, over QUIC at the same addresses.
    pub h3: bool,
}

impl HttpVersions {
    fn read(value: &Value<'_>, says_tls: bool) -> Option<Self> {
        let mut versions = Self { h1: false, h2: false, h3: false };
        let elements = value.list(VERSIONS)?;
        if elements.is_empty() {
            return value.refuse("holds no version: expected at least one");
        }
        for element in elements {
            let Some(version) = versions.named(&element, says_tls) else { continue };
            if std::mem::replace(version, true) {
                element.refuse::<()>(format!("{} is there already", element.found()));
            }
        }
        if versions.h3 && !versions.h1 && !versions.h2 {
            return value
                .refuse("holds \"h3\" alone: expected \"h1\" or \"h2\" beside it, by which clients learn of it");
        }
        Some(versions)
    }

    fn named(&mut self, value: &Value<'_>, says_tls: bool) -> Option<&mut bool> {
        match value.raw().as_str() {
            Some("h1") => Some(&mut self.h1),
            Some("h2") if says_tls => Some(&mut self.h2),
            Some("h2") => value.refuse("\"h2\" needs tls: expected \"h1\" alone on a listener without it"),
            Some("h3") if says_tls => Some(&mut self.h3),
            Some("h3") => value.refuse("\"h3\" needs tls: expected \"h1\" alone on a listener without it"),
            Some(_) | None => value.is_not(VERSION),
        }
    }
}

const VERSIONS: Form = Form { noun: "a list", expected: "HTTP versions, such as [\"h1\", \"h2\"]" };
const VERSION: Form = Form { noun: "an HTTP version", expected: "\"h1\", \"h2\" or \"h3\"" };

/// What becomes of a listener's requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// They go to upstreams: at least one route, no two for the same host and path.
    Routes(Vec<Route>),
    /// They are sent to the same URL under `https`.
    RedirectToHttps {
        /// The port in the new URL; 443 is left out of it.
        port: u16,
        /// 301, 302, 307 or 308.
        status: u16,
    },
}

impl Action {
    fn read(table: &mut Table<'_>, mut routes: Routes<'_>, scope: &mut Scope<'_>) -> Option<Self> {
        let is_http = routes.carries == Carries::Http;
        let redirect = is_http
            .then(|| table.value("redirect_to_https"))
            .flatten()
            .filter(|value| value.raw().as_bool() != Some(false));
        let list = table.value("route");
        if let Some(redirect) = redirect {
            if let Some(list) = list {
                list.refuse::<()>("has no use: the listener redirects every request to https");
            }
            if table.has("tls") {
                return redirect.refuse("is for plain HTTP: expected a listener without tls");
            }
            return redirect::read(&redirect);
        }
        let Some(list) = list.filter(|list| !list.raw().as_array().is_some_and(|routes| routes.is_empty())) else {
            let needed = if is_http {
                "a listener needs a [[listener.route]] or redirect_to_https = true"
            } else {
                "a listener needs a [[listener.route]]"
            };
            table.missing("route", needed);
            return None;
        };
        let read = |(position, route)| Route::read(&route, position, &mut routes, scope);
        Some(Self::Routes(list.list(ROUTES)?.into_iter().enumerate().filter_map(read).collect()))
    }
}

const ROUTES: Form = Form { noun: "a list", expected: "[[listener.route]] with two brackets on each side" };
