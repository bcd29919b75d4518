//! A plugin file, checked and compiled.

use std::sync::Arc;

use palisade_contract::Phase;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre};

use crate::manifest::{ABI, ASYNC_REQUEST_FILTER, Manifest, PACKAGE};
use crate::runtime::Engine;
use crate::state::State;
use crate::{Reason, compiler, host};

/// A plugin file, checked and compiled. Cheap to clone, shared by every plugin that is made of it.
#[derive(Clone)]
pub struct Module {
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) code: Code,
    file: Arc<[u8]>,
}

impl std::fmt::Debug for Module {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_tuple("Module").field(&self.manifest).finish()
    }
}

/// A component that is compiled and linked: what instances are made of.
#[derive(Clone)]
pub(crate) struct Code {
    pub(crate) pre: InstancePre<State>,
    pub(crate) exports: Exports,
}

impl std::fmt::Debug for Code {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Code").finish_non_exhaustive()
    }
}

impl Code {
    /// # Errors
    /// An import or export has a type that is not the contract's.
    pub(crate) fn new(engine: &Engine, component: &Component, manifest: &Manifest) -> Result<Self, Reason> {
        Ok(Self { exports: Exports::of(component, manifest)?, pre: link(engine, component)? })
    }
}

/// Where a component's functions are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exports {
    pub(crate) configure: ComponentExportIndex,
    pub(crate) settings_schema: ComponentExportIndex,
    pub(crate) connection: Option<ComponentExportIndex>,
    pub(crate) request: Option<RequestExports>,
    pub(crate) request_body: Option<BodyExports>,
    pub(crate) response: Option<ComponentExportIndex>,
    pub(crate) response_body: Option<BodyExports>,
    pub(crate) stream: Option<StreamExports>,
    pub(crate) pick: Option<ComponentExportIndex>,
    pub(crate) begun: Option<ComponentExportIndex>,
    pub(crate) ended: Option<ComponentExportIndex>,
    pub(crate) tick: Option<ComponentExportIndex>,
}

/// Where the functions of a filter of requests are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RequestExports {
    /// One that decides at once.
    Sync(ComponentExportIndex),
    /// One that may wait.
    Async { on_request: ComponentExportIndex, resume: ComponentExportIndex, on_left: ComponentExportIndex },
}

/// Where the functions of one filter of bodies are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyExports {
    pub(crate) on_body: ComponentExportIndex,
    pub(crate) on_piece: ComponentExportIndex,
    pub(crate) on_left: ComponentExportIndex,
}

/// Where the functions of a filter of streams are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamExports {
    pub(crate) on_open: ComponentExportIndex,
    pub(crate) on_bytes: ComponentExportIndex,
    pub(crate) on_left: ComponentExportIndex,
}

impl Module {
    /// Checks a plugin file and compiles it, or takes its code from the cache. Takes milliseconds to seconds of one
    /// thread's time: never on a worker.
    ///
    /// In a build without the feature `compiler`, the machine code that the file carries is what runs, unchecked: these have to be the bytes of
    /// somebody whose programs you would run.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn new(engine: &Engine, bytes: &[u8]) -> Result<Self, Reason> {
        let manifest = Manifest::read(bytes)?;
        let compile = || compiler::code(&engine.wasmtime, bytes, manifest.form);
        let component = engine.cache.component(&engine.wasmtime, &manifest.sha256, compile)?;
        let code = Code::new(engine, &component, &manifest)?;
        Ok(Self { code, manifest: manifest.into(), file: bytes.into() })
    }

    /// The same module for another engine; its code is taken from the cache.
    ///
    /// # Errors
    /// That engine does not take it.
    pub(crate) fn again(&self, engine: &Engine) -> Result<Self, Reason> {
        Self::new(engine, &self.file)
    }

    /// What the file says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The bytes of the file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.file
    }
}

fn link(engine: &Engine, component: &Component) -> Result<InstancePre<State>, Reason> {
    let imports = component.component_type();
    let wasi: Vec<String> = imports
        .imports(&engine.wasmtime)
        .map(|(name, _)| name.to_owned())
        .filter(|name| name.starts_with("wasi:"))
        .collect();
    let no_fit = |error: wasmtime::Error| Reason::Type(format!("{error:#}"));
    if wasi.is_empty() {
        return engine.linker.instantiate_pre(component).map_err(no_fit);
    }
    let mut linker = engine.linker.as_ref().clone();
    host::wasi::add(&mut linker, &wasi)
        .and_then(|()| linker.define_unknown_imports_as_traps(component))
        .and_then(|()| linker.instantiate_pre(component))
        .map_err(no_fit)
}

impl Exports {
    fn of(component: &Component, manifest: &Manifest) -> Result<Self, Reason> {
        let phases = manifest.phases;
        let find = |interface: &str, function: &str| {
            let interface = format!("{PACKAGE}/{interface}@{ABI}");
            let instance = component.get_export_index(None, &interface);
            instance
                .and_then(|instance| component.get_export_index(Some(&instance), function))
                .ok_or_else(|| Reason::Type(format!("{interface:?} has no function {function:?}")))
        };
        let in_phase =
            |phase: Phase, function: &str| phases.has(phase).then(|| find(phase.as_str(), function)).transpose();
        let body = |phase: Phase| -> Result<Option<BodyExports>, Reason> {
            let functions = in_phase(phase, "on-body")?.zip(in_phase(phase, "on-piece")?);
            let functions = functions.zip(in_phase(phase, "on-left")?);
            Ok(functions.map(|((on_body, on_piece), on_left)| BodyExports { on_body, on_piece, on_left }))
        };
        let stream = in_phase(Phase::Stream, "on-open")?.zip(in_phase(Phase::Stream, "on-bytes")?);
        let stream = stream.zip(in_phase(Phase::Stream, "on-left")?);
        Ok(Self {
            configure: find("lifecycle", "configure")?,
            settings_schema: find("lifecycle", "settings-schema")?,
            connection: in_phase(Phase::Connection, "on-connection")?,
            request: if manifest.waits {
                let find = |function| find(ASYNC_REQUEST_FILTER, function);
                let (on_request, resume, on_left) = (find("on-request")?, find("resume")?, find("on-left")?);
                Some(RequestExports::Async { on_request, resume, on_left })
            } else {
                in_phase(Phase::Request, "on-request")?.map(RequestExports::Sync)
            },
            request_body: body(Phase::RequestBody)?,
            response: in_phase(Phase::Response, "on-response")?,
            response_body: body(Phase::ResponseBody)?,
            stream: stream.map(|((on_open, on_bytes), on_left)| StreamExports { on_open, on_bytes, on_left }),
            pick: in_phase(Phase::Balance, "pick")?,
            begun: in_phase(Phase::Observe, "on-begun")?,
            ended: in_phase(Phase::Observe, "on-ended")?,
            tick: in_phase(Phase::Tick, "on-tick")?,
        })
    }
}
