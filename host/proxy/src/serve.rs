//! One request, from its head to the response that goes out: the same for every protocol.

mod client;

use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode, Version};
use http_body::Body;
use http_body_util::{Either, Empty};
use palisade_contract::{
    Chain, Connection, Decision, Ending, Exchange, HeadLimits, Name, Protocol, Reply, ResponseHead, Side, UpstreamFault,
};

use crate::body::{BodyLimits, ClientBody, Filtered, Origin, RequestBody, ResponseBody, Upload};
use crate::error::RequestError;
use crate::filtering::{self, Instead};
use crate::hints::Hints;
use crate::hygiene::{self, Arrived, Opening, Trust};
use crate::record::Record;
use crate::site::{Site, Way};
use crate::tls;
use crate::tunnel::Tunnel;
use crate::upstream::{Answer, Asked, Letter, Pools, Switched};

pub(crate) use client::Client;

/// What goes out: a body, or none where a tunnel follows.
pub(crate) type Outgoing = Either<ResponseBody, Empty<Bytes>>;

/// There is no answer: the connection ends, or the stream is reset.
#[derive(Debug, thiserror::Error)]
#[error("closed without an answer")]
pub(crate) struct Closed;

/// What a request asks for, as far as it decides which answers it can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asks {
    Plain,
    /// A head alone.
    Head,
    /// A tunnel over HTTP/2 or HTTP/3, which any good status would open.
    Tunnel,
}

impl Asks {
    fn of(method: &Method) -> Self {
        match *method {
            Method::HEAD => Self::Head,
            Method::CONNECT => Self::Tunnel,
            _ => Self::Plain,
        }
    }
}

/// Where a response comes from.
enum Source {
    /// A plugin or the host.
    Reply(Box<Reply>),
    /// An endpoint, and what its body is allowed.
    Upstream(Box<Answer>, Rc<Upload>, BodyLimits),
    /// An endpoint that switched protocols.
    Tunnel(Box<Answer>, Switched, Duration),
}

/// Serves one request. Dropping the future cancels everything that is under way for it.
///
/// What needs no waiting is done before there is a future, which so has none of it to carry about. It is boxed, because hyper moves it into
/// its place, over HTTP/2 four times.
///
/// # Errors
/// A plugin said to close, or the client has left.
pub(crate) fn serve(
    site: Rc<Site>,
    client: Rc<Client>,
    request: Request<ClientBody>,
) -> Pin<Box<impl Future<Output = Result<Response<Outgoing>, Closed>>>> {
    let arrived = arrive(&site, &client, request);
    Box::pin(under_way(site, client, arrived))
}

async fn under_way(
    site: Rc<Site>,
    client: Rc<Client>,
    arrived: Result<Box<UnderWay>, Box<Response<Outgoing>>>,
) -> Result<Response<Outgoing>, Closed> {
    let UnderWay { way, mut exchange, mut record, mut request } = match arrived {
        Ok(under_way) => *under_way,
        Err(answered) => return Ok(*answered),
    };
    let way = way.and_then(|index| site.ways.get(index));
    let source = match request_side((&site, way), &client, &mut exchange, &mut request, &mut record).await {
        Ok(Some(source)) => source,
        Ok(None) => {
            record.ended(Ending::Closed);
            return Err(Closed);
        }
        Err(error) => {
            record.failed(&error);
            if error.is_client_gone() {
                return Err(Closed);
            }
            Source::Reply(error.reply().into())
        }
    };
    response_side(exchange, source, (&client, request.asks), record).await
}

/// A request that has arrived well, on its way.
struct UnderWay {
    /// Its route's place among those of the site.
    way: Option<usize>,
    exchange: Box<Exchange>,
    record: Box<Record>,
    request: Box<Forwardable>,
}

/// Takes a request in.
///
/// # Errors
/// It is answered already.
fn arrive(
    site: &Rc<Site>,
    client: &Client,
    request: Request<ClientBody>,
) -> Result<Box<UnderWay>, Box<Response<Outgoing>>> {
    let active = client.activity.exchange();
    let id = site.worker.exchange_id();
    let (mut parts, incoming) = request.into_parts();
    let mut record = Record::begin(site, active, id, client.connection.client.ip());
    record.protocol(protocol_of(parts.version));
    record.explain(site.worker.explanations.claim(&mut parts.headers));
    if parts.headers.contains_key(header::UPGRADE) {
        client.upgrade_offered.set(true);
    }
    let hints = parts.extensions.remove::<Hints>();
    let (version, asks) = (parts.version, Asks::of(&parts.method));
    if version == Version::HTTP_10 {
        client.activity.ends_by_closing();
    }
    let (body, upload) = RequestBody::new((version, incoming), record.active().body(), &site.config.limits);
    let arrived = match hygiene::request(parts, client.connection.scheme, &site.config) {
        Ok(arrived) => arrived,
        Err(error) => {
            record.failed(&error);
            return Err(Box::new(refusal(&error, (version, asks), record)));
        }
    };
    if let Some(reply) = challenged(site, &arrived.head) {
        record.asked(&arrived.head);
        return Err(Box::new(whole(reply, asks, record)));
    }
    let Arrived { head, takes_trailers, upgrade } = arrived;
    let way = site.routes.find(head.authority_bytes(), head.target.path());
    let exchange = begin((site, way.and_then(|index| site.ways.get(index))), client, version, head, &mut record);
    let request = Box::new(Forwardable { version, asks, takes_trailers, upgrade, hints, body: Some(body), upload });
    Ok(Box::new(UnderWay { way, exchange, record, request }))
}

/// The answer to a head that is none of a good request, and over HTTP/1 the last one: whoever sends such heads may also mean
/// something else by what comes next.
fn refusal(error: &RequestError, (version, asks): (Version, Asks), record: Box<Record>) -> Response<Outgoing> {
    let mut response = whole(error.reply(), asks, record);
    if version < Version::HTTP_2 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn protocol_of(version: Version) -> Protocol {
    match version {
        Version::HTTP_2 => Protocol::Http2,
        Version::HTTP_3 => Protocol::Http3,
        _ => Protocol::Http1,
    }
}

/// The answer to a request over HTTP/3 that has no head which could be looked at. It is counted and logged like any other.
pub(crate) fn refused(site: &Rc<Site>, client: &Client, error: &RequestError) -> Response<Outgoing> {
    let active = client.activity.exchange();
    let mut record = Record::begin(site, active, site.worker.exchange_id(), client.connection.client.ip());
    record.protocol(Protocol::Http3);
    record.failed(error);
    let mut response = whole(error.reply(), Asks::Plain, record);
    client.advertise(site, response.headers_mut());
    response
}

/// What an authority is told that looks at a challenge, in clear text and before any plugin (RFC 8555, section 8.3).
fn challenged(site: &Site, head: &palisade_contract::RequestHead) -> Option<Reply> {
    if site.tls.is_some() || head.method != Method::GET {
        return None;
    }
    let answer = site.challenges.http(head.target.path())?;
    let mut reply = Reply { body: answer.into(), ..Reply::default() };
    reply.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    Some(reply)
}

/// What of a request is not its head.
struct Forwardable {
    version: Version,
    asks: Asks,
    takes_trailers: bool,
    upgrade: Option<HeaderValue>,
    hints: Option<Hints>,
    /// None once it is on its way.
    body: Option<RequestBody>,
    upload: Rc<Upload>,
}

/// The exchange, on its way and with its chain leased.
fn begin(
    (site, way): (&Site, Option<&Way>),
    client: &Client,
    version: Version,
    head: palisade_contract::RequestHead,
    record: &mut Record,
) -> Box<Exchange> {
    let protocol = protocol_of(version);
    record.asked(&head);
    let connection = behind(site, client, &head);
    let mut exchange = Exchange::new(record.id(), connection, protocol, head);
    let limits = &site.config.limits;
    // What a plugin adds must not make a request too large that was not.
    exchange.limits = HeadLimits { headers: limits.headers + 64, bytes: limits.header_bytes + (16 << 10) };
    exchange.route = way.map_or(Name::NONE, |way| way.name);
    let chain: &Rc<Chain> = way.map_or(&site.chain, |way| &way.chain);
    record.leased(chain.lease(exchange.id), &exchange);
    exchange
}

/// The connection as plugins see it: behind a trusted proxy, the client is who the proxy says.
fn behind(site: &Site, client: &Client, head: &palisade_contract::RequestHead) -> Arc<Connection> {
    if client.trust(site) == Trust::Stranger {
        return client.connection.clone();
    }
    match hygiene::client_of(&head.headers, &site.config.trusted_proxies) {
        Some(address) => {
            Arc::new(Connection { client: SocketAddr::new(address, 0), ..client.connection.as_ref().clone() })
        }
        None => client.connection.clone(),
    }
}

/// The request's half: filters, then the endpoint. None where a plugin closes.
async fn request_side(
    (site, way): (&Site, Option<&Way>),
    client: &Client,
    exchange: &mut Box<Exchange>,
    request: &mut Forwardable,
    record: &mut Record,
) -> Result<Option<Source>, RequestError> {
    let decision = match record.lease() {
        Some(lease) => lease.request(exchange).await,
        None => Decision::Proceed,
    };
    match decision {
        Decision::Proceed => {}
        Decision::Reply(reply, plugin) => {
            record.decided_by(plugin);
            return Ok(Some(Source::Reply(reply)));
        }
        Decision::Close(plugin) => {
            record.decided_by(plugin);
            return Ok(None);
        }
        Decision::Failed(plugin) => {
            record.decided_by(plugin.clone());
            return Err(RequestError::Plugin(plugin));
        }
    }
    if let Some((port, status)) = site.redirect() {
        return redirect(exchange, port, status).map(|reply| Some(Source::Reply(reply.into())));
    }
    let way = way.ok_or(RequestError::NoRoute)?;
    let peer = (client.connection.as_ref(), &client.said);
    hygiene::forward(&mut exchange.request, peer, client.trust(site), request.version);
    match forward((site, way), exchange, request, record).await {
        Ok(source) => Ok(Some(source)),
        Err(Instead::Reply(reply)) => Ok(Some(Source::Reply(reply))),
        Err(Instead::Close) => Ok(None),
        Err(Instead::Failed(error)) => Err(error),
    }
}

async fn forward(
    (site, way): (&Site, &Way),
    exchange: &mut Box<Exchange>,
    request: &mut Forwardable,
    record: &mut Record,
) -> Result<Source, Instead> {
    let Forwardable { asks, takes_trailers, upgrade, hints, body, upload, .. } = request;
    let mut body = body.take().ok_or(RequestError::Body)?;
    let upgrade = upgrade
        .take()
        .and_then(|asked| hygiene::chosen_upgrade(&asked, &exchange.request.method, &way.streams.upgrades));
    if upgrade.is_some() && !body.is_empty() {
        return Err(RequestError::UpgradeBody.into());
    }
    if body.is_announced_too_large() {
        return Err(RequestError::BodyTooLarge.into());
    }
    let patience = way.streams.body_timeout.unwrap_or(site.config.limits.body_timeout);
    record.active().patience(patience);
    upload.set_patience(patience);
    let (pools, cookie) = way.choose(exchange);
    let config = &pools.upstream.config;
    let response_timeout = way.streams.response_timeout.unwrap_or(config.response_timeout);
    let total_timeout = way.streams.total_timeout.or(config.total_timeout);
    let deadline = total_timeout.map(|timeout| record.began() + timeout);
    if filtering::is_wanted(record, &body) {
        let times = (response_timeout, deadline);
        Box::pin(filtering::request(exchange, record, (&mut body, upload), times)).await?;
    }
    let opening = if *asks == Asks::Tunnel { Some(open(pools, upgrade.as_ref(), exchange)?) } else { None };
    if let Some(mirror) = way.mirror.as_ref().filter(|_| upgrade.is_none()) {
        mirror.copy(&exchange.request, &mut body);
    }
    let mut letter = Letter::new(&exchange.request.method, body, config.retries.body_bytes);
    let (takes_trailers, hints) = (*takes_trailers, hints.take());
    let mut asked = Asked { exchange, record, takes_trailers, upgrade, hints, response_timeout, deadline };
    let answer = pools.send(&mut asked, &mut letter, upload).await;
    drop(letter);
    record.request_bytes(upload.bytes());
    if let (Err(_), Some(stopped)) = (&answer, upload.stopped()) {
        return Err(Instead::of(stopped, Side::Request, record));
    }
    let mut answer = answer?;
    if let Some(cookie) = cookie {
        answer.head.headers.append(header::SET_COOKIE, cookie);
    }
    if let Some(opening) = opening {
        opened(opening, &mut answer)?;
    }
    exchange.answer_with_picked_headers(&mut answer.head);
    exchange.response = Some(std::mem::take(&mut answer.head));
    if let Some(switched) = answer.switched.take() {
        return Ok(Source::Tunnel(Box::new(answer), switched, way.streams.tunnel_timeout));
    }
    let timeout = way.streams.body_timeout.unwrap_or(config.body_timeout);
    Ok(Source::Upstream(Box::new(answer), upload.clone(), BodyLimits { timeout, deadline }))
}

/// The host's own half of a handshake, for a client that has none.
fn open(pools: &Pools, upgrade: Option<&HeaderValue>, exchange: &mut Exchange) -> Result<Opening, RequestError> {
    let protocol = upgrade.filter(|_| pools.upstream.takes_upgrades()).ok_or(RequestError::Protocol)?;
    Ok(Opening::begin(protocol, &mut exchange.request.headers, tls::random()))
}

/// No tunnel without a 101, whatever else the endpoint says.
fn opened(opening: Opening, answer: &mut Answer) -> Result<(), RequestError> {
    if answer.switched.is_some() {
        let ended = opening.end(&mut answer.head);
        return ended.inspect_err(|_| answer.connection.failed(UpstreamFault::Protocol));
    }
    let status = answer.head.status;
    if hygiene::would_open(status) { Err(RequestError::NotSwitched(status.as_u16())) } else { Ok(()) }
}

/// The response's half: filters in reverse, then out.
async fn response_side(
    mut exchange: Box<Exchange>,
    source: Source,
    (client, asks): (&Client, Asks),
    mut record: Box<Record>,
) -> Result<Response<Outgoing>, Closed> {
    if let Source::Reply(reply) = &source {
        exchange.response = Some(ResponseHead { status: reply.status, headers: reply.headers.clone() });
    }
    let decision = match record.lease() {
        Some(lease) => lease.response(&mut exchange).await,
        None => Decision::Proceed,
    };
    match decision {
        Decision::Proceed => proceed(exchange, source, (client, asks), record).await,
        Decision::Reply(reply, plugin) => {
            record.decided_by(plugin);
            Ok(whole(*reply, asks, record))
        }
        Decision::Close(plugin) => {
            record.decided_by(plugin);
            record.ended(Ending::Closed);
            Err(Closed)
        }
        Decision::Failed(plugin) => {
            record.decided_by(plugin.clone());
            let error = RequestError::Plugin(plugin);
            record.failed(&error);
            Ok(whole(error.reply(), asks, record))
        }
    }
}

/// A response whose head the filters let pass: its body's filters next, then out.
async fn proceed(
    mut exchange: Box<Exchange>,
    source: Source,
    (client, asks): (&Client, Asks),
    mut record: Box<Record>,
) -> Result<Response<Outgoing>, Closed> {
    let (mut origin, upload) = match source {
        Source::Tunnel(answer, switched, timeout) => {
            let head = exchange.response.take().unwrap_or_default();
            return Ok(switching((head, asks, record), *answer, switched, (client, timeout)));
        }
        Source::Reply(reply) => {
            let head = exchange.response.get_or_insert_default();
            (sent(head, reply.body, asks), None)
        }
        Source::Upstream(answer, upload, limits) => {
            (Origin::upstream(answer.incoming, answer.connection, limits, &upload), Some(upload))
        }
    };
    let filtered = if filtering::is_wanted_back(&record) {
        Box::pin(filtering::response(&mut exchange, &mut record, &mut origin, asks == Asks::Head)).await
    } else {
        Ok(None)
    };
    match filtered {
        Ok(filtered) => {
            let head = exchange.response.take().unwrap_or_default();
            Ok(respond(head, (origin, filtered, upload), asks, record))
        }
        Err(Instead::Reply(reply)) => Ok(whole(*reply, asks, record)),
        Err(Instead::Close) => Err(Closed),
        Err(Instead::Failed(error)) => {
            record.failed(&error);
            Ok(whole(error.reply(), asks, record))
        }
    }
}

/// The head of a 101, or of a 200 where that opens a tunnel, and what the client's connection or stream becomes when it is out.
fn switching(
    (mut head, asks, mut record): (ResponseHead, Asks, Box<Record>),
    answer: Answer,
    switched: Switched,
    (client, timeout): (&Client, Duration),
) -> Response<Outgoing> {
    if head.status != StatusCode::SWITCHING_PROTOCOLS {
        // A filter has made something else of it.
        return whole(Reply { status: head.status, headers: head.headers, body: Bytes::new() }, asks, record);
    }
    match asks {
        Asks::Plain | Asks::Head => hygiene::set_upgrade(&mut head.headers, &switched.protocol),
        // RFC 8441, section 5.
        Asks::Tunnel => head.status = StatusCode::OK,
    }
    record.responded(head.status.as_u16());
    let tunnel = Tunnel::new((record, &client.activity), answer.connection, switched.stream, timeout);
    client.tunnel.set(Some(Box::new(tunnel)));
    with_head(head, Either::Right(Empty::new()))
}

/// A response that is all there, and passes no filter any more.
fn whole(reply: Reply, asks: Asks, record: Box<Record>) -> Response<Outgoing> {
    let mut head = ResponseHead { status: reply.status, headers: reply.headers };
    let origin = sent(&mut head, reply.body, asks);
    respond(head, (origin, None, None), asks, record)
}

/// What of a body is sent. Where it is not, its length still is (RFC 9110, sections 9.3.2 and 8.6).
fn sent(head: &mut ResponseHead, body: Bytes, asks: Asks) -> Origin {
    if filtering::is_bodiless(head.status) {
        return Origin::Ended;
    }
    if asks == Asks::Head {
        head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        return Origin::Ended;
    }
    Origin::whole(body)
}

/// A body's way out: where it comes from, what it goes through, and the request's body that goes with it.
type WayOut = (Origin, Option<Box<Filtered>>, Option<Rc<Upload>>);

fn respond(
    mut head: ResponseHead,
    (origin, filtered, upload): WayOut,
    asks: Asks,
    mut record: Box<Record>,
) -> Response<Outgoing> {
    if asks == Asks::Tunnel && hygiene::would_open(head.status) {
        head.status = StatusCode::BAD_GATEWAY;
    }
    record.responded(head.status.as_u16());
    let body = ResponseBody::new(origin, filtered, record, upload);
    // A length that is known is said in every protocol alike (RFC 9110, section 8.6).
    let has_length =
        asks != Asks::Head && head.status != StatusCode::NO_CONTENT && head.status != StatusCode::NOT_MODIFIED;
    if has_length
        && !head.headers.contains_key(header::CONTENT_LENGTH)
        && let Some(length) = body.size_hint().exact()
    {
        head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    with_head(head, Either::Left(body))
}

fn with_head(head: ResponseHead, body: Outgoing) -> Response<Outgoing> {
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    response
}

/// The same target under `https`.
fn redirect(exchange: &Exchange, port: u16, status: u16) -> Result<Reply, RequestError> {
    let authority = std::str::from_utf8(exchange.request.authority_bytes()).map_err(|_| RequestError::Host)?;
    let host = authority.parse::<http::uri::Authority>().map_err(|_| RequestError::Host)?;
    let port = if port == 443 { String::new() } else { format!(":{port}") };
    let target = exchange.request.target.as_str();
    // The target of `OPTIONS *` is the server itself.
    let location = format!("https://{}{port}{}", host.host(), if target == "*" { "/" } else { target });
    let mut reply = Reply::text(StatusCode::from_u16(status).unwrap_or(StatusCode::PERMANENT_REDIRECT), "");
    reply.headers.insert(header::LOCATION, HeaderValue::try_from(location).map_err(|_| RequestError::Target)?);
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<A, B, C, F: Future>(_: impl Fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    /// A request's future is allocated, and hyper moves its answer. What grows it is mostly a large argument of an async function, which has it
    /// twice, or a rare case that is not boxed.
    #[test]
    fn what_is_kept_and_moved_for_every_request_is_small() {
        assert!(size_of_future(under_way) <= 4_200, "{} bytes", size_of_future(under_way));
        assert!(size_of::<Response<Outgoing>>() <= 256, "{} bytes", size_of::<Response<Outgoing>>());
    }
}
