//! The load generators: as many requests as a proxy answers, for so many seconds.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// What kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// HTTP/1.1 over TLS, 64 connections kept alive, answers of 1 KiB, no rules.
    Http1,
    /// HTTP/2 over TLS, 8 connections with 16 requests at a time, answers of 1 KiB, no rules.
    Http2,
    /// As the first, with every rule.
    Rules,
    /// A full handshake for each request.
    Handshakes,
    /// As the first, with answers of 100 KiB.
    Bodies,
    /// As the first, with requests of 100 KiB.
    Uploads,
}

impl Load {
    pub(crate) const ALL: [Self; 6] =
        [Self::Http1, Self::Http2, Self::Rules, Self::Handshakes, Self::Bodies, Self::Uploads];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http1 => "W1 h1 kept alive",
            Self::Http2 => "W2 h2, 8 × 16",
            Self::Rules => "W3 rules",
            Self::Handshakes => "W4 handshakes",
            Self::Bodies => "W5 100 KiB",
            Self::Uploads => "W6 uploads of 100 KiB",
        }
    }

    /// Runs it, and gives the number of answers.
    ///
    /// # Errors
    /// The program is missing, or a request failed.
    pub(crate) fn run(self, proxy: SocketAddr, seconds: u32, scratch: &Path) -> Result<u64> {
        let (program, words) = match self {
            Self::Http1 | Self::Rules | Self::Handshakes => ("wrk", format!("-t 1 -c 64 -d {seconds}s")),
            Self::Bodies | Self::Uploads => ("wrk", format!("-t 1 -c 16 -d {seconds}s")),
            Self::Http2 => ("h2load", format!("-t 1 -c 8 -m 16 -D {seconds}")),
        };
        let mut command = Command::new(program);
        command.args(words.split(' ')).args(HEADERS.iter().flat_map(|header| ["-H", header]));
        match self {
            Self::Handshakes => drop(command.args(["-H", "connection: close"])),
            Self::Uploads => {
                let script = scratch.join("upload.lua");
                fs::write(&script, UPLOAD).with_context(|| format!("cannot write {}", script.display()))?;
                command.arg("-s").arg(script);
            }
            Self::Http1 | Self::Http2 | Self::Rules | Self::Bodies => {}
        }
        let bytes = if self == Self::Bodies { 100 << 10 } else { 1_024 };
        let output = command.arg(format!("https://{proxy}/shop/items/{bytes}?page=2")).output();
        let output = output.with_context(|| format!("cannot run {program}: `cargo xtask bench peers` installs it"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let answers = match self {
            Self::Http2 => h2load(&text),
            // Not every server says goodbye within TLS, which wrk takes for an error behind a whole answer.
            Self::Handshakes => wrk(&text.replace("Socket errors: connect 0,", "")),
            Self::Http1 | Self::Rules | Self::Bodies | Self::Uploads => wrk(&text),
        };
        ensure!(output.status.success(), "{program} failed: {text}{}", String::from_utf8_lossy(&output.stderr));
        answers.with_context(|| format!("not every request was answered: {text}"))
    }
}

const UPLOAD: &str = "wrk.method = \"POST\"\nwrk.body = string.rep(\"x\", 102400)\n";

const HEADERS: [&str; 6] = [
    "user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "accept-language: de,en-US;q=0.7,en;q=0.3",
    "accept-encoding: gzip, deflate, br, zstd",
    "cookie: session=0123456789abcdef0123456789abcdef; theme=dark",
    "cache-control: no-cache",
];

/// `84512 requests in 4.00s, …`, and nothing of errors.
fn wrk(text: &str) -> Option<u64> {
    if text.contains("Socket errors") || text.contains("Non-2xx") {
        return None;
    }
    let count = text.lines().find_map(|line| line.split_once(" requests in "))?.0;
    count.trim().parse().ok().filter(|count| *count > 0)
}

/// `status codes: 84512 2xx, 0 3xx, 0 4xx, 0 5xx`, and `… 0 failed, 0 errored, 0 timeout`.
fn h2load(text: &str) -> Option<u64> {
    if !text.contains(" 0 failed, 0 errored, 0 timeout") || !text.contains(" 0 4xx, 0 5xx") {
        return None;
    }
    text.lines().find_map(|line| line.strip_prefix("status codes: ")?.split_once(" 2xx")?.0.parse().ok())
}
