//! Which certificate is for which name, and for which client.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Authority, Pair, der, ecdsa, rsa, s_client, shake, showing, shown};

#[tokio::test]
async fn each_of_five_hundred_names_has_its_certificate() {
    let authority = Authority::new();
    let names: Vec<String> = (0..500).map(|number| format!("site-{number}.example.test")).collect();
    let pairs: Vec<Pair> = names.iter().map(|name| authority.sign(&[name], &ecdsa())).collect();
    let site = showing(&authority, &pairs).start().await;
    let client = authority.client();
    for (name, pair) in names.iter().zip(&pairs) {
        let stream = shake(&site, &client, name).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(shown(&stream), der(&pair.chain), "{name}");
    }
    let metrics = site.admin().metrics().await;
    assert_eq!(metrics.series("palisade_certificate_expiry_timestamp_seconds", &[("listener", "public")]), 500);
}

#[tokio::test]
async fn an_exact_name_comes_before_a_wildcard_and_the_first_certificate_is_for_the_rest() {
    let authority = Authority::new();
    let pairs = [
        authority.sign(&["first.test"], &ecdsa()),
        authority.sign(&["*.example.test", "EXAMPLE.test"], &ecdsa()),
        authority.sign(&["www.example.test"], &ecdsa()),
    ];
    let site = showing(&authority, &pairs).start().await;
    for (arguments, expected) in [
        (&["-servername", "www.example.test"][..], 2),
        (&["-servername", "WWW.Example.Test"], 2),
        (&["-servername", "api.example.test"], 1),
        (&["-servername", "example.test"], 1),
        (&["-servername", "a.b.example.test"], 0),
        (&["-servername", "other.test"], 0),
        (&["-servername", "first.test"], 0),
        (&["-noservername"], 0),
    ] {
        let said = s_client(&site, arguments).await;
        let body: String = pairs.get(expected).expect("a pair").chain.replace('\r', "");
        assert!(said.contains(body.trim()), "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn a_client_is_shown_the_key_that_it_can_check() {
    let authority = Authority::new();
    let names = ["both.test", "*.both.test"];
    // RSA stands first: who understands ECDSA is shown that all the same.
    let pairs = [authority.sign(&names, &rsa()), authority.sign(&names, &ecdsa())];
    let site = showing(&authority, &pairs).start().await;
    for version in ["-tls1_2", "-tls1_3"] {
        for name in [&["-servername", "both.test"][..], &["-servername", "a.both.test"], &["-noservername"]] {
            for (offered, expected) in [
                ("ECDSA+SHA256:RSA-PSS+SHA256", "Peer signature type: ECDSA"),
                ("RSA-PSS+SHA256:ECDSA+SHA256", "Peer signature type: ECDSA"),
                ("ECDSA+SHA256", "Peer signature type: ECDSA"),
                ("RSA-PSS+SHA256", "Peer signature type: RSA-PSS"),
            ] {
                let arguments = [&[version, "-sigalgs", offered][..], name].concat();
                let said = s_client(&site, &arguments).await;
                assert!(said.contains(expected), "{arguments:?}: {said}");
                assert!(said.contains("Verify return code: 0 (ok)"), "{arguments:?}: {said}");
            }
        }
    }
    let said = s_client(&site, &["-servername", "both.test", "-sigalgs", "ed25519"]).await;
    assert!(said.contains("handshake failure"), "{said}");
    assert!(shake(&site, &authority.client(), "both.test").await.is_ok());
}

#[tokio::test]
async fn when_a_certificate_expires_is_told_and_warned_of() {
    let authority = Authority::new();
    let site = showing(&authority, &[authority.sign(&["first.test"], &ecdsa())]);
    let mut site = site.start_process().await;
    let expiry = "palisade_certificate_expiry_timestamp_seconds";
    let labels = [("listener", "public"), ("name", "first.test"), ("key", "ecdsa")];
    // What rcgen takes where nothing is said: the first of January of 4096.
    assert!((site.admin().metrics().await.sum(expiry, &labels) - 67_090_291_200.0).abs() < 1e8);
    let soon = SystemTime::now() + Duration::from_secs(3 * 86_400);
    let pair = authority.sign_as(&["soon.test"], &ecdsa(), |params| params.not_after = soon.into());
    site.folder().write("0.key", &pair.key);
    site.folder().write("0.pem", &pair.chain);
    let labels = [("listener", "public"), ("name", "soon.test"), ("key", "ecdsa")];
    let soon = soon.duration_since(UNIX_EPOCH).expect("a time").as_secs_f64();
    harness::eventually("the metric says so", async || {
        (site.admin().metrics().await.sum(expiry, &labels) - soon).abs() < 2.0
    })
    .await;
    let process = site.process();
    harness::eventually("the log warns of it", async || {
        process.log().lines().any(|line| line.contains("a certificate expires soon") && line.contains("soon.test"))
    })
    .await;
    let gone = site.admin().metrics().await.sum(expiry, &[("name", "first.test")]);
    assert!(gone.is_nan(), "{gone}");
}
