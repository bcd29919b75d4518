//! The memory of a plugin: what is small and comes and goes with every call is kept by size, and is there again in a few instructions.
//!
//! What the host passes and what a phase makes of it is allocated and freed at each call. The allocator of the standard library
//! (dlmalloc) takes some 130 instructions for both, this one about 20. What is larger is left to it.
//!
//! A block that is free is given out again for its own size only. So no more than [`KEPT_BYTES`] of them are kept: others go back, and can become blocks of any size.

#![expect(unsafe_code, reason = "an allocator hands out raw memory")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;

use crate::arrival::Arrival;

/// Sizes are multiples of this.
const STEP_BYTES: usize = 16;

/// So many of them: up to 512 bytes.
const SIZES: usize = 32;

/// What blocks are aligned to. More is left to the standard library.
const ALIGN: usize = 8;

/// Free blocks that are kept, all sizes together. What comes and goes with one call is far less.
const KEPT_BYTES: usize = 256 << 10;

/// The global allocator of a plugin; [`register!`](crate::register) declares it.
#[derive(Debug)]
#[repr(C)]
pub struct Allocator {
    /// What the host finds it by: it comes first.
    arrival: Arrival,
    /// Of each size, the first block that is free.
    free: [Cell<*mut Free>; SIZES],
    /// What all of those take.
    kept_bytes: Cell<usize>,
}

/// The beginning of a block that is free.
#[derive(Debug)]
struct Free {
    next: *mut Free,
}

// SAFETY: without atomics a WebAssembly module has one thread.
#[cfg(all(target_family = "wasm", not(target_feature = "atomics")))]
unsafe impl Sync for Allocator {}

impl Allocator {
    /// Without any memory.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a static can only have a constant")]
    pub const fn new() -> Self {
        Self { arrival: Arrival::new(), free: [const { Cell::new(ptr::null_mut()) }; SIZES], kept_bytes: Cell::new(0) }
    }

    /// The place of the first block of this layout's size, and what such a block is; none for what is left to the standard library.
    fn size(&self, layout: Layout) -> Option<(&Cell<*mut Free>, Layout)> {
        let steps = layout.size().div_ceil(STEP_BYTES);
        let first = self.free.get(steps.checked_sub(1)?).filter(|_| layout.align() <= ALIGN)?;
        Some((first, Layout::from_size_align(steps * STEP_BYTES, ALIGN).ok()?))
    }
}

// SAFETY: a block is the standard library's or was, is as large and as aligned as its layout asks, and is in a list of free ones or given out, never both; or it is what
// the host has put something into, which is the place that it takes once.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((first, block)) = self.size(layout) else {
            // SAFETY: the caller's promise, handed on.
            return unsafe { System.alloc(layout) };
        };
        let free = first.get();
        if free.is_null() {
            // SAFETY: a block is never empty.
            return unsafe { System.alloc(block) };
        }
        // SAFETY: what is in the list is a block, whose beginning is ours.
        first.set(unsafe { (*free).next });
        self.kept_bytes.set(self.kept_bytes.get() - block.size());
        free.cast()
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        if self.arrival.is(memory) {
            return self.arrival.give_back();
        }
        let Some((first, block)) = self.size(layout) else {
            // SAFETY: the caller's promise, handed on.
            return unsafe { System.dealloc(memory, layout) };
        };
        let kept_bytes = self.kept_bytes.get() + block.size();
        if kept_bytes > KEPT_BYTES {
            // SAFETY: it was the standard library's as such a block.
            return unsafe { System.dealloc(memory, block) };
        }
        self.kept_bytes.set(kept_bytes);
        let free = memory.cast::<Free>();
        // SAFETY: nobody has the block any more, and it is as large and as aligned as every block.
        unsafe { free.write(Free { next: first.get() }) };
        first.set(free);
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        let Ok(larger) = Layout::from_size_align(bytes, layout.align()) else { return ptr::null_mut() };
        let has_arrived = self.arrival.is(memory);
        match (self.size(layout), self.size(larger)) {
            _ if has_arrived && self.arrival.has_room(bytes) => memory,
            // SAFETY: the caller's promise, handed on.
            (None, None) if !has_arrived => unsafe { System.realloc(memory, layout, bytes) },
            (Some((_, block)), Some((_, other))) if !has_arrived && block == other => memory,
            // SAFETY: both layouts are the caller's, what is copied is within both blocks, and the new one is no part of the old one.
            _ => unsafe {
                let new = self.alloc(larger);
                if !new.is_null() {
                    ptr::copy_nonoverlapping(memory, new, layout.size().min(bytes));
                    self.dealloc(memory, layout);
                }
                new
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(bytes: usize, align: usize) -> Layout {
        Layout::from_size_align(bytes, align).unwrap()
    }

    #[test]
    fn a_block_is_there_again_for_every_layout_of_its_size() {
        let allocator = Allocator::new();
        // SAFETY: every block is freed by the layout that it was asked for.
        unsafe {
            let (one, other) = (allocator.alloc(layout(17, 1)), allocator.alloc(layout(32, 8)));
            assert_ne!(one, other);
            allocator.dealloc(one, layout(17, 1));
            allocator.dealloc(other, layout(32, 8));
            assert_eq!(allocator.alloc(layout(20, 4)), other, "the last one that was freed");
            assert_eq!(allocator.alloc(layout(32, 8)), one);
            assert_ne!(allocator.alloc(layout(33, 1)), one);
        }
    }

    #[test]
    fn a_block_that_grows_keeps_what_is_in_it() {
        let allocator = Allocator::new();
        // SAFETY: every block is written within its size, and reallocated by the layout that it has.
        unsafe {
            let mut block = allocator.alloc(layout(3, 1));
            ptr::copy_nonoverlapping(b"abc".as_ptr(), block, 3);
            let (mut bytes, first) = (3, block);
            for next in [16, 17, 512, 513, 100_000, 600, 40, 3] {
                block = allocator.realloc(block, layout(bytes, 1), next);
                bytes = next;
                assert_eq!(std::slice::from_raw_parts(block, 3), b"abc", "{bytes} bytes");
                assert_eq!(block == first, bytes <= 16, "{bytes} bytes");
            }
            allocator.dealloc(block, layout(bytes, 1));
        }
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let allocator = Allocator::new();
        // SAFETY: every block is freed once, by the layout that it was asked for.
        unsafe {
            let blocks: Vec<_> = (0..2_000).map(|_| allocator.alloc(layout(500, 1))).collect();
            for block in blocks {
                allocator.dealloc(block, layout(500, 1));
                assert!(allocator.kept_bytes.get() <= KEPT_BYTES);
            }
            assert_eq!(allocator.kept_bytes.get(), KEPT_BYTES);
            let block = allocator.alloc(layout(500, 1));
            assert_eq!(allocator.kept_bytes.get(), KEPT_BYTES - 512);
            allocator.dealloc(block, layout(500, 1));
        }
    }

    #[test]
    fn what_has_arrived_is_given_back_when_it_is_freed_or_outgrows_its_place() {
        let allocator = Allocator::new();
        // SAFETY: what is taken is freed once, by the layout that it was passed by.
        unsafe {
            let arrived = allocator.arrival.take();
            arrived.write(b'x');
            assert_eq!(allocator.realloc(arrived, layout(100, 1), 2_048), arrived);
            let grown = allocator.realloc(arrived, layout(2_048, 1), 2_049);
            assert!(grown != arrived && grown.read() == b'x' && !allocator.arrival.is_taken());
            allocator.dealloc(grown, layout(2_049, 1));
            let arrived = allocator.arrival.take();
            assert_eq!(arrived.align_offset(8), 0);
            assert_ne!(allocator.alloc(layout(100, 1)), arrived);
            allocator.dealloc(arrived, layout(100, 1));
            assert!(!allocator.arrival.is_taken());
            assert_eq!(allocator.kept_bytes.get(), 0, "it is no block");
        }
    }

    #[test]
    fn what_is_large_or_aligned_to_more_is_left_to_the_standard_library() {
        let allocator = Allocator::new();
        for (bytes, align) in [(513, 1), (64, 64), (1 << 20, 8)] {
            assert!(allocator.size(layout(bytes, align)).is_none());
            // SAFETY: the block is freed by the layout that it was asked for.
            unsafe {
                let block = allocator.alloc(layout(bytes, align));
                assert_eq!(block.align_offset(align), 0);
                allocator.dealloc(block, layout(bytes, align));
            }
        }
    }
}
