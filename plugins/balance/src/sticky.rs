//! Sticky cookie: a request's cookie, in; the endpoint that it names, out. And the cookie for whoever has none of use.

use palisade_sdk::{Candidate, PickRequest};

use crate::{available::Available, by_upstream::ByUpstream, cookie::Cookie, members::Members};

/// Knows a client's endpoint by a cookie.
///
/// Nothing is kept of a client: the cookie's value is a hash of its endpoint's key with the secret, so any host and any
/// instance can tell whom it names.
#[derive(Debug)]
pub(crate) struct Sticky {
    cookie: Cookie,
    tokens: ByUpstream<Tokens>,
}

/// The token of each endpoint of an upstream.
#[derive(Debug, Default)]
struct Tokens {
    members: Members,
    tokens: Vec<u64>,
}

impl Sticky {
    pub(crate) fn new(cookie: Cookie) -> Self {
        Self { cookie, tokens: ByUpstream::default() }
    }

    /// The token of the request's cookie, if it has one.
    pub(crate) fn token(&self, request: &PickRequest) -> Option<u64> {
        Cookie::token(&request.cookie(&self.cookie.name)?)
    }

    /// The index of the endpoint that a token names, wherever it is; none where there is no such endpoint, or where it is not
    /// available.
    pub(crate) fn find(&mut self, token: u64, request: &PickRequest, available: &Available<'_>) -> Option<usize> {
        let secret = self.cookie.secret;
        let index = self.tokens.with(request.upstream(), |known| {
            if known.members.change(request.version(), available.all()) {
                known.tokens = known.members.all().iter().map(|member| secret.token(member.key)).collect();
            }
            known.tokens.iter().position(|known| *known == token)
        })?;
        available.get(index).map(|_| index)
    }

    /// Has the answer of this endpoint set the cookie that names it.
    pub(crate) fn tell(&self, request: &PickRequest, candidate: &Candidate) {
        let cookie = self.cookie.set(self.cookie.secret.token(candidate.key));
        // The host takes it, or a client is spread once more, and that is all.
        let _ = request.append_response_header("set-cookie", cookie);
    }
}
