//! `trusted_keys`.

use crate::check::{check, root};

const KEY: &str = "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

#[test]
fn a_list_of_trusted_keys_has_one_at_least() {
    check(
        &root("trusted_keys = []"),
        &["1:16: trusted_keys: holds 0 keys: expected 1 to 100; leave it out where every plugin may load"],
    );
    check(
        &root("trusted_keys = true"),
        &[
            "1:16: trusted_keys: true is not a list: expected keys, such as [{ name = \"release\", key = \"ed25519:…\", \
           expires = 2030-12-31 }]",
        ],
    );
    check(
        &root("trusted_keys = [{}]"),
        &[
            "1:17: trusted_keys[0].name: is missing: a trusted key needs it",
            "1:17: trusted_keys[0].key: is missing: a trusted key needs it",
        ],
    );
}

#[test]
fn a_trusted_key_is_a_public_one_and_stands_there_once() {
    check(
        &root("trusted_keys = [{ name = \"a\", key = \"ed25519:short\" }]"),
        &[
            "1:37: trusted_keys[0].key: \"ed25519:short\" is not a key: expected \"ed25519:\" and 44 characters of base64",
        ],
    );
    check(
        &root("trusted_keys = [{ name = \"a\", key = \"ed25519-secret:nWGxne\" }]"),
        &["1:37: trusted_keys[0].key: is a private key: expected the public one, which begins with \"ed25519:\""],
    );
    check(
        &root(&format!("trusted_keys = [{{ name = \"a\", key = \"{KEY}\" }}, {{ name = \"a\", key = \"{KEY}\" }}]")),
        &[
            "1:104: trusted_keys[1].name: \"a\" is trusted_keys[0].name already",
            &format!("1:115: trusted_keys[1].key: \"{KEY}\" is trusted_keys[0].key already"),
        ],
    );
}

#[test]
fn a_key_expires_on_a_day() {
    for (written, found) in [
        ("2030-02-30", None),
        ("\"2030-12-31T00:00:00Z\"", Some("\"2030-12-31T00:00:00Z\"")),
        ("2030-12-31T00:00:00Z", Some("2030-12-31T00:00:00Z")),
        ("\"next year\"", Some("\"next year\"")),
        ("2030", Some("2030")),
    ] {
        let text = root(&format!("trusted_keys = [{{ name = \"a\", expires = {written}, key = \"{KEY}\" }}]"));
        let expected = "is not a date: expected the last day on which the key is believed, such as 2030-12-31";
        match found {
            Some(found) => check(&text, &[&format!("1:41: trusted_keys[0].expires: {found} {expected}")]),
            // The TOML parser itself knows the lengths of months.
            None => assert_eq!(crate::check::problems(&text).iter().count(), 1),
        }
    }
}
