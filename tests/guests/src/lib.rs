//! Plugins for tests, one behaviour each. Those that the SDK can express are in `examples/`, and the text of the others is
//! here: components and modules that no honest toolchain makes.

#![forbid(unsafe_code)]

/// A guest in the WebAssembly text format, to be assembled by the test that uses it.
#[derive(Clone, Copy, Debug)]
pub struct Wat {
    /// The file's name, without its ending.
    pub name: &'static str,
    /// What the file holds.
    pub text: &'static str,
}

/// Every guest in text form.
pub const WATS: [Wat; 9] = [
    ABSURD_RESULT,
    BAD_ALLOCATOR,
    NO_COMPONENT_TYPE,
    NO_LIFECYCLE,
    UNKNOWN_ABI,
    UNKNOWN_IMPORT,
    WANTS_FILES,
    WANTS_SOCKETS,
    WRONG_TYPE,
];

/// `configure` returns a result that is neither ok nor an error.
pub const ABSURD_RESULT: Wat = Wat { name: "absurd-result", text: include_str!("../wat/absurd-result.wat") };

/// The allocator that the host is to put settings into returns an address outside of the memory.
pub const BAD_ALLOCATOR: Wat = Wat { name: "bad-allocator", text: include_str!("../wat/bad-allocator.wat") };

/// A core module that does not say which component it is to become.
pub const NO_COMPONENT_TYPE: Wat =
    Wat { name: "no-component-type", text: include_str!("../wat/no-component-type.wat") };

/// A component that exports nothing, not even `lifecycle`.
pub const NO_LIFECYCLE: Wat = Wat { name: "no-lifecycle", text: include_str!("../wat/no-lifecycle.wat") };

/// A component for version 9.0.0 of the contract.
pub const UNKNOWN_ABI: Wat = Wat { name: "unknown-abi", text: include_str!("../wat/unknown-abi.wat") };

/// A component that imports an interface that nobody knows.
pub const UNKNOWN_IMPORT: Wat = Wat { name: "unknown-import", text: include_str!("../wat/unknown-import.wat") };

/// A component that imports `wasi:filesystem`.
pub const WANTS_FILES: Wat = Wat { name: "wants-files", text: include_str!("../wat/wants-files.wat") };

/// A component that imports `wasi:sockets`.
pub const WANTS_SOCKETS: Wat = Wat { name: "wants-sockets", text: include_str!("../wat/wants-sockets.wat") };

/// A component whose `on-request` takes text and returns a number.
pub const WRONG_TYPE: Wat = Wat { name: "wrong-type", text: include_str!("../wat/wrong-type.wat") };

#[cfg(test)]
mod tests {
    use wasmparser::Validator;

    use super::{WATS, Wat};

    #[test]
    fn every_text_is_webassembly_and_wrong_for_the_host_alone() {
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
}
