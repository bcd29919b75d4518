//! What a route allows to exchanges that last: tunnels after an upgrade, bodies that go on and on, and answers that take time.

use std::time::Duration;

use crate::{
    duration,
    text::{Form, Seen, Table, Value},
};

/// What a route allows to exchanges that last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Streams {
    /// The protocols that a client may upgrade to, as the `Upgrade` field names them (RFC 9110, section 7.8): none to 16,
    /// each once, in lower case unless the operator wrote otherwise.
    pub upgrades: Vec<String>,
    /// How long a tunnel may be silent both ways: 1 ms to 24 h.
    pub tunnel_timeout: Duration,
    /// How long a body may make no progress, instead of what the listener and the upstream say.
    pub body_timeout: Option<Duration>,
    /// From the end of a request until the head of its response, instead of what the upstream says.
    pub response_timeout: Option<Duration>,
    /// From the head of a request until the last byte of the answer, instead of what the upstream says.
    pub total_timeout: Option<Duration>,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            upgrades: vec!["websocket".to_owned()],
            tunnel_timeout: Duration::from_secs(3_600),
            body_timeout: None,
            response_timeout: None,
            total_timeout: None,
        }
    }
}

impl Streams {
    pub(crate) fn read(table: &mut Table<'_>) -> Self {
        let default = Self::default();
        Self {
            upgrades: table.or("upgrades", default.upgrades, |value| upgrades(&value)),
            tunnel_timeout: table.or("tunnel_timeout", default.tunnel_timeout, duration::long),
            body_timeout: table.optional("body_timeout", duration::patience),
            response_timeout: table.optional("response_timeout", duration::timeout),
            total_timeout: table.optional("total_timeout", duration::patience),
        }
    }

    /// Of a connection that carries anything, which is all a tunnel.
    pub(crate) fn of_tcp(table: &mut Table<'_>) -> Self {
        let default = Self::default();
        Self { tunnel_timeout: table.or("tunnel_timeout", default.tunnel_timeout, duration::long), ..default }
    }
}

fn upgrades(value: &Value<'_>) -> Option<Vec<String>> {
    let elements = value.list(UPGRADES)?;
    if elements.len() > UPGRADES_MAX {
        return value.refuse(format!("holds {} protocols: expected at most {UPGRADES_MAX}", elements.len()));
    }
    let mut seen = Seen::default();
    Some(elements.iter().filter_map(|element| upgrade(element, &mut seen)).collect())
}

fn upgrade(value: &Value<'_>, seen: &mut Seen<String>) -> Option<String> {
    let text = value.text(UPGRADE)?;
    if text.len() > UPGRADE_BYTES_MAX || !is_protocol(text) {
        return value.is_not(UPGRADE);
    }
    let name = text.split('/').next().unwrap_or_default().to_ascii_lowercase();
    if OF_THIS_HOP.contains(&name.as_str()) {
        return value.refuse(format!("{} is between a client and its next hop, and is never passed on", value.found()));
    }
    match seen.insert(text.to_ascii_lowercase(), value) {
        Ok(()) => Some(text.to_owned()),
        Err(first) => value.refuse(format!("{} is {first} already", value.found())),
    }
}

/// A token, or two with a slash between (RFC 9110, section 7.8).
fn is_protocol(text: &str) -> bool {
    let is_token = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    text.splitn(2, '/').all(is_token)
}

/// HTTP itself in another version, and TLS within the connection (RFC 2817).
const OF_THIS_HOP: [&str; 3] = ["h2c", "http", "tls"];
const UPGRADES_MAX: usize = 16;
const UPGRADE_BYTES_MAX: usize = 63;
const UPGRADES: Form = Form { noun: "a list", expected: "protocols, such as [\"websocket\"]" };
const UPGRADE: Form = Form { noun: "a protocol", expected: "a name, and maybe a version, such as \"websocket\"" };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_is_a_token_with_maybe_a_version() {
        for (text, fits) in [
            ("websocket", true),
            ("SPDY/3.1", true),
            ("tcp", true),
            ("", false),
            ("a/", false),
            ("/1", false),
            ("a/b/c", false),
            ("a b", false),
            ("a,b", false),
            ("ä", false),
        ] {
            assert_eq!(is_protocol(text), fits, "{text:?}");
        }
    }
}
