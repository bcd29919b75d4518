//! What is read of listeners.

use super::*;

#[test]
fn every_key_is_read_for_tcp() {
    let listeners = good(EVERY_KEY).listeners;
    let [_, db, _] = listeners.as_slice() else { panic!("{listeners:?}") };
    assert_eq!((db.protocol, db.http), (ListenerProtocol::Tcp, HttpVersions { h1: false, h2: false, h3: false }));
    let Action::Routes(routes) = &db.action else { panic!("{:?}", db.action) };
    let timeouts: Vec<Duration> = routes.iter().map(|route| route.streams.tunnel_timeout).collect();
    assert_eq!(timeouts, [Duration::from_secs(8 * 3_600)]);
    let alternatives: Vec<&[usize]> = routes.iter().map(|route| route.alternatives.as_slice()).collect();
    assert_eq!(alternatives, [[2]]);
}

#[test]
fn every_key_is_read_for_listeners() {
    let listeners = good(EVERY_KEY).listeners;
    let [public, _, to_https] = listeners.as_slice() else { panic!("{listeners:?}") };
    let certificate = |name: &str, ocsp: Option<&str>| {
        ListenerCertificate::Files(FileCertificate {
            files: CertificateFiles {
                chain: format!("conf/{name}.pem").into(),
                key: format!("conf/{name}.key").into(),
            },
            ocsp: ocsp.map(Into::into),
        })
    };
    assert_eq!(public.bind, [address("[::]:443"), address("0.0.0.0:8443")]);
    assert_eq!(public.http, HttpVersions { h1: true, h2: false, h3: true });
    assert_eq!(
        public.tls,
        Some(ListenerTls {
            certificates: vec![
                certificate("a", None),
                certificate("b", Some("conf/b.ocsp")),
                ListenerCertificate::Acme(AcmeCertificate {
                    account: "authority".to_owned(),
                    names: vec!["foobar.com".to_owned(), "www.foobar.com".to_owned()],
                    file: "conf/acme/foobar.com.pem".into(),
                    challenge: AcmeChallenge::Http01,
                }),
            ],
            min_version: TlsVersion::V1_3,
            tickets: false,
            early_data: false,
            client_certificates: Some(ClientCertificates {
                mode: ClientMode::Optional,
                ca: "conf/clients.pem".into(),
                crl: Some("conf/revoked.pem".into()),
            }),
        })
    );
    assert_eq!(public.chain, [enforced(0), in_shadow(1)]);
    assert_eq!(public.paths, PathPolicy::Refuse);
    assert_eq!(public.http3_port, Some(8_443));
    let balancers: Vec<String> = public.proxy_protocol.iter().map(ToString::to_string).collect();
    assert_eq!(balancers, ["10.1.0.0/16"]);
    let proxies: Vec<String> = public.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(proxies, ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32"]);
    check_limits(&public.limits);
    assert_eq!(to_https.action, Action::RedirectToHttps { port: 8443, status: 302 });
}

fn check_limits(limits: &ListenerLimits) {
    assert_eq!(
        limits,
        &ListenerLimits {
            header_bytes: 128 << 10,
            headers: 200,
            target_bytes: 4_096,
            header_timeout: Duration::from_secs(5),
            body_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60),
            handshake_timeout: Duration::from_secs(3),
            connections: 500,
            connections_per_address: Some(20),
            streams: 50,
            request_body_bytes: Some(10 << 20),
            request_body_rate: 1_024,
            control_frames: 1_000,
            control_frames_per_second: 50,
        }
    );
}

#[test]
fn port_0_can_be_bound_often() {
    let config = good(&SMALL.replace("\"127.0.0.1:8080\"", "[\"127.0.0.1:0\", \"127.0.0.1:0\"]"));
    assert_eq!(config.listeners.first().expect("a listener").bind, [address("127.0.0.1:0"); 2]);
}
