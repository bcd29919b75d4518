//! A connection for a test.

use std::net::{IpAddr, Ipv4Addr};

use super::{address, names, tls::TestTls};
use crate::bindings::connection_filter::exports::palisade::plugin::connection_filter as host;

/// A connection for [`TestHost::connection`](crate::TestHost::connection): to 192.0.2.2 port 443 on the listener `test`,
/// unless said otherwise.
#[derive(Clone, Debug)]
pub struct TestConnection {
    client: IpAddr,
    client_port: u16,
    local: IpAddr,
    local_port: u16,
    listener: String,
    pub(super) tls: Option<TestTls>,
}

impl TestConnection {
    /// A connection from this address.
    ///
    /// # Panics
    ///
    /// Where it is not an address.
    pub fn from_client(address: &str) -> Self {
        Self {
            client: address::parse(address),
            client_port: address::DEFAULT_CLIENT_PORT,
            local: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)),
            local_port: 443,
            listener: "test".to_owned(),
            tls: None,
        }
    }

    /// Sets the client's port.
    #[must_use]
    pub fn client_port(mut self, port: u16) -> Self {
        self.client_port = port;
        self
    }

    /// Sets the host's own address and port.
    ///
    /// # Panics
    ///
    /// Where it is not an address.
    #[must_use]
    pub fn local(mut self, address: &str, port: u16) -> Self {
        (self.local, self.local_port) = (address::parse(address), port);
        self
    }

    /// Sets how the client came through TLS. Without it the plugin is told of none.
    #[must_use]
    pub fn tls(mut self, tls: TestTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Sets the listener's name.
    #[must_use]
    pub fn listener(mut self, name: &str) -> Self {
        self.listener = name.to_owned();
        self
    }

    pub(super) fn to_host(&self, id: u64) -> host::Connection {
        host::Connection {
            id,
            client: address::to_host(self.client),
            client_port: self.client_port,
            local: address::to_host(self.local),
            local_port: self.local_port,
            listener: names::number(&self.listener),
        }
    }
}

/// A connection from this address. Panics where it is not an address.
impl From<&str> for TestConnection {
    fn from(client: &str) -> Self {
        Self::from_client(client)
    }
}
