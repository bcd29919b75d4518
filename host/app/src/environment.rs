//! What a process is begun with and is not to hand on: variables of its environment, and descriptors that are open in it.

#![expect(unsafe_code, reason = "neither has a safe interface")]

use std::env;
use std::os::fd::{FromRawFd, OwnedFd};

/// Takes these variables out of the environment. To be called before there is a second thread.
pub(crate) fn forget(names: &[&str]) {
    for name in names {
        // SAFETY: nobody else reads or writes the environment, because there is no other thread yet.
        unsafe { env::remove_var(name) };
    }
}

/// Closes a descriptor that was given to this process by its number, and that nothing of ours has.
pub(crate) fn close(number: i32) {
    // SAFETY: whoever started this process has opened it for this process alone, and it is used nowhere else. One that is not open
    // is an error of closing, which is ignored.
    drop(unsafe { OwnedFd::from_raw_fd(number) });
}
