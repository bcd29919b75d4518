//! The direct executor: a plugin's core module, linked with the host's functions by hand.
//!
//! What the SDK makes is a core module that says which component it is to be. wasmtime's component runtime calls such a plugin through
//! what is common to all components: options, resources and handles, looked up for each call. The contract has none of them but
//! numbers, texts, lists and records, so here they are passed as the Canonical ABI says, in the module's own functions. Results, traps and limits are the
//! same; what a call costs beside the guest's own work is less than half.
//!
//! Everything that comes from a guest is checked as wasmtime checks it: places to be within memory and aligned, texts to be UTF-8, cases
//! to be there. Nothing of it is trusted.

mod arrival;
mod call;
mod layout;
mod lift;
mod lower;
mod record;

use wasmtime::{Func, Instance, InstancePre, Linker, Module, ModuleExport, Store};

use crate::Reason;
use crate::manifest::{ABI, PACKAGE};
use crate::state::State;

use arrival::Arrival;
pub(crate) use call::{Arguments, Function, Outcome, Parameters, Returned, host_call, host_type};
pub(crate) use layout::{Core, Layout, aligned, larger, list, payload};
pub(crate) use lift::{Lift, Passed, Span, bytes, bytes_at, case, flat_case, list as list_of, list_at, no_case};
pub(crate) use lower::{Fixed, Lower, Passage, Passing, push_case};
pub(crate) use record::{cases, fixed, layout, lifted, lowered, record, variant};

/// What a guest's memory and its allocator are called.
pub(crate) const MEMORY: &str = "memory";
pub(crate) const REALLOC: &str = "cabi_realloc";

/// What a guest calls the place that the host may put into what a call comes with.
const ARRIVAL: &str = "palisade_arrival";

/// What a module exports that is to be called before anything else.
const INITIALIZE: &str = "_initialize";

/// A core module that is compiled and linked.
#[derive(Clone)]
pub(crate) struct Code {
    pub(crate) pre: InstancePre<State>,
    memory: ModuleExport,
    realloc: ModuleExport,
    arrival: Option<ModuleExport>,
    initialize: Option<ModuleExport>,
}

/// Where a function of a module is, and what is to be called when its result was taken.
#[derive(Clone, Copy)]
pub(crate) struct Export {
    function: ModuleExport,
    post: Option<ModuleExport>,
}

impl Code {
    /// # Errors
    /// It imports a function by another type than the contract's.
    pub(crate) fn new(linker: &Linker<State>, module: &Module) -> Result<Self, Reason> {
        let pre = linker.instantiate_pre(module).map_err(|error| Reason::Type(format!("{error:#}")))?;
        let find = |name: &str| {
            module.get_export_index(name).ok_or_else(|| Reason::Type(format!("it does not export \"{name}\"")))
        };
        let (memory, realloc) = (find(MEMORY)?, find(REALLOC)?);
        let (arrival, initialize) = (module.get_export_index(ARRIVAL), module.get_export_index(INITIALIZE));
        Ok(Self { pre, memory, realloc, arrival, initialize })
    }

    /// The function of this interface of the contract's.
    pub(crate) fn find(&self, interface: &str, function: &str) -> Option<Export> {
        let name = format!("{PACKAGE}/{interface}@{ABI}#{function}");
        let module = self.pre.module();
        let post = module.get_export_index(&format!("cabi_post_{name}"));
        module.get_export_index(&name).map(|function| Export { function, post })
    }

    /// A fresh instance.
    ///
    /// # Errors
    /// There is no room for it, its own start traps, or its allocator has another type.
    pub(crate) fn instantiate(&self, store: &mut Store<State>) -> wasmtime::Result<Instance> {
        let instance = self.pre.instantiate(&mut *store)?;
        let other = |name: &str| wasmtime::format_err!("\"{name}\" is something else");
        let memory = instance.get_module_export(&mut *store, &self.memory).and_then(wasmtime::Extern::into_memory);
        let memory = memory.ok_or_else(|| other(MEMORY))?;
        let realloc = function(&instance, store, &self.realloc).ok_or_else(|| other(REALLOC))?;
        call::expect(store, realloc, (&[Core::I32; 4], &[Core::I32]))?;
        let arrival = self.arrival.as_ref().and_then(|arrival| {
            let at = instance.get_module_export(&mut *store, arrival)?.into_global()?.get(&mut *store).i32()?;
            Arrival::find(memory.data(&*store), at.cast_unsigned())
        });
        store.data_mut().passage = Some(Passage { memory, realloc, arrival });
        if let Some(initialize) = &self.initialize {
            let initialize = function(&instance, store, initialize).ok_or_else(|| other(INITIALIZE))?;
            initialize.typed::<(), ()>(&*store)?.call(&mut *store, ())?;
        }
        Ok(instance)
    }
}

fn function(instance: &Instance, store: &mut Store<State>, export: &ModuleExport) -> Option<Func> {
    instance.get_module_export(&mut *store, export)?.into_func()
}

impl Export {
    /// The function of an instance.
    ///
    /// # Errors
    /// It has another type.
    pub(crate) fn of<P: Arguments, R: Outcome>(
        self,
        instance: &Instance,
        store: &mut Store<State>,
    ) -> wasmtime::Result<Function<P, R>> {
        let no_function = || wasmtime::format_err!("it is no function");
        let called = function(instance, store, &self.function).ok_or_else(no_function)?;
        let post = self.post.map(|post| function(instance, store, &post).ok_or_else(no_function)).transpose()?;
        Function::new(store, called, post)
    }
}
