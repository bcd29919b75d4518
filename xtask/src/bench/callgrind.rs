//! The host under callgrind: work in, what it took the worker out.

use std::collections::HashMap;
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

    /// What the busiest thread, which is the worker, takes for this work; what it took it for is kept in a file of this name, for
    /// `callgrind_annotate`.
    ///
    /// # Errors
    /// The work fails, or callgrind does not answer.
    pub(crate) fn count(&mut self, name: &str, work: impl FnOnce() -> Result<()>) -> Result<Taken> {
        for old in self.dumps()? {
            fs::remove_file(old)?;
        }
        self.tell(&["zero"])?;
        work()?;
        self.tell(&["dump"])?;
        let all = self.dumps()?.into_iter().map(|file| Ok((Taken::read(&file)?, file)));
        let all: Vec<(Taken, PathBuf)> = all.collect::<Result<_>>()?;
        let (taken, file) = all.into_iter().max().context("callgrind wrote nothing")?;
        fs::rename(file, self.folder.join(format!("{}.callgrind", name.replace([' ', ','], "-"))))?;
        Ok(taken)
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

/// What some work took. Of two, the one with fewer instructions is less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Taken {
    pub(crate) instructions: u64,
    /// Calls of the allocator for memory, or for more of it: by Rust, and by the cryptography's C.
    pub(crate) allocations: u64,
    /// Calls of `memcpy` and `memmove`: what is short is copied without one.
    pub(crate) copies: u64,
}

/// How the allocator's functions are called that others call.
const ALLOCATE: [&str; 7] =
    ["malloc", "calloc", "realloc", "mi_malloc_aligned", "mi_zalloc_aligned", "mi_realloc_aligned", "mi_malloc"];

impl Taken {
    fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        Self::parse(&text).with_context(|| format!("{} is not what callgrind writes", file.display()))
    }

    /// Reads what the manual calls the callgrind format: `totals: 187874360`; and for each call, `cfn=(7) name` or, where the name was told
    /// before, `cfn=(7)`, and behind it `calls=12 …`.
    fn parse(text: &str) -> Option<Self> {
        let (mut instructions, mut allocations, mut copies) = (None, 0, 0);
        let (mut names, mut called) = (HashMap::new(), "");
        for line in text.lines() {
            if let Some(function) = line.strip_prefix("fn=").or(line.strip_prefix("cfn=")) {
                called = match function.split_once(' ') {
                    Some((number, name)) => {
                        names.insert(number, name);
                        name
                    }
                    None => names.get(function)?,
                };
            } else if let Some(calls) = line.strip_prefix("calls=") {
                let calls: u64 = calls.split(' ').next()?.parse().ok()?;
                if ALLOCATE.contains(&called) {
                    allocations += calls;
                } else if called.starts_with("__memcpy_") || called.starts_with("__memmove_") {
                    copies += calls;
                }
            } else if let Some(total) = line.strip_prefix("totals:") {
                instructions = Some(total.trim().parse().ok()?);
            }
        }
        Some(Self { instructions: instructions?, allocations, copies })
    }

    /// What one of so many more of the same took, of which fewer took `few`.
    pub(crate) fn one_of(self, more: u32, few: Self) -> Self {
        let one = |many: u64, few: u64| many.saturating_sub(few) / u64::from(more);
        Self {
            instructions: one(self.instructions, few.instructions),
            allocations: one(self.allocations, few.allocations),
            copies: one(self.copies, few.copies),
        }
    }
}

fn tail(log: &str) -> String {
    let skipped = log.lines().count().saturating_sub(20);
    log.lines().skip(skipped).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_the_names_of_what_is_called() {
        let text = "events: Ir\n\nfn=(1) serve\n0 20\ncfn=(2) mi_malloc_aligned\ncalls=3 0 \n0 90\ncfn=(3) __memcpy_avx_unaligned_erms\n\
                    calls=5 +4 \n0 50\n\nfn=(4) other\n0 7\ncfn=(2)\ncalls=4 0 \n0 60\ncfn=(1)\ncalls=9 0 \n0 9\n\ntotals: 1234\n";
        assert_eq!(Taken::parse(text), Some(Taken { instructions: 1_234, allocations: 7, copies: 5 }));
        assert_eq!(Taken::parse("fn=(1) serve\n0 20\n"), None, "no total");
        assert_eq!(Taken::parse("cfn=(1)\ncalls=1 0\ntotals: 5\n"), None, "no name");
    }
}
