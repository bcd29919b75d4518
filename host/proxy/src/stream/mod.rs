//! A connection that carries anything: its bytes go to an endpoint and the endpoint's come back, whatever they mean.
//!
//! It is one exchange, from its route to its end: it passes the listener's connection filters, has a chain whose balancer
//! chooses the endpoint, is observed, counted and logged. TLS ends here, where the listener has certificates, or passes
//! through unread, and is routed by the name that the client asks for.

mod hello;
mod shown;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method};
use palisade_contract::{Connection, Ending, Exchange, Protocol, Refusal, RequestHead, Tls};
use rustls::ServerConfig;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, Interest};
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use crate::activity::Activity;
use crate::client::{Behind, Refused, behind, describe};
use crate::io::{Abort, Socket};
use crate::linger::close_well;
use crate::places::OfAddress;
use crate::record::Record;
use crate::site::{Site, Way};
use crate::tls::{ACME_TLS, shake_hands};
use crate::tunnel::relay::{End, Relay};

pub(crate) use shown::Shown;
use shown::{Half, Unbegun};

/// After which the kernel asks whether a silent client is still there.
const SILENCE: Duration = Duration::from_secs(60);

/// Passes one connection on to its end, and says how it ended if that was our doing.
pub(crate) async fn run(site: &Rc<Site>, stream: Socket, peer: SocketAddr) {
    let mut client = peer;
    let mut of_address = None;
    let refused = match begin(site, stream, (&mut client, &mut of_address)).await {
        Ok(Some(begun)) => forward(site, begun).await,
        Ok(None) => return,
        Err(refused) => Err(refused),
    };
    if let Err(refused) = refused {
        refused.tell(site, client);
    }
}

/// The bytes of a client, in clear text (or TLS that passes through) or within TLS that ends here.
type ClientStream = Either<Socket, Box<TlsStream<Socket>>>;

impl Abort for ClientStream {
    fn abort(&self) {
        match self {
            Self::Left(stream) => stream.abort(),
            Self::Right(stream) => stream.abort(),
        }
    }
}

impl Settle for ClientStream {
    fn settle(&self) {
        socket(self).settle();
    }
}

fn socket(stream: &ClientStream) -> &Socket {
    match stream {
        Either::Left(stream) => stream,
        Either::Right(stream) => stream.get_ref().0,
    }
}

/// The other way round from [`Abort`].
pub(crate) trait Settle {
    /// From now on, dropping it ends the connection in good order.
    fn settle(&self);
}

impl Settle for Socket {
    fn settle(&self) {
        // Where it fails, the connection is gone already.
        let _ = SockRef::from(self).set_linger(None);
    }
}

/// A connection that may go on.
struct Begun {
    connection: Connection,
    stream: ClientStream,
    /// What was read of it already.
    read: Bytes,
}

/// Asks the listener's connection filters, and does TLS or looks at its beginning; none where the client is gone.
async fn begin(
    site: &Site,
    stream: Socket,
    (client, of_address): (&mut SocketAddr, &mut Option<OfAddress>),
) -> Result<Option<Begun>, Refused> {
    let mut stream = stream;
    match behind(site, &mut stream, *client).await? {
        Behind::Peer => {}
        Behind::Client(named) => {
            *client = named;
            *of_address = site.place_of(named)?;
        }
        Behind::Nobody => return Ok(None),
    }
    let Some(mut connection) = describe(site, &stream, *client) else { return Ok(None) };
    // Databases' clients are silent for hours. Where it fails, the client is gone, which is seen soon enough.
    let _ =
        SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(SILENCE).with_interval(SILENCE / 4));
    let admitted = |admits: bool| if admits { Ok(()) } else { Err(Refusal::Plugin) };
    if site.tls.is_none() && !site.routes.has_hosts() {
        admitted(site.chain.admits(&connection))?;
        return Ok(Some(Begun { connection, stream: Either::Left(stream), read: Bytes::new() }));
    }
    admitted(site.chain.admits_before_tls(&connection))?;
    let limit = site.config.limits.handshake_timeout;
    let begun = tokio::time::timeout(limit, known(site, stream)).await.map_err(|_| Refusal::HandshakeTimeout)?;
    let Some((stream, read, tls)) = begun? else { return Ok(None) };
    connection.tls = Some(Arc::new(tls));
    admitted(site.chain.admits_after_tls(&connection))?;
    Ok(Some(Begun { connection, stream, read }))
}

type Known = (ClientStream, Bytes, Tls);

/// Does TLS, or reads what the client asks for within it.
async fn known(site: &Site, stream: Socket) -> Result<Option<Known>, Refused> {
    let failed = |error: std::io::Error| Refused { why: Refusal::Handshake, detail: Some(error.to_string()) };
    match &site.tls {
        Some(tls) => secure(site, stream, tls.clone()).await.map_err(failed),
        None => {
            let mut stream = stream;
            let (read, tls) = hello::read(&mut stream, site.fingerprinting).await.map_err(failed)?;
            Ok(Some((Either::Left(stream), read, tls)))
        }
    }
}

async fn secure(site: &Site, stream: Socket, tls: Arc<ServerConfig>) -> std::io::Result<Option<Known>> {
    let (stream, known) = shake_hands((tls, site.fingerprinting), stream, &site.worker.handshakes).await?;
    if known.alpn.as_deref() == Some(ACME_TLS) {
        // It has seen what it was to see: nothing follows (RFC 8737, section 3).
        close_well(stream).await;
        return Ok(None);
    }
    Ok(Some((Either::Right(Box::new(stream)), Bytes::new(), known)))
}

/// Passes the bytes both ways until the end.
async fn forward(site: &Rc<Site>, Begun { connection, stream, read }: Begun) -> Result<(), Refused> {
    let name = connection.tls.as_ref().and_then(|tls| tls.server_name.as_deref()).unwrap_or_default();
    let Some(way) = site.way(name.as_bytes(), "/") else {
        let detail = if name.is_empty() { "it asked for no name".to_owned() } else { format!("it asked for {name:?}") };
        stream.abort();
        return Err(Refused { why: Refusal::Route, detail: Some(detail) });
    };
    let mut record = Record::begin(site, Activity::new().exchange(), site.worker.exchange_id(), connection.client.ip());
    record.stream(name);
    let authority = HeaderValue::from_str(name).ok().filter(|name| !name.is_empty());
    let head = RequestHead { method: Method::CONNECT, authority, ..RequestHead::default() };
    let mut exchange = Exchange::new(record.id(), Arc::new(connection), Protocol::Tcp, head);
    exchange.route = way.name;
    exchange.alternatives = way.alternatives();
    record.leased(way.chain.lease(record.id()), &exchange);
    let limit = site.config.limits.handshake_timeout;
    match tokio::time::timeout(limit, shown(exchange, &mut record, stream, read)).await {
        Ok(Ok(opened)) => pass(way, opened, record).await,
        Ok(Err(())) => {}
        Err(_) => {
            record.ended(Ending::Closed);
            let detail = Some("nothing came that a plugin waits for before an endpoint is chosen".to_owned());
            return Err(Refused { why: Refusal::HandshakeTimeout, detail });
        }
    }
    Ok(())
}

/// A stream whose chain was asked about it.
struct Opened<S> {
    client: S,
    /// What is for the endpoint already.
    read: Bytes,
    half: Half,
    route: Route,
}

/// What a stream's endpoint is chosen for.
enum Route {
    /// Nobody is shown its bytes.
    Plain(Box<Exchange>),
    Shown(Shown),
}

impl Route {
    fn exchange(&mut self) -> &mut Box<Exchange> {
        match self {
            Self::Plain(exchange) => exchange,
            Self::Shown(shown) => shown.exchange(),
        }
    }
}

/// Asks the chain's stream filters, and shows them the beginning where they want it before an endpoint is chosen. An error is a
/// stream that is over.
async fn shown<S>(mut exchange: Box<Exchange>, record: &mut Record, client: S, read: Bytes) -> Result<Opened<S>, ()>
where
    S: AsyncRead + AsyncWrite + Abort + Unpin,
{
    let passage = match record.lease().map(|lease| lease.stream(&mut exchange)) {
        Some(Ok(Some(passage))) => passage,
        Some(Ok(None)) | None => {
            return Ok(Opened { client, read, half: Half::Open, route: Route::Plain(exchange) });
        }
        Some(Err(stopped)) => {
            record.stopped(&stopped);
            client.abort();
            return Err(());
        }
    };
    let (mut client, mut shown) = (client, Shown::new(passage, exchange));
    match shown.begin(&mut client, read).await {
        Ok((read, half)) => Ok(Opened { client, read, half, route: Route::Shown(shown) }),
        Err(Unbegun::Client) => Err(()),
        Err(Unbegun::Stopped(stopped)) => {
            record.stopped(&stopped);
            client.abort();
            Err(())
        }
    }
}

async fn pass(way: &Way, opened: Opened<ClientStream>, mut record: Box<Record>) {
    let speaks_first = speaks_first(&opened);
    let Opened { client, read, half, mut route } = opened;
    let chosen = route.exchange().alternatives.as_mut().and_then(|alternatives| {
        alternatives.is_decided = true;
        alternatives.chosen
    });
    let alternative = chosen.and_then(|chosen| way.alternatives.get(chosen));
    let pools = alternative.unwrap_or_else(|| way.choose(route.exchange()).0);
    let connected = tokio::select! {
        biased;
        connected = pools.stream(route.exchange(), &mut record) => Some(connected),
        () = leaves(socket(&client), speaks_first) => None,
    };
    let (endpoint, connection) = match connected {
        Some(Ok(connected)) => connected,
        None => {
            record.ended(Ending::ClientGone);
            return client.abort();
        }
        Some(Err(error)) => {
            record.failed(&error);
            return client.abort();
        }
    };
    let shown = match route {
        Route::Plain(_) => None,
        Route::Shown(shown) => Some(shown),
    };
    // Unless both have ended in good order: also where this is dropped, because the time to drain is over.
    client.abort();
    endpoint.abort();
    let mut relay = Relay::new(client, endpoint, read).showing(shown);
    if half == Half::Ended {
        relay.client_ended();
    }
    let end = tokio::select! {
        biased;
        end = relay.run(way.streams.tunnel_timeout, &mut record) => Ok(end),
        why = connection.is_down() => Err(why),
    };
    // Else what was cut does not look whole, on either side.
    if matches!(end, Ok(End::Both)) {
        let (client, endpoint) = relay.into_sides();
        client.settle();
        endpoint.settle();
    }
    match end {
        Ok(End::Both) => record.ended(Ending::Complete),
        Ok(End::Client) => record.ended(Ending::ClientGone),
        Ok(End::Endpoint(error)) => {
            connection.failed();
            record.truncated(format!("the endpoint broke off: {error}"));
        }
        Ok(End::Silence) => record.truncated("nothing passed for too long".to_owned()),
        Ok(End::Stopped(stopped)) => record.stopped(&stopped),
        Err(why) => record.truncated(format!("checks found the endpoint down: {why}")),
    }
}

/// Who speaks before there is an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SpeaksFirst {
    /// Nobody has said anything, or a client that awaits its handshake's answer: one that says that nothing more comes has left.
    Nobody,
    /// The client may have said all that it has to say.
    Client,
}

fn speaks_first(opened: &Opened<ClientStream>) -> SpeaksFirst {
    let is_clear = matches!(opened.client, Either::Left(_));
    let is_handshake = match &opened.route {
        Route::Plain(exchange) => exchange.connection.tls.is_some(),
        Route::Shown(_) => false,
    };
    if is_clear && opened.half == Half::Open && (opened.read.is_empty() || is_handshake) {
        SpeaksFirst::Nobody
    } else {
        SpeaksFirst::Client
    }
}

/// Resolves when it is seen that a client has left who waits for an endpoint.
async fn leaves(socket: &Socket, speaks_first: SpeaksFirst) {
    if speaks_first == SpeaksFirst::Nobody && !matches!(socket.peek(&mut [0]).await, Ok(1..)) {
        return;
    }
    // Whatever it has sent, one that is reset takes no answer.
    if socket.ready(Interest::ERROR).await.is_err() {
        std::future::pending().await
    }
}
