//! `log`: lines for the host's log, under the plugin's name and within its allowance.

use super::{Guest, Interface, Str};
use crate::abi::LogLevel;
use crate::meters::cut;
use crate::state::State;

const LINE_BYTES_MAX: usize = 8_192;

pub(super) fn add(interface: &mut Interface<'_>) -> wasmtime::Result<()> {
    interface.func("write", |mut guest: Guest<'_>, (level, message): (LogLevel, Str)| {
        if !allowed(guest.data_mut()) {
            return Ok(());
        }
        let mut message = message.to_str(&guest)?.into_owned();
        cut(&mut message, LINE_BYTES_MAX);
        write(&guest.data().identity.name, level, &message);
        Ok(())
    })
}

/// Takes one line of the plugin's allowance, or counts one that was dropped.
pub(super) fn allowed(state: &mut State) -> bool {
    let allowed = state.log_lines.take(1, state.identity.services.clock.now()) == 1;
    if !allowed {
        state.identity.stats.log_line_dropped();
    }
    allowed
}

/// One line; control characters are escaped, so that a plugin cannot write lines that are not its own.
pub(super) fn write(plugin: &str, level: LogLevel, message: &str) {
    let message = message.trim_end().escape_default_controls();
    match level {
        LogLevel::Trace => tracing::trace!(target: "plugin", plugin, "{message}"),
        LogLevel::Debug => tracing::debug!(target: "plugin", plugin, "{message}"),
        LogLevel::Info => tracing::info!(target: "plugin", plugin, "{message}"),
        LogLevel::Warn => tracing::warn!(target: "plugin", plugin, "{message}"),
        LogLevel::Error => tracing::error!(target: "plugin", plugin, "{message}"),
    }
}

trait EscapeControls {
    fn escape_default_controls(&self) -> String;
}

impl EscapeControls for str {
    fn escape_default_controls(&self) -> String {
        let mut escaped = String::with_capacity(self.len());
        for letter in self.chars() {
            if letter.is_control() { escaped.extend(letter.escape_default()) } else { escaped.push(letter) }
        }
        escaped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cannot_pretend_to_be_two() {
        assert_eq!("a\nINFO b\u{1b}[0m ü".escape_default_controls(), "a\\nINFO b\\u{1b}[0m ü");
    }
}
