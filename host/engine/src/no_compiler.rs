//! In the place of `compiler`, where a build has none: the machine code that a plugin's file carries.
//!
//! Machine code runs unchecked. So a file has to be signed by a trusted key, or be one that nobody but root and this user can have written.

use std::fs;
use std::hash::Hash;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use palisade_config::PluginLimits;
use wasmtime::component::Component;
use wasmtime::{Config, Engine, Module, Precompiled};

use crate::compiled::{Compiled, Executor};
use crate::image::Setup;
use crate::manifest::Manifest;
use crate::state::Identity;
use crate::{Reason, carried};

/// How plugins' files end; of two with one name, the first one's is taken.
pub(crate) const ENDINGS: [&str; 2] = ["cwasm", "wasm"];

/// There is no compiler to be told anything.
pub(crate) fn configure(_: &mut Config) {}

/// What tells the code of one engine from that of another, in the names of kept files: the name tells the file's content, of which the
/// code is a part, and wasmtime looks at the rest.
pub(crate) fn fingerprint(_: &Engine) -> impl Hash {
    env!("CARGO_PKG_VERSION")
}

/// That the code of a file may run: a trusted key has signed it, or nobody but root and this process's user can have written it.
///
/// # Errors
/// Others could have.
pub(crate) fn believes(file: &Path, signed_by: Option<&str>) -> Result<(), Reason> {
    if signed_by.is_some() {
        return Ok(());
    }
    let own = fs::metadata("/proc/self").map_err(Reason::Read)?.uid();
    // Who can write to its folder can put another file in its place.
    for path in [Some(file), file.parent()].into_iter().flatten() {
        let about = fs::metadata(path).map_err(Reason::Read)?;
        let (owner, mode) = (about.uid(), about.permissions().mode());
        if (owner != own && owner != 0) || mode & 0o022 != 0 {
            return Err(Reason::CodeOfOthers { path: path.to_owned(), owner, mode: mode & 0o777 });
        }
    }
    Ok(())
}

/// The code that a plugin's file carries, for the executor that it was made for. It is kept in the cache's folder as well, and mapped from
/// there: so of the code there is no more in memory than what runs.
///
/// # Errors
/// It carries none, or that of another engine.
#[expect(unsafe_code, reason = "wasmtime loads machine code unchecked")]
pub(crate) fn code(engine: &crate::Engine, file: &[u8], manifest: &Manifest) -> Result<Compiled, Reason> {
    let code = carried::code(file)?.ok_or(Reason::NoCode)?;
    let executor = match Engine::detect_precompiled(code) {
        Some(Precompiled::Module) => Executor::Direct,
        Some(Precompiled::Component) | None => Executor::Component,
    };
    if let Some(compiled) = engine.cache.carried(&engine.wasmtime, (&manifest.sha256, executor), code) {
        return Ok(compiled);
    }
    // SAFETY: `believes` was asked of this file: whoever wrote it is one whose programs run here. What is not of this engine's making is refused by
    // wasmtime, by its version and settings.
    let compiled = unsafe {
        match executor {
            Executor::Component => Component::deserialize(&engine.wasmtime, code).map(Compiled::Component),
            Executor::Direct => Module::deserialize(&engine.wasmtime, code).map(Compiled::Module),
        }
    };
    compiled.map_err(|error| Reason::OtherCode(format!("{error:#}")))
}

/// Never called: there is no image without a compiler.
pub(crate) fn image(_: &Engine, _: &[u8], _: Executor) -> Result<Compiled, Reason> {
    Err(Reason::NoCode)
}

/// None: an image is made by compiling, so each instance is configured for itself.
pub(crate) fn configured(
    _: &crate::Engine,
    _: &crate::Module,
    _: &Arc<Identity>,
    _: (&PluginLimits, &str),
) -> Result<Option<(Vec<u8>, Setup)>, Reason> {
    Ok(None)
}
