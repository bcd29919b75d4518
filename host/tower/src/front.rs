//! One exchange on the server's side: heads to the chain's thread and back, the service in between.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode, Version};
use http_body::Body as _;
use palisade_contract::{Connection, ConnectionId, Exchange, ExchangeId, Protocol, Reply, RequestHead, Side};
use tokio::sync::oneshot;
use tower_service::Service;

use crate::body::{Body, BoxError, Count};
use crate::exchange::{Answered, Decided, Final, Forward, Job, Moved};
use crate::head::{Length, RequestRest, ResponseRest};
use crate::layer::Shared;
use crate::pump::{self, Boxed};

pub(crate) async fn serve<S, B, R>(
    shared: Arc<Shared>,
    mut inner: S,
    request: Request<B>,
) -> Result<Response<Body<R>>, S::Error>
where
    S: Service<Request<Body<B>>, Response = Response<R>>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    let (parts, body) = request.into_parts();
    let Some((head, rest)) = RequestRest::cut(parts) else {
        return Ok(whole(Reply::text(StatusCode::BAD_REQUEST, "bad request\n"), Count::untold()));
    };
    let Some(exchange) = begin(&shared, head, &rest) else {
        tracing::error!("the client's address is not in the request's extensions: it is refused");
        return Ok(whole(Reply::text(StatusCode::INTERNAL_SERVER_ERROR, "internal server error\n"), Count::untold()));
    };
    let (is_head, version) = (exchange.request.method == Method::HEAD, rest.version());
    let request_bytes = Arc::new(AtomicU64::new(0));
    let lends = shared.chains.filters_bodies(Side::Request) && !body.is_end_stream();
    let (kept, lent) = if lends { (None, Some(lend(body))) } else { (Some(body), None) };
    let (decided, decision) = oneshot::channel();
    shared.chains.give(Job { exchange, body: lent, request_bytes: request_bytes.clone(), decided }).await;
    let Forward { head, body, answered } = match decision.await {
        Ok(Decided::Forward(forward)) => forward,
        Ok(Decided::Final(last)) => return Ok(instead(last, version)),
        Err(_) => return Ok(whole(unavailable(), Count::untold())),
    };
    let (body, length) = joined(body, kept, Count::running(request_bytes));
    let Some(parts) = rest.join(head, length) else {
        return Ok(whole(Reply::text(StatusCode::BAD_REQUEST, "bad request\n"), Count::untold()));
    };
    let response = match inner.call(Request::from_parts(parts, body)).await {
        Ok(response) => response,
        Err(error) => {
            let _ = answered.send(None);
            return Err(error);
        }
    };
    Ok(back(&shared, response, answered, (is_head, version)).await)
}

/// The response's way back.
async fn back<R>(
    shared: &Shared,
    response: Response<R>,
    answered: oneshot::Sender<Option<Answered>>,
    (is_head, version): (bool, Version),
) -> Response<Body<R>>
where
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    let (parts, body) = response.into_parts();
    let filters = shared.chains.filters_bodies(Side::Response);
    let lends = filters && !is_head && !body.is_end_stream();
    let (head, rest) = ResponseRest::cut(parts);
    let (kept, lent) = if lends { (None, Some(lend(body))) } else { (Some(body), None) };
    let (decided, decision) = oneshot::channel();
    let _ = answered.send(Some(Answered { head, body: lent, decided }));
    let (head, moved, end) = match decision.await {
        Ok(Final::Pass(head, moved, end)) => (head, moved, end),
        Ok(last) => return instead(last, version),
        Err(_) => return whole(unavailable(), Count::untold()),
    };
    let (body, length) = joined(moved, kept, Count::at_end(end));
    // Nobody knows how long filters would have made the body that is not sent.
    let length = if filters && is_head { Length::Unknown } else { length };
    // A server does not ask for what it knows to be empty, or does not send.
    let body = if is_head || body.is_end_stream() { body.ended() } else { body };
    Response::from_parts(rest.join(head, length), body)
}

/// The body that goes on, of one that was lent or kept.
fn joined<B>(moved: Moved, kept: Option<B>, count: Count) -> (Body<B>, Length) {
    match (moved, kept) {
        (Moved::Piped(pipe), _) => {
            let length = pipe.length.map_or(Length::Unknown, Length::Known);
            (Body::filtered(pipe, count), length)
        }
        (Moved::Back(body), _) => (Body::boxed(body, count), Length::Untouched),
        (Moved::Not, Some(body)) => (Body::untouched(body, count), Length::Untouched),
        (Moved::Not, None) => (Body::whole(Bytes::new(), count), Length::Known(0)),
    }
}

fn begin(shared: &Shared, head: RequestHead, rest: &RequestRest) -> Option<Box<Exchange>> {
    let client = (shared.client)(rest.extensions())?;
    let protocol = match rest.version() {
        Version::HTTP_2 => Protocol::Http2,
        Version::HTTP_3 => Protocol::Http3,
        _ => Protocol::Http1,
    };
    let id = ExchangeId::next();
    let options = &shared.options;
    let connection = Connection {
        // To plugins each request is on a connection of its own.
        id: ConnectionId(id.0),
        client,
        local: options.local,
        listener: options.listener,
        scheme: options.scheme,
        tls: None,
    };
    Some(Exchange::new(id, Arc::new(connection), protocol, head))
}

/// A body for the chain's thread, and how long it says it is.
fn lend<B>(body: B) -> (Boxed, Option<u64>)
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let announced = body.size_hint().exact();
    (pump::boxed(body), announced)
}

/// What goes out in the service's place.
fn instead<R>(last: Final, version: Version) -> Response<Body<R>> {
    match last {
        Final::Reply(reply, end) => {
            let is_empty = reply.body.is_empty();
            let mut response = whole(reply, Count::at_end(end));
            if is_empty {
                response = response.map(Body::ended);
            }
            response
        }
        Final::Close | Final::Pass(..) => {
            let mut response = whole(Reply::default(), Count::untold());
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            if version < Version::HTTP_2 {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            response
        }
    }
}

fn whole<R>(reply: Reply, count: Count) -> Response<Body<R>> {
    Response::from(reply).map(|bytes| Body::whole(bytes, count))
}

fn unavailable() -> Reply {
    Reply::text(StatusCode::SERVICE_UNAVAILABLE, "service unavailable\n")
}
