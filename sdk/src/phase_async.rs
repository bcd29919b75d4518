//! As `phase`, for filters that await something: what each exchange is at is kept here until it is decided.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use crate::{
    AsyncRequestFilter, Error, Flow, Request,
    bindings::{
        async_request_filter::exports::palisade::plugin::async_request_filter::{self as wire, Progress},
        capabilities::palisade::plugin::types::Verdict,
        request_filter::exports::palisade::plugin::request_filter::RequestHead,
    },
    fetch, phase,
};

/// A filter at work on one request.
pub(crate) type Deciding = Pin<Box<dyn Future<Output = Result<Flow, Error>>>>;

/// The exchanges that wait.
#[derive(Default)]
pub(crate) struct Tasks(BTreeMap<u64, Deciding>);

impl Tasks {
    /// What one exchange is at, taken out so that it can go on.
    pub(crate) fn take(&mut self, exchange: u64) -> Option<Deciding> {
        self.0.remove(&exchange)
    }

    pub(crate) fn keep(&mut self, exchange: u64, deciding: Option<Deciding>) {
        if let Some(deciding) = deciding {
            self.0.insert(exchange, deciding);
        }
    }
}

/// What a filter is to do with a request.
pub(crate) fn deciding<P: AsyncRequestFilter>(plugin: &P, head: RequestHead) -> Deciding {
    let plugin = plugin.clone();
    Box::pin(async move {
        let mut request = Request::new(&head)?;
        plugin.on_request(&mut request).await
    })
}

/// Goes on as far as possible: what came of it, and what is kept until something is there that it waits for.
pub(crate) fn go_on(exchange: u64, mut deciding: Deciding) -> (Progress, Option<Deciding>) {
    let mut context = Context::from_waker(Waker::noop());
    match fetch::on_behalf_of(exchange, || deciding.as_mut().poll(&mut context)) {
        Poll::Pending => (Progress::Wait, Some(deciding)),
        Poll::Ready(decision) => (progress(phase::verdict(exchange, decision)), None),
    }
}

fn progress(verdict: Verdict) -> Progress {
    match verdict {
        Verdict::Proceed => Progress::Proceed,
        Verdict::Reply => Progress::Reply,
        Verdict::Close => Progress::Close,
        Verdict::Failed => Progress::Failed,
    }
}

/// What a test host makes of progress; none where there is more to come.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn verdict(progress: Progress) -> Option<Verdict> {
    match progress {
        Progress::Proceed => Some(Verdict::Proceed),
        Progress::Reply => Some(Verdict::Reply),
        Progress::Close => Some(Verdict::Close),
        Progress::Failed => Some(Verdict::Failed),
        Progress::Wait => None,
    }
}

/// The head as the filters that decide at once have it.
pub(crate) fn head_of(head: wire::RequestHead) -> RequestHead {
    RequestHead {
        exchange: head.exchange,
        method: head.method,
        scheme: head.scheme,
        protocol: head.protocol,
        client: head.client,
        client_port: head.client_port,
        listener: head.listener,
        route: head.route,
        text: head.text,
        authority_bytes: head.authority_bytes,
        path_bytes: head.path_bytes,
        target_bytes: head.target_bytes,
    }
}
