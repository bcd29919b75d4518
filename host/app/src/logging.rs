//! Where log lines go: standard error, as text or as JSON.
//!
//! A thread of its own writes them. Where nobody reads fast enough, lines are dropped, and workers go on.

use palisade_config::{Log, LogFormat, LogLevel};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
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
    let lines = fmt().with_writer(writer).with_max_level(level(log.level));
    let started = match log.format {
        LogFormat::Text => lines.with_ansi(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("the log cannot be started: {error}"))?;
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
