//! One interface of the contract, as both executors link it.

use wasmtime::component::{ComponentNamedList, Lift, LinkerInstance, Lower};
use wasmtime::{AsContextMut, Linker, Result};

use super::Guest;
use super::values::Argument;
use crate::direct::{self, Parameters, Returned};
use crate::state::State;

/// One interface of the contract, to which functions are added.
pub(crate) struct Interface<'a> {
    pub(super) component: LinkerInstance<'a, State>,
    pub(super) direct: &'a mut Linker<State>,
    pub(super) name: &'a str,
}

/// All arguments of one function.
pub(crate) trait All: Parameters + 'static {
    type Component: ComponentNamedList + Lift + 'static;

    fn of(lifted: Self::Component) -> Self;
}

macro_rules! all {
    ($(($($name:ident $value:ident),+))+) => {
        $(impl<$($name: Argument + 'static),+> All for ($($name,)+) {
            type Component = ($($name::Component,)+);

            #[inline]
            fn of(($($value,)+): Self::Component) -> Self {
                ($($name::of($value),)+)
            }
        })+
    };
}

all! { (A a) (A a, B b) (A a, B b, C c) (A a, B b, C c, D d) (A a, B b, C c, D d, E e) }

impl All for () {
    type Component = ();

    fn of((): ()) {}
}

impl Interface<'_> {
    /// Adds a function: what the guest passes goes in, and what it is given comes out.
    ///
    /// # Errors
    /// There is one of this name.
    #[expect(unsafe_code, reason = "wasmtime passes core values without a look at what the function makes of them")]
    pub(super) fn func<P, R, F>(&mut self, name: &str, function: F) -> Result<()>
    where
        P: All,
        R: ComponentNamedList + Lower + Returned + 'static,
        F: Fn(Guest<'_>, P) -> Result<R> + Copy + Send + Sync + 'static,
    {
        let component = move |guest: Guest<'_>, lifted: P::Component| function(guest, P::of(lifted));
        self.component.func_wrap(name, component)?;
        let core = direct::host_type::<P, R>(self.direct.engine());
        // SAFETY: `host_call` reads and writes as many values, and of such types, as `host_type` says of the same `P` and `R`, and none of
        // them is a reference.
        unsafe {
            self.direct.func_new_unchecked(self.name, name, core, move |mut caller, values| {
                direct::host_call(caller.as_context_mut(), values, function)
            })
        }?;
        Ok(())
    }
}
