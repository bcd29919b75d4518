//! Good clients and slow ones, by tools that are made for it.

use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use benches::Precedence;

use crate::host::Host;

/// Slow connections, and how many of them come in a second.
const CONNECTIONS: u32 = 1_000;
const RATE: u32 = 200;

/// What slow clients ask for: 1 KB, and readers 5 MB.
const PATH: &str = "/slow/1024";
const BIG_PATH: &str = "/slow/5000000";

/// How long the slow ones stay after the good ones have gone.
const AFTER_SECONDS: u32 = 2;

/// Requests of good clients in a second, by four connections.
const REQUESTS_PER_SECOND: u32 = 800;
const GOOD_CONNECTIONS: u32 = 4;

/// What good clients have seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Good {
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) requests: u64,
    /// Requests without a good answer.
    pub(crate) errors: u64,
}

impl Good {
    /// Asks for so many seconds.
    ///
    /// # Errors
    /// The program is missing, or says something else than it used to.
    pub(crate) fn measure(host: &Host, seconds: u32) -> Result<Self> {
        // Not in the host's folder, which it watches.
        let log = host.folder.with_file_name("slow-h2load.log");
        // It goes on with a file that is there.
        let _ = fs::remove_file(&log);
        let rate = REQUESTS_PER_SECOND / GOOD_CONNECTIONS;
        let words = format!("-D {seconds} -c {GOOD_CONNECTIONS} -m 4 --rps {rate}");
        let mut command = Precedence::First.command("h2load");
        command.args(words.split(' ')).arg("--log-file").arg(&log).arg(format!("https://{}/", host.address));
        let output = command.output().context("cannot run h2load: `cargo xtask test` installs it")?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "h2load failed: {text}{}", String::from_utf8_lossy(&output.stderr));
        let errors = errors(&text).with_context(|| format!("h2load says something else: {text}"))?;
        let log = fs::read_to_string(&log).context("h2load has written no log")?;
        // When it began, the status, and how many microseconds it took.
        let mut times: Vec<u64> = log.lines().filter_map(|line| line.split('\t').nth(2)?.trim().parse().ok()).collect();
        times.sort_unstable();
        let milliseconds = |percent: usize| -> Result<f64> {
            let time = times.get((times.len() * percent / 100).min(times.len().saturating_sub(1)));
            Ok(Duration::from_micros(*time.context("no request was answered")?).as_secs_f64() * 1_000.0)
        };
        let requests = u64::try_from(times.len())?;
        Ok(Self { p50_ms: milliseconds(50)?, p99_ms: milliseconds(99)?, requests, errors })
    }
}

/// `…, 0 failed, 0 errored, 0 timeout`, and `status codes: 9596 2xx, 0 3xx, 0 4xx, 0 5xx`.
fn errors(text: &str) -> Option<u64> {
    let line = |begin: &str| text.lines().find_map(|line| line.strip_prefix(begin));
    let counted = |line: &str, names: &[&str]| -> Option<u64> {
        let parts = line.split(", ").filter_map(|part| part.trim().split_once(' '));
        parts.filter(|(_, name)| names.contains(name)).map(|(count, _)| count.parse::<u64>().ok()).sum()
    };
    let failed = counted(line("requests: ")?, &["failed", "timeout"])?;
    Some(failed + counted(line("status codes: ")?, &["3xx", "4xx", "5xx"])?)
}

/// A kind of slow clients.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Slow {
    /// A header field each second.
    Heads,
    /// A few bytes of a body each second.
    Bodies,
    /// They read a few bytes each second of an answer of 5 MB.
    Readers,
}

impl Slow {
    /// Starts them; they stay for a little longer than so many seconds.
    ///
    /// # Errors
    /// The program is missing.
    pub(crate) fn begin(self, host: SocketAddr, seconds: u32) -> Result<UnderWay> {
        let (mode, path) = match self {
            Self::Heads => ("-H", PATH),
            Self::Bodies => ("-B", PATH),
            Self::Readers => ("-X", BIG_PATH),
        };
        let stays = seconds + AFTER_SECONDS;
        let words = format!("{mode} -c {CONNECTIONS} -r {RATE} -i 1 -l {stays} -p 5 -v 0 -u https://{host}{path}");
        // It stands on the core of the good ones, and is not to be what keeps them waiting: they come before it.
        let mut command = Precedence::Last.command("slowhttptest");
        command.args(words.split(' ')).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().context("cannot run slowhttptest: `cargo xtask test` installs it")?;
        Ok(UnderWay(child))
    }
}

/// Slow clients that come and stay.
#[derive(Debug)]
pub(crate) struct UnderWay(Child);

impl UnderWay {
    /// Waits until they have gone.
    ///
    /// # Errors
    /// They had gone before the good ones: nobody was slow.
    pub(crate) fn end(mut self) -> Result<()> {
        ensure!(self.0.try_wait()?.is_none(), "the slow clients went too early");
        self.0.wait()?;
        // Until the host has seen the last of them off.
        std::thread::sleep(Duration::from_secs(1));
        Ok(())
    }
}
