//! How many files the process may have open: every connection is one, and every socket.

use std::os::fd::AsFd;

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use nix::unistd::close;
use palisade_config::Config;

/// What a host has open beside connections: files, sockets that listen, what its runtimes wait at.
const OTHERS: usize = 1_024;

/// Makes room for as many connections as the listeners may have, with one more to an endpoint for each: asks the system for that many files, and has
/// its table of them made as large at once.
///
/// Linux doubles the table when it is full, and if the process has several threads, the one that opened the file waits until
/// every processor has been elsewhere (`expand_fdtable` in fs/file.c, `synchronize_rcu`). For a worker that accepts a connection that is 10
/// to 20 ms in which it answers nobody. While there is one thread, as at the start, nothing waits. A table takes 8 bytes a file.
///
/// Tells what an operator has to know of it.
pub(crate) fn make_room(config: &Config) -> Option<String> {
    let connections = || config.listeners.iter().map(|listener| listener.limits.connections);
    let wanted = connections().map(|connections| connections.saturating_mul(2)).fold(OTHERS, usize::saturating_add);
    let limit = raise_limit(rlim_t::try_from(wanted).unwrap_or(rlim_t::MAX))?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    grow_table(wanted.min(limit));
    let most = connections().max().unwrap_or_default();
    (limit < most.saturating_mul(2)).then(|| {
        format!(
            "the process may have {limit} files open, and a listener may have {most} connections, each with one more to an endpoint: \
             expected a hard limit of {wanted} (LimitNOFILE= of systemd, `ulimit -Hn`), or fewer `limits.connections`"
        )
    })
}

/// Raises the limit to what is wanted, or as far as the system lets this process. Tells what it is then; none is known only where there is no
/// such limit.
fn raise_limit(wanted: rlim_t) -> Option<rlim_t> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    let raised = wanted.clamp(soft, hard.max(soft));
    Some(if setrlimit(Resource::RLIMIT_NOFILE, raised, hard).is_ok() { raised } else { soft })
}

/// The table never becomes smaller, so one file far up in it is enough. Where that cannot be, it grows with what is opened.
fn grow_table(files: usize) {
    let Ok(last) = i32::try_from(files.saturating_sub(1)) else { return };
    if let Ok(number) = fcntl(std::io::stderr().as_fd(), FcntlArg::F_DUPFD_CLOEXEC(last)) {
        let _ = close(number);
    }
}
