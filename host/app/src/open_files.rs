//! How many files the process may have open: every connection is one, and every socket.

use std::os::fd::AsFd;

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use nix::unistd::close;
use palisade_config::Config;

/// What a host has open beside connections: files, sockets that listen, what its runtimes wait at.
const OTHERS: usize = 1_024;

/// Raises the limit of open files as far as the system lets this process, and has its table of them made as large as these listeners need: a file for each
/// connection that they may have, and one more to an endpoint.
///
/// Linux doubles the table when it is full, and if the process has several threads, the one that opened the file waits until
/// every processor has been elsewhere (`expand_fdtable` in fs/file.c, `synchronize_rcu`). For a worker that accepts a connection that is 10
/// to 20 ms in which it answers nobody. While there is one thread, as at the start, nothing waits. A table takes 8 bytes a file.
pub(crate) fn make_room(config: &Config) {
    // Where there is no limit that can be told or raised, there is nothing to be done.
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    let limit = if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft };
    grow_table(wanted(config).min(usize::try_from(limit).unwrap_or(usize::MAX)));
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
    let Ok(last) = i32::try_from(files.saturating_sub(1)) else { return };
    if let Ok(number) = fcntl(std::io::stderr().as_fd(), FcntlArg::F_DUPFD_CLOEXEC(last)) {
        let _ = close(number);
    }
}
