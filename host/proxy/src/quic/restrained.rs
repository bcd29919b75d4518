//! A socket that sends an address at most three times what came from it, until its client has shown that it is there
//! (RFC 9000, section 8.1).
//!
//! quinn keeps that too, but for the last packet: where a byte is left of what it may send, it sends a whole one. What is
//! dropped here looks lost to it, and is sent again when more has come.

use std::collections::HashMap;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};

/// How many times what came may be sent.
const FACTOR: usize = 3;

/// The least that the first packets of a connection have; others are not answered (RFC 9000, section 14.1).
const FIRST_BYTES: usize = 1_200;

/// Addresses of which it is remembered how much came before their connections were let in.
const SEEN_MAX: usize = 256;

/// A socket and those that it holds back from.
#[derive(Debug)]
pub(super) struct Restrained {
    socket: Arc<dyn AsyncUdpSocket>,
    /// How many addresses are unproven: the usual zero costs no lock.
    count: AtomicUsize,
    addresses: Mutex<Addresses>,
}

#[derive(Debug, Default)]
struct Addresses {
    unproven: HashMap<SocketAddr, Account>,
    /// What came in packets with long headers, which begin connections, from addresses that have none yet.
    seen: HashMap<SocketAddr, usize>,
}

/// What came from an address, and what went there.
#[derive(Debug)]
struct Account {
    connections: usize,
    came: usize,
    went: usize,
}

/// An address that is unproven until this is dropped.
#[derive(Debug)]
pub(super) struct Unproven {
    socket: Arc<Restrained>,
    address: SocketAddr,
}

impl Restrained {
    pub(super) fn new(socket: Arc<dyn AsyncUdpSocket>) -> Arc<Self> {
        Arc::new(Self { socket, count: AtomicUsize::new(0), addresses: Mutex::default() })
    }

    /// How many addresses are unproven.
    pub(super) fn unproven(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// A connection is let in from an address that its client has not shown to be its own.
    pub(super) fn restrain(self: &Arc<Self>, address: SocketAddr) -> Unproven {
        let mut addresses = self.addresses();
        let came = addresses.seen.remove(&address).unwrap_or(FIRST_BYTES);
        let account = addresses.unproven.entry(address).or_insert(Account { connections: 0, came, went: 0 });
        account.connections += 1;
        self.count.store(addresses.unproven.len(), Ordering::Relaxed);
        Unproven { socket: self.clone(), address }
    }

    fn addresses(&self) -> MutexGuard<'_, Addresses> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn came(&self, meta: &RecvMeta, first: Option<u8>) {
        const LONG_HEADER: u8 = 0x80;
        let is_long = first.is_some_and(|first| first & LONG_HEADER != 0);
        if self.unproven() == 0 && !is_long {
            return;
        }
        let mut addresses = self.addresses();
        if let Some(account) = addresses.unproven.get_mut(&meta.addr) {
            account.came = account.came.saturating_add(meta.len);
        } else if is_long {
            if addresses.seen.len() >= SEEN_MAX {
                addresses.seen.clear();
            }
            let came = addresses.seen.entry(meta.addr).or_default();
            *came = came.saturating_add(meta.len);
        }
    }

    /// How many of these bytes may go to an address.
    fn may_go(&self, transmit: &Transmit<'_>) -> usize {
        let length = transmit.contents.len();
        if self.unproven() == 0 {
            return length;
        }
        let mut addresses = self.addresses();
        let Some(account) = addresses.unproven.get_mut(&transmit.destination) else { return length };
        let left = account.came.saturating_mul(FACTOR).saturating_sub(account.went);
        let segment = transmit.segment_size.unwrap_or(length).max(1);
        // Whole packets alone.
        let goes = if left >= length { length } else { left / segment * segment };
        account.went = account.went.saturating_add(goes);
        goes
    }
}

impl Drop for Unproven {
    fn drop(&mut self) {
        let mut addresses = self.socket.addresses();
        if let Some(account) = addresses.unproven.get_mut(&self.address) {
            account.connections -= 1;
            if account.connections == 0 {
                addresses.unproven.remove(&self.address);
            }
        }
        self.socket.count.store(addresses.unproven.len(), Ordering::Relaxed);
    }
}

impl AsyncUdpSocket for Restrained {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.socket.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let goes = self.may_go(transmit);
        if goes == transmit.contents.len() {
            return self.socket.try_send(transmit);
        }
        let Some(contents) = transmit.contents.get(..goes).filter(|contents| !contents.is_empty()) else {
            return Ok(());
        };
        let segment_size = transmit.segment_size.filter(|size| *size < goes);
        let Transmit { destination, ecn, src_ip, .. } = *transmit;
        self.socket.try_send(&Transmit { destination, ecn, contents, segment_size, src_ip })
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        into: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(self.socket.poll_recv(context, into, meta))?;
        for (meta, read) in meta.iter().zip(into.iter()).take(count) {
            self.came(meta, read.first().copied());
        }
        Poll::Ready(Ok(count))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.socket.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.socket.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.socket.may_fragment()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quinn::Runtime;

    fn socket() -> Arc<Restrained> {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        Restrained::new(quinn::TokioRuntime.wrap_udp_socket(socket).expect("a socket"))
    }

    fn transmit(destination: SocketAddr, contents: &[u8], segment_size: Option<usize>) -> Transmit<'_> {
        Transmit { destination, ecn: None, contents, segment_size, src_ip: None }
    }

    #[tokio::test]
    async fn an_address_gets_three_times_what_came_from_it_until_it_is_proven() {
        let socket = socket();
        let [one, two] = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let from = |addr, len| RecvMeta { addr, len, stride: len, ecn: None, dst_ip: None };
        socket.came(&from(one, 1_300), Some(0xc0));
        let unproven = socket.restrain(one);
        let goes = |to, length: usize, segment| socket.may_go(&transmit(to, &vec![0; length], segment));
        assert_eq!(goes(one, 3_000, None), 3_000);
        assert_eq!(goes(one, 1_000, None), 0, "900 bytes are left");
        assert_eq!(goes(one, 1_000, Some(400)), 800);
        assert_eq!(goes(one, 100, None), 100);
        assert_eq!(goes(two, 100_000, None), 100_000, "another one is none of it");
        socket.came(&from(one, 100), Some(0x40));
        assert_eq!((goes(one, 300, None), goes(one, 1, None)), (300, 0));
        drop(unproven);
        assert_eq!((goes(one, 100_000, None), socket.unproven()), (100_000, 0));
    }

    #[tokio::test]
    async fn what_is_remembered_has_an_end() {
        let socket = socket();
        for port in 1..2_000 {
            let addr = SocketAddr::from(([127, 0, 0, 1], port));
            socket.came(&RecvMeta { addr, len: 1_200, stride: 1_200, ecn: None, dst_ip: None }, Some(0xc0));
            assert!(socket.addresses().seen.len() <= SEEN_MAX);
        }
        let (one, forgotten) = (SocketAddr::from(([127, 0, 0, 1], 1)), FIRST_BYTES * FACTOR);
        let _unproven = (socket.restrain(one), socket.restrain(one));
        assert_eq!(socket.may_go(&transmit(one, &vec![0; forgotten], None)), forgotten);
        assert_eq!(socket.may_go(&transmit(one, &[0], None)), 0);
    }
}
