//! Clients that show certificates: who is let in, and what plugins are told.

use std::sync::Arc;

use harness::{Aioquic, Http, Origin, Running, Site, eventually, reply};
use rcgen::{
    CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    KeyIdMethod, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, SupportedProtocolVersion};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Authority, Pair, der, ecdsa, shake, showing};
use crate::reload::rename;

const NAME: &str = "www.example.test";
const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];

#[tokio::test]
async fn a_client_is_let_in_with_a_certificate_of_the_right_authority() {
    let (authority, other) = (Authority::new(), Authority::new());
    let good = machine(&authority, 1, |_| {});
    let of_another = machine(&other, 1, |_| {});
    let expired = machine(&authority, 2, |params| params.not_after = date_time_ymd(2020, 1, 1));
    let of_a_server = machine(&authority, 3, |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    for (mode, without) in [("required", false), ("optional", true)] {
        let site = site(&authority, json!({ "mode": mode, "ca": "clients.pem" })).start().await;
        for version in VERSIONS {
            for (name, pair, expected) in [
                ("a good one", Some(&good), true),
                ("none", None, without),
                ("one of another authority", Some(&of_another), false),
                ("one that has expired", Some(&expired), false),
                ("one of a server", Some(&of_a_server), false),
            ] {
                let answered = get(&site, &client(&authority, version, pair)).await;
                assert_eq!(answered.is_some(), expected, "{mode}, {version:?}, {name}");
            }
        }
        let metrics = site.admin().metrics().await;
        let refused = metrics.count("palisade_connections_refused_total", &[("reason", "handshake")]);
        assert_eq!(refused, if without { 6 } else { 8 }, "{mode}");
    }
}

#[tokio::test]
async fn over_http_3_it_is_the_same() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (good, of_another) = (machine(&authority, 1, |_| {}), machine(&other, 2, |_| {}));
    let gone = machine(&authority, 3, |_| {});
    let clients = json!({ "mode": "required", "ca": "clients.pem", "crl": "revoked.pem" });
    let mut site = site(&authority, clients).file("revoked.pem", revoked(&authority, &[3]));
    let pairs = [("good", &good, true), ("another", &of_another, false), ("gone", &gone, false)];
    for (name, pair, _) in pairs {
        site = site.file(&format!("{name}.pem"), &*pair.chain).file(&format!("{name}.key"), &*pair.key);
    }
    let site = site.set("listener.public.http", json!(["h1", "h3"])).plugin("knows", "knows-clients", json!({}));
    let site = site.set("plugin.knows.grant", json!(["tls"])).chain(&["knows"]).start().await;
    let program = Arc::new(Aioquic::start());
    let file = |name: String| json!(site.folder().path().join(name));
    for (name, _, is_let_in) in pairs.into_iter().chain([("none", &good, false)]) {
        let mut options = json!({ "ca": file("tests-ca.pem".to_owned()) });
        if name != "none" {
            options["certificate"] = file(format!("{name}.pem"));
            options["key"] = file(format!("{name}.key"));
        }
        // In TLS 1.3 a client is done before the host has looked at its certificate.
        let (connection, opened) = program.try_connect(&site, options).await;
        if opened["connected"] == false {
            assert!(!is_let_in, "{name}: {opened}");
            continue;
        }
        let fields = [(":method", "GET"), (":scheme", "https"), (":authority", NAME), (":path", "/")];
        let request = json!({ "do": "request", "on": connection, "fields": fields });
        let (_, answer) = program.tell(request).await;
        assert_eq!(answer["status"] == 200, is_let_in, "{name}: {answer}");
        if is_let_in {
            let told = reply(&answer).json();
            assert_eq!(told["headers"]["x-subject"], json!(["CN=machine 1"]), "{told}");
        }
    }
    let metrics = site.admin().metrics().await;
    assert_eq!(metrics.count("palisade_connections_refused_total", &[("reason", "handshake")]), 3);
}

#[tokio::test]
async fn a_client_that_is_revoked_is_refused_with_its_tickets() {
    let authority = Authority::new();
    let clients = json!({ "mode": "required", "ca": "clients.pem", "crl": "revoked.pem" });
    for version in VERSIONS {
        let site = site(&authority, clients.clone()).file("revoked.pem", revoked(&authority, &[])).start().await;
        let (first, second) = (machine(&authority, 1, |_| {}), machine(&authority, 2, |_| {}));
        let (first, second) = (client(&authority, version, Some(&first)), client(&authority, version, Some(&second)));
        for client in [&first, &second, &first] {
            assert!(get(&site, client).await.is_some(), "{version:?}");
        }
        let list = site.folder().path().join("revoked.pem");
        rename(&list, revoked(&authority, &[1]));
        eventually("the first one is refused, whose ticket would be good", async || get(&site, &first).await.is_none())
            .await;
        assert!(get(&site, &second).await.is_some(), "{version:?}");
        // What is no list keeps the one before.
        for (text, reason) in [("", "there is no list of revoked certificates in"), ("nothing", "there is no list")] {
            rename(&list, text);
            eventually(reason, async || site.admin().problems().await.iter().any(|told| told.contains(reason))).await;
            assert!(get(&site, &first).await.is_none() && get(&site, &second).await.is_some(), "{version:?}");
        }
        rename(&list, revoked(&authority, &[2]));
        eventually("the first one is let in again", async || get(&site, &first).await.is_some()).await;
        assert!(get(&site, &second).await.is_none(), "{version:?}");
    }
}

#[tokio::test]
async fn another_authority_takes_over_when_its_file_does() {
    let (authority, other) = (Authority::new(), Authority::new());
    let site = site(&authority, json!({ "mode": "required", "ca": "clients.pem" })).start().await;
    let (ours, theirs) = (machine(&authority, 1, |_| {}), machine(&other, 1, |_| {}));
    let version = &rustls::version::TLS13;
    let (ours, theirs) = (client(&authority, version, Some(&ours)), client(&authority, version, Some(&theirs)));
    assert!(get(&site, &ours).await.is_some() && get(&site, &theirs).await.is_none());
    rename(&site.folder().path().join("clients.pem"), other.0.pem());
    eventually("the other one is believed", async || get(&site, &theirs).await.is_some()).await;
    assert!(get(&site, &ours).await.is_none());
}

#[tokio::test]
async fn a_plugin_is_told_who_the_client_is() {
    let authority = Authority::new();
    let site = site(&authority, json!({ "mode": "optional", "ca": "clients.pem" }))
        .plugin("knows", "knows-clients", json!({}))
        .set("plugin.knows.grant", json!(["tls"]))
        .chain(&["knows"])
        .start()
        .await;
    let pair = machine(&authority, 1, |params| {
        params.distinguished_name.push(DnType::OrganizationName, "Example, Inc.");
    });
    let fingerprint: String = Sha256::digest(der(&pair.chain)).iter().map(|byte| format!("{byte:02x}")).collect();
    for (version, expected) in VERSIONS.into_iter().zip(["0303 ", "0304 "]) {
        let client = client(&authority, version, Some(&pair));
        // The second one resumes what the first one has agreed on.
        for _ in 0..2 {
            let told = get(&site, &client).await.expect("an answer");
            let header = |name: &str| told["headers"][name][0].as_str().unwrap_or_default().to_owned();
            assert!(header("x-tls").starts_with(expected), "{told}");
            assert_eq!(header("x-server-name"), NAME);
            assert_eq!(header("x-alpn"), "http/1.1");
            assert_eq!(header("x-subject"), "CN=machine 1,O=Example\\, Inc.");
            assert_eq!(header("x-fingerprint"), fingerprint);
        }
    }
    let told = get(&site, &client(&authority, &rustls::version::TLS13, None)).await.expect("an answer");
    assert_eq!((&told["headers"]["x-subject"], &told["headers"]["x-fingerprint"]), (&Value::Null, &Value::Null));
    let plain = site.connect(Http::Plain).await.get("/").await.json();
    assert_eq!(plain["headers"]["x-tls"], json!(["none"]));
}

#[tokio::test]
async fn a_clients_fingerprint_is_the_same_however_its_hello_comes() {
    let authority = Authority::new();
    let site = asking(&authority, json!({})).start().await;
    let newest = client(&authority, &rustls::version::TLS13, None);
    let ja4 = |told: &Value| told["headers"]["x-ja4"][0].as_str().unwrap_or_default().to_owned();
    let first = ja4(&get(&site, &newest).await.expect("an answer"));
    assert!(first.starts_with("t13d") && first.len() == 36 && first[..10].ends_with("h1"), "{first}");
    for _ in 0..5 {
        // Without the ticket of the first one, which is an extension more; others come in another order each time.
        let fresh = client(&authority, &rustls::version::TLS13, None);
        assert_eq!(ja4(&get(&site, &fresh).await.expect("an answer")), first);
    }
    let fresh = client(&authority, &rustls::version::TLS13, None);
    assert_eq!(ja4(&ask(in_single_bytes(&site, &fresh).await).await.expect("an answer")), first);
    let older = ja4(&get(&site, &client(&authority, &rustls::version::TLS12, None)).await.expect("an answer"));
    assert!(older.starts_with("t12d") && older[10..] != first[10..], "{older}, {first}");
}

#[tokio::test]
async fn a_plugin_is_told_of_a_client_over_http_3_as_well() {
    let authority = Authority::new();
    let site = asking(&authority, json!({})).set("listener.public.http", json!(["h1", "h3"])).start().await;
    let program = Arc::new(Aioquic::start());
    let options = |site: &Running| json!({ "ca": site.folder().path().join("tests-ca.pem") });
    let told = program.connect_with(&site, options(&site)).await.get("/").await.json();
    let header = |name: &str| told["headers"][name][0].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        (header("x-tls"), header("x-server-name"), header("x-alpn")),
        ("0304 1301".into(), NAME.into(), "h3".into())
    );
    // The three suites of TLS 1.3, as FoxIO's own example over QUIC has them.
    let ja4 = header("x-ja4");
    assert!(ja4.starts_with("q13d03") && ja4[8..].starts_with("h3_55b375c5d22e_") && ja4.len() == 36, "{ja4}");
    let again = program.connect_with(&site, options(&site)).await.get("/").await.json();
    assert_eq!(again["headers"]["x-ja4"][0], ja4);
    // And by it, a connection is refused before there is a request.
    let site =
        asking(&authority, json!({ "refuse": [ja4] })).set("listener.public.http", json!(["h1", "h3"])).start().await;
    let _ = program.try_connect(&site, options(&site)).await;
    let refusals = [("reason", "plugin")];
    eventually("it is refused", async || {
        site.admin().metrics().await.count("palisade_connections_refused_total", &refusals) == 1
    })
    .await;
}

#[tokio::test]
async fn what_is_no_hello_is_refused_where_fingerprints_are_taken() {
    let authority = Authority::new();
    let site = asking(&authority, json!({})).start().await;
    for bytes in [b"GET / HTTP/1.1\r\n\r\n".to_vec(), vec![0; 1_000], [&[22, 3, 1, 0x40, 0][..], &[1; 20_000]].concat()]
    {
        let mut stream = TcpStream::connect(site.address("public")).await.expect("a connection");
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        let mut read = Vec::new();
        // A reset is an end as well.
        let _ = stream.read_to_end(&mut read).await;
        let is_alert = matches!(read.as_slice(), [21, 3, _, 0, 2, 2, _]);
        assert!(is_alert || read.is_empty(), "{read:?}");
    }
    assert!(get(&site, &client(&authority, &rustls::version::TLS13, None)).await.is_some());
}

#[tokio::test]
async fn a_connection_filter_that_asks_is_asked_when_the_client_is_known() {
    let authority = Authority::new();
    let site = asking(&authority, json!({ "refuse": ["bad.example.test", "CN=machine 2"] })).start().await;
    let version = &rustls::version::TLS13;
    let (good, bad) = (machine(&authority, 1, |_| {}), machine(&authority, 2, |_| {}));
    for (name, pair, expected) in [
        (NAME, Some(&good), true),
        (NAME, Some(&bad), false),
        ("bad.example.test", Some(&good), false),
        (NAME, None, true),
    ] {
        let stream = shake(&site, &client(&authority, version, pair), name).await.expect("a handshake");
        assert_eq!(ask(stream).await.is_some(), expected, "{name}");
    }
    let metrics = site.admin().metrics().await;
    assert_eq!(metrics.count("palisade_connections_refused_total", &[("reason", "plugin")]), 2);
}

#[tokio::test]
async fn nobody_is_told_without_the_grant() {
    let site = Site::new().plugin("knows", "knows-clients", json!({})).chain(&["knows"]).origin(Origin::echo());
    let site = site.with_problems().start().await;
    let reason = site.admin().plugin("knows").await.last_error().to_owned();
    assert!(reason.contains("\"tls\""), "{reason}");
    assert_eq!(site.get("/").await.status, 503);
}

/// A site that asks for certificates of this authority.
fn site(authority: &Authority, clients: Value) -> Site {
    let own = authority.sign(&[NAME, "*.example.test"], &ecdsa());
    let site = showing(authority, &[own]).file("clients.pem", authority.0.pem());
    site.set("listener.public.tls.client_certificates", clients)
}

/// The same with a plugin that asks who clients are.
fn asking(authority: &Authority, settings: Value) -> Site {
    site(authority, json!({ "mode": "optional", "ca": "clients.pem" }))
        .plugin("knows", "knows-clients", settings)
        .set("plugin.knows.grant", json!(["tls"]))
        .chain(&["knows"])
}

/// The certificate of a client.
fn machine(authority: &Authority, number: u64, set: impl FnOnce(&mut CertificateParams)) -> Pair {
    authority.sign_as(&[], &ecdsa(), |params| {
        params.serial_number = Some(SerialNumber::from(number));
        params.distinguished_name = DistinguishedName::new();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        set(params);
        params.distinguished_name.push(DnType::CommonName, format!("machine {number}"));
    })
}

/// What an authority has revoked, by number.
fn revoked(authority: &Authority, numbers: &[u64]) -> String {
    let certificate = |number: &u64| RevokedCertParams {
        serial_number: SerialNumber::from(*number),
        revocation_time: date_time_ymd(2026, 1, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 1, 1),
        next_update: date_time_ymd(2049, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: numbers.iter().map(certificate).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    list.signed_by(&authority.0).expect("a list").pem().expect("PEM")
}

fn client(authority: &Authority, version: &'static SupportedProtocolVersion, pair: Option<&Pair>) -> Arc<ClientConfig> {
    let roots = authority.roots();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]);
    let builder = builder.expect("a version").with_root_certificates(roots);
    let mut client = match pair {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("PEM");
            builder.with_client_auth_cert(vec![der(&pair.chain)], key).expect("a pair")
        }
    };
    client.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(client)
}

/// What the origin was asked, over a connection of its own; none where the host took none.
async fn get(site: &Running, client: &Arc<ClientConfig>) -> Option<Value> {
    ask(shake(site, client, NAME).await.ok()?).await
}

/// In TLS 1.3 a client is done before the host has looked at its certificate: only an answer shows that it was let in.
async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Option<Value> {
    let request = format!("GET / HTTP/1.1\r\nhost: {NAME}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    stream.flush().await.ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    Some(serde_json::from_str(body).expect("what the origin was asked"))
}

/// A handshake of which each byte comes alone.
async fn in_single_bytes(site: &Running, client: &Arc<ClientConfig>) -> impl AsyncRead + AsyncWrite + Unpin {
    let mut stream = TcpStream::connect(site.address("public")).await.expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    let (mut ours, theirs) = tokio::io::duplex(1);
    tokio::spawn(async move {
        let _ = tokio::io::copy_bidirectional_with_sizes(&mut ours, &mut stream, 1, 1).await;
    });
    let name = ServerName::try_from(NAME).expect("a name");
    TlsConnector::from(client.clone()).connect(name, theirs).await.expect("a handshake")
}
