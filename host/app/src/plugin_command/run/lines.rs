//! What a plugin logs, kept instead of written.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, Registry};

/// The lines that plugins have logged on this thread. The engine bounds them: a hundred in a second.
#[derive(Debug, Clone, Default)]
pub(super) struct LogLines(Arc<Mutex<Vec<String>>>);

impl LogLines {
    /// Keeps what is logged on this thread from now on, until the guard is dropped.
    pub(super) fn listen() -> (Self, DefaultGuard) {
        let lines = Self::default();
        let guard = tracing::subscriber::set_default(Registry::default().with(lines.clone()));
        (lines, guard)
    }

    /// One line for each that was logged since the last time.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<S: Subscriber> Layer<S> for LogLines {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        // The engine's own lines have another target, and what they say is in the report.
        if event.metadata().target() != "plugin" {
            return;
        }
        let mut line = format!("log {}: ", event.metadata().level().as_str().to_ascii_lowercase());
        event.record(&mut Message(&mut line));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

/// The message among an event's fields.
struct Message<'a>(&'a mut String);

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            let _ = write!(self.0, "{value:?}");
        }
    }
}
