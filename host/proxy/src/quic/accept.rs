//! One UDP socket of one worker: connections are let in for a listener, and drained when it is no longer theirs.

use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use palisade_contract::{Connection, ConnectionId, Refusal, Scheme, Tls};
use quinn::{Connecting, ConnectionError, Incoming, ZeroRttAccepted};
use rustls::pki_types::CertificateDer;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::endpoint::Socket;
use super::overheard::Told;
use super::restrained::Unproven;
use crate::accept::{Closed, drain};
use crate::http3::{self, Handshake};
use crate::site::{Listening, Site, Worker};
use crate::tls;

/// With so many clients on one worker that have not shown yet that they are where they say, the next ones show it first
/// (RFC 9000, section 8.1.2).
const UNPROVEN_MAX: usize = 64;

/// How long clients are let in whose first packets, or whose answers to a Retry, were on their way to this process when another
/// one took its place. They hear at once that it goes.
const STRAGGLERS: Duration = Duration::from_millis(500);

/// How long the last packets of connections that have ended may take to go out.
const LAST_PACKETS: Duration = Duration::from_millis(250);

/// Lets connections in for a listener until `end` is true or has nobody who could make it so, then waits for what is under way
/// for as long as the worker's drain limit says, and cuts what is left.
pub(super) async fn accept(
    listening: Rc<Listening>,
    worker: Rc<Worker>,
    socket: Rc<Socket>,
    end: watch::Receiver<bool>,
) {
    let mut taken_over = socket.begin(listening.site().quic.as_deref());
    let busy = socket.group.busy();
    let mut connections = Connections { listening, end, tasks: JoinSet::new() };
    connections.accept(&socket).await;
    if worker.is_handed_over() {
        // Who came before the other process did is still let in.
        let stragglers = connections.take_all(&socket);
        let _ = tokio::time::timeout(STRAGGLERS, stragglers).await;
    }
    let mut is_ours = true;
    {
        let mut drained = pin!(drain(&connections.listening, connections.tasks, worker.drain_limit()));
        loop {
            tokio::select! {
                biased;
                () = &mut drained => break,
                () = refuse(&socket, &mut taken_over), if is_ours => is_ours = false,
            }
        }
    }
    drop(busy);
    if is_ours {
        // As long as other workers keep the address, some of those who come still come here.
        tokio::select! {
            biased;
            () = socket.group.at_rest() => {}
            () = refuse(&socket, &mut taken_over) => {}
        }
    }
    // The worker may end with this, and nothing is sent after that.
    let _ = tokio::time::timeout(LAST_PACKETS, socket.endpoint.wait_idle()).await;
}

/// Tells whoever still comes that nobody is there, until another listener accepts here.
async fn refuse(socket: &Socket, taken_over: &mut watch::Receiver<()>) {
    loop {
        tokio::select! {
            biased;
            _ = taken_over.changed() => return,
            incoming = socket.endpoint.accept() => match incoming {
                Some(incoming) => incoming.refuse(),
                None => return,
            },
        }
    }
}

/// The connections that one socket brought.
struct Connections {
    listening: Rc<Listening>,
    end: watch::Receiver<bool>,
    tasks: JoinSet<()>,
}

impl Connections {
    async fn accept(&mut self, socket: &Socket) {
        let mut end = self.end.clone();
        loop {
            tokio::select! {
                biased;
                _ = end.wait_for(|end| *end) => return,
                Some(_) = self.tasks.join_next() => {}
                incoming = socket.endpoint.accept() => match incoming {
                    Some(incoming) => {
                        self.take(incoming, socket);
                        // That was most of a handshake: others have their turn before the next one.
                        tokio::task::yield_now().await;
                    }
                    // Its socket is gone.
                    None => return,
                },
            }
        }
    }

    /// Whatever still comes.
    async fn take_all(&mut self, socket: &Socket) {
        while let Some(incoming) = socket.endpoint.accept().await {
            self.take(incoming, socket);
        }
    }

    fn take(&mut self, incoming: Incoming, socket: &Socket) {
        let site = self.listening.site();
        let is_unproven = !incoming.remote_address_validated();
        if is_unproven && is_under_load(&site, socket) {
            // It may always be sent to a client that has not shown where it is.
            let _ = incoming.retry();
            return;
        }
        site.monitor.connection_opened();
        let closed = Closed::new(site.monitor.clone());
        let client = incoming.remote_address();
        let begun = site
            .place(client)
            .and_then(|place| begin(&site, socket.group.address(), incoming).map(|begun| (place, begun)));
        let (place, (connection, connecting)) = match begun {
            Ok(begun) => begun,
            Err(why) => return site.refused(client, why, None),
        };
        let unproven = is_unproven.then(|| socket.socket.restrain(connection.client));
        let (listening, end) = (self.listening.clone(), self.end.clone());
        self.tasks.spawn_local(async move {
            let _place = place;
            let _closed = closed;
            let mut connection = connection;
            let ended = match shake_hands(&listening, &mut connection, connecting, unproven).await {
                Ok(begun) => http3::run(listening.clone(), connection, begun, end).await,
                Err(why) => Err(why),
            };
            if let Err(why) = ended {
                listening.site().refused(client, why, None);
            }
        });
    }
}

/// Many clients may not be where they say, or the listener is half full: then places are for those that have shown it.
fn is_under_load(site: &Site, socket: &Socket) -> bool {
    socket.socket.unproven() >= UNPROVEN_MAX || site.connections.taken() >= site.config.limits.connections.div_ceil(2)
}

/// Asks the listener's connection filters that need nothing of TLS, and lets the handshake begin, both by the plan of the moment.
fn begin(site: &Site, bound: SocketAddr, incoming: Incoming) -> Result<(Connection, Connecting), Refusal> {
    let local = incoming.local_ip().map_or(bound, |address| SocketAddr::new(address, bound.port()));
    let connection = Connection {
        id: ConnectionId(site.worker.number()),
        client: incoming.remote_address(),
        local,
        listener: site.name,
        scheme: Scheme::Https,
        tls: None,
    };
    if !site.chain.admits_before_tls(&connection) {
        incoming.refuse();
        return Err(Refusal::Plugin);
    }
    // Without it, the listener speaks HTTP/3 no more.
    let Some(config) = &site.quic else { return Err(Refusal::Protocol) };
    match incoming.accept_with(Arc::clone(config)) {
        Ok(connecting) => Ok((connection, connecting)),
        Err(error) => {
            tracing::debug!(client = %connection.client, %error, "a QUIC handshake failed");
            Err(Refusal::Handshake)
        }
    }
}

/// A connection whose requests may be read: at the end of the handshake, or before it, where the client has sent some early and
/// the listener takes that.
async fn shake_hands(
    listening: &Listening,
    connection: &mut Connection,
    connecting: Connecting,
    unproven: Option<Unproven>,
) -> Result<(quinn::Connection, Option<Handshake>), Refusal> {
    let site = listening.site();
    let client = connection.client;
    let until = Instant::now() + site.config.limits.handshake_timeout;
    let (quic, ending) = match tokio::time::timeout_at(until, begun(&site, connecting)).await {
        Ok(Ok(begun)) => begun,
        Ok(Err(error)) => {
            tracing::debug!(%client, %error, "a QUIC handshake failed");
            return Err(Refusal::Handshake);
        }
        Err(_) => return Err(Refusal::HandshakeTimeout),
    };
    connection.tls = Some(Arc::new(known(&quic)));
    if !site.chain.admits_after_tls(connection) {
        return Err(Refusal::Plugin);
    }
    let Some(ending) = ending else { return Ok((quic, None)) };
    let seen = quic.clone();
    let is_proven = unproven.is_none();
    let ending = Box::pin(async move {
        let _unproven = unproven;
        let is_over = tokio::time::timeout_at(until, ending).await.is_ok();
        if told(&seen).is_done {
            return Ok(());
        }
        tracing::debug!(%client, is_over, "a QUIC handshake failed");
        Err(if is_over { Refusal::Handshake } else { Refusal::HandshakeTimeout })
    });
    Ok((quic, Some(Handshake { ending, is_proven })))
}

/// The connection, and what its handshake ends with where it is still under way.
async fn begun(
    site: &Site,
    mut connecting: Connecting,
) -> Result<(quinn::Connection, Option<ZeroRttAccepted>), ConnectionError> {
    if site.takes_early_data() {
        let told = connecting.handshake_data().await?;
        if told.downcast_ref::<Told>().is_some_and(|told| told.is_early) {
            match connecting.into_0rtt() {
                Ok((quic, ending)) => return Ok((quic, Some(ending))),
                // Clients alone may have nothing to begin with.
                Err(whole) => connecting = whole,
            }
        }
    }
    Ok((connecting.await?, None))
}

fn told(quic: &quinn::Connection) -> Box<Told> {
    quic.handshake_data().and_then(|data| data.downcast::<Told>().ok()).unwrap_or_default()
}

/// What is known of a client whose hello was heard.
fn known(quic: &quinn::Connection) -> Tls {
    const TLS_1_3: u16 = 0x0304;
    let Told { server_name, alpn, cipher_suite, ja4, is_early: _, is_done: _ } = *told(quic);
    let chain = quic.peer_identity().and_then(|chain| chain.downcast::<Vec<CertificateDer<'static>>>().ok());
    Tls {
        version: TLS_1_3,
        cipher_suite,
        server_name: server_name.map(|name| name.to_ascii_lowercase().into()),
        alpn: alpn.map(Vec::into_boxed_slice),
        ja4: ja4.map(String::into_boxed_str),
        client: chain.as_ref().and_then(|chain| chain.first()).map(|certificate| tls::client(certificate)),
    }
}
