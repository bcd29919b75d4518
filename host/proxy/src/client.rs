//! One client's connection, from the accepted socket to its end.

mod drive;
mod http1;
mod http2;
mod slow;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use palisade_contract::{Connection, ConnectionId, Refusal, Scheme, Tls};
use pin_project_lite::pin_project;
use rustls::ServerConfig;
use tokio::sync::watch;
use tokio_rustls::server::TlsStream;

use crate::activity::Activity;
use crate::hygiene::Trust;
use crate::io::Socket;
use crate::linger::close_well;
use crate::places::OfAddress;
use crate::proxy_protocol;
use crate::serve::{Client, Closed};
use crate::site::{Listening, Site};
use crate::tls::{ACME_TLS, shake_hands};

pub(crate) use slow::{SlowLane, Ticket};

/// Serves one connection to its end, and says how it ended if that was our doing.
pub(crate) fn run(
    listening: Rc<Listening>,
    (stream, client): (Socket, SocketAddr),
    drain: watch::Receiver<bool>,
) -> impl Future<Output = ()> {
    // Both parts are boxed: a future is as large as the largest that it waits for, for as long as it lives.
    let beginning = Box::pin(begin_or_tell(listening.clone(), stream, client));
    async move {
        let Some(Begun { client, stream, _of_address }) = beginning.await else { return };
        if let Err(refused) = serving(&listening, &client, stream, drain).await {
            refused.tell(&listening.site(), client.connection.client);
        }
    }
}

fn serving(
    listening: &Rc<Listening>,
    client: &Rc<Client>,
    stream: Stream,
    drain: watch::Receiver<bool>,
) -> Pin<Box<dyn Future<Output = Result<(), Refused>>>> {
    match stream {
        Stream::Clear(stream) => Box::pin(http1::serve(listening, client, stream, drain)),
        Stream::Tls(stream, Speaks::Http1) => Box::pin(http1::serve(listening, client, *stream, drain)),
        Stream::Tls(stream, Speaks::Http2) => Box::pin(http2::serve(listening, client, *stream, drain)),
    }
}

/// A connection that HTTP can be spoken on, and whose it is.
struct Begun {
    client: Rc<Client>,
    stream: Stream,
    _of_address: Option<OfAddress>,
}

/// As [`begin`], with nothing left to say of one that is refused.
async fn begin_or_tell(listening: Rc<Listening>, stream: Socket, client: SocketAddr) -> Option<Begun> {
    let mut client = client;
    let mut of_address = None;
    match begin(&listening, stream, (&mut client, &mut of_address)).await {
        Ok(begun) => begun.map(|(connection, stream)| Begun {
            client: Rc::new(Client::new(connection, Activity::new())),
            stream,
            _of_address: of_address,
        }),
        Err(refused) => {
            refused.tell(&listening.site(), client);
            None
        }
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
    Clear(Socket),
    Tls(Box<TlsStream<Socket>>, Speaks),
}

#[derive(Debug, Clone, Copy)]
enum Speaks {
    Http1,
    Http2,
}

/// Asks the listener's connection filters and does TLS, both by the plan of the moment; none where the client is gone.
async fn begin(
    listening: &Listening,
    stream: Socket,
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
pub(crate) async fn behind(site: &Site, stream: &mut Socket, peer: SocketAddr) -> Result<Behind, Refused> {
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
pub(crate) fn describe(site: &Site, stream: &Socket, client: SocketAddr) -> Option<Connection> {
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
    stream: Socket,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<A, B, C, F: Future>(_: impl Fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    /// It stays as large as it ever gets for as long as a client is there, and most are idle. What grows it is a large
    /// argument of an async function, which has it twice, or something rare that is not boxed.
    #[test]
    fn what_is_kept_for_an_idle_client_is_small() {
        let (task, served) = (size_of_future(run), size_of_serving(http1::serve::<TlsStream<Socket>>));
        assert!(task <= 128 && served <= 512, "{task} and {served} bytes");
    }

    fn size_of_serving<A, B, C, D, F: Future>(_: impl Fn(A, B, C, D) -> F) -> usize {
        size_of::<F>()
    }
}
