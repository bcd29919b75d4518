//! What a scanner finds at a listener with default settings: testssl.sh.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use rcgen::{CrlDistributionPoint, ExtendedKeyUsagePurpose, KeyUsagePurpose};
use serde_json::Value;
use tokio::process::Command;

use super::{Authority, ecdsa, rsa, showing};

/// It makes some hundred connections, each of them with a program of its own.
const LIMIT: Duration = Duration::from_secs(300);

#[tokio::test]
async fn a_scanner_finds_nothing_above_low() {
    let authority = Authority::new();
    let day = Duration::from_secs(86_400);
    // As a public authority makes them: the scanner looks at these, too.
    let sign = |key| {
        authority.sign_as(&["localhost"], key, |params| {
            params.not_before = (SystemTime::now() - day).into();
            params.not_after = (SystemTime::now() + 89 * day).into();
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            params.use_authority_key_identifier_extension = true;
            let uris = vec!["http://ca.example.test/list.crl".to_owned()];
            params.crl_distribution_points = vec![CrlDistributionPoint { uris }];
        })
    };
    let site = showing(&authority, &[sign(&ecdsa()), sign(&rsa())]).start_process().await;
    let target = format!("localhost:{}", site.address("public").port());
    let mut command = Command::new("testssl");
    // Protocols, suites, forward secrecy, preferences, certificates and known attacks: what is the listener's. What responses
    // say of themselves is their origin's.
    command.args(["-p", "-s", "-f", "-P", "-S", "-U", "--quiet", "--color", "0", "--warnings", "off"]);
    command.args([
        "--nodns",
        "none",
        "--ip",
        "127.0.0.1",
        "--add-ca",
        "tests-ca.pem",
        "--jsonfile",
        "found.json",
        &target,
    ]);
    command.current_dir(site.folder().path()).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, command.output()).await.expect("a scan that ends");
    let output = output.expect("a program that can be started; run `cargo xtask test`");
    let found = fs::read_to_string(site.folder().path().join("found.json"))
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stdout)));
    let found: Vec<Value> = serde_json::from_str(&found).expect("a list");
    let is = |finding: &&Value, severities: &[&str]| {
        finding["severity"].as_str().is_some_and(|own| severities.contains(&own))
    };
    let good = found.iter().filter(|finding| is(finding, &["OK"])).count();
    assert!(good > 30, "a scan of all: {found:#?}");
    let bad: Vec<&Value> =
        found.iter().filter(|finding| is(finding, &["MEDIUM", "HIGH", "CRITICAL", "FATAL"])).collect();
    assert!(bad.is_empty(), "{bad:#?}");
}
