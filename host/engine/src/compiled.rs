//! The machine code of a plugin, for one of the two ways to run it.

use std::path::Path;

use wasmtime::component::Component;
use wasmtime::{Engine, Module, Result};

/// How a plugin is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Executor {
    /// By wasmtime's component runtime: any component.
    Component,
    /// Its core module is linked with the host's functions by hand, and calls cost less: what the SDK makes for `wasm32-unknown-unknown`.
    Direct,
}

/// The machine code of a plugin.
pub(crate) enum Compiled {
    Component(Component),
    Module(Module),
}

impl Compiled {
    /// As it is kept.
    ///
    /// # Errors
    /// Those of wasmtime.
    pub(crate) fn serialize(&self) -> Result<Vec<u8>> {
        match self {
            Self::Component(component) => component.serialize(),
            #[cfg(feature = "compiler")]
            Self::Module(module) => module.serialize(),
            #[cfg(not(feature = "compiler"))]
            Self::Module(_) => wasmtime::bail!("a build without a compiler has compiled nothing"),
        }
    }

    /// What was kept.
    ///
    /// # Errors
    /// It is another engine's, or another kind of code.
    ///
    /// # Safety
    /// The file has to be what [`Compiled::serialize`] gave: it is machine code, and runs unchecked.
    #[expect(unsafe_code, reason = "wasmtime loads machine code unchecked")]
    pub(crate) unsafe fn deserialize_file(engine: &Engine, file: &Path, executor: Executor) -> Result<Self> {
        // SAFETY: the caller's.
        unsafe {
            match executor {
                Executor::Component => Component::deserialize_file(engine, file).map(Self::Component),
                Executor::Direct => Module::deserialize_file(engine, file).map(Self::Module),
            }
        }
    }
}
