//! The conditions of one rule: all of them have to hold, the cheap ones are looked at first.

use std::{borrow::Cow, cell::OnceCell, net::IpAddr};

use palisade_sdk::{Error, Request, Setup};

use crate::{
    headers::{HeaderIndex, Headers},
    host_set::{HostSet, canonical},
    method_set::{MethodSet, is_token},
    network_map::NetworkMap,
    path_set::{PathSet, PrefixSet},
    pattern::Pattern,
    query,
    settings::When,
    value_test::{NamedTest, ValueTest},
};

/// What rules look at: the request, and its host and its path in the form that rules compare.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    /// The request itself.
    pub(crate) request: &'a Request<'a>,
    /// As [`PathReader`](crate::path::PathReader) gives it; empty where no rule looks at it.
    pub(crate) path: &'a [u8],
    /// The headers that rules look at.
    pub(crate) headers: &'a Headers,
    host: OnceCell<Cow<'a, str>>,
}

impl<'a> Subject<'a> {
    /// A request, whose host nobody has looked at.
    pub(crate) fn new(request: &'a Request<'a>, path: &'a [u8], headers: &'a Headers) -> Self {
        Self { request, path, headers, host: OnceCell::new() }
    }

    /// As [`canonical`](crate::host_set::canonical) gives it: made when a rule gets as far as to look at it.
    fn host(&self) -> &str {
        self.host.get_or_init(|| canonical(self.request.host()))
    }
}

/// The conditions of one rule. None of a kind means that it does not matter.
#[derive(Debug)]
pub(crate) struct Conditions {
    client: Option<NetworkMap<()>>,
    methods: Option<MethodSet>,
    hosts: Option<HostSet>,
    path: Option<PathSet>,
    path_prefix: Option<PrefixSet>,
    path_regex: Option<Vec<Pattern>>,
    headers: Vec<(HeaderIndex, ValueTest)>,
    query: Vec<(String, ValueTest)>,
}

impl Conditions {
    /// Builds them from the settings at `key`, which errors name.
    ///
    /// # Errors
    ///
    /// The first test of a header or a query parameter that asks for nothing or cannot be.
    pub(crate) fn new(when: When, key: &str, headers: &mut Headers, host: &mut Setup) -> Result<Self, Error> {
        let mut header_tests = Vec::new();
        for (index, test) in when.header.into_iter().enumerate() {
            let (name, test) =
                header_test(test).map_err(|reason| Error::setting(format!("{key}.header[{index}]"), reason))?;
            header_tests.push((headers.watch(&name, host), test));
        }
        let mut query = Vec::new();
        for (index, test) in when.query.into_iter().enumerate() {
            query.push(test.parse().map_err(|reason| Error::setting(format!("{key}.query[{index}]"), reason))?);
        }
        Ok(Self {
            client: when.client.map(|list| NetworkMap::new(list.iter().map(|network| (*network, ())))),
            methods: when.methods.map(MethodSet::new),
            hosts: when.hosts.map(HostSet::new),
            path: when.path.map(PathSet::new),
            path_prefix: when.path_prefix.map(PrefixSet::new),
            path_regex: when.path_regex.map(|list| list.into_iter().collect()),
            headers: header_tests,
            query,
        })
    }

    /// Whether any of them looks at the path.
    pub(crate) fn look_at_path(&self) -> bool {
        self.path.is_some() || self.path_prefix.is_some() || self.path_regex.is_some()
    }

    /// Whether the client's address is all that they look at.
    pub(crate) fn look_at_client_alone(&self) -> bool {
        let further = self.methods.is_some() || self.hosts.is_some() || self.look_at_path();
        !further && self.headers.is_empty() && self.query.is_empty()
    }

    /// Whether those on the client's address hold.
    pub(crate) fn hold_for_client(&self, client: IpAddr) -> bool {
        self.client.as_ref().is_none_or(|networks| networks.find(client).is_some())
    }

    /// Whether all of them hold. `decoded` is memory to work in.
    pub(crate) fn hold(&self, subject: &Subject<'_>, decoded: &mut Vec<u8>) -> bool {
        let request = subject.request;
        self.methods.as_ref().is_none_or(|methods| methods.contains_that_of(request))
            && self.hold_for_path(subject.path)
            && self.hosts.as_ref().is_none_or(|hosts| hosts.contains(subject.host()))
            && self.client.as_ref().is_none_or(|networks| networks.find(request.client()).is_some())
            && self.headers.iter().all(|(header, test)| subject.headers.meet(*header, test, request))
            && self.query.iter().all(|(name, test)| query::meets(request.query(), name, test, decoded))
    }

    fn hold_for_path(&self, path: &[u8]) -> bool {
        self.path.as_ref().is_none_or(|paths| paths.contains(path))
            && self.path_prefix.as_ref().is_none_or(|prefixes| prefixes.covers(path))
            && self.path_regex.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| pattern.is_in(path)))
    }
}

fn header_test(test: NamedTest) -> Result<(String, ValueTest), String> {
    let (name, test) = test.parse()?;
    let lower = name.to_ascii_lowercase();
    match lower.as_str() {
        "host" => Err("host is not among the headers: use hosts".to_owned()),
        lower if is_token(lower) => Ok((lower.to_owned(), test)),
        _ => Err(format!("{name:?} is not a header name")),
    }
}
