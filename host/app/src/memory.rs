//! Gives memory back to the system that a burst of work, such as compiling plugins, has left with the allocator.

/// Returns what this thread, and threads that have ended, have freed. Takes milliseconds: for the control side only.
#[expect(unsafe_code, reason = "the allocator has no other interface for this")]
pub(crate) fn give_back() {
    // SAFETY: may be called at any time and from any thread; it touches only memory that is free.
    unsafe { libmimalloc_sys::mi_collect(true) }
}
