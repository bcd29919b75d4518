//! One client's connection, from the accepted socket to its end.

mod http2;

use std::error::Error as _;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Response, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use palisade_contract::{Connection, ConnectionId, Refusal, Scheme, Tls};
use pin_project_lite::pin_project;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;

use crate::activity::{Activity, Verdict};
use crate::body::ClientBody;
use crate::hygiene::Trust;
use crate::io::{Abort, Cut, Watched};
use crate::linger::{close_well, linger};
use crate::places::OfAddress;
use crate::proxy_protocol;
use crate::serve::{Client, Closed, Outgoing, serve};
use crate::site::{Listening, Site};
use crate::tls::{ACME_TLS, shake_hands};

/// Serves one connection to its end, and says how it ended if that was our doing.
pub(crate) async fn run(
    listening: Rc<Listening>,
    (stream, client): (TcpStream, SocketAddr),
    drain: watch::Receiver<bool>,
) {
    let mut client = client;
    let mut of_address = None;
    let refused = match begin(&listening, stream, (&mut client, &mut of_address)).await {
        Ok(Some((connection, Stream::Clear(stream)))) => {
            serve_http(&listening, connection, stream, Speaks::Http1, drain).await
        }
        Ok(Some((connection, Stream::Tls(stream, speaks)))) => {
            serve_http(&listening, connection, *stream, speaks, drain).await
        }
        Ok(None) => return,
        Err(why) => Err(why),
    };
    if let Err(refused) = refused {
        refused.tell(&listening.site(), client);
    }
}

/// Why a connection was ended by us.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) why: Refusal,
    pub(crate) detail: Option<String>,
}

impl Refused {
    /// Counts it and, now and then, logs it.
    pub(crate) fn tell(&self, site: &Site, client: SocketAddr) {
        let detail = self.detail.as_ref().map(|detail| detail as &dyn std::fmt::Display);
        site.refused(client, self.why, detail);
    }
}

impl From<Refusal> for Refused {
    fn from(why: Refusal) -> Self {
        Self { why, detail: None }
    }
}

/// A connection on which HTTP can be spoken.
enum Stream {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>, Speaks),
}

#[derive(Debug, Clone, Copy)]
enum Speaks {
    Http1,
    Http2,
}

/// Asks the listener's connection filters and does TLS, both by the plan of the moment; none where the client is gone.
async fn begin(
    listening: &Listening,
    stream: TcpStream,
    (client, of_address): (&mut SocketAddr, &mut Option<OfAddress>),
) -> Result<Option<(Connection, Stream)>, Refused> {
    let site = listening.site();
    let mut stream = stream;
    match behind(&site, &mut stream, *client).await? {
        Behind::Peer => {}
        Behind::Client(named) => {
            *client = named;
            *of_address = site.place_of(named)?;
        }
        Behind::Nobody => return Ok(None),
    }
    let Some(mut connection) = describe(&site, &stream, *client) else { return Ok(None) };
    let admitted = |admits: bool| if admits { Ok(()) } else { Err(Refusal::Plugin) };
    let Some(tls) = &site.tls else {
        admitted(site.chain.admits(&connection))?;
        return Ok(Some((connection, Stream::Clear(stream))));
    };
    admitted(site.chain.admits_before_tls(&connection))?;
    let Some((stream, known)) = secure(&site, &connection, stream, tls.clone()).await? else { return Ok(None) };
    connection.tls = Some(Arc::new(known));
    admitted(site.chain.admits_after_tls(&connection))?;
    Ok(Some((connection, stream)))
}

/// Whose connection it is.
pub(crate) enum Behind {
    /// The peer's own.
    Peer,
    /// This client's, as the peer says.
    Client(SocketAddr),
    /// Its peer has left at once.
    Nobody,
}

/// Who the client is, where a peer says so before anything else.
pub(crate) async fn behind(site: &Site, stream: &mut TcpStream, peer: SocketAddr) -> Result<Behind, Refused> {
    if site.config.proxy_protocol.is_empty() || Trust::of(peer.ip(), &site.config.proxy_protocol) == Trust::Stranger {
        return Ok(Behind::Peer);
    }
    // A look whether somebody is here, as balancers have: nothing was refused.
    if stream.peek(&mut [0]).await.is_ok_and(|bytes| bytes == 0) {
        return Ok(Behind::Nobody);
    }
    match tokio::time::timeout(site.config.limits.handshake_timeout, proxy_protocol::read(stream)).await {
        Ok(Ok(client)) => Ok(client.map_or(Behind::Peer, Behind::Client)),
        Ok(Err(error)) => Err(Refused { why: Refusal::Protocol, detail: Some(error.to_string()) }),
        Err(_) => {
            let detail = Some("no header of the PROXY protocol came".to_owned());
            Err(Refused { why: Refusal::HandshakeTimeout, detail })
        }
    }
}

/// What is known of a connection that was just accepted; none where the client is gone.
pub(crate) fn describe(site: &Site, stream: &TcpStream, client: SocketAddr) -> Option<Connection> {
    // Without it the client is gone already.
    let local = stream.local_addr().ok()?;
    // A failure costs latency, not correctness.
    let _ = stream.set_nodelay(true);
    let scheme = if site.tls.is_some() { Scheme::Https } else { Scheme::Http };
    Some(Connection { id: ConnectionId(site.worker.number()), client, local, listener: site.name, scheme, tls: None })
}

async fn secure(
    site: &Site,
    connection: &Connection,
    stream: TcpStream,
    tls: Arc<ServerConfig>,
) -> Result<Option<(Stream, Tls)>, Refusal> {
    let handshake = shake_hands((tls, site.fingerprinting), stream, &site.worker.handshakes);
    let (stream, known) = match tokio::time::timeout(site.config.limits.handshake_timeout, handshake).await {
        Ok(Ok(done)) => done,
        Ok(Err(error)) => {
            tracing::debug!(client = %connection.client, %error, "a TLS handshake failed");
            return Err(Refusal::Handshake);
        }
        Err(_) => return Err(Refusal::HandshakeTimeout),
    };
    if known.alpn.as_deref() == Some(ACME_TLS) {
        // It has seen what it was to see: nothing follows (RFC 8737, section 3).
        close_well(stream).await;
        return Ok(None);
    }
    let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    // A client that negotiates nothing speaks HTTP/1, which not every listener does.
    if !is_h2 && !site.config.http.h1 {
        return Err(Refusal::Protocol);
    }
    Ok(Some((Stream::Tls(Box::new(stream), if is_h2 { Speaks::Http2 } else { Speaks::Http1 }), known)))
}

async fn serve_http<S>(
    listening: &Rc<Listening>,
    connection: Connection,
    stream: S,
    speaks: Speaks,
    drain: watch::Receiver<bool>,
) -> Result<(), Refused>
where
    S: AsyncRead + AsyncWrite + Abort + Unpin + 'static,
{
    let client = Rc::new(Client::new(connection, Activity::new()));
    match speaks {
        Speaks::Http1 => serve_http1(listening, &client, stream, drain).await,
        Speaks::Http2 => http2::serve(listening, &client, stream, drain).await,
    }
}

async fn serve_http1<S>(
    listening: &Rc<Listening>,
    client: &Rc<Client>,
    stream: S,
    drain: watch::Receiver<bool>,
) -> Result<(), Refused>
where
    S: AsyncRead + AsyncWrite + Abort + Unpin + 'static,
{
    // What HTTP itself is limited to stays as it was when the connection began.
    let limits = listening.site().config.limits;
    let activity = &client.activity;
    let stream = Watched::new(stream, activity.clone(), limits.header_bytes.max(SMALLEST_BUFFER));
    let service = {
        let (listening, client, stream) = (listening.clone(), client.clone(), stream.clone());
        service_fn(move |request| {
            let (site, client, stream) = (listening.site(), client.clone(), stream.clone());
            let is_upgrade = request.headers().contains_key(UPGRADE);
            let served = serve(site.clone(), client.clone(), request.map(ClientBody::Hyper));
            Then::new(served, move |mut response: Response<Outgoing>| {
                client.advertise(&site, response.headers_mut());
                if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                    // Its `Connection` field is the upgrade's (RFC 9110, section 7.8).
                    stream.ends();
                    return response;
                }
                if client.activity.is_draining() {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                if is_upgrade {
                    stream.goes_on();
                }
                response
            })
        })
    };
    let mut served = http1::Builder::new()
        .max_headers(limits.headers)
        .max_buf_size(limits.header_bytes.max(SMALLEST_BUFFER))
        // The activity's timer keeps both limits on heads; two timers would be one too many.
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream.clone()), service);
    let close = |served: Pin<&mut http1::Connection<_, _>>| {
        // What is answered then says so itself, and a 101 has a field of its own in that place.
        if !stream.is_undecided() {
            served.graceful_shutdown();
        }
    };
    let end = End { close, grace: DRAIN_GRACE };
    let driven = drive(listening, activity, Pin::new(&mut served), end, drain);
    let ended = Cut::around(stream.clone(), activity, driven).await;
    let tunnel = client.tunnel.take().filter(|_| stream.refused().is_none());
    if let (Ok(()), Some(tunnel)) = (ended, tunnel) {
        let read = served.into_parts().read_buf;
        let held = stream.take_held();
        let read = if held.is_empty() { read } else { [read.as_ref(), &held].concat().into() };
        tunnel.run(stream, activity, read).await;
        return Ok(());
    }
    let refused = stream.refused();
    if activity.must_not_end_well() {
        // RFC 9112, section 8.
        stream.abort();
    } else if refused.is_some() || ended == Err(Refusal::Protocol) || (ended.is_ok() && activity.has_unread()) {
        linger(stream).await;
    } else if ended.is_ok() && client.upgrade_offered.get() {
        close_well(stream).await;
    }
    match refused {
        Some(why) => Err(Refused { why: Refusal::Protocol, detail: Some(why.to_string()) }),
        None => ended.map_err(Refused::from),
    }
}

pin_project! {
    /// What serves a request, and what is done with its answer when it is there. As an async function it would have the future
    /// twice: as its argument, and where it waits for it.
    struct Then<F, D> {
        #[pin]
        served: F,
        done: Option<D>,
    }
}

impl<F, D> Then<F, D> {
    fn new(served: F, done: D) -> Self {
        Self { served, done: Some(done) }
    }
}

impl<F, D, R> Future for Then<F, D>
where
    F: Future<Output = Result<R, Closed>>,
    D: FnOnce(R) -> R,
{
    type Output = Result<R, Closed>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let served = ready!(this.served.poll(context));
        Poll::Ready(served.map(|response| match this.done.take() {
            Some(done) => done(response),
            None => response,
        }))
    }
}

/// The least that hyper takes for its read buffer.
const SMALLEST_BUFFER: usize = 8 << 10;

/// How a connection is ended in good order, and how long one is still listened to that has just been answered.
struct End<F> {
    close: F,
    grace: Duration,
}

/// The first request of a client, or the next one of HTTP/1, may be on its way when the host drains: it is answered, and told
/// that it was the last.
const DRAIN_GRACE: Duration = Duration::from_secs(1);

/// Polls a connection to its end, ending it in good order when it is idle or the host drains, and cutting it when the
/// client keeps it waiting.
async fn drive<C, F>(
    listening: &Listening,
    activity: &Activity,
    mut served: Pin<&mut C>,
    End { close, grace }: End<F>,
    mut drain: watch::Receiver<bool>,
) -> Result<(), Refusal>
where
    C: Future<Output = hyper::Result<()>>,
    F: Fn(Pin<&mut C>),
{
    // Looks at once, and then whenever a limit could have passed.
    let mut timer = pin!(tokio::time::sleep(Duration::ZERO));
    let mut closing = false;
    loop {
        tokio::select! {
            biased;
            ended = &mut served => return ended.or_else(|error| judge(&error)),
            () = &mut timer => match verdict(activity, &listening.site()) {
                // Its grace is over, and no request is on its way that would be its last.
                _ if activity.is_draining() && !closing && !activity.is_in_head() => {
                    closing = true;
                    close(served.as_mut());
                    timer.as_mut().reset(Instant::now());
                }
                Verdict::Wait(until) => timer.as_mut().reset(until),
                Verdict::Cut(why) => return Err(why),
                Verdict::Idle if closing => return Ok(()),
                Verdict::Idle => {
                    closing = true;
                    close(served.as_mut());
                    // A client that is still there answers at once, and one that is not must not stay much longer.
                    timer.as_mut().reset(Instant::now() + listening.site().config.limits.idle_timeout / 10);
                }
            },
            _ = drain.wait_for(|drain| *drain), if !activity.is_draining() => {
                activity.drains();
                let grace = if activity.had_any() { grace } else { DRAIN_GRACE };
                match activity.rests_since().map(|since| since + grace) {
                    // It is answered, and told that it was the last.
                    Some(_) if activity.is_in_head() => {}
                    Some(end) if end > Instant::now() => timer.as_mut().reset(end),
                    Some(_) | None if closing => {}
                    Some(_) | None => {
                        closing = true;
                        close(served.as_mut());
                    }
                }
            }
        }
    }
}

fn verdict(activity: &Activity, site: &Site) -> Verdict {
    activity.verdict(&site.config.limits, site.patience_min, Instant::now())
}

/// Whether the end of a connection is worth counting: clients that leave are not.
fn judge(error: &hyper::Error) -> Result<(), Refusal> {
    tracing::debug!(%error, "a client's connection ended");
    // What we end an HTTP/2 connection for. Clients that end theirs are not told apart from those that are done.
    let ours = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
    match ours.filter(|error| error.is_go_away() && error.is_library()).and_then(h2::Error::reason) {
        Some(h2::Reason::ENHANCE_YOUR_CALM) => Err(Refusal::Flood),
        Some(h2::Reason::NO_ERROR) => Ok(()),
        Some(_) => Err(Refusal::Protocol),
        None if error.is_parse() || error.is_parse_too_large() => Err(Refusal::Protocol),
        None => Ok(()),
    }
}
