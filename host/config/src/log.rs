//! What the log holds and how it looks.

use crate::text::Value;

/// The `[log]` table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// The least severe level that is written.
    pub level: LogLevel,
    /// How a line looks.
    pub format: LogFormat,
    /// Whether every exchange gets a line.
    pub access: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: LogLevel::Info, format: LogFormat::Text, access: true }
    }
}

impl Log {
    pub(crate) fn read(value: &Value<'_>) -> Option<Self> {
        let default = Self::default();
        let mut table = value.table("log")?;
        let log = Self {
            level: table.or("level", default.level, |value| value.choice("a log level", &LEVELS)),
            format: table.or("format", default.format, |value| value.choice("a log format", &FORMATS)),
            access: table.or("access", default.access, |value| value.boolean()),
        };
        table.finish();
        Some(log)
    }
}

const LEVELS: [(&str, LogLevel); 6] = [
    ("off", LogLevel::Off),
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];
const FORMATS: [(&str, LogFormat); 2] = [("text", LogFormat::Text), ("json", LogFormat::Json)];

/// How severe a line must be to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Nothing is written.
    Off,
    /// What failed.
    Error,
    /// And what may fail soon.
    Warn,
    /// And what an operator wants to know.
    Info,
    /// And what helps to find a fault.
    Debug,
    /// And every step.
    Trace,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
