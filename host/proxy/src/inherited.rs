//! Sockets that were listened on before this process began: those of a process whose place it takes, or a service manager's.

use std::net::{SocketAddr, TcpListener, UdpSocket};

use crate::quic::HeldSocket;

/// Sockets that listen already, each with the name that it was given by, and those of HTTP/3.
#[derive(Debug, Default)]
pub struct Inherited {
    tcp: Vec<(String, SocketAddr, TcpListener)>,
    quic: Vec<(SocketAddr, HeldSocket)>,
}

/// What the name of a socket of HTTP/3 begins with. What follows is the number of the process that reads it.
const QUIC: &str = "quic-";

/// The name by which a socket of HTTP/3 is handed over.
pub(crate) fn quic_name(process: u32) -> String {
    format!("{QUIC}{process}")
}

impl Inherited {
    /// These; what has no address is left out.
    #[must_use]
    pub fn new(sockets: impl IntoIterator<Item = (String, TcpListener)>) -> Self {
        let addressed = |(name, socket): (String, TcpListener)| Some((name, socket.local_addr().ok()?, socket));
        Self { tcp: sockets.into_iter().filter_map(addressed).collect(), quic: Vec::new() }
    }

    /// And these of a process whose place is taken, in its order. What has another name than that process gives is left out.
    #[must_use]
    pub fn with_quic(mut self, sockets: impl IntoIterator<Item = (String, UdpSocket)>) -> Self {
        let held = |(name, socket): (String, UdpSocket)| {
            let process = name.strip_prefix(QUIC)?.parse().ok()?;
            Some((socket.local_addr().ok()?, HeldSocket { process, socket }))
        };
        self.quic.extend(sockets.into_iter().filter_map(held));
        self
    }

    /// All sockets of HTTP/3 at this address, in their order.
    pub(crate) fn take_quic(&mut self, address: SocketAddr) -> Vec<HeldSocket> {
        let (taken, left) = std::mem::take(&mut self.quic).into_iter().partition(|(own, _)| *own == address);
        self.quic = left;
        let taken: Vec<(SocketAddr, HeldSocket)> = taken;
        taken.into_iter().map(|(_, held)| held).collect()
    }

    /// All sockets of this address, in their order: of this very one, or where any free port is wanted, of those by this name
    /// the first one's.
    pub fn take(&mut self, name: &str, wanted: SocketAddr) -> Vec<TcpListener> {
        let is_wanted = |(own, address, _): &&(String, SocketAddr, TcpListener)| match wanted.port() {
            0 => own == name && address.ip() == wanted.ip(),
            _ => *address == wanted,
        };
        let Some(found) = self.tcp.iter().find(is_wanted).map(|(_, address, _)| *address) else { return Vec::new() };
        let all = std::mem::take(&mut self.tcp);
        let (taken, left) = all.into_iter().partition(|(_, address, _)| *address == found);
        self.tcp = left;
        taken.into_iter().map(|(_, _, socket)| socket).collect()
    }

    /// The addresses of what nobody took, which is closed with this.
    pub fn left(&self) -> impl Iterator<Item = (&str, SocketAddr)> {
        self.tcp.iter().map(|(name, address, _)| (name.as_str(), *address))
    }
}

/// A socket for each of so many workers: the first ones in their order, and where there are fewer, the same ones again.
/// Those beyond are closed, with whatever waits in their queues.
///
/// # Errors
/// A socket cannot be shared.
pub(crate) fn for_workers(sockets: Vec<TcpListener>, workers: usize) -> std::io::Result<Vec<TcpListener>> {
    let again = |socket: &TcpListener| socket.try_clone();
    let more = (sockets.len()..workers).filter_map(|worker| sockets.get(worker % sockets.len().max(1)));
    let more = more.map(again).collect::<std::io::Result<Vec<_>>>()?;
    let all = sockets.into_iter().chain(more).take(workers);
    all.map(|socket| socket.set_nonblocking(true).map(|()| socket)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_found_by_their_address_or_by_name_where_any_port_will_do() {
        let socket = || TcpListener::bind("127.0.0.1:0").expect("a port");
        let (one, two) = (socket(), socket());
        let again = one.try_clone().expect("a clone");
        let address = one.local_addr().expect("an address");
        let mut inherited = Inherited::new([("a".into(), one), ("b".into(), two), ("a".into(), again)]);
        assert!(inherited.take("a", "127.0.0.1:1".parse().expect("an address")).is_empty());
        assert!(inherited.take("c", "127.0.0.1:0".parse().expect("an address")).is_empty());
        assert_eq!(inherited.take("other", address).len(), 2);
        assert_eq!(inherited.left().map(|(name, _)| name).collect::<Vec<_>>(), ["b"]);
        assert_eq!(inherited.take("b", "127.0.0.1:0".parse().expect("an address")).len(), 1);
        assert_eq!(inherited.left().count(), 0);
    }

    #[test]
    fn sockets_of_http_3_are_found_by_their_address_and_know_who_reads_them() {
        let socket = || UdpSocket::bind("127.0.0.1:0").expect("a port");
        let (one, two) = (socket(), socket());
        let address = one.local_addr().expect("an address");
        let again = one.try_clone().expect("a clone");
        let named = [(quic_name(7), one), ("quic-".into(), socket()), ("dns".into(), two), (quic_name(8), again)];
        let mut inherited = Inherited::default().with_quic(named);
        assert!(inherited.take_quic("127.0.0.1:1".parse().expect("an address")).is_empty());
        assert_eq!(inherited.take_quic(address).iter().map(|held| held.process).collect::<Vec<_>>(), [7, 8]);
        assert!(inherited.take_quic(address).is_empty());
    }

    #[test]
    fn every_worker_has_a_socket() {
        let sockets =
            |count: usize| (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect::<Vec<_>>();
        for (count, workers) in [(1, 3), (3, 3), (3, 2)] {
            assert_eq!(for_workers(sockets(count), workers).expect("sockets").len(), workers);
        }
    }
}
