//! What the process has of the system's memory, beside what it needs.

/// From now on, memory comes in small pages. The allocator asks for huge ones, of 2 MiB, of which a host of the usual size fills
/// a quarter; what they save a busy one cannot be measured (`cargo xtask bench peers`).
pub(crate) fn in_small_pages() {
    // Where the system does not take it, memory comes as before.
    let _ = nix::sys::prctl::set_thp_disable(true);
}

/// Gives back to the system what a burst of work, such as compiling plugins, has left with the allocator: what this thread, and
/// threads that have ended, have freed. Takes milliseconds: for the control side only.
#[expect(unsafe_code, reason = "the allocator has no other interface for this")]
pub(crate) fn give_back() {
    // SAFETY: may be called at any time and from any thread; it touches only memory that is free.
    unsafe { libmimalloc_sys::mi_collect(true) }
}
