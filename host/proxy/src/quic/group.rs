//! The UDP sockets of one address: one for each worker, in the order of their numbers.

use std::collections::hash_map::RandomState;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use socket2::{Domain, Protocol, Socket, Type};

use tokio::sync::watch;

use super::steering;

/// What a socket may hold of packets that are not read yet, where the system allows as much.
const BUFFER_BYTES: usize = 2 << 20;

/// The sockets of one address. They close when nobody has the group any more: as long as one of them has connections to
/// drain, all of them keep their places, which is what packets are steered by.
#[derive(Debug)]
pub(crate) struct Group {
    address: SocketAddr,
    workers: usize,
    /// None while another process has the address.
    sockets: OnceLock<Vec<UdpSocket>>,
    /// Held by who tries to bind it.
    binding: Mutex<()>,
    /// How many workers accept here, or have connections to drain.
    busy: watch::Sender<usize>,
    /// What ids of connections are made with.
    key: RandomState,
}

/// A worker that is not done with an address.
#[derive(Debug)]
pub(super) struct Busy(Arc<Group>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// What becomes of a group whose address somebody else has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occupied {
    /// There is none.
    Fail,
    /// It is bound when the address is free: a process that hands over its sockets keeps this one until its connections have
    /// ended, because packets could not be told apart.
    Wait,
}

impl Group {
    fn new(address: SocketAddr, workers: usize) -> Arc<Self> {
        let (sockets, binding) = (OnceLock::new(), Mutex::default());
        let (busy, _) = watch::channel(0);
        Arc::new(Self { address, workers, sockets, binding, busy, key: RandomState::new() })
    }

    /// Binds the address, if that has not happened yet, for all workers. One that anybody has already is refused.
    ///
    /// # Errors
    /// It cannot be bound now.
    pub(super) fn bind(&self) -> io::Result<()> {
        let _alone = self.binding.lock().unwrap_or_else(PoisonError::into_inner);
        if self.sockets.get().is_some() {
            return Ok(());
        }
        drop(bound(self.address, Sharing::Nobody)?);
        let sockets = (0..self.workers)
            .map(|_| bound(self.address, Sharing::Workers).map(UdpSocket::from))
            .collect::<io::Result<Vec<_>>>()?;
        if let [first, _, ..] = sockets.as_slice() {
            steering::steer(first)?;
        }
        // Nobody else was let in here.
        let _ = self.sockets.set(sockets);
        Ok(())
    }

    /// A worker begins to accept.
    pub(super) fn busy(self: &Arc<Self>) -> Busy {
        self.busy.send_modify(|count| *count += 1);
        Busy(self.clone())
    }

    /// Waits until all workers are done.
    pub(super) async fn at_rest(&self) {
        // It cannot fail: the sender is ours.
        let _ = self.busy.subscribe().wait_for(|count| *count == 0).await;
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Another handle to the socket of a worker.
    pub(super) fn socket(&self, worker: usize) -> io::Result<UdpSocket> {
        self.sockets.get().and_then(|sockets| sockets.get(worker)).ok_or(io::ErrorKind::NotFound)?.try_clone()
    }

    /// The ids of a worker's connections.
    pub(super) fn ids(
        &self,
        worker: usize,
    ) -> impl Fn() -> Box<dyn quinn::ConnectionIdGenerator> + Send + Sync + use<> {
        // There are no more workers than that.
        let (worker, key) = (u8::try_from(worker).unwrap_or(u8::MAX), self.key.clone());
        move || Box::new(steering::Ids::new(worker, key.clone()))
    }
}

/// Every group that somebody still has.
#[derive(Debug, Default, Clone)]
pub(crate) struct Groups(Vec<Weak<Group>>);

impl Groups {
    /// The group of an address, for so many workers: the one that there is, be it only to be drained, or a new one.
    ///
    /// # Errors
    /// It cannot be bound.
    pub(crate) fn of(&mut self, (address, workers): (SocketAddr, usize), occupied: Occupied) -> io::Result<Arc<Group>> {
        self.0.retain(|group| group.strong_count() > 0);
        let known = self.0.iter().filter_map(Weak::upgrade).find(|group| group.address == address);
        if let Some(known) = known {
            return Ok(known);
        }
        let group = Group::new(address, workers);
        match group.bind() {
            Ok(()) => {}
            Err(error) if occupied == Occupied::Wait && error.kind() == io::ErrorKind::AddrInUse => {
                tracing::info!(%address, "HTTP/3 waits until another process has given up the address");
            }
            Err(error) => return Err(error),
        }
        self.0.push(Arc::downgrade(&group));
        Ok(group)
    }
}

/// Who else may be bound to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Nobody,
    Workers,
}

fn bound(address: SocketAddr, sharing: Sharing) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_port(sharing == Sharing::Workers)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        // `[::]` is every address of both families, as operators expect of it.
        socket.set_only_v6(false)?;
    }
    // Less than that costs packets in a burst, and they are sent again.
    let _ = socket.set_recv_buffer_size(BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(BUFFER_BYTES);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quinn::ConnectionIdGenerator;

    fn sockets(group: &Group) -> &[UdpSocket] {
        group.sockets.get().expect("it is bound")
    }

    #[test]
    fn a_packet_comes_to_the_worker_that_its_id_names() {
        const WORKERS: usize = 4;
        let group =
            Groups::default().of(("127.0.0.1:0".parse().expect("an address"), 1), Occupied::Fail).expect("a port");
        let address = sockets(&group)[0].local_addr().expect("bound");
        drop(group);
        let group = Groups::default().of((address, WORKERS), Occupied::Fail).expect("it is free");
        for worker in 0..WORKERS {
            let mut ids = steering::Ids::new(u8::try_from(worker).expect("small"), group.key.clone());
            let id = ids.generate_cid();
            assert!(ids.validate(&id).is_ok());
            // Each from a port of its own, as a client that moves.
            for byte in 0..16 {
                let client = UdpSocket::bind("127.0.0.1:0").expect("a port");
                let short = [&[0x40 | byte], &id[..], &[byte; 20]].concat();
                let long = [&[0xe0, 0, 0, 0, 1, 8], &id[..], &[byte; 20]].concat();
                for packet in [short, long] {
                    client.send_to(&packet, address).expect("sent");
                    let mut read = [0; 64];
                    let socket = &sockets(&group)[worker];
                    socket.set_nonblocking(false).expect("set");
                    socket.set_read_timeout(Some(std::time::Duration::from_secs(10))).expect("set");
                    let (length, _) = socket.recv_from(&mut read).expect("it is this worker's");
                    assert_eq!(read[..length], packet);
                }
            }
        }
        // An id that names nobody comes to somebody.
        let client = UdpSocket::bind("127.0.0.1:0").expect("a port");
        client.send_to(&[0x40, 200, 0, 0], address).expect("sent");
        sockets(&group).iter().for_each(|socket| socket.set_nonblocking(true).expect("set"));
        let mut read = [0; 64];
        assert_eq!(sockets(&group).iter().filter(|socket| socket.recv_from(&mut read).is_ok()).count(), 1);
    }

    #[test]
    fn an_id_that_is_not_ours_is_known() {
        let key = RandomState::new();
        let mut ids = steering::Ids::new(3, key);
        let (one, two) = (ids.generate_cid(), ids.generate_cid());
        assert_ne!(one, two);
        assert_eq!((one[0], one.len()), (3, ids.cid_len()));
        let mut other = one.to_vec();
        other[6] ^= 1;
        assert!(ids.validate(&quinn::ConnectionId::new(&other)).is_err());
        assert!(steering::Ids::new(3, RandomState::new()).validate(&one).is_err());
    }

    #[test]
    fn an_address_that_is_drained_keeps_its_sockets() {
        let mut groups = Groups::default();
        let first = groups.of(("127.0.0.1:0".parse().expect("an address"), 1), Occupied::Fail).expect("a port");
        let address = sockets(&first)[0].local_addr().expect("bound");
        drop(first);
        let group = groups.of((address, 2), Occupied::Fail).expect("it is free");
        assert!(Arc::ptr_eq(&group, &groups.of((address, 2), Occupied::Fail).expect("it is ours")));
        assert!(Groups::default().of((address, 2), Occupied::Fail).is_err(), "another one's");
        let waiting = Groups::default().of((address, 2), Occupied::Wait).expect("it waits");
        assert!(waiting.bind().is_err() && waiting.socket(0).is_err());
        drop(group);
        assert!(waiting.bind().is_ok() && waiting.socket(1).is_ok());
    }
}
