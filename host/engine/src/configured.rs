//! A plugin and its settings in; the component that it is once it is configured, out.
//!
//! The component, or the core module, is instrumented so that its memories and globals can be read, instantiated, configured, and written down
//! again with those memories and globals as they are now (the method of Wizer; its library does the rewriting).
//!
//! Not every component can be treated so, and one that asked for the time or for random numbers while it was configured
//! must not be.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use palisade_config::PluginLimits;
use wasmtime::component::{self, ComponentNamedList, Lift, WasmList};
use wasmtime::{Store, Val};
use wasmtime_wizer::{ComponentInstanceState, InstanceState, SnapshotVal, Wizer};

use crate::compiled::Executor;
use crate::image::Setup;
use crate::instance::{Instance, Raw};
use crate::module::{Code, Module};
use crate::runtime::{Engine, ticks};
use crate::state::{Identity, State};
use crate::{Reason, compiler};

/// How long reading one memory or global may take.
const READ_DEADLINE: Duration = Duration::from_secs(10);

/// Reading a memory takes a page more than the plugin has.
const PAGE_BYTES: usize = 64 << 10;

/// The component that the configured plugin is, and what it declared; none if it cannot be written down.
pub(crate) fn configured(
    engine: &Engine,
    module: &Module,
    identity: &Arc<Identity>,
    (limits, settings): (&PluginLimits, &str),
) -> Result<Option<(Vec<u8>, Setup)>, Reason> {
    let wizer = || {
        let mut wizer = Wizer::new();
        wizer.keep_init_func(true);
        wizer
    };
    match module.executor() {
        Executor::Component => {
            let component = compiler::componentize(module.bytes(), module.manifest.form)?;
            let Some((context, instrumented)) = attempt(|| wizer().instrument_component(&component)) else {
                return Ok(None);
            };
            let Some(instance) = run(engine, module, identity, (limits, settings), &instrumented)? else {
                return Ok(None);
            };
            Ok(written_down(instance, |reader| now(wizer().snapshot_component(&context, reader))))
        }
        Executor::Direct => {
            let Some((context, instrumented)) = attempt(|| wizer().instrument(module.bytes())) else {
                return Ok(None);
            };
            let Some(instance) = run(engine, module, identity, (limits, settings), &instrumented)? else {
                return Ok(None);
            };
            Ok(written_down(instance, |reader| now(wizer().snapshot(&context, reader))))
        }
    }
}

/// An instance of the instrumented plugin, configured; none where what it asked for keeps it from being written down.
fn run(
    engine: &Engine,
    module: &Module,
    identity: &Arc<Identity>,
    (limits, settings): (&PluginLimits, &str),
    instrumented: &[u8],
) -> Result<Option<Instance>, Reason> {
    let compiled = compiler::image(&engine.wasmtime, instrumented, module.executor());
    let Ok(code) = compiled.and_then(|compiled| Code::new(engine, &compiled, &module.manifest)) else {
        return Ok(None);
    };
    let limits = PluginLimits { memory_bytes: limits.memory_bytes.saturating_add(PAGE_BYTES), ..*limits };
    let instance = Instance::configured(&code, identity, limits, settings).map_err(Reason::from)?;
    if instance.store.data().told_of_now {
        tracing::debug!(plugin = identity.name, "asked for the time or for chance while it was configured: no image");
        return Ok(None);
    }
    Ok(Some(instance))
}

/// The instance as it is now, and what it declared.
fn written_down(
    instance: Instance,
    snapshot: impl FnOnce(&mut Reader) -> wasmtime::Result<Vec<u8>>,
) -> Option<(Vec<u8>, Setup)> {
    let setup = Setup::of(instance.store.data());
    let mut reader = Reader { instance, error: None };
    match (attempt(|| snapshot(&mut reader)), reader.error) {
        (Some(image), None) => Some((image, setup)),
        (_, error) => {
            let plugin = &reader.instance.store.data().identity.name;
            tracing::debug!(plugin, ?error, "the configured plugin cannot be written down: no image");
            None
        }
    }
}

impl Setup {
    /// What an instance has declared.
    fn of(state: &State) -> Self {
        Self {
            hot_headers: state.hot_headers.iter().map(ToString::to_string).collect(),
            meters: state.meters.calls(),
            tick_interval: state.tick_interval,
        }
    }
}

/// The library was written for trusted input: what it refuses, or even panics over, has no image.
fn attempt<T>(work: impl FnOnce() -> wasmtime::Result<T>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()?.inspect_err(|error| tracing::debug!("no image: {error:#}")).ok()
}

/// The result of a future that has nothing to wait for.
fn now<T>(future: impl Future<Output = wasmtime::Result<T>>) -> wasmtime::Result<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => wasmtime::bail!("reading an instance waits for something"),
    }
}

/// Reads the instance's memories and globals through what the instrumentation exports.
struct Reader {
    instance: Instance,
    error: Option<wasmtime::Error>,
}

impl Reader {
    fn read<R: Lift + 'static, T: Default>(
        &mut self,
        (interface, function): (&str, &str),
        take: impl FnOnce(&Store<State>, R) -> T,
    ) -> T
    where
        (R,): ComponentNamedList + Lift,
    {
        match self.call(interface, function) {
            Ok(read) => take(&self.instance.store, read),
            Err(error) => {
                self.error.get_or_insert(error);
                T::default()
            }
        }
    }

    fn call<R: Lift + 'static>(&mut self, interface: &str, function: &str) -> wasmtime::Result<R>
    where
        (R,): ComponentNamedList + Lift,
    {
        let missing = || wasmtime::format_err!("there is no {interface}#{function}");
        let Instance { store, raw: Raw::Component(raw), .. } = &mut self.instance else { return Err(missing()) };
        let (_, interface) = raw.get_export(&mut *store, None, interface).ok_or_else(missing)?;
        let (_, function) = raw.get_export(&mut *store, Some(&interface), function).ok_or_else(missing)?;
        // A memory is read as one list, however large it may be.
        store.set_hostcall_fuel(usize::MAX);
        store.set_epoch_deadline(ticks(READ_DEADLINE));
        let function: component::TypedFunc<(), (R,)> = raw.get_typed_func(&mut *store, function)?;
        Ok(function.call(&mut *store, ())?.0)
    }
}

impl ComponentInstanceState for Reader {
    async fn call_func_ret_list_u8(&mut self, instance: &str, func: &str, contents: impl FnOnce(&[u8]) + Send) {
        self.read((instance, func), |store, list: WasmList<u8>| contents(list.as_le_slice(store)));
    }

    async fn call_func_ret_s32(&mut self, instance: &str, func: &str) -> i32 {
        self.read((instance, func), |_, value| value)
    }

    async fn call_func_ret_s64(&mut self, instance: &str, func: &str) -> i64 {
        self.read((instance, func), |_, value| value)
    }

    async fn call_func_ret_f32(&mut self, instance: &str, func: &str) -> u32 {
        self.read((instance, func), |_, value: f32| value.to_bits())
    }

    async fn call_func_ret_f64(&mut self, instance: &str, func: &str) -> u64 {
        self.read((instance, func), |_, value: f64| value.to_bits())
    }
}

impl InstanceState for Reader {
    async fn global_get(&mut self, name: &str, _: wasmparser::ValType) -> SnapshotVal {
        let Instance { store, raw, .. } = &mut self.instance;
        let global = match raw {
            Raw::Direct(raw) => raw.get_global(&mut *store, name).map(|global| global.get(&mut *store)),
            Raw::Component(_) => None,
        };
        match global {
            Some(Val::I32(value)) => SnapshotVal::I32(value),
            Some(Val::I64(value)) => SnapshotVal::I64(value),
            Some(Val::F32(value)) => SnapshotVal::F32(value),
            Some(Val::F64(value)) => SnapshotVal::F64(value),
            Some(Val::V128(value)) => SnapshotVal::V128(value.as_u128()),
            other => {
                self.error.get_or_insert(wasmtime::format_err!("the global {name} is {other:?}"));
                SnapshotVal::I32(0)
            }
        }
    }

    async fn memory_contents(&mut self, name: &str, contents: impl FnOnce(&[u8]) + Send) {
        let Instance { store, raw, .. } = &mut self.instance;
        let memory = match raw {
            Raw::Direct(raw) => raw.get_memory(&mut *store, name),
            Raw::Component(_) => None,
        };
        match memory {
            Some(memory) => contents(memory.data(&*store)),
            None => {
                self.error.get_or_insert(wasmtime::format_err!("there is no memory {name}"));
                contents(&[]);
            }
        }
    }
}
