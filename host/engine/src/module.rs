//! A plugin file, checked and compiled.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use palisade_contract::Phase;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre};

use crate::compiled::{Compiled, Executor};
use crate::direct;
use crate::manifest::{ABI, ASYNC_REQUEST_FILTER, Manifest, PACKAGE};
use crate::runtime::Engine;
use crate::state::State;
use crate::{Reason, compiler, host};

/// A plugin file, checked and compiled. Cheap to clone, shared by every plugin that is made of it.
#[derive(Clone)]
pub struct Module {
    pub(crate) manifest: Arc<Manifest>,
    executor: Executor,
    /// None while it is set aside.
    code: Arc<Mutex<Option<Code>>>,
    file: Bytes,
}

impl std::fmt::Debug for Module {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_tuple("Module").field(&self.manifest).finish()
    }
}

/// A plugin that is compiled and linked: what instances are made of.
#[derive(Clone)]
pub(crate) enum Code {
    /// As a component.
    Component { pre: InstancePre<State>, exports: Arc<Exports<ComponentExportIndex>> },
    /// As its core module.
    Direct { code: direct::Code, exports: Arc<Exports<direct::Export>> },
}

impl std::fmt::Debug for Code {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Code").finish_non_exhaustive()
    }
}

impl Code {
    /// # Errors
    /// An import or export has a type that is not the contract's.
    pub(crate) fn new(engine: &Engine, compiled: &Compiled, manifest: &Manifest) -> Result<Self, Reason> {
        Ok(match compiled {
            Compiled::Component(component) => {
                let exports = Exports::of(manifest, |interface, function| {
                    let instance = component.get_export_index(None, format!("{PACKAGE}/{interface}@{ABI}"))?;
                    component.get_export_index(Some(&instance), function)
                })?;
                Self::Component { exports: Arc::new(exports), pre: link(engine, component)? }
            }
            Compiled::Module(module) => {
                let code = direct::Code::new(&engine.linkers.direct, module)?;
                let exports = Exports::of(manifest, |interface, function| code.find(interface, function))?;
                Self::Direct { exports: Arc::new(exports), code }
            }
        })
    }

    pub(crate) fn engine(&self) -> &wasmtime::Engine {
        match self {
            Self::Component { pre, .. } => pre.engine(),
            Self::Direct { code, .. } => code.pre.module().engine(),
        }
    }
}

/// Where a plugin's functions are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exports<E> {
    pub(crate) configure: E,
    pub(crate) settings_schema: E,
    pub(crate) connection: Option<E>,
    pub(crate) request: Option<RequestExports<E>>,
    pub(crate) request_body: Option<BodyExports<E>>,
    pub(crate) response: Option<E>,
    pub(crate) response_body: Option<BodyExports<E>>,
    pub(crate) stream: Option<StreamExports<E>>,
    pub(crate) pick: Option<E>,
    pub(crate) begun: Option<E>,
    pub(crate) ended: Option<E>,
    pub(crate) tick: Option<E>,
}

/// Where the functions of a filter of requests are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RequestExports<E> {
    /// One that decides at once.
    Sync(E),
    /// One that may wait.
    Async { on_request: E, resume: E, on_left: E },
}

/// Where the functions of one filter of bodies are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyExports<E> {
    pub(crate) on_body: E,
    pub(crate) on_piece: E,
    pub(crate) on_left: E,
}

/// Where the functions of a filter of streams are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamExports<E> {
    pub(crate) on_open: E,
    pub(crate) on_bytes: E,
    pub(crate) on_left: E,
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
        Self::of(engine, Bytes::copy_from_slice(bytes))
    }

    /// As [`Module::new`], of bytes that are the module's from now on.
    ///
    /// # Errors
    /// Those of [`Module::new`].
    pub(crate) fn of(engine: &Engine, file: Bytes) -> Result<Self, Reason> {
        let manifest = Manifest::read(&file)?;
        let compiled = compiler::code(engine, &file, &manifest)?;
        let code = Code::new(engine, &compiled, &manifest)?;
        let executor = match code {
            Code::Component { .. } => Executor::Component,
            Code::Direct { .. } => Executor::Direct,
        };
        Ok(Self { executor, code: Arc::new(Some(code).into()), manifest: manifest.into(), file })
    }

    /// Its code, for the engine that it was made for; from the cache again where it was set aside.
    ///
    /// # Errors
    /// It is no longer in the cache, and does not compile any more.
    pub(crate) fn code(&self, engine: &Engine) -> Result<Code, Reason> {
        let mut kept = self.code.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(code) = &*kept {
            return Ok(code.clone());
        }
        let code = Code::new(engine, &compiler::code(engine, &self.file, &self.manifest)?, &self.manifest)?;
        Ok(kept.insert(code).clone())
    }

    /// Lets go of its code, where it can be had again from the cache: two megabytes for a plugin of the usual size, which none runs
    /// that starts from an image.
    pub(crate) fn set_aside(&self, engine: &Engine) {
        if engine.cache.keeps() {
            self.code.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }

    /// The same module for another engine; its code is taken from the cache.
    ///
    /// # Errors
    /// That engine does not take it.
    pub(crate) fn again(&self, engine: &Engine) -> Result<Self, Reason> {
        Self::of(engine, self.file.clone())
    }

    /// Which executor runs it.
    #[must_use]
    pub fn executor(&self) -> Executor {
        self.executor
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
        return engine.linkers.component.instantiate_pre(component).map_err(no_fit);
    }
    let mut linker = engine.linkers.component.clone();
    host::wasi::add(&mut linker, &wasi)
        .and_then(|()| linker.define_unknown_imports_as_traps(component))
        .and_then(|()| linker.instantiate_pre(component))
        .map_err(no_fit)
}

impl<E> Exports<E> {
    /// Where `find` finds the functions that a plugin with this manifest has.
    fn of(manifest: &Manifest, find: impl Fn(&str, &str) -> Option<E>) -> Result<Self, Reason> {
        let phases = manifest.phases;
        let find = |interface: &str, function: &str| {
            let missing = || Reason::Type(format!("\"{PACKAGE}/{interface}@{ABI}\" has no function {function:?}"));
            find(interface, function).ok_or_else(missing)
        };
        let in_phase =
            |phase: Phase, function: &str| phases.has(phase).then(|| find(phase.as_str(), function)).transpose();
        let body = |phase: Phase| -> Result<Option<BodyExports<E>>, Reason> {
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
