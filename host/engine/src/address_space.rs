//! How much address space the memory of each instance gets, so that compiled code need not look at its bounds.
//!
//! With all that 32 bits can say, and what the offset of an instruction may add, what lies outside of an instance's memory is not mapped, and the memory is
//! where it always was. With less, every access looks at the bounds first, which is five instructions more, and a plugin's call takes half as many again.
//! It is address space, not memory: 47 bits of it have room for thirty thousand instances, 39 bits (as of many small arm64 machines) for a hundred.

use std::ptr;
use std::sync::LazyLock;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use crate::pool;

/// What one memory gets, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reservation {
    /// What it may grow within without being moved.
    pub(crate) memory: u64,
    /// What is never mapped behind that.
    pub(crate) guard: u64,
}

impl Reservation {
    /// All that an instruction can address.
    const WHOLE: Self = Self { memory: 4 << 30, guard: 32 << 20 };

    /// Where there is no room for that.
    const SMALL: Self = Self { memory: 32 << 20, guard: 64 << 10 };

    /// What there is room for, for as many instances as the pool has slots. It is the same for as long as the process lives.
    pub(crate) fn of_this_process() -> Self {
        static FOUND: LazyLock<Reservation> = LazyLock::new(|| {
            let whole = Reservation::WHOLE;
            if has_room_for((whole.memory + whole.guard) * u64::from(pool::INSTANCES)) {
                return whole;
            }
            tracing::warn!(
                "there is little address space (LimitAS= of systemd, `ulimit -v`, or a machine with 39 bits of it): plugins run, and their calls cost half as much again"
            );
            Reservation::SMALL
        });
        *FOUND
    }
}

#[expect(unsafe_code, reason = "mappings are made of addresses")]
fn has_room_for(bytes: u64) -> bool {
    let Ok(bytes) = usize::try_from(bytes) else { return false };
    // SAFETY: the system chooses a place where nothing is, nobody can use what is mapped, and it is gone again before anybody could know of it.
    unsafe {
        mmap_anonymous(ptr::null_mut(), bytes, ProtFlags::empty(), MapFlags::PRIVATE | MapFlags::NORESERVE)
            .is_ok_and(|place| munmap(place, bytes).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_process_has_room_for_more_than_all_addresses() {
        assert!(has_room_for(1 << 20));
        assert!(!has_room_for(1 << 62));
    }
}
