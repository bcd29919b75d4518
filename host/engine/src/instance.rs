//! Live memory: one instance of a configured plugin, and its functions.

use std::sync::Arc;
use std::time::Duration;

use palisade_config::PluginLimits;
use palisade_contract::{Failure, Phase, Reply};
use wasmtime::{Store, component};

use crate::failure;
use crate::functions::{Arguments, Function, Functions, Lifecycle, Outcome, RequestFunctions, lifecycle};
use crate::image::Setup;
use crate::module::Code;
use crate::pool;
use crate::runtime::ticks;
use crate::state::{Identity, Stage, State};

/// Bytes that one host call may copy out of a guest: lists can claim far more than the guest has.
pub(crate) const HOST_CALL_BYTES_MAX: usize = 16 << 20;

/// One instance of a plugin: its memory, and its functions ready to be called.
pub(crate) struct Instance {
    pub(crate) store: Store<State>,
    /// Which of the plugin's instances it is: no other one ever has the same number.
    pub(crate) number: u64,
    pub(crate) functions: Functions,
    pub(crate) raw: Raw,
    limits: PluginLimits,
    deadline_ticks: u64,
    memory_bytes: usize,
}

/// An instance as wasmtime knows it.
#[derive(Clone, Copy)]
pub(crate) enum Raw {
    Component(component::Instance),
    Direct(wasmtime::Instance),
}

/// Why there is no instance.
pub(crate) enum StartError {
    /// It failed while it started or was configured.
    Failed(Failure),
    /// It refuses its settings, with this sentence.
    Refused(String),
    /// An export has another type than the contract's.
    Type(String),
    /// It was to be in the pool, and no slot there is free.
    PoolIsFull,
}

impl Instance {
    /// Instantiates the code and configures the instance, each within the limits.
    pub(crate) fn configured(
        code: &Code,
        identity: &Arc<Identity>,
        limits: PluginLimits,
        settings: &str,
    ) -> Result<Self, StartError> {
        let mut instance = Self::instantiate(code, identity, limits)?;
        let Lifecycle { configure, .. } = instance.lifecycle(code)?;
        instance.store.data_mut().stage = Stage::Configure;
        instance.store.set_epoch_deadline(ticks(limits.configure_deadline));
        let configured = configure.call(&mut instance.store, (settings,));
        instance.store.data_mut().stage = Stage::Idle;
        instance.measure();
        match configured {
            Ok((Ok(()),)) => Ok(instance),
            Ok((Err(sentence),)) => Err(StartError::Refused(sentence)),
            Err(error) => Err(StartError::Failed(instance.failure(&error, limits.configure_deadline))),
        }
    }

    /// Instantiates code that is as `configure` left it, and declares what it declared.
    pub(crate) fn of_image(
        code: &Code,
        identity: &Arc<Identity>,
        limits: PluginLimits,
        setup: &Setup,
    ) -> Result<Self, StartError> {
        let mut instance = Self::instantiate(code, identity, limits)?;
        setup.repeat(instance.store.data_mut()).map_err(StartError::Refused)?;
        instance.measure();
        Ok(instance)
    }

    /// The plugin's settings schema, as it tells it before it is configured.
    pub(crate) fn settings_schema(
        code: &Code,
        identity: &Arc<Identity>,
        limits: PluginLimits,
    ) -> Result<String, StartError> {
        let mut instance = Self::instantiate(code, identity, limits)?;
        let Lifecycle { settings_schema, .. } = instance.lifecycle(code)?;
        instance.store.set_epoch_deadline(ticks(limits.configure_deadline));
        settings_schema
            .call(&mut instance.store, ())
            .map(|(schema,)| schema)
            .map_err(|error| StartError::Failed(instance.failure(&error, limits.configure_deadline)))
    }

    /// That each function has the contract's type.
    pub(crate) fn expect_types(code: &Code, identity: &Arc<Identity>, limits: PluginLimits) -> Result<(), StartError> {
        Self::instantiate(code, identity, limits)?.lifecycle(code).map(drop)
    }

    fn instantiate(code: &Code, identity: &Arc<Identity>, limits: PluginLimits) -> Result<Self, StartError> {
        let mut store = Store::new(code.engine(), State::new(identity, limits));
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(HOST_CALL_BYTES_MAX);
        store.set_epoch_deadline(ticks(limits.configure_deadline));
        let raw = match code {
            Code::Component { pre, .. } => pre.instantiate(&mut store).map(Raw::Component),
            Code::Direct { code, .. } => code.instantiate(&mut store).map(Raw::Direct),
        };
        let raw = raw.map_err(|error| {
            if pool::is_full(&error) {
                return StartError::PoolIsFull;
            }
            let state = store.data_mut();
            StartError::Failed(failure::of(&error, state, limits.configure_deadline, limits.memory_bytes))
        })?;
        let functions = match (code, &raw) {
            (Code::Component { exports, .. }, Raw::Component(raw)) => Functions::of(&mut store, raw, exports)?,
            (Code::Direct { exports, .. }, Raw::Direct(raw)) => Functions::of(&mut store, raw, exports)?,
            (Code::Component { .. }, Raw::Direct(_)) | (Code::Direct { .. }, Raw::Component(_)) => {
                return Err(other_executor());
            }
        };
        store.data_mut().can_wait = matches!(functions.request, Some(RequestFunctions::Async { .. }));
        let deadline_ticks = ticks(limits.deadline);
        let number = identity.stats.instance_made();
        Ok(Self { store, number, functions, raw, limits, deadline_ticks, memory_bytes: 0 })
    }

    /// The functions of `lifecycle`.
    fn lifecycle(&mut self, code: &Code) -> Result<Lifecycle, StartError> {
        match (code, &self.raw) {
            (Code::Component { exports, .. }, Raw::Component(raw)) => lifecycle(&mut self.store, raw, exports),
            (Code::Direct { exports, .. }, Raw::Direct(raw)) => lifecycle(&mut self.store, raw, exports),
            (Code::Component { .. }, Raw::Direct(_)) | (Code::Direct { .. }, Raw::Component(_)) => {
                Err(other_executor())
            }
        }
    }

    /// Calls one of the functions for a phase, within the deadline of a call.
    pub(crate) fn call<P: Arguments, R: Outcome>(
        &mut self,
        phase: Phase,
        function: Function<P, R>,
        arguments: P,
    ) -> Result<R, Failure> {
        self.store.set_epoch_deadline(self.deadline_ticks);
        self.store.data_mut().stage = Stage::Phase(phase);
        // What an earlier call prepared and did not send is not this one's to send.
        self.store.data_mut().reply = None;
        let result = function.call(&mut self.store, arguments);
        self.store.data_mut().stage = Stage::Idle;
        match result {
            Ok(result) => Ok(result),
            Err(error) => Err(self.failure(&error, self.limits.deadline)),
        }
    }

    /// The reply that the guest prepared, for a call that said to send it.
    ///
    /// # Errors
    /// It prepared none.
    pub(crate) fn reply(&mut self) -> Result<Box<Reply>, Failure> {
        let absurd = || Failure::Absurd("the verdict is to reply, and no reply was prepared".into());
        self.store.data_mut().reply.take().map(Box::new).ok_or_else(absurd)
    }

    /// The sentence that the guest reported, for a call that said that it failed.
    pub(crate) fn reported(&mut self) -> Failure {
        Failure::Reported(self.store.data_mut().fault.take().unwrap_or_else(|| "without a reason".into()))
    }

    /// Brings the plugin's memory figure up to date with this instance.
    pub(crate) fn measure(&mut self) {
        let state = self.store.data();
        let now = state.limiter.memory_bytes();
        if now != self.memory_bytes {
            state.identity.stats.memory_changed(self.memory_bytes, now);
            self.memory_bytes = now;
        }
    }

    fn failure(&mut self, error: &wasmtime::Error, deadline: Duration) -> Failure {
        failure::of(error, self.store.data_mut(), deadline, self.limits.memory_bytes)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let stats = &self.store.data().identity.stats;
        stats.memory_changed(self.memory_bytes, 0);
        stats.instance_gone();
    }
}

/// An instance is made of one code, so it never is.
fn other_executor() -> StartError {
    StartError::Type("the instance is of another executor than its code".into())
}
