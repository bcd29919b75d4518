//! How many files the process may have open: every connection is one, and every socket.

use std::os::fd::AsFd;

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use nix::unistd::close;
use palisade_config::Config;

/// What a host has open beside connections: files, sockets that listen, what its runtimes wait at.
const OTHERS: usize = 1_024;

/// Files that the table has room for at once: two listeners with the connections that they may have by themselves, and as many to endpoints. Half a MiB of the
/// kernel's.
const USUAL: usize = 1 << 16;

/// Raises the limit of open files as far as the system lets this process, and has its table of them made large.
///
/// Linux doubles the table when it is full, and if the process has several threads, the one that opened the file waits until
/// every processor has been elsewhere (`expand_fdtable` in fs/file.c, `synchronize_rcu`). For a worker that accepts a connection that is 10
/// to 20 ms in which it answers nobody. So this is the first thing that a process does: while it has one thread, nothing waits.
pub(crate) fn make_room() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Where the system does not let it, what it lets is taken.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
    grow_table(USUAL);
}

/// As [`make_room`], for listeners that may have more connections than most: it takes the 10 ms now.
pub(crate) fn make_more_room(config: &Config) {
    if wanted(config) > USUAL {
        grow_table(wanted(config));
    }
}

/// What an operator has to know where the limit is too low for the connections of even one listener.
pub(crate) fn shortage(config: &Config) -> Option<String> {
    let (limit, _) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    let most = config.listeners.iter().map(|listener| listener.limits.connections).max()?;
    (limit < rlim_t::try_from(most.saturating_mul(2)).unwrap_or(rlim_t::MAX)).then(|| {
        let wanted = wanted(config);
        format!(
            "the process may have {limit} files open, and a listener may have {most} connections, each with one more to an endpoint: \
             expected a hard limit of {wanted} (LimitNOFILE= of systemd, `ulimit -Hn`), or fewer `limits.connections`"
        )
    })
}

fn wanted(config: &Config) -> usize {
    let connections = config.listeners.iter().map(|listener| listener.limits.connections.saturating_mul(2));
    connections.fold(OTHERS, usize::saturating_add)
}

/// The table never becomes smaller, so one file far up in it is enough. Where that cannot be, it grows with what is opened.
fn grow_table(files: usize) {
    let Ok((limit, _)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    let files = files.min(usize::try_from(limit).unwrap_or(usize::MAX));
    let Ok(last) = i32::try_from(files.saturating_sub(1)) else { return };
    if let Ok(number) = fcntl(std::io::stderr().as_fd(), FcntlArg::F_DUPFD_CLOEXEC(last)) {
        let _ = close(number);
    }
}
