//! Who comes first where several want a core.

use std::ffi::OsStr;
use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Who comes first where several want a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precedence {
    /// Before everything else that the machine does (`SCHED_FIFO`): its own services, which may take milliseconds at a time, are not what is
    /// measured then. Needs `CAP_SYS_NICE`.
    First,
    /// As programs usually have it.
    Usual,
    /// Only when nobody else wants the core (`SCHED_IDLE`).
    Last,
}

impl Precedence {
    const fn words(self) -> [&'static str; 2] {
        match self {
            Self::First => ["--fifo", "1"],
            Self::Usual => ["--other", "0"],
            Self::Last => ["--idle", "0"],
        }
    }

    /// A command that will run with it, as will whatever that starts.
    #[must_use]
    pub fn command(self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("chrt");
        command.args(self.words()).arg(program);
        command
    }

    /// Gives it to the calling thread.
    ///
    /// # Errors
    /// This process may not, or there is no `chrt`.
    pub fn take(self) -> Result<()> {
        let thread = fs::read_link("/proc/thread-self").context("there is no /proc")?;
        let number = thread.file_name().context("a thread has a number")?;
        self.apply(&["--pid"], number)
    }

    /// Gives it to every thread of a process.
    ///
    /// # Errors
    /// This process may not, there is no such process, or no `chrt`.
    pub fn give(self, process: u32) -> Result<()> {
        self.apply(&["--all-tasks", "--pid"], OsStr::new(&process.to_string()))
    }

    fn apply(self, words: &[&str], number: &OsStr) -> Result<()> {
        let [policy, priority] = self.words();
        let mut command = Command::new("chrt");
        let done = command.arg(policy).args(words).arg(priority).arg(number).stdout(Stdio::null()).status();
        let is_done = done.context("cannot run chrt: it is in util-linux")?.success();
        ensure!(is_done, "chrt {policy} failed: expected CAP_SYS_NICE, as root has it");
        Ok(())
    }
}
