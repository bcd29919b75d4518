//! What a process is begun with and is not to hand on: variables of its environment, and descriptors that are open in it.

#![expect(unsafe_code, reason = "none of it has a safe interface")]

use std::env;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::libc;

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

/// Lets a child have its standard streams, and of other descriptors those alone that it is given after this. A library may open
/// some in every child that is forked, as wasmtime does `/proc/self/pagemap`.
pub(crate) fn keep_descriptors(command: &mut Command) {
    const FIRST: u32 = 3;
    let close = || -> io::Result<()> {
        // SAFETY: it is one system call with numbers, and marks descriptors that nothing uses between fork and exec. A kernel before
        // 5.11 does not know it, and there is nothing else to be done then.
        let _ = unsafe { libc::syscall(libc::SYS_close_range, FIRST, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
        Ok(())
    };
    // SAFETY: between fork and exec it neither allocates nor waits for a lock.
    unsafe { command.pre_exec(close) };
}
