//! What a plugin file says of itself, read from its bytes with nothing compiled.
//!
//! A plugin is a component, or a core module that carries its component type and becomes a component on load. Both name
//! their imports and exports by interface, so both tell here what they can do and what they ask for.

use std::collections::BTreeSet;

use palisade_config::Capability;
use palisade_contract::{Phase, Phases};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wasmparser::{Encoding, Parser, Payload};

use crate::{Reason, carried, direct};

/// The contract's package, without its version.
pub(crate) const PACKAGE: &str = "palisade:plugin";

/// The request filter that may wait: another interface for the same phase.
pub(crate) const ASYNC_REQUEST_FILTER: &str = "async-request-filter";

/// The version of the contract that this host speaks.
pub const ABI: &str = "0.1.0";

/// The largest plugin file that is looked at.
pub(crate) const FILE_BYTES_MAX: usize = 64 << 20;

/// A page of linear memory (WebAssembly core specification, section 4.2.8).
const PAGE_BYTES: usize = 64 << 10;

/// What a plugin file says of itself.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// What the plugin calls itself, or empty.
    pub about: About,
    /// The version of the contract that it was built against.
    pub abi: String,
    /// The phases that it has.
    pub phases: Phases,
    /// The capabilities that it asks for, beyond those that every plugin has.
    pub asks: Vec<Capability>,
    /// Whether its request filter may wait for something before it decides.
    pub waits: bool,
    /// Whether it reads request heads by handle.
    pub reads_requests: bool,
    /// Linear memory that one instance has at the very least, in bytes.
    pub memory_bytes_min: usize,
    /// Whether it is a component already.
    pub form: Form,
    /// Why it runs as a component, where it cannot run as its core module ([`Executor`](crate::Executor)).
    pub component_for: Option<String>,
    /// The SHA-256 of the file's bytes, in hexadecimal.
    pub sha256: String,
    /// The file's size.
    pub bytes: usize,
    /// Bytes of machine code that it carries, if it was compiled.
    pub code_bytes: Option<usize>,
}

/// What the SDK wrote into the plugin about it. All of it may be missing, and none of it is trusted.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One sentence.
    pub description: String,
    /// The SDK's version.
    pub sdk: String,
}

/// What kind of WebAssembly file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A component.
    Component,
    /// A core module.
    CoreModule,
}

impl Manifest {
    /// Reads the whole file, and checks that it can be a plugin of this host.
    ///
    /// # Errors
    /// It is not WebAssembly, it is cut off, it speaks another version of the contract, or it imports what no host gives.
    pub fn read(bytes: &[u8]) -> Result<Self, Reason> {
        if bytes.len() > FILE_BYTES_MAX {
            return Err(Reason::TooLarge { max: FILE_BYTES_MAX });
        }
        if !bytes.starts_with(b"\0asm") {
            return Err(Reason::NotWasm { found: beginning(bytes) });
        }
        let names = Names::read(bytes)?;
        if names.form == Form::CoreModule && !names.has_component_type {
            return Err(Reason::NotComponent("it has no section \"component-type\"".into()));
        }
        let abi = names.abi()?;
        let asks = names.asks()?;
        let waits = names.exports(ASYNC_REQUEST_FILTER);
        if waits && names.exports(Phase::Request.as_str()) {
            return Err(Reason::Type(format!(
                "it exports both \"{}\" and \"{ASYNC_REQUEST_FILTER}\", of which a plugin has one",
                Phase::Request.as_str()
            )));
        }
        let phases: Phases = Phase::ALL.into_iter().filter(|phase| names.exports(phase.as_str())).collect();
        Ok(Self {
            phases: if waits { phases.with(Phase::Request) } else { phases },
            waits,
            reads_requests: names.imports.contains(&format!("{PACKAGE}/request@{abi}")),
            abi,
            asks,
            memory_bytes_min: names.memory_bytes_min,
            form: names.form,
            component_for: names.component_for(),
            about: names.about,
            sha256: hexadecimal(&Sha256::digest(bytes)),
            bytes: bytes.len(),
            code_bytes: carried::code(bytes)?.map(<[u8]>::len),
        })
    }
}

/// A digest as it is written.
pub(crate) fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Names of what the outermost component, or the module, imports and exports.
struct Names {
    form: Form,
    imports: BTreeSet<String>,
    exports: BTreeSet<String>,
    /// What a core module exports that is no interface's.
    others: BTreeSet<String>,
    /// Whether a core module says what component it is to become (component-model tooling's convention).
    has_component_type: bool,
    /// Of all its modules.
    memory_bytes_min: usize,
    about: About,
}

impl Names {
    fn read(bytes: &[u8]) -> Result<Self, Reason> {
        let mut names = Self {
            form: Form::Component,
            imports: BTreeSet::new(),
            exports: BTreeSet::new(),
            others: BTreeSet::new(),
            has_component_type: false,
            memory_bytes_min: 0,
            about: About::default(),
        };
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(malformed)? {
                Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => names.form = Form::CoreModule,
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::MemorySection(section) => {
                    for memory in section {
                        let pages = usize::try_from(memory.map_err(malformed)?.initial).unwrap_or(usize::MAX);
                        let bytes = pages.saturating_mul(PAGE_BYTES);
                        names.memory_bytes_min = names.memory_bytes_min.saturating_add(bytes);
                    }
                }
                Payload::CustomSection(section) if section.name() == "palisade:plugin" => {
                    names.about = serde_json::from_slice(section.data()).unwrap_or_default();
                }
                Payload::CustomSection(section) if section.name().starts_with("component-type") => {
                    names.has_component_type = true;
                }
                payload if depth == 0 => names.outermost(payload)?,
                _ => {}
            }
        }
        Ok(names)
    }

    fn outermost(&mut self, payload: Payload<'_>) -> Result<(), Reason> {
        match payload {
            Payload::ComponentImportSection(section) => {
                for import in section {
                    self.imports.insert(import.map_err(malformed)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    self.exports.insert(export.map_err(malformed)?.name.name.to_owned());
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    self.imports.insert(import.map_err(malformed)?.module.to_owned());
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let name = export.map_err(malformed)?.name;
                    // A core module exports `interface#function`, and functions of its own that are no interface's.
                    match name.split_once('#') {
                        Some((interface, _)) => self.exports.insert(interface.to_owned()),
                        None => self.others.insert(name.to_owned()),
                    };
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Why it cannot run as its core module, if it cannot.
    fn component_for(&self) -> Option<String> {
        if self.form == Form::Component {
            return Some("it is a component, not a core module".into());
        }
        if let Some(import) = self.imports.iter().find(|import| !import.starts_with(PACKAGE)) {
            return Some(format!("it imports \"{import}\""));
        }
        let missing = [direct::MEMORY, direct::REALLOC].into_iter().find(|name| !self.others.contains(*name))?;
        Some(format!("it does not export \"{missing}\""))
    }

    fn exports(&self, interface: &str) -> bool {
        self.exports.contains(&format!("{PACKAGE}/{interface}@{ABI}"))
    }

    /// The one version of the contract that all its interfaces name.
    fn abi(&self) -> Result<String, Reason> {
        let ours = self.imports.iter().chain(&self.exports).filter_map(|name| name.strip_prefix(PACKAGE));
        for name in ours {
            let version = name.split_once('@').map_or("none", |(_, version)| version);
            if version != ABI {
                return Err(Reason::Abi { found: version.to_owned() });
            }
        }
        if self.exports("lifecycle") { Ok(ABI.to_owned()) } else { Err(Reason::NoLifecycle) }
    }

    fn asks(&self) -> Result<Vec<Capability>, Reason> {
        let mut asks = Vec::new();
        for import in &self.imports {
            let interface = import.split_once('@').map_or(import.as_str(), |(interface, _)| interface);
            match interface.strip_prefix("palisade:plugin/") {
                Some(ours) if GIVEN.contains(&ours) => {}
                Some(ours) => match Capability::ALL.into_iter().find(|capability| capability.name() == ours) {
                    Some(capability) => asks.push(capability),
                    None => return Err(Reason::Unknown { import: import.clone() }),
                },
                None if WASI_GIVEN.contains(&interface) => {}
                None if interface.starts_with("wasi:") => {
                    return Err(Reason::Wasi { import: import.clone() });
                }
                None => return Err(Reason::Unknown { import: import.clone() }),
            }
        }
        Ok(asks)
    }
}

/// The interfaces that every plugin may import, and `types` and `bodies`, which have no functions.
const GIVEN: [&str; 14] = [
    "types", "setup", "timer", "fault", "names", "log", "clock", "random", "request", "response", "reply", "bodies",
    "body", "streams",
];

/// What a standard library imports to start: its output goes to the log, the rest is empty.
const WASI_GIVEN: [&str; 15] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:clocks/monotonic-clock",
    "wasi:random/insecure-seed",
];

fn malformed(error: wasmparser::BinaryReaderError) -> Reason {
    Reason::Malformed { offset: error.offset(), message: error.message().to_owned() }
}

fn beginning(bytes: &[u8]) -> String {
    bytes.iter().take(8).flat_map(|byte| std::ascii::escape_default(*byte)).map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFECYCLE: &str = r#"(export "palisade:plugin/lifecycle@0.1.0" (instance 0))"#;

    #[test]
    fn a_file_says_what_it_is_or_what_is_wrong_with_it() {
        check(b"", "is not WebAssembly: it begins with \"\", not with \"\\x00asm\"");
        check(b"hello, world", "is not WebAssembly: it begins with \"hello, w\", not with \"\\x00asm\"");
        check(b"\0asm", "is malformed WebAssembly at byte 4: unexpected end-of-file; is the file complete?");
        check(&component(LIFECYCLE), "ok");
        check(
            &component(""),
            "does not export \"palisade:plugin/lifecycle@0.1.0\", which every plugin has; was it built with `register!`?",
        );
        check(
            &component(r#"(export "palisade:plugin/lifecycle@9.0.0" (instance 0))"#),
            "speaks version 9.0.0 of the plugin contract, this host speaks 0.1.0; rebuild it with a palisade-sdk for 0.1.0",
        );
        check(
            &component(&format!(r#"(import "wasi:sockets/tcp@0.2.0" (instance)) {LIFECYCLE}"#)),
            "imports \"wasi:sockets/tcp@0.2.0\": plugins have no files, no sockets and no environment, and no grant gives them",
        );
        check(
            &component(&format!(r#"(import "acme:cloud/db" (instance)) {LIFECYCLE}"#)),
            "imports \"acme:cloud/db\", which this host does not have",
        );
        check(
            &wat::parse_str("(module)").expect("a module"),
            "is a core module that cannot become a component: it has no section \"component-type\"; was it built with \
             palisade-sdk?",
        );
    }

    fn component(more: &str) -> Vec<u8> {
        wat::parse_str(format!("(component (instance) {more})")).expect("a component")
    }

    fn check(bytes: &[u8], expected: &str) {
        let found = Manifest::read(bytes).map_or_else(|reason| reason.to_string(), |_| "ok".to_owned());
        assert_eq!(found, expected);
    }

    #[test]
    fn no_beginning_of_a_file_and_no_file_twice_is_a_plugin() {
        let whole = component(LIFECYCLE);
        for end in 0..whole.len() {
            assert!(Manifest::read(&whole[..end]).is_err(), "the first {end} bytes");
        }
        assert!(Manifest::read(&whole.repeat(2)).is_err());
    }

    #[test]
    fn a_capability_is_asked_for_by_importing_it() {
        let asking = component(&format!(r#"(import "palisade:plugin/metrics@0.1.0" (instance)) {LIFECYCLE}"#));
        assert_eq!(Manifest::read(&asking).expect("a plugin").asks, [Capability::Metrics]);
        let logging = component(&format!(r#"(import "palisade:plugin/log@0.1.0" (instance)) {LIFECYCLE}"#));
        assert_eq!(Manifest::read(&logging).expect("a plugin").asks, []);
    }
}
