//! The UDP sockets of one address: one for each worker, in the order in which the kernel numbers them.
//!
//! A process that takes another one's place adds its sockets to those of the other, which go on being read by the other for as long
//! as it has connections. It keeps the other's open, too, because what is closed would change the numbers. Those that nobody reads any
//! more are the next process's own.

use std::collections::hash_map::RandomState;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;
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
    sockets: OnceLock<Sockets>,
    /// Held by who tries to bind it.
    binding: Mutex<()>,
    /// How many workers accept here, or have connections to drain.
    busy: watch::Sender<usize>,
    /// What ids of connections are made with.
    key: RandomState,
}

/// All sockets of an address in the kernel's order, and which of them are read by this process.
#[derive(Debug)]
struct Sockets {
    all: Vec<HeldSocket>,
    own: Range<usize>,
}

/// A socket of a group, and the number of the process that reads it, or did so last.
#[derive(Debug)]
pub(crate) struct HeldSocket {
    pub(crate) process: u32,
    pub(crate) socket: UdpSocket,
}

/// Numbers of sockets have one byte in ids.
const SOCKETS_MAX: usize = 256;

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
    /// It is bound when the address is free: a process that hands over its address may not hand over its sockets for HTTP/3.
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
        let all = self.new_sockets()?;
        let sockets = Sockets { own: 0..all.len(), all };
        if self.workers > 1 {
            sockets.steer()?;
        }
        // Nobody else was let in here.
        let _ = self.sockets.set(sockets);
        Ok(())
    }

    /// Takes over the sockets of a process whose place this one takes, in their order: those that nobody reads any more become our
    /// own, or else new ones are added. Nothing comes there before [`Group::steer`].
    ///
    /// # Errors
    /// There is no room for more, or they cannot be bound.
    fn take_over(&self, mut all: Vec<HeldSocket>) -> io::Result<()> {
        let processes: Vec<u32> = all.iter().map(|held| held.process).collect();
        let own = match vacant(&processes, self.workers, is_running) {
            Some(own) => own,
            None => all.len()..all.len() + self.workers,
        };
        if own.end > SOCKETS_MAX {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        if own.start == all.len() {
            all.extend(self.new_sockets()?);
        }
        all.iter_mut().take(own.end).skip(own.start).for_each(|held| held.process = std::process::id());
        let _ = self.sockets.set(Sockets { all, own });
        Ok(())
    }

    fn new_sockets(&self) -> io::Result<Vec<HeldSocket>> {
        let socket = |_| {
            let socket = bound(self.address, Sharing::Workers)?.into();
            Ok(HeldSocket { process: std::process::id(), socket })
        };
        (0..self.workers).map(socket).collect()
    }

    /// [`Group::steer`] where another process has had the address until now.
    ///
    /// # Errors
    /// The kernel does not take it.
    pub(crate) fn take_traffic(&self) -> io::Result<()> {
        let is_shared = self.sockets.get().is_some_and(|sockets| sockets.all.len() > sockets.own.len());
        if is_shared { self.steer() } else { Ok(()) }
    }

    /// From now on, whatever belongs to no connection comes to our own sockets, and not to those of another process.
    ///
    /// # Errors
    /// The kernel does not take it.
    pub(crate) fn steer(&self) -> io::Result<()> {
        self.sockets.get().map_or(Ok(()), Sockets::steer)
    }

    /// The sockets once more, for a process that is to take this one's place; none while another one has the address.
    ///
    /// # Errors
    /// A socket cannot be shared.
    pub(crate) fn lend(&self) -> io::Result<Vec<HeldSocket>> {
        let Some(sockets) = self.sockets.get() else { return Ok(Vec::new()) };
        // With one worker nothing was steered until now.
        sockets.steer()?;
        let again = |held: &HeldSocket| Ok(HeldSocket { process: held.process, socket: held.socket.try_clone()? });
        sockets.all.iter().map(again).collect()
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
        let held = self.sockets.get().and_then(|sockets| sockets.all.get(sockets.own.start + worker));
        held.ok_or(io::ErrorKind::NotFound)?.socket.try_clone()
    }

    /// The ids of a worker's connections.
    pub(super) fn ids(
        &self,
        worker: usize,
    ) -> impl Fn() -> Box<dyn quinn::ConnectionIdGenerator> + Send + Sync + use<> {
        let first = self.sockets.get().map_or(0, |sockets| sockets.own.start);
        // There are no more sockets than that.
        let (number, key) = (u8::try_from(first + worker).unwrap_or(u8::MAX), self.key.clone());
        move || Box::new(steering::Ids::new(number, key.clone()))
    }
}

impl Sockets {
    fn steer(&self) -> io::Result<()> {
        self.all.first().map_or(Ok(()), |held| steering::steer(&held.socket, &self.own))
    }
}

/// Of sockets that are read by these processes, as many as there are workers, all of one process that is no more.
fn vacant(processes: &[u32], workers: usize, is_running: impl Fn(u32) -> bool) -> Option<Range<usize>> {
    let mut end = 0;
    processes.chunk_by(|one, other| one == other).find_map(|run| {
        let own = end..end + run.len();
        end = own.end;
        let is_vacant = run.len() == workers && run.first().is_some_and(|process| !is_running(*process));
        is_vacant.then_some(own)
    })
}

/// Whether there is such a process that has not ended; one whose end nobody has looked at runs nothing any more.
fn is_running(process: u32) -> bool {
    match std::fs::read_link(format!("/proc/{process}/exe")) {
        Ok(_) => true,
        Err(error) => error.kind() != io::ErrorKind::NotFound,
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

    /// The same of an address that another process hands over, with its sockets, if it has some there. Where these cannot be
    /// taken over, it is bound when the address is free.
    ///
    /// # Errors
    /// It cannot be bound, and nobody else has it.
    pub(crate) fn taken_over(
        &mut self,
        (address, workers): (SocketAddr, usize),
        sockets: Vec<HeldSocket>,
    ) -> io::Result<Arc<Group>> {
        if sockets.is_empty() {
            return self.of((address, workers), Occupied::Wait);
        }
        let group = Group::new(address, workers);
        if let Err(error) = group.take_over(sockets) {
            tracing::warn!(%address, %error, "the sockets of HTTP/3 cannot be taken over");
            return self.of((address, workers), Occupied::Wait);
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

    fn sockets(group: &Group) -> Vec<&UdpSocket> {
        let sockets = group.sockets.get().expect("it is bound");
        sockets.all[sockets.own.clone()].iter().map(|held| &held.socket).collect()
    }

    /// A packet with this id comes to this socket, by either form of its header.
    fn comes(address: SocketAddr, id: &[u8], socket: &UdpSocket) {
        // From a port of its own, as a client that moves.
        let client = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let length = u8::try_from(id.len()).expect("short");
        for packet in [[&[0x40], id, &[7; 20]].concat(), [&[0xe0, 0, 0, 0, 1, length], id, &[7; 20]].concat()] {
            client.send_to(&packet, address).expect("sent");
            let mut read = [0; 64];
            socket.set_nonblocking(false).expect("set");
            socket.set_read_timeout(Some(std::time::Duration::from_secs(10))).expect("set");
            let (length, _) = socket.recv_from(&mut read).expect("it is this one's");
            assert_eq!(read[..length], packet);
            socket.set_nonblocking(true).expect("set");
        }
    }

    /// Whether something has come.
    fn has(socket: &UdpSocket) -> bool {
        socket.recv_from(&mut [0; 64]).is_ok()
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
            let mut ids = group.ids(worker)();
            let id = ids.generate_cid();
            assert!(ids.validate(&id).is_ok());
            (0..16).for_each(|_| comes(address, &id, sockets(&group)[worker]));
        }
        // What is none of ours comes to somebody, and always to the same one.
        for id in [[200; 8], [3, 1, 4, 1, 5, 9, 2, 6], [0; 8]] {
            let client = UdpSocket::bind("127.0.0.1:0").expect("a port");
            let packet = [&[0xc0, 0, 0, 0, 1, 8], &id[..]].concat();
            for _ in 0..3 {
                client.send_to(&packet, address).expect("sent");
            }
            let came: Vec<usize> =
                sockets(&group).iter().map(|socket| (0..3).filter(|_| has(socket)).count()).collect();
            assert_eq!((came.iter().sum::<usize>(), came.contains(&3)), (3, true), "{id:?}: {came:?}");
        }
    }

    #[test]
    fn who_takes_over_gets_what_is_new_and_the_other_one_what_it_had() {
        const GONE: u32 = 0x7fff_ffff;
        let any = ("127.0.0.1:0".parse().expect("an address"), 1);
        let address =
            sockets(&Groups::default().of(any, Occupied::Fail).expect("a port"))[0].local_addr().expect("bound");
        let first = Groups::default().of((address, 2), Occupied::Fail).expect("it is free");
        let second = Groups::default().taken_over((address, 3), first.lend().expect("lent")).expect("three more");
        let id = |group: &Group, worker: usize| group.ids(worker)().generate_cid();
        let owns = |group: &Group| group.sockets.get().map(|sockets| sockets.own.clone());
        assert_eq!((owns(&first), owns(&second)), (Some(0..2), Some(2..5)));
        let strange = [9, 9, 9, 9, 9, 9, 9, 9];
        let new = |group: &Group| {
            let client = UdpSocket::bind("127.0.0.1:0").expect("a port");
            client.send_to(&[&[0xc0, 0, 0, 0, 1, 8], &strange[..]].concat(), address).expect("sent");
            sockets(group).iter().filter(|socket| has(socket)).count()
        };
        assert_eq!(new(&first), 1, "nobody has taken over yet");
        second.steer().expect("steered");
        assert_eq!(new(&second), 1);
        for (group, worker) in [(&first, 0), (&first, 1), (&second, 0), (&second, 1), (&second, 2)] {
            comes(address, &id(group, worker), sockets(group)[worker]);
        }
        first.steer().expect("steered");
        assert_eq!(new(&first), 1, "the other one has not come up");
        second.steer().expect("steered");
        // The first one ends, and a third one has its places.
        let mut lent = second.lend().expect("lent");
        drop(first);
        lent.iter_mut().take(2).for_each(|held| held.process = GONE);
        let third = Groups::default().taken_over((address, 2), lent).expect("they are there");
        assert_eq!(owns(&third), Some(0..2));
        third.steer().expect("steered");
        assert_eq!(new(&third), 1);
        comes(address, &id(&second, 1), sockets(&second)[1]);
        comes(address, &id(&third, 1), sockets(&third)[1]);
    }

    #[test]
    fn places_of_a_process_that_is_gone_are_taken_where_they_are_as_many() {
        let vacant = |processes: &[u32], workers| vacant(processes, workers, |process| process >= 10);
        assert_eq!(vacant(&[10, 10], 2), None);
        assert_eq!(vacant(&[10, 10, 1, 1], 2), Some(2..4));
        assert_eq!(vacant(&[1, 1, 10, 10], 2), Some(0..2));
        assert_eq!(vacant(&[1, 1, 1, 10, 2, 2], 2), Some(4..6));
        assert_eq!(vacant(&[1, 1, 1], 2), None);
        assert_eq!(vacant(&[], 2), None);
        assert!(is_running(std::process::id()) && !is_running(0x7fff_ffff));
    }

    #[test]
    fn an_id_that_is_not_ours_is_known() {
        let key = RandomState::new();
        let mut ids = steering::Ids::new(3, key);
        let (one, two) = (ids.generate_cid(), ids.generate_cid());
        assert_ne!(one, two);
        assert_eq!((one[0], one.len()), (3, ids.cid_len()));
        let mut other = one.to_vec();
        other[5] ^= 1;
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
