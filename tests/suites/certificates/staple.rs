//! What an authority says of a certificate, shown along with it.

use std::fs;

use harness::{Folder, Site, eventually, run_command};
use rcgen::{KeyPair, SerialNumber};

use super::{Authority, Pair, ecdsa, rsa, s_client, showing};

#[tokio::test]
async fn a_client_that_asks_is_shown_what_the_authority_says() {
    for key in [ecdsa(), rsa()] {
        let authority = Authority::new();
        let pair = signed(&authority, "1234", &key);
        let response = response(&authority, &pair, "V", "1").await;
        let site = stapling(&authority, pair, response).start().await;
        for version in ["-tls1_2", "-tls1_3"] {
            let said = s_client(&site, &[version, "-servername", "stapled.test", "-status"]).await;
            assert!(said.contains("OCSP Response Status: successful") && said.contains("Cert Status: good"), "{said}");
            let said = s_client(&site, &[version, "-servername", "stapled.test"]).await;
            assert!(!said.contains("OCSP Response Status"), "{said}");
        }
    }
}

#[tokio::test]
async fn what_the_authority_says_is_shown_until_its_next_word_is_due() {
    let authority = Authority::new();
    let pair = signed(&authority, "1234", &ecdsa());
    let mut response = response(&authority, &pair, "V", "1").await;
    // `nextUpdate`, a GeneralizedTime in `[0]`: only clients look whether the signature still fits.
    let next = [0xa0, 0x11, 0x18, 0x0f];
    let place = response.windows(4).position(|bytes| bytes == next).expect("a time") + 4;
    response.splice(place..place + 4, *b"2020");
    let site = stapling(&authority, pair, response).start().await;
    let said = s_client(&site, &["-servername", "stapled.test", "-status"]).await;
    assert!(said.contains("OCSP response: no response sent"), "{said}");
    assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
}

#[tokio::test]
async fn what_is_no_good_word_of_this_certificate_is_refused() {
    let authority = Authority::new();
    let pair = signed(&authority, "1234", &ecdsa());
    let good = response(&authority, &pair, "V", "1").await;
    let revoked = response(&authority, &pair, "R", "1").await;
    let other = response(&authority, &signed(&authority, "5678", &ecdsa()), "V", "1").await;
    let site = stapling(&authority, pair, good).start().await;
    for (bytes, reason) in [
        (revoked, "it says that the certificate is revoked or not known"),
        (other, "it does not speak of this certificate"),
        (b"-----BEGIN".to_vec(), "it is not a DER file of RFC 6960"),
        // `tryLater` (RFC 6960, section 4.2.1).
        (vec![0x30, 3, 0x0a, 1, 3], "the responder has answered TryLater"),
    ] {
        site.folder().write("0.ocsp", bytes);
        eventually(reason, async || {
            let problems = site.admin().problems().await;
            problems.len() == 1 && problems.iter().all(|problem| problem.contains(reason))
        })
        .await;
        let said = s_client(&site, &["-servername", "stapled.test", "-status"]).await;
        assert!(said.contains("Cert Status: good"), "{reason}: {said}");
    }
}

/// A certificate with this number.
fn signed(authority: &Authority, serial: &str, key: &KeyPair) -> Pair {
    let number = u64::from_str_radix(serial, 16).expect("a number");
    authority.sign_as(&["stapled.test"], key, |params| params.serial_number = Some(SerialNumber::from(number)))
}

/// What the authority says of a certificate for so many days, as OpenSSL makes it of the authority's index.
async fn response(authority: &Authority, pair: &Pair, status: &str, days: &str) -> Vec<u8> {
    let folder = Folder::new();
    folder.write("ca.pem", authority.0.pem());
    folder.write("ca.key", authority.0.key().serialize_pem());
    folder.write("own.pem", &pair.chain);
    let serial = run_command("openssl", &["x509", "-in", "own.pem", "-noout", "-serial"], folder.path()).await.stdout;
    let serial = serial.trim().strip_prefix("serial=").expect("a number");
    let revoked = if status == "R" { "260101000000Z" } else { "" };
    folder.write("index.txt", format!("{status}\t491231000000Z\t{revoked}\t{serial}\tunknown\t/CN=stapled\n"));
    let arguments = "ocsp -index index.txt -CA ca.pem -rsigner ca.pem -rkey ca.key -issuer ca.pem -cert own.pem -respout \
                     own.ocsp -ndays";
    let arguments: Vec<&str> = arguments.split_whitespace().chain([days]).collect();
    let ended = run_command("openssl", &arguments, folder.path()).await;
    fs::read(folder.path().join("own.ocsp")).unwrap_or_else(|error| panic!("{error}: {}{}", ended.stdout, ended.stderr))
}

fn stapling(authority: &Authority, pair: Pair, response: Vec<u8>) -> Site {
    let certificates = serde_json::json!([{ "chain": "0.pem", "key": "0.key", "ocsp": "0.ocsp" }]);
    let site = showing(authority, &[pair]).file("0.ocsp", response);
    site.set("listener.public.tls.certificates", certificates)
}
