//! The load generators: as many requests as a host answers, for so many seconds.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// What kind of requests.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Load {
    /// HTTP/1.1 over TLS, 64 connections kept alive, by wrk.
    Http1,
    /// HTTP/2 over TLS, 8 connections with 16 requests at a time, by h2load.
    Http2,
}

impl Load {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http1 => "h1, 64 connections",
            Self::Http2 => "h2, 8 × 16 streams",
        }
    }

    /// Runs it, and gives the number of answers.
    ///
    /// # Errors
    /// The program is missing, or a request failed.
    pub(crate) fn run(self, host: SocketAddr, seconds: u32) -> Result<u64> {
        let (program, words) = match self {
            Self::Http1 => ("wrk", format!("-t 1 -c 64 -d {seconds}s")),
            Self::Http2 => ("h2load", format!("-t 1 -c 8 -m 16 -D {seconds}")),
        };
        let mut command = Command::new(program);
        command.args(words.split(' ')).args(HEADERS.iter().flat_map(|header| ["-H", header]));
        let output = command.arg(format!("https://{host}/shop/items/4711?page=2")).output();
        let output = output.with_context(|| format!("cannot run {program}: `cargo xtask test` installs it"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let answers = match self {
            Self::Http1 => wrk(&text),
            Self::Http2 => h2load(&text),
        };
        ensure!(output.status.success(), "{program} failed: {text}{}", String::from_utf8_lossy(&output.stderr));
        answers.with_context(|| format!("not every request was answered: {text}"))
    }
}

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
    text.lines().find_map(|line| line.split_once(" requests in ")).and_then(|(count, _)| count.trim().parse().ok())
}

/// `status codes: 84512 2xx, 0 3xx, 0 4xx, 0 5xx`, and `… 0 failed, 0 errored, 0 timeout`.
fn h2load(text: &str) -> Option<u64> {
    if !text.contains(" 0 failed, 0 errored, 0 timeout") || !text.contains(" 0 4xx, 0 5xx") {
        return None;
    }
    text.lines().find_map(|line| line.strip_prefix("status codes: ")?.split_once(" 2xx")?.0.parse().ok())
}
