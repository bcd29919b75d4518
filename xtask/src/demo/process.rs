//! Programs that run beside us and end with us.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use signal_hook::consts::TERM_SIGNALS;

use crate::command;

/// A program that is stopped when this is dropped: asked first, killed if it does not go.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
}

impl Process {
    pub(crate) fn start(name: &str, command: &mut Command) -> Result<Self> {
        let shown = command::show(command);
        let child = command.stdin(Stdio::null()).spawn().with_context(|| format!("cannot start `{shown}`"))?;
        Ok(Self { name: name.to_owned(), child })
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// # Errors
    /// A sentence if the program is gone.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended with {status}", self.name),
        }
    }

    fn ended_within(&mut self, limit: Duration) -> bool {
        let started = Instant::now();
        while started.elapsed() < limit {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return true;
            }
            thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended_within(Duration::from_millis(1)) {
            return;
        }
        let asked = Command::new("kill").arg(self.child.id().to_string()).status().is_ok_and(|status| status.success());
        if asked && self.ended_within(Duration::from_secs(3)) {
            return;
        }
        // Nothing is left to do if even this fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether someone wants us to end: Ctrl-C, or a polite kill.
#[derive(Debug)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// From now on these signals end nothing by themselves; a second one does.
    pub(crate) fn on_signals() -> Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in TERM_SIGNALS {
            // The order matters: the first signal finds the flag unset.
            signal_hook::flag::register_conditional_shutdown(*signal, 1, flag.clone())
                .context("cannot take signals")?;
            signal_hook::flag::register(*signal, flag.clone()).context("cannot take signals")?;
        }
        Ok(Self(flag))
    }

    pub(crate) fn requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_ends_with_its_owner() {
        for command in ["exec sleep 60", "trap '' TERM; exec sleep 60"] {
            let mut process = Process::start("sleeper", Command::new("sh").args(["-c", command])).expect("started");
            process.check().expect("it runs");
            let id = process.child().id().to_string();
            drop(process);
            let probe = Command::new("kill").args(["-0", &id]).stderr(Stdio::null()).status().expect("probed");
            assert!(!probe.success(), "{command}");
        }
    }

    #[test]
    fn a_program_that_is_gone_is_told() {
        let mut process = Process::start("the host", Command::new("sh").args(["-c", "exit 3"])).expect("started");
        process.child().wait().expect("it ends");
        assert_eq!(process.check().expect_err("gone").to_string(), "the host ended with exit status: 3");
    }
}
