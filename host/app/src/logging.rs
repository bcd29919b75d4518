//! Where log lines go: standard error, as text or as JSON.
//!
//! A thread of its own writes them. Where nobody reads fast enough, lines are dropped, and workers go on.

use anyhow::Context;
use palisade_config::{Log, LogFormat, LogLevel};
use tracing::subscriber::set_global_default;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_log::{AsLog, LogTracer};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt;

/// Lines that wait to be written.
const LINES_MAX: usize = 16_384;

/// Sends every log line of this process to standard error, from the configured level on. Dropping the guard writes what
/// still waits.
///
/// # Errors
/// It was called before.
pub(crate) fn start(log: &Log) -> anyhow::Result<WorkerGuard> {
    let (writer, guard) = NonBlockingBuilder::default().buffered_lines_limit(LINES_MAX).finish(std::io::stderr());
    let level = level(log.level);
    let lines = fmt().with_writer(writer).with_max_level(level);
    let started = match log.format {
        LogFormat::Text => set_global_default(lines.with_ansi(false).finish()),
        LogFormat::Json => set_global_default(lines.json().flatten_event(true).finish()),
    };
    started.context("the log cannot be started")?;
    let mut libraries = LogTracer::builder().with_max_level(level.as_log());
    if level < LevelFilter::DEBUG {
        // It warns of what any client may send, as often as that is sent.
        libraries = libraries.ignore_crate("rustls");
    }
    libraries.init().context("the log of libraries cannot be started")?;
    Ok(guard)
}

fn level(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
