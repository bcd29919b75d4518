//! The access log: a line for each exchange that ended.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use palisade_contract::{Access, Name, Names};
use tracing::Level;

use crate::escaped::Escaped;

/// Whether exchanges are logged.
#[derive(Clone)]
pub enum AccessLog {
    /// No lines.
    Off,
    /// One `tracing` event for each exchange, at level info and with the target `access`, whose fields are those of
    /// [`palisade_contract::Ended`] and [`Access`]; the numbers of names are looked up here.
    On(Arc<Names>),
    /// The same while it is true, which may change.
    Switched(Arc<Names>, Arc<AtomicBool>),
}

impl AccessLog {
    fn names(&self) -> Option<&Names> {
        match self {
            Self::Off => None,
            Self::On(names) => Some(names),
            Self::Switched(names, on) => on.load(Ordering::Relaxed).then_some(names.as_ref()),
        }
    }

    /// Writes the line of an exchange that ended at this listener.
    pub(crate) fn write(&self, listener: &str, access: &Access<'_>) {
        let Some(names) = self.names() else { return };
        if !tracing::enabled!(target: "access", Level::INFO) {
            return;
        }
        let ended = access.ended;
        let name = |name: Name| (name != Name::NONE).then(|| names.text(name));
        let (route, upstream, endpoint) = (name(ended.route), name(ended.upstream), name(ended.endpoint));
        tracing::info!(
            target: "access",
            listener,
            client = %ended.client,
            protocol = ended.protocol.as_str(),
            method = %Escaped(ended.method.as_str().as_bytes()),
            authority = %Escaped(access.authority),
            request_target = %Escaped(access.target.as_bytes()),
            status = ended.status,
            ending = ended.ending.as_str(),
            route = route.as_deref(),
            upstream = upstream.as_deref(),
            endpoint = endpoint.as_deref(),
            attempts = (access.attempts > 1).then_some(access.attempts),
            plugin = access.plugin,
            error = access.error,
            request_bytes = ended.request_bytes,
            response_bytes = ended.response_bytes,
            duration_micros = ended.duration_micros,
            first_byte_micros = ended.first_byte_micros,
        );
    }
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Off => "Off",
            Self::On(_) => "On",
            Self::Switched(..) => "Switched",
        })
    }
}

#[cfg(test)]
mod tests;
