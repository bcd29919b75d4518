//! What a plugin under test asks of upstreams, and what it is answered.

use std::{collections::BTreeMap, fmt};

use crate::{
    FetchError, Fetched,
    bindings::capabilities::palisade::plugin::fetch::{self as wire, Request, Response},
};

/// A request that a plugin makes, as a test sees it.
#[derive(Clone, Debug)]
pub struct TestFetch(Request);

impl TestFetch {
    /// The upstream's name.
    pub fn upstream(&self) -> &str {
        &self.0.upstream
    }

    /// The method's text.
    pub fn method(&self) -> &str {
        &self.0.method
    }

    /// Path and query.
    pub fn target(&self) -> &str {
        std::str::from_utf8(&self.0.target).unwrap_or_default()
    }

    /// The first value of a header, where it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.0.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.0.body
    }
}

type Answer = Result<Response, wire::FetchError>;
type Answering = Box<dyn FnMut(&TestFetch) -> Result<Fetched, FetchError>>;

/// The requests of one test host.
#[derive(Default)]
pub(crate) struct Fetches {
    answer: Option<Answering>,
    last: u64,
    under_way: BTreeMap<u64, TestFetch>,
    answered: BTreeMap<u64, Answer>,
}

impl fmt::Debug for Fetches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetches").field("under_way", &self.under_way).finish_non_exhaustive()
    }
}

impl Fetches {
    pub(crate) fn answers(&mut self, answer: impl FnMut(&TestFetch) -> Result<Fetched, FetchError> + 'static) {
        self.answer = Some(Box::new(answer));
    }

    pub(crate) fn start(&mut self, request: &Request) -> u64 {
        self.last += 1;
        self.under_way.insert(self.last, TestFetch(request.clone()));
        self.last
    }

    pub(crate) fn take(&mut self, ticket: u64) -> Option<Answer> {
        self.answered.remove(&ticket)
    }

    pub(crate) fn cancel(&mut self, ticket: u64) {
        self.under_way.remove(&ticket);
        self.answered.remove(&ticket);
    }

    /// Answers everything that is under way, and says whether there was anything. Without answers no endpoint can be reached.
    pub(crate) fn answer(&mut self) -> bool {
        let under_way = std::mem::take(&mut self.under_way);
        let had_any = !under_way.is_empty();
        for (ticket, fetch) in under_way {
            let answer = self.answer.as_mut().map_or(Err(FetchError::Unreachable), |answer| answer(&fetch));
            self.answered.insert(ticket, answer.map(Fetched::into_wire).map_err(wire::FetchError::from));
        }
        had_any
    }
}
