//! How long the instances of a plugin live, and how long a plugin that fails is left alone.

use std::time::Duration;

use crate::{
    duration,
    text::{Table, Value},
};

/// How long the instances of a plugin live, and how long a plugin that fails is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// Whom an instance serves.
    pub isolation: Isolation,
    /// How long a shared instance may be of no use before its memory is given back: 1 s to 24 h, or none for ever.
    pub idle: Option<Duration>,
    /// When it is left alone.
    pub backoff: Backoff,
}

/// When a plugin that keeps failing is left alone, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Instances that broke, or did not start, one after the other on any worker: 1 to 1,000,000.
    pub after: u32,
    /// How long at first; twice as long each time that it breaks again: 1 ms to 10 min.
    pub first: Duration,
    /// How long at most.
    pub max: Duration,
}

/// Whom an instance of a plugin serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// One instance on each worker serves every exchange: fast, and what it keeps of one is there in the next.
    #[default]
    Shared,
    /// Every exchange has an instance of its own, the same one through all its phases: nothing of one exchange is ever in
    /// the memory that another one sees.
    Request,
}

impl Default for Life {
    fn default() -> Self {
        Self { isolation: Isolation::default(), idle: Some(Duration::from_secs(600)), backoff: Backoff::default() }
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self { after: 10, first: Duration::from_secs(1), max: Duration::from_secs(60) }
    }
}

impl Life {
    /// Reads the keys of a plugin's table that are about this.
    pub(crate) fn read(table: &mut Table<'_>) -> Self {
        let default = Self::default();
        Self {
            isolation: table.or("isolation", default.isolation, |value| value.choice("an isolation", &ISOLATIONS)),
            idle: table.or("idle", default.idle, |value| idle(&value)),
            backoff: table.or("backoff", default.backoff, |value| Backoff::read(&value)),
        }
    }
}

fn idle(value: &Value<'_>) -> Option<Option<Duration>> {
    if value.raw().as_str() == Some("off") {
        return Some(None);
    }
    duration::read(value, Duration::from_secs(1)..=Duration::from_secs(24 * 3_600)).map(Some)
}

impl Backoff {
    fn read(value: &Value<'_>) -> Option<Self> {
        let default = Self::default();
        let range = || Duration::from_millis(1)..=Duration::from_secs(600);
        let mut table = value.table("a backoff")?;
        let backoff = Self {
            after: table.or("after", default.after, |value| value.whole(1..=1_000_000)),
            first: table.or("first", default.first, |value| duration::read(&value, range())),
            max: table.or("max", default.max, |value| duration::read(&value, range())),
        };
        table.finish();
        Some(Self { max: backoff.max.max(backoff.first), ..backoff })
    }
}

const ISOLATIONS: [(&str, Isolation); 2] = [("shared", Isolation::Shared), ("request", Isolation::Request)];
