//! How large values are in a guest's memory, and which core values they are in a call (Component Model, "Canonical ABI",
//! sections "Alignment", "Element Size" and "Flattening").

use std::sync::Arc;

/// A core type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Core {
    I32,
    I64,
    F64,
}

/// What a type is in memory and in calls.
pub(crate) trait Layout {
    /// Bytes in memory.
    const SIZE: usize;
    /// What addresses of it are multiples of: a power of two.
    const ALIGN: usize;
    /// How many core values it is in a call.
    const FLAT: usize;

    /// The core values that it is in a call, behind others.
    fn flatten(into: &mut Vec<Core>);
}

/// The first multiple of `align` from here on.
pub(crate) const fn aligned(at: usize, align: usize) -> usize {
    at.next_multiple_of(align)
}

pub(crate) const fn larger(one: usize, other: usize) -> usize {
    if one > other { one } else { other }
}

/// Where the payload of a variant stands behind its discriminant of one byte.
pub(crate) const fn payload(align: usize) -> usize {
    aligned(1, align)
}

macro_rules! number {
    ($($type:ty: $size:literal, $core:ident);+) => {
        $(impl Layout for $type {
            const SIZE: usize = $size;
            const ALIGN: usize = $size;
            const FLAT: usize = 1;

            fn flatten(into: &mut Vec<Core>) {
                into.push(Core::$core);
            }
        })+
    };
}

number!(bool: 1, I32; u16: 2, I32; u32: 4, I32; u64: 8, I64; i64: 8, I64; f64: 8, F64);

impl Layout for () {
    const SIZE: usize = 0;
    const ALIGN: usize = 1;
    const FLAT: usize = 0;

    fn flatten(_: &mut Vec<Core>) {}
}

/// What lists and texts are: where they begin, and how long they are.
macro_rules! list {
    () => {
        const SIZE: usize = 8;
        const ALIGN: usize = 4;
        const FLAT: usize = 2;

        fn flatten(into: &mut Vec<$crate::direct::Core>) {
            into.extend([$crate::direct::Core::I32, $crate::direct::Core::I32]);
        }
    };
}
pub(crate) use list;

impl Layout for &str {
    list!();
}

impl Layout for String {
    list!();
}

impl<T> Layout for &[T] {
    list!();
}

impl<T> Layout for Vec<T> {
    list!();
}

impl Layout for Arc<[u8]> {
    list!();
}

impl<T: Layout> Layout for Option<T> {
    const SIZE: usize = aligned(payload(T::ALIGN) + T::SIZE, T::ALIGN);
    const ALIGN: usize = T::ALIGN;
    const FLAT: usize = 1 + T::FLAT;

    fn flatten(into: &mut Vec<Core>) {
        into.push(Core::I32);
        T::flatten(into);
    }
}

/// Never passed as core values: where there are several of them, a result comes back through memory.
impl<T: Layout, E: Layout> Layout for Result<T, E> {
    const SIZE: usize = aligned(payload(Self::ALIGN) + larger(T::SIZE, E::SIZE), Self::ALIGN);
    const ALIGN: usize = larger(T::ALIGN, E::ALIGN);
    const FLAT: usize = 2;

    fn flatten(into: &mut Vec<Core>) {
        into.extend([Core::I32, Core::I32]);
    }
}

impl<A: Layout, B: Layout> Layout for (A, B) {
    const SIZE: usize = aligned(aligned(A::SIZE, B::ALIGN) + B::SIZE, Self::ALIGN);
    const ALIGN: usize = larger(A::ALIGN, B::ALIGN);
    const FLAT: usize = A::FLAT + B::FLAT;

    fn flatten(into: &mut Vec<Core>) {
        A::flatten(into);
        B::flatten(into);
    }
}
