//! Calls into a guest, and its calls into the host, with nothing in between but the core values.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use wasmtime::{AsContextMut, Engine, Func, FuncType, Result, Store, ValRaw, ValType, bail, format_err};

use super::layout::Core;
use super::lift::{Lift, Passed};
use super::lower::{FLAT_MAX, Lower, Passing, no_values};
use crate::host::Guest;
use crate::state::State;

/// What a function of a guest is called with.
pub(crate) trait Arguments {
    const FLAT: usize;
    fn flatten(into: &mut Vec<Core>);
    fn lower(&self, passing: &mut Passing<'_>) -> Result<()>;
}

/// What a function of the host is called with.
pub(crate) trait Parameters: Sized {
    const FLAT: usize;
    fn flatten(into: &mut Vec<Core>);
    fn lift(passed: &mut Passed<'_>) -> Result<Self>;
}

macro_rules! tuples {
    ($(($($name:ident $value:ident),+))+) => {
        $(
            impl<$($name: Lower),+> Arguments for ($($name,)+) {
                const FLAT: usize = 0 $(+ $name::FLAT)+;

                fn flatten(into: &mut Vec<Core>) {
                    $($name::flatten(into);)+
                }

                #[inline]
                fn lower(&self, passing: &mut Passing<'_>) -> Result<()> {
                    let ($($value,)+) = self;
                    $($value.lower(passing)?;)+
                    Ok(())
                }
            }

            impl<$($name: Lift),+> Parameters for ($($name,)+) {
                const FLAT: usize = 0 $(+ $name::FLAT)+;

                fn flatten(into: &mut Vec<Core>) {
                    $($name::flatten(into);)+
                }

                #[inline]
                fn lift(passed: &mut Passed<'_>) -> Result<Self> {
                    Ok(($($name::lift(passed)?,)+))
                }
            }
        )+
    };
}

tuples! { (A a) (A a, B b) (A a, B b, C c) (A a, B b, C c, D d) (A a, B b, C c, D d, E e) }

impl Arguments for () {
    const FLAT: usize = 0;

    fn flatten(_: &mut Vec<Core>) {}

    fn lower(&self, _: &mut Passing<'_>) -> Result<()> {
        Ok(())
    }
}

impl Parameters for () {
    const FLAT: usize = 0;

    fn flatten(_: &mut Vec<Core>) {}

    fn lift(_: &mut Passed<'_>) -> Result<Self> {
        Ok(())
    }
}

/// What a function of a guest gives: nothing or one value; one that is more than one core value comes through memory.
pub(crate) trait Outcome: Sized {
    fn flatten(into: &mut Vec<Core>);
    fn take(passed: &mut Passed<'_>) -> Result<Self>;
}

/// What a function of the host gives, likewise.
pub(crate) trait Returned {
    const FLAT: usize;
    fn flatten(into: &mut Vec<Core>);
    fn give(&self, passing: &mut Passing<'_>, place: Option<u32>) -> Result<()>;
}

impl Outcome for () {
    fn flatten(_: &mut Vec<Core>) {}

    fn take(_: &mut Passed<'_>) -> Result<Self> {
        Ok(())
    }
}

impl<T: Lift> Outcome for (T,) {
    fn flatten(into: &mut Vec<Core>) {
        T::flatten(into);
    }

    #[inline]
    fn take(passed: &mut Passed<'_>) -> Result<Self> {
        Ok((if T::FLAT > 1 { passed.result()? } else { T::lift(passed)? },))
    }
}

impl Returned for () {
    const FLAT: usize = 0;

    fn flatten(_: &mut Vec<Core>) {}

    fn give(&self, _: &mut Passing<'_>, _: Option<u32>) -> Result<()> {
        Ok(())
    }
}

impl<T: Lower> Returned for (T,) {
    const FLAT: usize = T::FLAT;

    fn flatten(into: &mut Vec<Core>) {
        T::flatten(into);
    }

    #[inline]
    fn give(&self, passing: &mut Passing<'_>, place: Option<u32>) -> Result<()> {
        match place {
            Some(place) => passing.result(&self.0, place),
            None => self.0.lower(passing),
        }
    }
}

fn types(values: &[Core]) -> impl Iterator<Item = ValType> {
    values.iter().map(|value| match value {
        Core::I32 => ValType::I32,
        Core::I64 => ValType::I64,
        Core::F64 => ValType::F64,
    })
}

/// # Errors
/// The function has another type than these.
pub(super) fn expect(store: &Store<State>, function: Func, (parameters, results): (&[Core], &[Core])) -> Result<()> {
    let found = function.ty(store);
    let is = |values: &[Core], found: &mut dyn Iterator<Item = ValType>| {
        found.map(|found| core(&found)).eq(values.iter().copied().map(Some))
    };
    if is(parameters, &mut found.params()) && is(results, &mut found.results()) {
        return Ok(());
    }
    bail!("expected parameters {parameters:?} and results {results:?}, found {found}")
}

fn core(found: &ValType) -> Option<Core> {
    match found {
        ValType::I32 => Some(Core::I32),
        ValType::I64 => Some(Core::I64),
        ValType::F64 => Some(Core::F64),
        ValType::F32 | ValType::V128 | ValType::Ref(_) => None,
    }
}

/// One function of a guest's instance.
pub(crate) struct Function<P, R> {
    function: Func,
    /// Told when its result was taken.
    post: Option<Func>,
    passes: PhantomData<(P, R)>,
}

impl<P, R> Clone for Function<P, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P, R> Copy for Function<P, R> {}

impl<P: Arguments, R: Outcome> Function<P, R> {
    /// # Errors
    /// The function has another type.
    pub(crate) fn new(store: &Store<State>, function: Func, post: Option<Func>) -> Result<Self> {
        const { assert!(P::FLAT <= FLAT_MAX, "passed through memory, which nothing of the contract is") };
        let (mut parameters, mut results) = (Vec::new(), Vec::new());
        P::flatten(&mut parameters);
        R::flatten(&mut results);
        if results.len() > 1 {
            results = vec![Core::I32];
        }
        expect(store, function, (&parameters, &results))?;
        if let Some(post) = post {
            expect(store, post, (&results, &[]))?;
        }
        Ok(Self { function, post, passes: PhantomData })
    }

    /// # Errors
    /// The guest traps, or what it gives is no result.
    #[expect(unsafe_code, reason = "wasmtime checks the types of no call that is made of core values")]
    pub(crate) fn call(self, store: &mut Store<State>, arguments: &P) -> Result<R> {
        let passage = store.data().passage.ok_or_else(no_passage)?;
        let mut values = no_values();
        arguments.lower(&mut Passing::new(store.as_context_mut(), passage, &mut values))?;
        // SAFETY: the function has the type that `P` and `R` flatten to, which `new` has seen; there are as many values as any such call
        // has, all of them numbers; the store is the one that `new` found the function in, because both are one `Instance`'s.
        unsafe { self.function.call_unchecked(&mut *store, &raw mut values[..]) }?;
        let result = R::take(&mut Passed::new(&values, passage.memory.data(&*store)));
        if let Some(post) = self.post {
            store.data_mut().may_call = false;
            // SAFETY: as above; its one parameter is the result that the values begin with.
            let told = unsafe { post.call_unchecked(&mut *store, &raw mut values[..]) };
            store.data_mut().may_call = true;
            told?;
        }
        result
    }
}

fn no_passage() -> wasmtime::Error {
    format_err!("a call while the instance is not made yet")
}

/// The core type of a function of the host.
pub(crate) fn host_type<P: Parameters, R: Returned>(engine: &Engine) -> FuncType {
    let (mut parameters, mut results) = (Vec::new(), Vec::new());
    P::flatten(&mut parameters);
    R::flatten(&mut results);
    if results.len() > 1 {
        // Where the guest wants the result.
        parameters.push(Core::I32);
        results.clear();
    }
    FuncType::new(engine, types(&parameters), types(&results))
}

/// A guest calls a function of the host whose type is [`host_type`].
///
/// # Errors
/// The guest passes what is no such value, or the function fails: it traps.
#[expect(unsafe_code, reason = "wasmtime says by the function's type alone which values are there")]
pub(crate) fn host_call<P: Parameters, R: Returned>(
    mut guest: Guest<'_>,
    values: &mut [MaybeUninit<ValRaw>],
    function: impl FnOnce(Guest<'_>, P) -> Result<R>,
) -> Result<()> {
    let passage = guest.data().passage.ok_or_else(no_passage)?;
    if !guest.data().may_call {
        bail!("cannot leave component instance");
    }
    let passed = if R::FLAT > 1 { P::FLAT + 1 } else { P::FLAT };
    let Some(given) = values.get(..passed) else { bail!("a call with too few values") };
    // SAFETY: wasmtime has written all parameters of the function's type, and this is how many that has.
    let given = unsafe { given.assume_init_ref() };
    let place = given.get(P::FLAT).map(ValRaw::get_u32);
    let parameters = P::lift(&mut Passed::new(given, passage.memory.data(&guest)))?;
    let returned = function(guest.as_context_mut(), parameters)?;
    let mut results = no_values();
    returned.give(&mut Passing::new(guest, passage, &mut results), place)?;
    if let (1, [first, ..]) = (R::FLAT, results) {
        values.first_mut().ok_or_else(|| format_err!("a call without a place for its result"))?.write(first);
    }
    Ok(())
}
