//! Good `trusted_keys` and what is read from them.

use std::path::Path;

use palisade_config::{Config, TrustedKey, TrustedKeys};
use palisade_signature::{Date, Month};

const EVERY_KEY: &str = include_str!("every_key.toml");

#[test]
fn trusted_keys_have_a_name_a_key_and_maybe_a_last_day() {
    let last_day = Date::from_calendar_date(2030, Month::December, 31).expect("a day");
    let expected = TrustedKeys::new(vec![
        key("release", "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", Some(last_day)),
        key("lab", "ed25519:PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=", None),
    ]);
    for written in ["2030-12-31", "\"2030-12-31\""] {
        assert_eq!(read(&EVERY_KEY.replace("2030-12-31", written)), expected, "{written}");
    }
}

#[test]
fn without_the_list_nobody_has_to_sign() {
    let text = "[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:80\"\nredirect_to_https = true";
    assert!(read(text).is_empty());
}

#[expect(clippy::expect_used, reason = "a case that is no config fails its test")]
fn read(text: &str) -> TrustedKeys {
    Config::parse(text, Path::new("conf/palisade.toml")).expect(text).trusted_keys
}

#[expect(clippy::expect_used, reason = "written in the test")]
fn key(name: &str, key: &str, expires: Option<Date>) -> TrustedKey {
    TrustedKey { name: name.to_owned(), key: key.parse().expect("a key"), expires }
}
