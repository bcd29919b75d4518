//! A place for what a call comes with.

use std::{
    cell::{Cell, UnsafeCell},
    ptr,
};

/// What it holds: the text of a request, or the words of some fifty endpoints.
const BYTES: usize = 2 << 10;

/// Memory that the host may write what it passes with a call into, instead of asking the allocator for some, which is a call of its own.
///
/// The host finds it by the name `palisade_arrival`, and a module without it is asked for memory. Four bytes say whether it is taken: the
/// host takes it where they are zero, and the plugin gives it back when it frees what came there, which may be long after the call. Four more say
/// how much there is, and then it comes, aligned to eight. Numbers are little-endian.
#[derive(Debug)]
#[repr(C, align(8))]
pub(crate) struct Arrival {
    taken: Cell<u32>,
    bytes: u32,
    place: UnsafeCell<[u8; BYTES]>,
}

impl Arrival {
    pub(crate) const fn new() -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "two thousand, in a constant")]
        Self { taken: Cell::new(0), bytes: BYTES as u32, place: UnsafeCell::new([0; BYTES]) }
    }

    /// Whether this memory is what came there.
    pub(crate) fn is(&self, memory: *const u8) -> bool {
        ptr::eq(memory, self.place.get().cast())
    }

    /// Whether so many bytes have room there.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        bytes <= BYTES
    }

    /// The host may have it again.
    pub(crate) fn give_back(&self) {
        self.taken.set(0);
    }

    /// What the host does.
    #[cfg(test)]
    pub(crate) fn take(&self) -> *mut u8 {
        assert_eq!((self.taken.replace(1), self.bytes), (0, 2_048));
        self.place.get().cast()
    }

    #[cfg(test)]
    pub(crate) fn is_taken(&self) -> bool {
        self.taken.get() != 0
    }
}
