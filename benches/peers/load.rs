//! The load generators: as many requests as a proxy answers, for so many seconds.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::handshakes::Suites;
use crate::{handshakes, http3};

/// What kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// HTTP/1.1 over TLS, 64 connections kept alive, answers of 1 KiB, no rules.
    Http1,
    /// HTTP/2 over TLS, 8 connections with 16 requests at a time, answers of 1 KiB, no rules.
    Http2,
    /// As the first, with every rule.
    Rules,
    /// A full handshake for each request, with the suite that the server takes of those that clients offer.
    Handshakes,
    /// As that, with one suite for all servers.
    OneSuite,
    /// As the first, with answers of 100 KiB, on 16 connections.
    Bodies,
    /// As the first, with requests of 100 KiB, on 16 connections.
    Uploads,
    /// As the first, with answers of 10 MiB, on 4 connections.
    Large,
    /// HTTP/3, 8 connections with 16 requests at a time, answers of 1 KiB, no rules.
    Http3,
    /// As the first, for ourselves with several workers.
    Workers,
}

impl Load {
    pub(crate) const ALL: [Self; 10] = [
        Self::Http1,
        Self::Http2,
        Self::Rules,
        Self::Handshakes,
        Self::OneSuite,
        Self::Bodies,
        Self::Uploads,
        Self::Large,
        Self::Http3,
        Self::Workers,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http1 => "W1 h1 kept alive",
            Self::Http2 => "W2 h2, 8 × 16",
            Self::Rules => "W3 rules",
            Self::Handshakes => "W4 handshakes",
            Self::OneSuite => "W4 handshakes, one suite",
            Self::Bodies => "W5 100 KiB",
            Self::Uploads => "W6 uploads of 100 KiB",
            Self::Large => "W7 10 MiB",
            Self::Http3 => "W8 h3, 8 × 16",
            Self::Workers => "W9 workers",
        }
    }

    /// Runs it, and gives the number of answers.
    ///
    /// # Errors
    /// The program is missing, or a request failed.
    pub(crate) fn run(self, proxy: SocketAddr, seconds: u32, folder: &Path) -> Result<u64> {
        let path = format!("/shop/items/{}?page=2", self.bytes());
        let url = format!("https://{proxy}{path}");
        match self {
            Self::Http1 | Self::Rules | Self::Workers => wrk(&url, (64, seconds), &[]),
            Self::Handshakes | Self::OneSuite => {
                let suites = if self == Self::Handshakes { Suites::All } else { Suites::Aes256 };
                handshakes::run((proxy, &path), &folder.join("127.0.0.1.pem"), suites, seconds)
            }
            Self::Bodies => wrk(&url, (16, seconds), &[]),
            Self::Large => wrk(&url, (4, seconds), &["--timeout", "10s"]),
            Self::Uploads => {
                let script = folder.join("upload.lua");
                fs::write(&script, UPLOAD).with_context(|| format!("cannot write {}", script.display()))?;
                wrk(&url, (16, seconds), &["-s", &script.display().to_string()])
            }
            Self::Http2 => h2load(&url, seconds),
            Self::Http3 => http3::run(proxy, &folder.join("ca.pem"), seconds),
        }
    }

    fn bytes(self) -> u32 {
        match self {
            Self::Bodies => 100 << 10,
            Self::Large => 10 << 20,
            _ => 1_024,
        }
    }
}

const UPLOAD: &str = "wrk.method = \"POST\"\nwrk.body = string.rep(\"x\", 102400)\n";

pub(crate) const HEADERS: [&str; 6] = [
    "user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "accept-language: de,en-US;q=0.7,en;q=0.3",
    "accept-encoding: gzip, deflate, br, zstd",
    "cookie: session=0123456789abcdef0123456789abcdef; theme=dark",
    "cache-control: no-cache",
];

fn wrk(url: &str, (connections, seconds): (u32, u32), words: &[&str]) -> Result<u64> {
    let options = format!("-t 1 -c {connections} -d {seconds}s");
    let text = run(Command::new("wrk").args(options.split(' ')).args(words), url)?;
    // A server may end a connection that it has answered often enough, which wrk takes for an error behind a whole answer.
    let errors = text.lines().find(|line| line.contains("Socket errors"));
    let is_whole = errors.is_none_or(|line| line.contains("connect 0,") && line.contains("timeout 0"));
    ensure!(is_whole && !text.contains("Non-2xx"), "not every request was answered: {text}");
    let count = text.lines().find_map(|line| line.split_once(" requests in "));
    let count = count.and_then(|(count, _)| count.trim().parse().ok());
    count.filter(|count| *count > 0).with_context(|| format!("nothing was answered: {text}"))
}

fn h2load(url: &str, seconds: u32) -> Result<u64> {
    let options = format!("-t 1 -c 8 -m 16 -D {seconds}");
    let text = run(Command::new("h2load").args(options.split(' ')), url)?;
    let is_whole = text.contains(" 0 failed, 0 errored, 0 timeout") && text.contains(" 0 4xx, 0 5xx");
    ensure!(is_whole, "not every request was answered: {text}");
    let count = text.lines().find_map(|line| line.strip_prefix("status codes: ")?.split_once(" 2xx")?.0.parse().ok());
    count.with_context(|| format!("h2load does not say how many were answered: {text}"))
}

/// What a load generator prints.
///
/// # Errors
/// It is not there, or fails.
pub(crate) fn run(command: &mut Command, url: &str) -> Result<String> {
    command.args(HEADERS.iter().flat_map(|header| ["-H", header])).arg(url);
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output();
    let output = output.with_context(|| format!("cannot run {program}: `cargo xtask bench peers` installs it"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{program} failed: {text}{}", String::from_utf8_lossy(&output.stderr));
    Ok(text)
}
