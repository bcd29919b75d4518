//! Whatever the text, reading it ends, and says something useful.

use std::path::Path;

use palisade_config::Config;
use proptest::prelude::*;

const EVERY_KEY: &str = include_str!("every_key.toml");

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        check(&text);
    }

    #[test]
    fn any_words_of_the_language_are_read_or_refused(words in prop::collection::vec(word(), 0..60)) {
        check(&words.concat());
    }

    #[test]
    fn a_config_with_a_piece_replaced_is_read_or_refused(
        start in 0..EVERY_KEY.len(),
        length in 0..40_usize,
        piece in prop_oneof![word(), "\\PC{0,8}", Just(String::new())],
    ) {
        let end = (start + length).min(EVERY_KEY.len());
        check(&[&EVERY_KEY[..start], &piece, &EVERY_KEY[end..]].concat());
    }

    #[test]
    fn a_config_cut_short_is_read_or_refused(end in 0..EVERY_KEY.len()) {
        check(&EVERY_KEY[..end]);
    }
}

#[test]
fn a_deep_text_is_refused() {
    for opening in ["[", "{a=", "{a=[", "{a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a="] {
        check(&format!("a = {}", opening.repeat(100_000)));
        check(&format!("plugin.a.settings = {}1{}", opening.repeat(60), "}".repeat(60)));
    }
    check(&format!("{}a = 1", "a.".repeat(100_000)));
    check(&format!("[{}a]", "a.".repeat(100_000)));
}

/// Keys, values and signs that configs are made of.
fn word() -> impl Strategy<Value = String> {
    let signs = ["\n", " = ", ".", ",", "[", "]", "[[", "]]", "{", "}", "\"", "'''", "#", "\\", "\t", "\r\n"];
    let values =
        ["1", "-1", "0x7fffffffffffffff", "1e400", "nan", "true", "2020-01-01", "\"1s\"", "\"1 KiB\"", "\"[::]:1\""];
    let keys: Vec<&str> = EVERY_KEY.split([' ', '\n', '=', '"', '[', ']']).filter(|word| !word.is_empty()).collect();
    prop_oneof![prop::sample::select(keys), prop::sample::select(signs.to_vec()), prop::sample::select(values.to_vec())]
        .prop_map(str::to_owned)
}

/// A refused text has problems, and each names a place that is there.
#[track_caller]
fn check(text: &str) {
    let Err(problems) = Config::parse(text, Path::new("palisade.toml")) else { return };
    assert!(problems.iter().count() > 0, "no problem in {text:?}");
    let lines = text.matches('\n').count() + 1;
    for problem in &problems {
        assert!((1..=lines).contains(&problem.line) && problem.column >= 1, "{problem} in {text:?}");
        assert!(
            !problem.message.is_empty() && !problem.to_string().contains(|c: char| c.is_control() && c != '\n'),
            "{problem}"
        );
    }
    assert!(problems.to_string().ends_with(" in palisade.toml") || problems.to_string().ends_with(" shown"));
}
