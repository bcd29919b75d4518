//! A call of the host → the plugin's method → what the host is told. The exports and the test host both go through here.

use std::cell::Cell;

use crate::{
    Admission, Balancer, Candidate, Connection, ConnectionFilter, Error, Flow, PickRequest, Plugin, Request,
    RequestFilter, Response, ResponseFilter, Setup,
    bindings::{
        balancer::exports::palisade::plugin::balancer as balancer_host, capabilities::palisade::plugin::types::Verdict,
        connection_filter::exports::palisade::plugin::connection_filter as connection_host,
        request_filter::exports::palisade::plugin::request_filter::RequestHead,
        response_filter::exports::palisade::plugin::response_filter::ResponseHead,
    },
    host, settings,
};

/// A plugin from the text of its settings.
pub(crate) fn configure<P: Plugin>(settings: &str) -> Result<P, Error> {
    let mut setup = Setup::default();
    let plugin = P::configure(settings::parse(settings)?, &mut setup)?;
    setup.finish()?;
    Ok(plugin)
}

pub(crate) fn on_connection<P: ConnectionFilter>(
    plugin: &mut P,
    connection: connection_host::Connection,
) -> connection_host::Admission {
    match plugin.on_connection(&Connection::new(connection)) {
        Ok(Admission::Accept) => connection_host::Admission::Accept,
        Ok(Admission::Refuse) => connection_host::Admission::Refuse,
        Err(error) => {
            report(&error);
            connection_host::Admission::Failed
        }
    }
}

pub(crate) fn on_request<P: RequestFilter>(plugin: &mut P, head: &RequestHead) -> Verdict {
    verdict(head.exchange, Request::new(head).and_then(|mut request| plugin.on_request(&mut request)))
}

pub(crate) fn on_response<P: ResponseFilter>(plugin: &mut P, head: ResponseHead) -> Verdict {
    let exchange = head.exchange;
    verdict(exchange, plugin.on_response(&mut Response::new(head)))
}

thread_local! {
    /// What candidates are unpacked into, so that no call allocates it.
    static UNPACKED: Cell<Vec<Candidate>> = const { Cell::new(Vec::new()) };
}

pub(crate) fn pick<P: Balancer>(
    plugin: &mut P,
    request: balancer_host::PickRequest,
    candidates: &[u64],
) -> balancer_host::Choice {
    let mut unpacked = UNPACKED.take();
    Candidate::unpack(candidates, request.candidate_words, &mut unpacked);
    let picked = plugin.pick(&PickRequest::new(request), &unpacked);
    UNPACKED.set(unpacked);
    picked.map_or_else(
        |error| {
            report(&error);
            balancer_host::Choice::Failed
        },
        Into::into,
    )
}

/// Says why the call is about to return `failed`.
pub(crate) fn report(error: &Error) {
    host::fault::report(&error.to_string());
}

/// What the host is told of a decision.
pub(crate) fn verdict(exchange: u64, decision: Result<Flow, Error>) -> Verdict {
    let settled = decision.and_then(|flow| match flow {
        Flow::Continue => Ok(Verdict::Proceed),
        Flow::Reply(reply) => reply.prepare(exchange).map(|()| Verdict::Reply),
        Flow::Close => Ok(Verdict::Close),
    });
    settled.unwrap_or_else(|error| {
        report(&error);
        Verdict::Failed
    })
}
