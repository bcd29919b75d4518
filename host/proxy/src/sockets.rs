//! The addresses that are listened on, from one configuration to the next: what stays is never closed, and what is new is
//! bound before anything changes.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use palisade_config::Listener;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::inherited::{self, Inherited};
use crate::quic::{Group, Groups, Occupied};
use crate::server::StartError;

/// Connections that the kernel keeps for a socket until they are accepted.
pub(crate) const BACKLOG: u16 = 4_096;

/// What the kernel holds for a client beside what is on its way to it, about so much: who does not read would otherwise be given
/// half a megabyte and more, and a thousand of them would keep the host from anything else while it is fetched.
const UNSENT_BYTES_MAX: u32 = 64 << 10;

/// Ports that are tried for an address that has to be free for TCP and UDP alike.
const PORTS_TRIED: u32 = 8;

/// The number of an address, which no other one ever has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SocketId(u64);

/// An address that one listener listens on, with a socket of its own on each worker.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    pub(crate) id: SocketId,
    pub(crate) listener: String,
    /// As the configuration has it; its port may be zero.
    wanted: SocketAddr,
    pub(crate) bound: SocketAddr,
    /// The sockets of HTTP/3 at the same address.
    pub(crate) quic: Option<Arc<Group>>,
}

/// Every address of a configuration, in its order.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    list: Vec<Address>,
    last: u64,
    groups: Groups,
}

/// New sockets of one worker.
pub(crate) type Sockets = Vec<(SocketId, TcpListener)>;

impl Addresses {
    /// The addresses of these listeners: those that are there already, and new ones with their sockets by worker, inherited or
    /// bound.
    ///
    /// # Errors
    /// A new address cannot be bound: none is then.
    pub(crate) fn next(
        &self,
        listeners: &[Listener],
        workers: usize,
        inherited: &mut Inherited,
    ) -> Result<(Self, Vec<Sockets>), StartError> {
        let wanted: Vec<(&str, SocketAddr)> = listeners
            .iter()
            .flat_map(|listener| listener.bind.iter().map(|address| (listener.name.as_str(), *address)))
            .collect();
        let speaks_h3 = listeners.iter().flat_map(|listener| listener.bind.iter().map(|_| listener.http.h3));
        let mut sockets: Vec<Sockets> = (0..workers).map(|_| Vec::new()).collect();
        let mut next = Self { list: Vec::with_capacity(wanted.len()), last: self.last, groups: self.groups.clone() };
        for (((listener, wanted), known), h3) in wanted.iter().zip(self.known(&wanted)).zip(speaks_h3) {
            let (listener, wanted) = ((*listener).to_owned(), *wanted);
            let failed = |error| StartError::Bind { listener: listener.clone(), address: wanted, error };
            if let Some(known) = known {
                let quic =
                    h3.then(|| next.groups.of((known.bound, workers), Occupied::Fail)).transpose().map_err(failed)?;
                next.list.push(Address { listener, wanted, quic, ..known.clone() });
                continue;
            }
            next.last += 1;
            let id = SocketId(next.last);
            let (bound, quic) =
                match take_for_all(id, inherited.take(&listener, wanted), &mut sockets).map_err(failed)? {
                    Some(bound) => {
                        let held = inherited.take_quic(bound);
                        (bound, h3.then(|| next.groups.taken_over((bound, workers), held)).transpose().map_err(failed)?)
                    }
                    None => next.bind((id, wanted), (self.neighbours(wanted), h3), &mut sockets).map_err(failed)?,
                };
            next.list.push(Address { id, listener, wanted, bound, quic });
        }
        Ok((next, sockets))
    }

    /// Binds a new address. Where any port will do, and the one that was found for TCP is not free for UDP, another is found.
    fn bind(
        &mut self,
        (id, wanted): (SocketId, SocketAddr),
        (neighbours, h3): (Neighbours, bool),
        sockets: &mut [Sockets],
    ) -> io::Result<(SocketAddr, Option<Arc<Group>>)> {
        let workers = sockets.len();
        let mut attempts = if wanted.port() == 0 { PORTS_TRIED } else { 1 };
        loop {
            let bound = bind_for_all((id, wanted), neighbours, sockets)?;
            attempts -= 1;
            match h3.then(|| self.groups.of((bound, workers), Occupied::Fail)).transpose() {
                Ok(quic) => return Ok((bound, quic)),
                Err(_) if attempts > 0 => sockets.iter_mut().for_each(|sockets| drop(sockets.pop())),
                Err(error) => return Err(error),
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Address> {
        self.list.iter()
    }

    /// For each wanted address the one of ours that is it. Port 0 is any that the same listener had for it, once those are
    /// settled that were asked for by their port.
    fn known(&self, wanted: &[(&str, SocketAddr)]) -> Vec<Option<&Address>> {
        let mut left: Vec<&Address> = self.list.iter().collect();
        let mut take = |is_it: &dyn Fn(&Address) -> bool| {
            left.iter().position(|address| is_it(address)).map(|place| left.remove(place))
        };
        let mut known: Vec<Option<&Address>> =
            wanted.iter().map(|(_, wanted)| take(&|address| address.bound == *wanted)).collect();
        for ((listener, wanted), known) in wanted.iter().zip(&mut known).filter(|((_, wanted), _)| wanted.port() == 0) {
            *known = take(&|address| address.listener == *listener && address.wanted == *wanted);
        }
        known
    }

    /// Whether an address of ours holds some of what this one is for, as `127.0.0.1:80` does of `0.0.0.0:80`.
    fn neighbours(&self, wanted: SocketAddr) -> Neighbours {
        let overlaps = |ours: &SocketAddr| {
            ours.port() == wanted.port() && (ours.ip().is_unspecified() || wanted.ip().is_unspecified())
        };
        if self.list.iter().any(|address| overlaps(&address.bound)) { Neighbours::Ours } else { Neighbours::None }
    }
}

/// Who may hold a part of a new address already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Neighbours {
    None,
    Ours,
}

/// Binds one address once for each worker. The first socket settles the port for the others.
///
/// An address that anybody listens on already is refused, another Palisade of the same user included: the kernel would
/// let both share it, and each would get some of the connections. Only where a part of it is our own this cannot be seen.
fn bind_for_all(
    (id, wanted): (SocketId, SocketAddr),
    neighbours: Neighbours,
    sockets: &mut [Sockets],
) -> io::Result<SocketAddr> {
    if neighbours == Neighbours::None {
        drop(bound(wanted, Sharing::Nobody)?);
    }
    let mut address = wanted;
    for sockets in sockets {
        let socket = bound(address, Sharing::Workers)?;
        restrain(SockRef::from(&socket));
        socket.listen(i32::from(BACKLOG))?;
        let socket = TcpListener::from(socket);
        address = socket.local_addr()?;
        sockets.push((id, socket));
    }
    Ok(address)
}

/// Gives each worker one of the sockets that were listened on before: their address, if there are any.
fn take_for_all(id: SocketId, given: Vec<TcpListener>, sockets: &mut [Sockets]) -> io::Result<Option<SocketAddr>> {
    let mut address = None;
    for (socket, sockets) in inherited::for_workers(given, sockets.len())?.into_iter().zip(sockets) {
        address = Some(socket.local_addr()?);
        restrain(SockRef::from(&socket));
        sockets.push((id, socket));
    }
    Ok(address)
}

/// Keeps what waits in the kernel for clients that do not read within bounds, for all connections that come to this socket.
fn restrain(socket: SockRef<'_>) {
    // Without it, memory is what suffers.
    let _ = socket.set_tcp_notsent_lowat(UNSENT_BYTES_MAX);
}

/// Who else may be bound to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Nobody,
    Workers,
}

fn bound(address: SocketAddr, sharing: Sharing) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(sharing == Sharing::Workers)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        // `[::]` is every address of both families, as operators expect of it.
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use palisade_config::Config;
    use std::path::Path;

    #[test]
    fn workers_share_an_address_and_nobody_else_does() {
        let listeners = |address: &str| listeners(&[("a", address)]);
        let (ours, sockets) =
            Addresses::default().next(&listeners("127.0.0.1:0"), 2, &mut Inherited::default()).expect("a free port");
        let address = ours.list[0].bound;
        assert!(sockets.iter().flatten().all(|(_, socket)| socket.local_addr().ok() == Some(address)));
        let again = Addresses::default().next(&listeners(&address.to_string()), 1, &mut Inherited::default());
        let Err(StartError::Bind { error, .. }) = again else { panic!("bound twice") };
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(sockets);
        let (again, _sockets) = Addresses::default()
            .next(&listeners(&address.to_string()), 1, &mut Inherited::default())
            .expect("it is free");
        assert_eq!(again.list[0].bound, address);
    }

    #[test]
    fn an_address_that_stays_keeps_its_socket() {
        let (ours, _sockets) = Addresses::default()
            .next(&listeners(&[("a", ANY), ("b", ANY)]), 1, &mut Inherited::default())
            .expect("ports");
        let [a, b] = [0, 1].map(|index| ours.list[index].bound.to_string());
        // What is asked for, and which of the two that are there it is.
        for (wanted, expected) in [
            (&[("a", ANY), ("b", ANY)][..], &[Some(0), Some(1)][..]),
            (&[("b", ANY), ("a", ANY)], &[Some(1), Some(0)]),
            (&[("a", ANY), ("a", ANY)], &[Some(0), None]),
            (&[("c", ANY)], &[None]),
            (&[("c", &a), ("b", ANY)], &[Some(0), Some(1)]),
            (&[("a", ANY), ("a", &a)], &[None, Some(0)]),
            (&[("a", &b)], &[Some(1)]),
            (&[], &[]),
        ] {
            let (next, sockets) = ours.next(&listeners(wanted), 1, &mut Inherited::default()).expect("ports");
            let kept = next.list.iter().map(|address| ours.list.iter().position(|known| known.id == address.id));
            assert_eq!(kept.collect::<Vec<_>>(), expected, "{wanted:?}");
            assert_eq!(sockets[0].len(), expected.iter().filter(|kept| kept.is_none()).count(), "{wanted:?}");
        }
    }

    #[test]
    fn an_address_can_become_wider_and_narrower() {
        let (narrow, _sockets) =
            Addresses::default().next(&listeners(&[("a", ANY)]), 1, &mut Inherited::default()).expect("a port");
        let port = narrow.list[0].bound.port();
        let (wide, _sockets) =
            narrow.next(&listeners(&[("a", &format!("0.0.0.0:{port}"))]), 1, &mut Inherited::default()).expect("ours");
        assert_ne!(wide.list[0].id, narrow.list[0].id);
        assert!(wide.next(&listeners(&[("a", &format!("127.0.0.2:{port}"))]), 1, &mut Inherited::default()).is_ok());
    }

    #[test]
    fn a_client_that_does_not_read_is_not_given_much() {
        let (ours, sockets) =
            Addresses::default().next(&listeners(&[("a", ANY)]), 1, &mut Inherited::default()).expect("a port");
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        client.set_recv_buffer_size(16 << 10).expect("set");
        client.connect(&ours.list[0].bound.into()).expect("connected");
        let listener = &sockets[0][0].1;
        listener.set_nonblocking(false).expect("set");
        let (mut stream, _) = listener.accept().expect("accepted");
        stream.set_nonblocking(true).expect("set");
        let (piece, mut given) = ([0; 16 << 10], 0);
        for _ in 0..20 {
            while let Ok(written) = std::io::Write::write(&mut stream, &piece) {
                given += written;
            }
            // What is on its way arrives.
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert!((32 << 10..400 << 10).contains(&given), "{given} bytes");
    }

    const ANY: &str = "127.0.0.1:0";

    fn listeners(bind: &[(&str, &str)]) -> Vec<Listener> {
        let mut listeners: Vec<Listener> = Vec::new();
        for (name, address) in bind {
            let address: SocketAddr = address.parse().expect("an address");
            match listeners.iter_mut().find(|listener| listener.name == *name) {
                Some(listener) => listener.bind.push(address),
                None => listeners.push(Listener { name: (*name).into(), bind: vec![address], ..any() }),
            }
        }
        listeners
    }

    fn any() -> Listener {
        let text = "[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:0\"\nredirect_to_https = true\n";
        let config = Config::parse(text, Path::new("palisade.toml")).expect("a good config");
        config.listeners.into_iter().next().expect("a listener")
    }
}
