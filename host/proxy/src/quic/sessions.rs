//! What clients may go on with whose requests come before their handshake is done (0-RTT).
//!
//! Tickets that hold everything themselves could be shown any number of times. Here a ticket is the name of a session that is
//! kept, and who shows it takes it away: what a client has sent early is taken once, by whichever worker (RFC 8446, section 8.1).

use std::sync::Arc;

use palisade_config::{Action, Listener};
use rustls::server::{ProducesTickets, ServerSessionMemoryCache};

/// Sessions of a listener: the oldest ones go first. A client has two at a time, of some hundred bytes.
const SESSIONS_MAX: usize = 16_384;

/// The sessions of one listener, from plan to plan.
#[derive(Debug, Clone)]
pub(crate) struct Sessions {
    kept: Arc<ServerSessionMemoryCache>,
    promised: Promised,
}

/// What a client goes by that was here before, until it hears of the host again: nothing of it may be less then (RFC 9000, section
/// 7.4.1; RFC 9114, section 7.2.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Promised {
    streams: u32,
    header_bytes: usize,
    takes_upgrades: bool,
}

impl Promised {
    fn of(listener: &Listener) -> Self {
        let takes_upgrades = match &listener.action {
            Action::Routes(routes) => routes.iter().any(|route| !route.streams.upgrades.is_empty()),
            Action::RedirectToHttps { .. } => false,
        };
        Self { streams: listener.limits.streams, header_bytes: listener.limits.header_bytes, takes_upgrades }
    }
}

impl Sessions {
    /// Those of a listener that takes early data: the ones from before where they promise the same.
    pub(crate) fn next(listener: &Listener, before: Option<&Self>) -> Option<Self> {
        if !listener.tls.as_ref().is_some_and(|tls| tls.early_data) {
            return None;
        }
        let promised = Promised::of(listener);
        let kept = before.filter(|before| before.promised == promised);
        Some(kept.cloned().unwrap_or_else(|| Self { kept: ServerSessionMemoryCache::new(SESSIONS_MAX), promised }))
    }

    /// Lets clients go on with them, and their requests come early. QUIC has limits of its own for how many bytes (RFC 9001,
    /// section 4.6.1).
    pub(super) fn serve(&self, tls: &mut rustls::ServerConfig) {
        tls.max_early_data_size = u32::MAX;
        tls.ticketer = Arc::new(Named);
        tls.session_storage = self.kept.clone();
    }
}

/// No tickets but names of sessions.
#[derive(Debug)]
struct Named;

impl ProducesTickets for Named {
    fn enabled(&self) -> bool {
        false
    }

    fn lifetime(&self) -> u32 {
        0
    }

    fn encrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn decrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn sessions_are_kept_as_long_as_nothing_becomes_less() {
        let first = Sessions::next(&listener("early_data = true", ""), None).expect("early data is taken");
        for (tls, limits, is_kept) in [
            ("early_data = true", "", true),
            ("early_data = true", "handshake_timeout = \"3s\"", true),
            ("early_data = true", "streams = 7", false),
            ("early_data = true", "header_bytes = \"9 KiB\"", false),
        ] {
            let next = Sessions::next(&listener(tls, limits), Some(&first)).expect("early data is taken");
            assert_eq!(Arc::ptr_eq(&next.kept, &first.kept), is_kept, "{limits}");
        }
        assert!(Sessions::next(&listener("early_data = false", ""), Some(&first)).is_none());
    }

    fn listener(tls: &str, limits: &str) -> Listener {
        let text = format!(
            "[upstream.web]\nendpoints = [\"127.0.0.1:80\"]\n[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:0\"\nhttp = [\"h2\", \
             \"h3\"]\ntls = {{ certificates = [{{ chain = \"a\", key = \"b\" }}], {tls} }}\nroute = [{{ upstream = \"web\" }}]\nlimits = \
             {{ {limits} }}\n"
        );
        let config = palisade_config::Config::parse(&text, Path::new("a.toml")).expect("a good config");
        config.listeners.into_iter().next().expect("a listener")
    }
}
