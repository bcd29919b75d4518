//! The compiler: a plugin's WebAssembly in, its machine code out.
//!
//! A build without the feature `compiler` has `no_compiler` in its place, with the same functions.

use std::borrow::Cow;
use std::hash::Hash;
use std::path::Path;

use wasmtime::component::Component;
use wasmtime::{Config, Engine, Module};

use crate::compiled::{Compiled, Executor};
pub(crate) use crate::configured::configured;
use crate::manifest::{Form, Manifest};
use crate::{Reason, carry, runtime};

/// How plugins' files end; of two with one name, the first one's is taken.
pub(crate) const ENDINGS: [&str; 2] = ["wasm", "cwasm"];

/// What only a compiler has to be told.
pub(crate) fn configure(config: &mut Config) {
    // Files are compiled beside each other already; more threads for each would take the workers' cores from requests.
    config.parallel_compilation(false);
}

/// What tells the code of one engine from that of another, in the names of kept files.
pub(crate) fn fingerprint(engine: &Engine) -> impl Hash {
    engine.precompile_compatibility_hash()
}

/// Every file is compiled here, whatever code it carries: nobody has to be believed.
pub(crate) fn believes(_: &Path, _: Option<&str>) -> Result<(), Reason> {
    Ok(())
}

/// The code of a plugin's file: from the cache, or compiled.
///
/// # Errors
/// It is no component and says not which one it is to be, or it does not compile.
pub(crate) fn code(engine: &crate::Engine, file: &[u8], manifest: &Manifest) -> Result<Compiled, Reason> {
    let is_component = engine.options.components_alone || manifest.component_for.is_some();
    let executor = if is_component { Executor::Component } else { Executor::Direct };
    engine.cache.code(&engine.wasmtime, (&manifest.sha256, executor), || {
        // It has to be what it says, also where nothing else is made of that.
        let component = componentize(file, manifest.form)?;
        image(&engine.wasmtime, if is_component { &component } else { file }, executor)
    })
}

/// The code of a component, or a core module, that the host itself has made.
///
/// # Errors
/// It does not compile.
pub(crate) fn image(engine: &Engine, file: &[u8], executor: Executor) -> Result<Compiled, Reason> {
    let compiled = match executor {
        Executor::Component => Component::new(engine, file).map(Compiled::Component),
        Executor::Direct => Module::new(engine, file).map(Compiled::Module),
    };
    compiled.map_err(|error| Reason::Compile(format!("{error:#}")))
}

/// The component that a core module describes (component-model, "component-type" custom sections).
///
/// # Errors
/// It does not describe one.
pub(crate) fn componentize(file: &[u8], form: Form) -> Result<Cow<'_, [u8]>, Reason> {
    match form {
        Form::Component => Ok(Cow::Borrowed(file)),
        Form::CoreModule => wit_component::ComponentEncoder::default()
            .module(file)
            .and_then(|encoder| encoder.validate(false).encode())
            .map(Cow::Owned)
            .map_err(|error| Reason::NotComponent(format!("{error:#}"))),
    }
}

/// For which processors code is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Processors {
    /// All of this machine's architecture.
    All,
    /// Those that can all that this machine's can.
    Own,
}

/// The same plugin, carrying its machine code: what a host without a compiler runs.
///
/// # Errors
/// The file is no plugin, or does not compile.
pub fn compile(file: &[u8], processors: Processors) -> Result<Vec<u8>, Reason> {
    let plain = carry::without_code(file)?;
    let manifest = Manifest::read(&plain)?;
    let failed = |error: wasmtime::Error| Reason::Compile(format!("{error:#}"));
    let mut config = runtime::config(runtime::Options::default().stack_bytes);
    if processors == Processors::All {
        // With a target that is named, nothing is asked of the machine at hand.
        config.target(&format!("{}-unknown-linux-gnu", std::env::consts::ARCH)).map_err(failed)?;
    }
    let engine = Engine::new(&config).map_err(failed)?;
    let code = match manifest.component_for {
        Some(_) => engine.precompile_component(&componentize(&plain, manifest.form)?),
        None => engine.precompile_module(&plain),
    };
    let code = code.map_err(failed)?;
    Ok(carry::with_code(&plain, &code))
}
