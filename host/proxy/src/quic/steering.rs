//! Which worker a packet is for: written into connection ids, and read from them in the kernel.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::libc::{self, sock_filter, sock_fprog};
use nix::sys::socket::{setsockopt, sockopt};
use quinn::{ConnectionId, ConnectionIdGenerator};
use quinn_proto::InvalidCid;

/// The bytes of an id: the worker's number, a number of its own, and a check that it is one of ours.
const ID_BYTES: usize = 8;
const CHECK_BYTES: usize = 3;

/// Gives the ids of one worker's connections.
pub(super) struct Ids {
    worker: u8,
    /// The same for all ids of a process, so that nobody else can make one that looks like ours.
    key: RandomState,
    given: u64,
}

impl Ids {
    pub(super) fn new(worker: u8, key: RandomState) -> Self {
        Self { worker, key, given: 0 }
    }

    fn check(&self, id: &[u8]) -> [u8; CHECK_BYTES] {
        let [a, b, c, ..] = self.key.hash_one(("check", id)).to_le_bytes();
        [a, b, c]
    }
}

impl ConnectionIdGenerator for Ids {
    fn generate_cid(&mut self) -> ConnectionId {
        self.given = self.given.wrapping_add(1);
        let [a, b, c, d, ..] = self.key.hash_one(("id", self.worker, self.given)).to_le_bytes();
        let [e, f, g] = self.check(&[self.worker, a, b, c, d]);
        ConnectionId::new(&[self.worker, a, b, c, d, e, f, g])
    }

    fn validate(&self, id: &ConnectionId) -> Result<(), InvalidCid> {
        match id.split_at_checked(ID_BYTES - CHECK_BYTES) {
            Some((own, check)) if self.check(own) == *check => Ok(()),
            _ => Err(InvalidCid),
        }
    }

    fn cid_len(&self) -> usize {
        ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// Makes the kernel read the first byte of each packet's destination id, and hand the packet to the socket of that number in
/// this socket's group: sockets are numbered in the order in which they were bound. Where there is none of that number, the
/// kernel chooses by the addresses, as without this; a connection's first packets have an id of the client's own, which
/// stays the same until it knows ours.
pub(super) fn steer(socket: &impl AsFd) -> io::Result<()> {
    let mut program = program();
    let length = u16::try_from(program.len()).map_err(io::Error::other)?;
    let program = sock_fprog { len: length, filter: program.as_mut_ptr() };
    setsockopt(socket, sockopt::AttachReusePortCbpf, &program).map_err(io::Error::from)
}

const STEPS: usize = 6;

/// In a long header (RFC 9000, section 17.2) the id is the seventh byte, in a short one (section 17.3) the second.
fn program() -> [sock_filter; STEPS] {
    const FORM_BIT: u32 = 0x80;
    const LOAD_BYTE: u32 = libc::BPF_LD | libc::BPF_B | libc::BPF_ABS;
    const RETURN: u32 = libc::BPF_RET | libc::BPF_A;
    let step = |code: u32, (is_so, is_not): (u8, u8), operand| sock_filter {
        code: u16::try_from(code).unwrap_or_default(),
        jt: is_so,
        jf: is_not,
        k: operand,
    };
    [
        step(LOAD_BYTE, (0, 0), 0),
        step(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, (2, 0), FORM_BIT),
        step(LOAD_BYTE, (0, 0), 1),
        step(RETURN, (0, 0), 0),
        step(LOAD_BYTE, (0, 0), 6),
        step(RETURN, (0, 0), 0),
    ]
}
