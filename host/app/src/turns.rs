//! Workers that outnumber the processors.
//!
//! One that is woken would interrupt another that is at work, each time that something arrives, and what is changed back and forth is paid for: with
//! four workers on two processors, a twentieth of each request. So they wait until the other has nothing left to do or the scheduler
//! takes it off: `SCHED_BATCH` of sched(7). Where every worker can have a processor there is nothing to be won, and a worker
//! comes before what is not so urgent.

#![expect(unsafe_code, reason = "there is no safe interface to the scheduler")]

use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use nix::libc;
use palisade_config::Config;

/// What the thread of each worker of this configuration begins with.
pub(crate) fn of(config: &Config) -> fn() {
    let processors = available_parallelism().map_or(1, NonZeroUsize::get);
    if config.workers.is_some_and(|workers| workers.get() > processors) { take } else { || () }
}

/// Has the calling thread interrupt nobody, unless whoever started the process has chosen for it (`chrt`, `CPUSchedulingPolicy=` of systemd).
fn take() {
    // SAFETY: a system call about the calling thread, with a number alone.
    let chosen = unsafe { libc::sched_getscheduler(0) };
    if chosen == libc::SCHED_OTHER {
        let parameters = libc::sched_param { sched_priority: 0 };
        // SAFETY: likewise; what it reads is here until it returns. Where it is refused, everything is as it was.
        let _ = unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters) };
    }
}
