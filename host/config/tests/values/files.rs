//! Files that are read, or are none.

use super::*;

#[test]
fn a_file_is_read_from_its_folder() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/every_key.toml");
    let config = Config::read(&file).expect("a config");
    assert_eq!(config.plugins_dir, Some(file.with_file_name("plugins")));
    assert_eq!(config.file, file);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = Config::read(Path::new("nowhere/palisade.toml")).expect_err("no file");
    assert_eq!(error.to_string(), "cannot read the config \"nowhere/palisade.toml\"");
    assert!(matches!(error, ReadError::Read { .. }), "{error:?}");
}

#[test]
fn a_file_that_is_not_text_is_refused() {
    let file = std::env::temp_dir().join(format!("palisade-config-{}.toml", std::process::id()));
    std::fs::write(&file, b"workers = 1\n\"a\xff\" = 2\n").expect("a temporary file");
    let error = Config::read(&file).expect_err("not text").to_string();
    std::fs::remove_file(&file).expect("the temporary file");
    let name = file.display();
    let expected =
        format!("{name}:2:3: the text is not UTF-8\n  |\n2 | \"a\u{fffd}\" = 2\n  |   ^\n\n1 problem in {name}");
    assert_eq!(error, expected);
}

#[cfg(unix)]
#[test]
fn a_file_without_an_end_is_refused() {
    let error = Config::read(Path::new("/dev/zero")).expect_err("too large").to_string();
    assert_eq!(error, "the config \"/dev/zero\" is too large: expected at most 16777216 bytes");
}
