//! The compiler: a plugin's WebAssembly in, its machine code out.
//!
//! A build without the feature `compiler` has `no_compiler` in its place, with the same functions.

use std::borrow::Cow;
use std::hash::Hash;
use std::path::Path;

use wasmtime::component::Component;
use wasmtime::{Config, Engine, Module};
use wit_component::{StringEncoding, dummy_module, embed_component_metadata, metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi};

use crate::compiled::{Compiled, Executor};
pub(crate) use crate::configured::configured;
use crate::manifest::{Form, Manifest};
use crate::module::Code;
use crate::plugin::Plugin;
use crate::{Reason, Services, carry, runtime};

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
        if is_component {
            return image(&engine.wasmtime, &component, executor);
        }
        expect_types(engine, file, manifest)?;
        image(&engine.wasmtime, file, executor)
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

/// That a core module means by its functions what the contract means: its core types alone do not tell a field from another one. A component that
/// has its types, and does nothing, is linked in its place.
///
/// # Errors
/// An import or export has another type than the contract's.
fn expect_types(engine: &crate::Engine, file: &[u8], manifest: &Manifest) -> Result<(), Reason> {
    let (_, described) = metadata::decode(file).map_err(no_component)?;
    let (resolve, world) = (&described.resolve, described.world);
    let mut idle = dummy_module(resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
    embed_component_metadata(&mut idle, resolve, world, StringEncoding::UTF8).map_err(no_component)?;
    let component = image(&engine.wasmtime, &componentize(&idle, Form::CoreModule)?, Executor::Component)?;
    Plugin::expect_types(engine, &Code::new(engine, &component, manifest)?)
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
            .map_err(no_component),
    }
}

fn no_component(error: impl std::fmt::Display) -> Reason {
    Reason::NotComponent(format!("{error:#}"))
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
        None => {
            let host = crate::Engine::new(&runtime::Options::default(), Services::default());
            // A host without a compiler has nothing to see it by.
            expect_types(&host.map_err(|error| Reason::Compile(error.to_string()))?, &plain, &manifest)?;
            engine.precompile_module(&plain)
        }
    };
    let code = code.map_err(failed)?;
    Ok(carry::with_code(&plain, &code))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use wit_parser::Resolve;

    use super::*;

    /// A module of the contract in which one text has been replaced by another.
    fn module(name: &str, from: &str, to: &str) -> Vec<u8> {
        let folder = std::env::temp_dir().join(format!("palisade-types-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let mut found = 0;
        for file in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/wit")).expect("the contract") {
            let file = file.expect("a file").path();
            let text = fs::read_to_string(&file).expect("a text");
            found += text.matches(from).count();
            fs::write(folder.join(file.file_name().expect("a name")), text.replace(from, to)).expect("written");
        }
        assert_eq!(found, 1, "{from:?}");
        let world = "world tried { import log; export lifecycle; export response-filter; }";
        fs::write(folder.join("tried.wit"), world).expect("written");
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(&folder).expect("a package");
        fs::remove_dir_all(&folder).expect("removed");
        let world = resolve.select_world(&[package], Some("tried")).expect("a world");
        let mut module = dummy_module(&resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("a section");
        module
    }

    fn loaded(module: &[u8]) -> Result<(), Reason> {
        let engine = crate::Engine::new(&runtime::Options::default(), Services::default()).expect("an engine");
        let loaded = crate::Module::new(&engine, module)?;
        assert_eq!(loaded.executor(), Executor::Direct);
        Ok(())
    }

    #[test]
    fn types_that_are_the_same_in_calls_and_mean_something_else_are_refused() {
        let same = module("same", "interface log {", "interface log {");
        loaded(&same).expect("the contract itself");
        compile(&same, Processors::All).expect("the contract itself");
        let refused = |name: &str, from: &str, to: &str| {
            let module = module(name, from, to);
            match (loaded(&module), compile(&module, Processors::All)) {
                (Err(Reason::Type(why)), Err(Reason::Type(again))) if why == again => why,
                other => panic!("{other:?}"),
            }
        };
        let why = refused(
            "export",
            "upstream: name,\n        endpoint: name,\n    }\n\n    on-response",
            "endpoint: name,\n        upstream: name,\n    }\n\n    on-response",
        );
        assert!(why.starts_with("response-filter.on-response has another type"), "{why}");
        let why = refused(
            "import",
            "write: func(level: level, message: string)",
            "write: func(level: level, message: list<u8>)",
        );
        assert!(why.contains("palisade:plugin/log@0.1.0"), "{why}");
    }
}
