//! Where a guest lets the host put what a call comes with, so that its allocator need not be asked.

/// Before the place itself: whether it is taken, and how much there is.
const HEADER_BYTES: usize = 8;

/// What the place is aligned to.
pub(super) const ALIGN: usize = 8;

/// A place in a guest's memory, as the SDK's allocator has it (`sdk/src/arrival.rs`). The guest says whether it is free; if that is not so, it is
/// the guest's own memory that is overwritten.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    at: usize,
    bytes: usize,
}

impl Arrival {
    /// The one that is here. None where it is not in the memory, or is not aligned.
    pub(super) fn find(memory: &[u8], at: u32) -> Option<Self> {
        let at = usize::try_from(at).ok().filter(|at| at.is_multiple_of(ALIGN))?;
        let (header, place) = memory.get(at..)?.split_first_chunk::<HEADER_BYTES>()?;
        let [.., a, b, c, d] = *header;
        let bytes = usize::try_from(u32::from_le_bytes([a, b, c, d])).ok().filter(|bytes| *bytes <= place.len())?;
        Some(Self { at, bytes })
    }

    /// Takes it for so many bytes. None where they have no room, or it is taken.
    pub(super) fn take(self, memory: &mut [u8], bytes: usize) -> Option<usize> {
        let taken = memory.get_mut(self.at..)?.first_chunk_mut::<4>()?;
        if bytes > self.bytes || *taken != [0; 4] {
            return None;
        }
        *taken = 1_u32.to_le_bytes();
        Some(self.at + HEADER_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_taken_once_and_for_what_has_room() {
        let mut memory = [&[7; 8][..], &[0, 0, 0, 0, 16, 0, 0, 0], &[9; 16]].concat();
        let arrival = Arrival::find(&memory, 8).expect("a place");
        assert_eq!(arrival.take(&mut memory, 17), None);
        assert_eq!(arrival.take(&mut memory, 16), Some(16));
        assert_eq!(arrival.take(&mut memory, 1), None, "until the guest gives it back");
        memory[8] = 0;
        assert_eq!(arrival.take(&mut memory, 1), Some(16));
    }

    #[test]
    fn what_is_no_place_in_the_memory_is_none() {
        let memory = [&[0, 0, 0, 0, 9, 0, 0, 0], &[0; 8][..]].concat();
        for at in [0, 4, 8, 16, 17, u32::MAX] {
            assert_eq!(Arrival::find(&memory, at).is_some(), at == 8, "{at}");
        }
    }
}
