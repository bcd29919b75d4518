//! Which socket a packet is for: written into connection ids, and read from them in the kernel.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::libc::{self, sock_filter, sock_fprog};
use nix::sys::socket::{setsockopt, sockopt};
use quinn::{ConnectionId, ConnectionIdGenerator};
use quinn_proto::InvalidCid;

/// The bytes of an id: the number of the socket that its packets are for, the tag of that, a number of its own, and a check that
/// it is one of this process.
const ID_BYTES: usize = 10;
const CHECK_BYTES: usize = 3;

/// Gives the ids of one worker's connections.
pub(super) struct Ids {
    /// The worker's socket, by its place in the group.
    socket: u8,
    /// The same for all ids of a process, so that nobody else can make one that looks like ours.
    key: RandomState,
    given: u64,
}

impl Ids {
    pub(super) fn new(socket: u8, key: RandomState) -> Self {
        Self { socket, key, given: 0 }
    }

    fn check(&self, id: &[u8]) -> [u8; CHECK_BYTES] {
        let [a, b, c, ..] = self.key.hash_one(("check", id)).to_le_bytes();
        [a, b, c]
    }
}

impl ConnectionIdGenerator for Ids {
    fn generate_cid(&mut self) -> ConnectionId {
        self.given = self.given.wrapping_add(1);
        let (socket, [high, low]) = (self.socket, tag(self.socket));
        let [a, b, c, d, ..] = self.key.hash_one(("id", socket, self.given)).to_le_bytes();
        let [e, f, g] = self.check(&[socket, high, low, a, b, c, d]);
        ConnectionId::new(&[socket, high, low, a, b, c, d, e, f, g])
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

/// Makes the kernel hand a packet that has an id of ours to the socket that the id names, by its place in the group: sockets are
/// numbered in the order in which they were bound. Whatever else comes, the first packets of connections above all, is for these
/// `own` sockets, and stays with one of them: the id that a client begins with is the same until it knows ours.
pub(super) fn steer(socket: &impl AsFd, own: &Range<usize>) -> io::Result<()> {
    let mut program = program(own).ok_or(io::ErrorKind::InvalidInput)?;
    let length = u16::try_from(program.len()).map_err(io::Error::other)?;
    let program = sock_fprog { len: length, filter: program.as_mut_ptr() };
    setsockopt(socket, sockopt::AttachReusePortCbpf, &program).map_err(io::Error::from)
}

/// What stands behind a socket's number in an id, so that the kernel takes no other id for one of ours, or one in 65,536.
fn tag(number: u8) -> [u8; 2] {
    let [.., high, low] = (u32::from(number) * TAG_FACTOR + TAG_TERM).to_be_bytes();
    [high, low]
}

const TAG_FACTOR: u32 = 0x9e37;
const TAG_TERM: u32 = 0x79b9;

/// In a long header (RFC 9000, section 17.2) the id begins with the seventh byte, in a short one (section 17.3) with the second.
fn program(own: &Range<usize>) -> Option<Vec<sock_filter>> {
    const FORM_BIT: u32 = 0x80;
    let (first, count) = (u32::try_from(own.start).ok()?, u32::try_from(own.len()).ok()?);
    let (short, long) = (choice(1, (first, count)), choice(6, (first, count)));
    let begin = [
        step(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0),
        branch(libc::BPF_JSET | libc::BPF_K, FORM_BIT, (u8::try_from(short.len()).ok()?, 0)),
    ];
    (count > 0).then(|| begin.into_iter().chain(short).chain(long).collect())
}

/// The number of the socket for the id that begins at this byte.
fn choice(id: u32, (first, count): (u32, u32)) -> [sock_filter; 14] {
    let arithmetic = |operation: u32, operand| step(libc::BPF_ALU | operation | libc::BPF_K, operand);
    [
        // Is it one of ours, with the tag of its number?
        step(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, id),
        step(libc::BPF_ST, 0),
        arithmetic(libc::BPF_MUL, TAG_FACTOR),
        arithmetic(libc::BPF_ADD, TAG_TERM),
        arithmetic(libc::BPF_AND, 0xffff),
        step(libc::BPF_MISC | libc::BPF_TAX, 0),
        step(libc::BPF_LD | libc::BPF_H | libc::BPF_ABS, id + 1),
        branch(libc::BPF_JEQ | libc::BPF_X, 0, (0, 2)),
        step(libc::BPF_LD | libc::BPF_MEM, 0),
        step(libc::BPF_RET | libc::BPF_A, 0),
        // It is not: one of our own sockets, always the same for the same id.
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, id),
        arithmetic(libc::BPF_MOD, count),
        arithmetic(libc::BPF_ADD, first),
        step(libc::BPF_RET | libc::BPF_A, 0),
    ]
}

fn step(code: u32, operand: u32) -> sock_filter {
    sock_filter { code: u16::try_from(code).unwrap_or_default(), jt: 0, jf: 0, k: operand }
}

fn branch(condition: u32, operand: u32, (jt, jf): (u8, u8)) -> sock_filter {
    sock_filter { jt, jf, ..step(libc::BPF_JMP | condition, operand) }
}
