//! The host under callgrind: work in, the number of instructions that it took the worker out.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::command;
use crate::demo::process::Process;

/// How long the host may take to start: with no compiled plugins it has to compile them, in a machine of software.
const READY_SECONDS: u64 = 600;

/// A host whose instructions can be counted; ends with this.
#[derive(Debug)]
pub(crate) struct Host {
    process: Process,
    folder: PathBuf,
    log: PathBuf,
}

impl Host {
    /// Starts this program's `run` with a configuration in its folder, and waits until it is ready.
    ///
    /// # Errors
    /// The end of its log, if it ends before that.
    pub(crate) fn start(program: &Path, config: &Path) -> Result<Self> {
        let folder = config.parent().context("a configuration is in a folder")?.to_owned();
        let log = folder.join("host.log");
        let mut command = Command::new("valgrind");
        // Until it is ready, it runs about ten times as fast uncounted.
        command.args(["--tool=callgrind", "--instr-atstart=no", "--separate-threads=yes"]);
        command.arg(format!("--callgrind-out-file={}", folder.join(DUMP).display()));
        command.arg(program).args(["run", "--no-last-good"]).arg(config);
        command.stdout(Stdio::null()).stderr(File::create(&log)?);
        let mut host = Self { process: Process::start("the host", &mut command)?, folder, log };
        host.wait().with_context(|| format!("the host's log ends so:\n{}", tail(&host.log())))?;
        Ok(host)
    }

    fn wait(&mut self) -> Result<()> {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(READY_SECONDS) {
            self.process.check()?;
            if self.log().contains(": ready ") {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        bail!("the host was not ready within {READY_SECONDS} s")
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Where a listener is.
    ///
    /// # Errors
    /// The log does not say so.
    pub(crate) fn listener(&self, name: &str) -> Result<SocketAddr> {
        let mark = format!("listener=\"{name}\" address=");
        let log = self.log();
        let address = log.lines().find_map(|line| line.split_once(&mark)?.1.split_whitespace().next()?.parse().ok());
        address.with_context(|| format!("the host's log does not say where {name:?} listens:\n{}", tail(&log)))
    }

    /// From now on instructions are counted.
    ///
    /// # Errors
    /// Callgrind does not answer.
    pub(crate) fn begin(&mut self) -> Result<()> {
        self.tell(&["instrumentation", "on"])
    }

    /// The instructions that the busiest thread, which is the worker, takes for this work; what it took them for is kept in a file of this name, for
    /// `callgrind_annotate`.
    ///
    /// # Errors
    /// The work fails, or callgrind does not answer.
    pub(crate) fn count(&mut self, name: &str, work: impl FnOnce() -> Result<()>) -> Result<u64> {
        for old in self.dumps()? {
            fs::remove_file(old)?;
        }
        self.tell(&["zero"])?;
        work()?;
        self.tell(&["dump"])?;
        let counts = self.dumps()?.into_iter().map(|file| Ok((total(&file)?, file)));
        let counts: Vec<(u64, PathBuf)> = counts.collect::<Result<_>>()?;
        let (count, file) = counts.into_iter().max().context("callgrind wrote nothing")?;
        fs::rename(file, self.folder.join(format!("{}.callgrind", name.replace([' ', ','], "-"))))?;
        Ok(count)
    }

    fn tell(&mut self, words: &[&str]) -> Result<()> {
        self.process.check()?;
        let mut command = Command::new("vgdb");
        command.arg(format!("--pid={}", self.process.child().id())).arg("--cmd-time-out=60").args(words);
        let output = command.output().context("cannot run vgdb, which is in the package valgrind")?;
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "`{}` failed: {error}", command::show(&command));
        Ok(())
    }

    fn dumps(&self) -> io::Result<Vec<PathBuf>> {
        let files = fs::read_dir(&self.folder)?.map(|entry| Ok(entry?.path()));
        let files: Vec<PathBuf> = files.collect::<io::Result<_>>()?;
        let is_dump = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(DUMP));
        Ok(files.into_iter().filter(is_dump).collect())
    }
}

/// How the names of callgrind's files begin.
const DUMP: &str = "dump";

/// `totals: 187874360`, near the end.
fn total(file: &Path) -> Result<u64> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let total = text.lines().rev().find_map(|line| line.strip_prefix("totals:"));
    total.and_then(|total| total.trim().parse().ok()).with_context(|| format!("{} has no total", file.display()))
}

fn tail(log: &str) -> String {
    let skipped = log.lines().count().saturating_sub(20);
    log.lines().skip(skipped).collect::<Vec<_>>().join("\n")
}
