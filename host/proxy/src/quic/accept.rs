//! One UDP socket of one worker: connections are let in for a listener, and drained when it is no longer theirs.

use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use palisade_contract::{Connection, ConnectionId, Refusal, Scheme, Tls};
use quinn::crypto::rustls::HandshakeData;
use quinn::{Connecting, Incoming};
use rustls::pki_types::CertificateDer;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::endpoint::Socket;
use super::restrained::Unproven;
use crate::accept::{Closed, drain};
use crate::http3;
use crate::site::{Listening, Site, Worker};
use crate::tls;

/// With so many clients on one worker that have not shown yet that they are where they say, the next ones show it first
/// (RFC 9000, section 8.1.2).
const UNPROVEN_MAX: usize = 64;

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
                    Some(incoming) => self.take(incoming, socket),
                    // Its socket is gone.
                    None => return,
                },
            }
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
                Ok(quic) => http3::run(listening.clone(), connection, quic, end).await,
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

async fn shake_hands(
    listening: &Listening,
    connection: &mut Connection,
    connecting: Connecting,
    unproven: Option<Unproven>,
) -> Result<quinn::Connection, Refusal> {
    let site = listening.site();
    let _unproven = unproven;
    match tokio::time::timeout(site.config.limits.handshake_timeout, connecting).await {
        Ok(Ok(quic)) => {
            connection.tls = Some(Arc::new(known(&quic)));
            if site.chain.admits_after_tls(connection) { Ok(quic) } else { Err(Refusal::Plugin) }
        }
        Ok(Err(error)) => {
            tracing::debug!(client = %connection.client, %error, "a QUIC handshake failed");
            Err(Refusal::Handshake)
        }
        Err(_) => Err(Refusal::HandshakeTimeout),
    }
}

/// What is known of a client whose handshake is done. Its suite and its ClientHello are not told by the library.
fn known(quic: &quinn::Connection) -> Tls {
    const TLS_1_3: u16 = 0x0304;
    let agreed = quic.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok());
    let (alpn, server_name) = agreed.map(|agreed| (agreed.protocol, agreed.server_name)).unwrap_or_default();
    let chain = quic.peer_identity().and_then(|chain| chain.downcast::<Vec<CertificateDer<'static>>>().ok());
    Tls {
        version: TLS_1_3,
        cipher_suite: 0,
        server_name: server_name.map(|name| name.to_ascii_lowercase().into()),
        alpn: alpn.map(Vec::into_boxed_slice),
        ja4: None,
        client: chain.as_ref().and_then(|chain| chain.first()).map(|certificate| tls::client(certificate)),
    }
}
