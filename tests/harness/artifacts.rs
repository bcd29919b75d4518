//! What was built before the tests: plugins, guests and the host's own program.

use std::fs;
use std::path::{Path, PathBuf};

use guests::WATS;

/// In which form a guest is given to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A core module without WASI, which the host makes a component.
    Module,
    /// A component, as the target wasm32-wasip2 makes it.
    Component,
}

impl Form {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Module, Self::Component];
}

/// The bytes of a guest in text form, of a guest that was built, or of a plugin that ships.
///
/// # Panics
/// There is no such module.
#[must_use]
pub fn bytes_of(module: &str, form: Form) -> Vec<u8> {
    if let Some(wat) = WATS.iter().find(|wat| wat.name == module) {
        return wat::parse_str(wat.text).expect("text that is WebAssembly");
    }
    let guests = match form {
        Form::Module => target().join("guests"),
        Form::Component => target().join("guests/wasip2"),
    };
    let files = [guests, target().join("plugins")].map(|folder| folder.join(format!("{module}.wasm")));
    let file = files.iter().find(|file| file.is_file());
    let file = file.unwrap_or_else(|| panic!("there is no {module}.wasm in target: run `cargo xtask plugins` first"));
    fs::read(file).expect("a module that can be read")
}

/// Where compiled plugins are kept between tests and between runs.
#[must_use]
pub fn cache() -> PathBuf {
    target().join("test-cache")
}

/// The host's program, of the profile that the tests were built in.
///
/// # Panics
/// It was not built.
#[must_use]
pub fn program() -> PathBuf {
    beside("palisade")
}

/// The origin of the quickstart, which is a process of its own: it can be stopped and killed.
///
/// # Panics
/// It was not built.
#[must_use]
pub fn origin_program() -> PathBuf {
    beside("origin")
}

fn beside(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let program = test.ancestors().nth(2).map(|folder| folder.join(name)).filter(|file| file.is_file());
    program.unwrap_or_else(|| panic!("there is no {name} beside {}: run `cargo build --workspace`", test.display()))
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target")
}
