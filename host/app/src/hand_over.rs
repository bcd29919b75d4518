//! A new process takes this one's place with its listening sockets: no connection is refused, and none is lost in a queue.
//!
//! The one before starts the other, from the same file and with the same arguments, and gives it the sockets as a service manager
//! would (`LISTEN_FDS` and `LISTEN_FDNAMES`, sd_listen_fds(3)), with a pipe to say that it is up. Then it drains as on
//! SIGTERM. Where the other does not come up, nothing has changed.

use std::env;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use anyhow::{Context, bail};
use command_fds::{CommandFdExt, FdMapping};
use listenfd::ListenFd;
use palisade_proxy::Inherited;
use sd_notify::NotifyState;

use crate::environment;

/// Which descriptor says that this process is up to the one whose place it takes.
const READY: &str = "PALISADE_READY_FD";

/// The first descriptor that is handed over (sd_listen_fds(3)).
const FIRST_FD: i32 = 3;

/// How long the other process may take to be up: it may have plugins to compile.
const LIMIT: Duration = Duration::from_secs(120);

/// How often it is looked whether it is still to take over.
const STEP: Duration = Duration::from_millis(100);

/// What this process was begun with, and so the next one is.
#[derive(Debug)]
pub(crate) struct Origin {
    program: PathBuf,
    arguments: Vec<OsString>,
    folder: PathBuf,
    /// Nobody is to take over any more.
    ended: AtomicBool,
}

/// What was given to this process when it began.
#[derive(Debug, Default)]
pub(crate) struct Given {
    pub(crate) sockets: Inherited,
    pub(crate) ready: Ready,
}

/// Where it is said that this process is up.
#[derive(Debug, Default)]
pub(crate) struct Ready(Option<File>);

impl Given {
    /// What the environment says, which is forgotten with this: nothing of it is inherited any further. To be called before there
    /// is a second thread.
    pub(crate) fn take() -> Self {
        const NAMES: &str = "LISTEN_FDNAMES";
        let names = env::var(NAMES).unwrap_or_default();
        let ready = env::var(READY).ok().and_then(|number| number.parse().ok()).filter(|number| *number >= FIRST_FD);
        environment::forget(&[NAMES, READY]);
        let mut given = ListenFd::from_env();
        let mut names = names.split(':');
        let (mut sockets, mut quic) = (Vec::<(String, TcpListener)>::new(), Vec::<(String, UdpSocket)>::new());
        for index in 0..given.len() {
            let name = names.next().unwrap_or_default().to_owned();
            if let Ok(socket) = given.take_tcp_listener(index) {
                sockets.extend(socket.map(|socket| (name, socket)));
            } else if let Ok(socket) = given.take_udp_socket(index) {
                quic.extend(socket.map(|socket| (name, socket)));
            } else {
                // Whatever else a service manager has opened is not for us.
                given.take_raw_fd(index).ok().flatten().into_iter().for_each(environment::close);
            }
        }
        Self { sockets: Inherited::new(sockets).with_quic(quic), ready: ready.map(Ready::at).unwrap_or_default() }
    }
}

impl Ready {
    /// This descriptor, which no child of ours is to have.
    fn at(number: i32) -> Self {
        let own = OpenOptions::new().write(true).open(format!("/proc/self/fd/{number}"));
        if own.is_ok() {
            environment::close(number);
        }
        Self(own.ok())
    }

    /// Says to whoever waits for it that this process is up: to a service manager (sd_notify(3)), and to the process whose
    /// place it takes.
    pub(crate) fn tell(self) {
        // Without a service manager nobody is told. One that follows the process before is to follow this one.
        let states = [NotifyState::Ready, NotifyState::MainPid(std::process::id())];
        if let Err(error) = sd_notify::notify(&states) {
            tracing::warn!(%error, "the service manager cannot be told that this process is up");
        }
        if let Some(Err(error)) = self.0.map(|mut pipe| pipe.write_all(b"1")) {
            tracing::warn!(%error, "the process before this one cannot be told that this one is up");
        }
    }
}

impl Origin {
    /// As it is now: the program's file may be another one later, which is the point.
    ///
    /// # Errors
    /// It cannot be known.
    pub(crate) fn now() -> io::Result<Self> {
        let (program, folder) = (env::current_exe()?, env::current_dir()?);
        Ok(Self { program, arguments: env::args_os().skip(1).collect(), folder, ended: AtomicBool::new(false) })
    }

    /// Nobody is to take over any more: who was about to is ended.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// Starts another process with these sockets and waits until it is up. Blocks.
    ///
    /// # Errors
    /// It did not start, ended, or was not up in time; it is no more then.
    pub(crate) fn hand_over(&self, sockets: Vec<(String, OwnedFd)>) -> anyhow::Result<u32> {
        let (mut ready, tell_ready) = io::pipe().context("no pipe")?;
        let names: Vec<&str> = sockets.iter().map(|(name, _)| name.as_str()).collect();
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(&self.folder).stdin(Stdio::null());
        command
            .env("LISTEN_FDS", sockets.len().to_string())
            .env("LISTEN_FDNAMES", names.join(":"))
            .env_remove("LISTEN_PID");
        environment::keep_descriptors(&mut command);
        let mut mappings = Vec::with_capacity(sockets.len() + 1);
        let mut child_fd = FIRST_FD;
        for (_, parent_fd) in sockets {
            mappings.push(FdMapping { parent_fd, child_fd });
            child_fd += 1;
        }
        command.env(READY, child_fd.to_string());
        mappings.push(FdMapping { parent_fd: tell_ready.into(), child_fd });
        command.fd_mappings(mappings).context("a descriptor is meant twice")?;
        let mut child = command.spawn().with_context(|| format!("{} cannot be started", self.program.display()))?;
        // Our own end of the pipe: without it, the end of the other process is the end of the pipe.
        drop(command);
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let mut byte = [0];
            let _ = tell.send(ready.read_exact(&mut byte).is_ok());
        });
        let mut waited = Duration::ZERO;
        let is_up = loop {
            match told.recv_timeout(STEP) {
                Ok(is_up) => break is_up,
                Err(RecvTimeoutError::Timeout) if waited < LIMIT && !self.ended.load(Ordering::Relaxed) => {
                    waited += STEP
                }
                Err(_) => break false,
            }
        };
        if is_up && !self.ended.load(Ordering::Relaxed) {
            return Ok(child.id());
        }
        let _ = child.kill();
        let ended = child.wait();
        bail!(
            "the new process was not up: {}",
            ended.map_or_else(|error| error.to_string(), |status| status.to_string())
        )
    }
}
