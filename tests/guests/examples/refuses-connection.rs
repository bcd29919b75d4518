//! Refuses connections from addresses that begin with the text of its settings: 127.0.0.2 unless they say otherwise.

#![forbid(unsafe_code)]

use palisade_sdk::prelude::*;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default = "second_loopback")]
    prefix: String,
}

fn second_loopback() -> String {
    "127.0.0.2".to_owned()
}

struct RefusesConnection {
    prefix: String,
}

impl Plugin for RefusesConnection {
    type Settings = Settings;

    fn configure(settings: Settings, _host: &mut Setup) -> Result<Self, Error> {
        Ok(Self { prefix: settings.prefix })
    }
}

impl ConnectionFilter for RefusesConnection {
    fn on_connection(&mut self, connection: &Connection) -> Result<Admission, Error> {
        let refused = connection.client().to_string().starts_with(&self.prefix);
        Ok(if refused { Admission::Refuse } else { Admission::Accept })
    }
}

register!(RefusesConnection: ConnectionFilter);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_prefix_is_refused() {
        let mut host = TestHost::<RefusesConnection>::configure(json!({})).unwrap();
        assert_eq!(host.connection("127.0.0.2"), Ok(Admission::Refuse));
        assert_eq!(host.connection("::ffff:127.0.0.2"), Ok(Admission::Refuse));
        assert_eq!(host.connection("127.0.0.1"), Ok(Admission::Accept));
    }
}
