//! A TCP connection that was accepted, as a [`ConnectionFilter`](crate::ConnectionFilter) sees it.

use std::net::IpAddr;

use crate::{
    ClientCertificate, Name, Tls, bindings::connection_filter::exports::palisade::plugin::connection_filter as host,
    exchange,
};

/// A TCP connection that was accepted, before any HTTP, and before TLS unless the plugin asks for [`Tls`].
#[derive(Clone, Debug)]
pub struct Connection {
    connection: host::Connection,
}

impl Connection {
    pub(crate) fn new(connection: host::Connection) -> Self {
        Self { connection }
    }

    /// A number that is unique on this worker.
    pub fn id(&self) -> u64 {
        self.connection.id
    }

    /// The peer's address. IPv4 is IPv4, also on a socket that listens on both.
    pub fn client(&self) -> IpAddr {
        exchange::address(self.connection.client)
    }

    /// The peer's port.
    pub fn client_port(&self) -> u16 {
        self.connection.client_port
    }

    /// The host's own address that the client reached.
    pub fn local(&self) -> IpAddr {
        exchange::address(self.connection.local)
    }

    /// The host's own port that the client reached.
    pub fn local_port(&self) -> u16 {
        self.connection.local_port
    }

    /// How the client came through TLS; none in clear text. Needs the grant `"tls"`. A plugin that calls this, or
    /// [`Request::tls`](crate::Request::tls), is asked about a connection when its handshake is done.
    pub fn tls(&self) -> Option<Tls> {
        Tls::at_hand()
    }

    /// The client's certificate; none where it has shown none. Needs the grant `"tls"`.
    pub fn client_certificate(&self) -> Option<ClientCertificate> {
        ClientCertificate::at_hand()
    }

    /// The listener that accepted it.
    pub fn listener(&self) -> Name {
        Name::from_number(self.connection.listener)
    }
}
