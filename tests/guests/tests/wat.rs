//! The guests in text form are WebAssembly: what is wrong with them is wrong for the host alone.

use guests::{WATS, Wat};
use wasmparser::Validator;

#[test]
fn every_text_assembles_to_valid_webassembly() {
    for wat in WATS {
        check(wat);
    }
}

#[test]
fn every_text_of_the_folder_is_listed() {
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/wat")).unwrap();
    let mut files: Vec<_> = folder.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    assert_eq!(files, WATS.map(|wat| format!("{}.wat", wat.name)));
}

#[track_caller]
fn check(wat: Wat) {
    let bytes = wat::parse_str(wat.text).unwrap_or_else(|error| panic!("{}: {error}", wat.name));
    if let Err(error) = Validator::new().validate_all(&bytes) {
        panic!("{}: {error}", wat.name);
    }
}
