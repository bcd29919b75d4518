//! Tells the upstream how a client came through TLS and who it is, and refuses connections of the names, subjects and
//! fingerprints that its settings list.

#![forbid(unsafe_code)]

use palisade_sdk::prelude::*;

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// Server names, subjects and JA4 fingerprints.
    refuse: Vec<String>,
}

struct KnowsClients {
    refuse: Vec<String>,
}

impl Plugin for KnowsClients {
    type Settings = Settings;

    fn configure(settings: Settings, _host: &mut Setup) -> Result<Self, Error> {
        Ok(Self { refuse: settings.refuse })
    }
}

impl ConnectionFilter for KnowsClients {
    fn on_connection(&mut self, connection: &Connection) -> Result<Admission, Error> {
        let (tls, client) = (connection.tls(), connection.client_certificate());
        let about = [
            tls.as_ref().and_then(Tls::server_name),
            tls.as_ref().and_then(Tls::ja4),
            client.as_ref().map(ClientCertificate::subject),
        ];
        let refused = about.into_iter().flatten().any(|about| self.refuse.iter().any(|refused| refused == about));
        Ok(if refused { Admission::Refuse } else { Admission::Accept })
    }
}

impl RequestFilter for KnowsClients {
    fn on_request(&mut self, request: &mut Request) -> Result<Flow, Error> {
        let Some(tls) = request.tls() else {
            request.set_header("x-tls", "none")?;
            return Ok(Flow::Continue);
        };
        request.set_header("x-tls", format!("{:04x} {:04x}", tls.version(), tls.cipher_suite()))?;
        let alpn = tls.alpn().map(|alpn| String::from_utf8_lossy(alpn).into_owned());
        let client = request.client_certificate();
        for (name, value) in [
            ("x-server-name", tls.server_name().map(str::to_owned)),
            ("x-alpn", alpn),
            ("x-ja4", tls.ja4().map(str::to_owned)),
            ("x-subject", client.as_ref().map(|client| client.subject().to_owned())),
            ("x-fingerprint", client.as_ref().map(ClientCertificate::fingerprint)),
        ] {
            if let Some(value) = value {
                request.set_header(name, value)?;
            }
        }
        Ok(Flow::Continue)
    }
}

register!(KnowsClients: ConnectionFilter, RequestFilter);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_told_of_and_refused_by_what_is_known_of_it() {
        let mut host = TestHost::<KnowsClients>::configure(json!({ "refuse": ["CN=bad", "bad.test", "t13"] })).unwrap();
        assert_eq!(host.request(TestRequest::get("/")).header("x-tls"), Some("none"));
        let tls = TestTls::new().server_name("a.test").alpn("h2").ja4("t12").client("CN=good", [0xab; 32]);
        let outcome = host.request(TestRequest::get("/").tls(tls.clone().version(0x0303, 0xc02b)));
        for (name, value) in [
            ("x-tls", "0303 c02b".to_owned()),
            ("x-server-name", "a.test".to_owned()),
            ("x-alpn", "h2".to_owned()),
            ("x-ja4", "t12".to_owned()),
            ("x-subject", "CN=good".to_owned()),
            ("x-fingerprint", "ab".repeat(32)),
        ] {
            assert_eq!(outcome.header(name), Some(value.as_str()), "{name}");
        }
        for (tls, expected) in [
            (tls.clone(), Admission::Accept),
            (tls.clone().client("CN=bad", [0; 32]), Admission::Refuse),
            (tls.clone().server_name("bad.test"), Admission::Refuse),
            (tls.ja4("t13"), Admission::Refuse),
            (TestTls::default(), Admission::Accept),
        ] {
            assert_eq!(host.connection(TestConnection::from_client("192.0.2.1").tls(tls)), Ok(expected));
        }
    }
}
