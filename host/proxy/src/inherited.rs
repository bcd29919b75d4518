//! Sockets that were listened on before this process began: those of a process whose place it takes, or a service manager's.

use std::net::{SocketAddr, TcpListener};

/// Sockets that listen already, each with the name that it was given by.
#[derive(Debug, Default)]
pub struct Inherited(Vec<(String, SocketAddr, TcpListener)>);

impl Inherited {
    /// These; what has no address is left out.
    #[must_use]
    pub fn new(sockets: impl IntoIterator<Item = (String, TcpListener)>) -> Self {
        let addressed = |(name, socket): (String, TcpListener)| Some((name, socket.local_addr().ok()?, socket));
        Self(sockets.into_iter().filter_map(addressed).collect())
    }

    /// All sockets of this address, in their order: of this very one, or where any free port is wanted, of those by this name
    /// the first one's.
    pub fn take(&mut self, name: &str, wanted: SocketAddr) -> Vec<TcpListener> {
        let is_wanted = |(own, address, _): &&(String, SocketAddr, TcpListener)| match wanted.port() {
            0 => own == name && address.ip() == wanted.ip(),
            _ => *address == wanted,
        };
        let Some(found) = self.0.iter().find(is_wanted).map(|(_, address, _)| *address) else { return Vec::new() };
        let all = std::mem::take(&mut self.0);
        let (taken, left) = all.into_iter().partition(|(_, address, _)| *address == found);
        self.0 = left;
        taken.into_iter().map(|(_, _, socket)| socket).collect()
    }

    /// The addresses of what nobody took, which is closed with this.
    pub fn left(&self) -> impl Iterator<Item = (&str, SocketAddr)> {
        self.0.iter().map(|(name, address, _)| (name.as_str(), *address))
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
    fn every_worker_has_a_socket() {
        let sockets =
            |count: usize| (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect::<Vec<_>>();
        for (count, workers) in [(1, 3), (3, 3), (3, 2)] {
            assert_eq!(for_workers(sockets(count), workers).expect("sockets").len(), workers);
        }
    }
}
