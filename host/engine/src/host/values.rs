//! What guests pass to the host, by whichever executor they run. Texts and lists stay in the guest's memory until they are looked at.

use std::borrow::Cow;

use wasmtime::Result;
use wasmtime::component::{Lift as ComponentLift, WasmList, WasmStr};

use super::Guest;
use crate::direct::{self, Layout, Lift, Passed, Span};

/// What a function of the host takes from a guest.
pub(crate) trait Argument: Lift {
    /// The same as wasmtime takes it from a component.
    type Component: ComponentLift + 'static;

    fn of(lifted: Self::Component) -> Self;
}

macro_rules! same {
    ($($type:ty),+ $(,)?) => {
        $(impl $crate::host::Argument for $type {
            type Component = Self;

            #[inline]
            fn of(lifted: Self) -> Self {
                lifted
            }
        })+
    };
}
pub(crate) use same;

same!(bool, u16, u32, u64, i64, f64);

impl<T: Argument> Argument for Option<T> {
    type Component = Option<T::Component>;

    fn of(lifted: Self::Component) -> Self {
        lifted.map(T::of)
    }
}

impl<A: Argument, B: Argument> Argument for (A, B) {
    type Component = (A::Component, B::Component);

    fn of((first, second): Self::Component) -> Self {
        (A::of(first), B::of(second))
    }
}

/// A text.
pub(crate) enum Str {
    Component(WasmStr),
    Direct(Span),
}

/// Bytes.
pub(crate) enum Bytes {
    Component(WasmList<u8>),
    Direct(Span),
}

/// A list of anything else.
pub(crate) enum List<T: Argument> {
    Component(WasmList<T::Component>),
    Direct(Span),
}

/// What is at a place, which is within memory.
fn at<'a>(guest: &'a Guest<'_>, start: usize, bytes: usize) -> &'a [u8] {
    let memory = guest.data().passage.map(|passage| passage.memory.data(guest));
    memory.and_then(|memory| memory.get(start..)).and_then(|rest| rest.get(..bytes)).unwrap_or_default()
}

impl Str {
    /// # Errors
    /// It is no UTF-8: the guest traps.
    pub(crate) fn to_str<'a>(&self, guest: &'a Guest<'_>) -> Result<Cow<'a, str>> {
        match self {
            Self::Component(text) => text.to_str(guest),
            Self::Direct(span) => Ok(Cow::Borrowed(str::from_utf8(at(guest, span.start, span.length))?)),
        }
    }
}

impl Bytes {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Component(list) => list.len(),
            Self::Direct(span) => span.length,
        }
    }

    pub(crate) fn as_slice<'a>(&self, guest: &'a Guest<'_>) -> &'a [u8] {
        match self {
            Self::Component(list) => list.as_le_slice(guest),
            Self::Direct(span) => at(guest, span.start, span.length),
        }
    }
}

impl<T: Argument> List<T> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Component(list) => list.len(),
            Self::Direct(span) => span.length,
        }
    }

    /// All of them, in order: as many as the caller has looked that there are.
    ///
    /// # Errors
    /// One of them is no such value: the guest traps.
    pub(crate) fn each(&self, guest: &mut Guest<'_>) -> Result<Vec<T>> {
        match self {
            Self::Component(list) => list.iter(guest)?.map(|element| element.map(T::of)).collect(),
            Self::Direct(span) => {
                let memory = guest.data().passage.map_or(&[][..], |passage| passage.memory.data(&*guest));
                let mut passed = Passed::new(&[], memory);
                let places = (0..span.length).map(|index| span.start.saturating_add(index.saturating_mul(T::SIZE)));
                places.map(|place| T::load(&mut passed, place)).collect()
            }
        }
    }
}

impl Layout for Str {
    direct::list!();
}

impl Layout for Bytes {
    direct::list!();
}

impl<T: Argument> Layout for List<T> {
    direct::list!();
}

impl Lift for Str {
    fn lift(passed: &mut Passed<'_>) -> Result<Self> {
        direct::bytes(passed).map(Self::Direct)
    }

    fn load(passed: &mut Passed<'_>, at: usize) -> Result<Self> {
        direct::bytes_at(passed, at).map(Self::Direct)
    }
}

impl Argument for Str {
    type Component = WasmStr;

    fn of(lifted: WasmStr) -> Self {
        Self::Component(lifted)
    }
}

impl Lift for Bytes {
    fn lift(passed: &mut Passed<'_>) -> Result<Self> {
        direct::bytes(passed).map(Self::Direct)
    }

    fn load(passed: &mut Passed<'_>, at: usize) -> Result<Self> {
        direct::bytes_at(passed, at).map(Self::Direct)
    }
}

impl Argument for Bytes {
    type Component = WasmList<u8>;

    fn of(lifted: WasmList<u8>) -> Self {
        Self::Component(lifted)
    }
}

impl<T: Argument> Lift for List<T> {
    fn lift(passed: &mut Passed<'_>) -> Result<Self> {
        direct::list_of::<T>(passed).map(Self::Direct)
    }

    fn load(passed: &mut Passed<'_>, at: usize) -> Result<Self> {
        direct::list_at::<T>(passed, at).map(Self::Direct)
    }
}

impl<T: Argument> Argument for List<T> {
    type Component = WasmList<T::Component>;

    fn of(lifted: WasmList<T::Component>) -> Self {
        Self::Component(lifted)
    }
}
