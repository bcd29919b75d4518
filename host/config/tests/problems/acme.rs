//! Accounts with authorities, and certificates that they issue.

use std::path::Path;

use palisade_config::Config;

use crate::check::check;

#[test]
fn an_account_has_a_directory_and_a_state() {
    check(
        &config("contact = [\"ops@foobar.com\", 3]\nchallenge = \"dns-01\"", "names = [\"a.test\"]"),
        &[
            "1:1: acme.le.directory: is missing: an ACME account needs it",
            "1:1: acme.le.state: is missing: an ACME account needs it",
            "2:12: acme.le.contact[0]: \"ops@foobar.com\" is not a contact: expected one such as \"mailto:ops@foobar.com\"",
            "2:30: acme.le.contact[1]: 3 is not a contact: expected one such as \"mailto:ops@foobar.com\"",
            "3:13: acme.le.challenge: \"dns-01\" is not a challenge: expected \"tls-alpn-01\" or \"http-01\"",
        ],
    );
    for directory in ["http://acme.test/dir", "acme.test", "https://", "https:///dir", "https://a@b/dir", "https://a b"]
    {
        let row = format!(
            "2:13: acme.le.directory: \"{directory}\" is not a directory: expected a URL with https, such as \
             \"https://acme-v02.api.letsencrypt.org/directory\""
        );
        check(&config(&format!("directory = \"{directory}\"\nstate = \"s\""), "names = [\"a.test\"]"), &[&row]);
    }
    fits(&config("directory = \"https://localhost:14000/dir\"\nstate = \"s\"", "names = [\"a.test\"]"));
}

#[test]
fn a_certificate_is_issued_for_names_by_an_account_that_there_is() {
    check(
        &good("names = [\"*.a.test\", \"192.0.2.1\", \"a_b.test\"]"),
        &[
            "9:49: listener[0].tls.certificates[0].names[0]: is a wildcard, which no challenge of these can be for: expected the \
         names themselves",
            "9:61: listener[0].tls.certificates[0].names[1]: \"192.0.2.1\" is not a name: expected a host name, such as \
         \"www.foobar.com\"",
        ],
    );
    check(&good("names = []"), &["9:48: listener[0].tls.certificates[0].names: holds 0 names: expected 1 to 100"]);
    check(
        &good("chain = \"a.pem\""),
        &[
            "9:25: listener[0].tls.certificates[0].names: is missing: a certificate needs it",
            "9:40: listener[0].tls.certificates[0].chain: is not a key of a certificate: expected acme or names",
        ],
    );
    check(
        &good("names = [\"a.test\"]").replace("acme = \"le\"", "acme = \"lf\""),
        &["9:34: listener[0].tls.certificates[0].acme: no acme is called \"lf\": did you mean \"le\"?"],
    );
    check(
        &good("names = [\"a.test\"] }, { acme = \"le\", names = [\"a.test\", \"b.test\"]"),
        &[
            "9:62: listener[0].tls.certificates[1]: begins with the same name as another certificate of the account: expected the \
         same names",
        ],
    );
}

#[test]
fn a_challenge_in_a_handshake_cannot_be_seen_where_clients_need_certificates() {
    let clients =
        "names = [\"a.test\"] }], client_certificates = { mode = \"required\", ca = \"c.pem\" }, tickets = false } #";
    check(
        &good(clients),
        &[
            "9:7: listener[0].tls: lets in only clients with certificates, and authorities that look at a tls-alpn-01 challenge \
         have none: expected challenge = \"http-01\" in the [acme.NAME] of its certificates",
        ],
    );
    fits(&good(&clients.replace("required", "optional")));
    fits(&good(clients).replace("state = \"s\"", "state = \"s\"\nchallenge = \"http-01\""));
}

fn good(certificate: &str) -> String {
    config("directory = \"https://acme.test/dir\"\nstate = \"s\"", certificate)
}

/// With an account, and a listener that shows one certificate of it.
fn config(account: &str, certificate: &str) -> String {
    format!(
        "[acme.le]\n{account}\n[upstream.web]\nendpoints = [\"127.0.0.1:80\"]\n[[listener]]\nname = \"a\"\nbind = \
         \"127.0.0.1:1\"\ntls = {{ certificates = [{{ acme = \"le\", {certificate} }}] }}\nroute = [{{ upstream = \"web\" }}]\n"
    )
}

#[track_caller]
fn fits(text: &str) {
    let problems = Config::parse(text, Path::new("palisade.toml")).err().map(|problems| problems.to_string());
    assert_eq!(problems, None, "{text}");
}
