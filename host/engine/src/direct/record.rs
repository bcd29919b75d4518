//! Records and enumerations of the contract: what they are in memory and in calls follows from their fields and cases.

/// A record that both executors pass: declared once, for wasmtime by its attributes and for the direct executor by the word in front, which
/// says how: `fixed`, `lowered` or `lifted`.
macro_rules! record {
    (
        $how:ident,
        $(#[$about:meta])*
        $visible:vis struct $name:ident $(<$life:lifetime>)? {
            $($(#[$note:meta])* $of:vis $field:ident: $type:ty),+ $(,)?
        }
    ) => {
        $(#[$about])*
        $visible struct $name $(<$life>)? {
            $($(#[$note])* $of $field: $type),+
        }

        $crate::direct::$how!($name $(<$life>)? { $($field: $type),+ });
    };
}

/// How large a record is, and what it is in calls.
macro_rules! layout {
    ($name:ident $(<$life:lifetime>)? { $($field:ident: $type:ty),+ $(,)? }) => {
        impl $(<$life>)? $crate::direct::Layout for $name $(<$life>)? {
            const SIZE: usize = {
                let mut at = 0;
                $(at = $crate::direct::aligned(at, <$type as $crate::direct::Layout>::ALIGN)
                    + <$type as $crate::direct::Layout>::SIZE;)+
                $crate::direct::aligned(at, Self::ALIGN)
            };
            const ALIGN: usize = {
                let mut align = 1;
                $(align = $crate::direct::larger(align, <$type as $crate::direct::Layout>::ALIGN);)+
                align
            };
            const FLAT: usize = 0 $(+ <$type as $crate::direct::Layout>::FLAT)+;

            fn flatten(into: &mut Vec<$crate::direct::Core>) {
                $(<$type as $crate::direct::Layout>::flatten(into);)+
            }
        }
    };
}

/// A record that is passed to guests.
macro_rules! lowered {
    ($name:ident $(<$life:lifetime>)? { $($field:ident: $type:ty),+ $(,)? }) => {
        $crate::direct::layout!($name $(<$life>)? { $($field: $type),+ });

        impl $(<$life>)? $crate::direct::Lower for $name $(<$life>)? {
            fn lower(&self, passing: &mut $crate::direct::Passing<'_>) -> wasmtime::Result<()> {
                $($crate::direct::Lower::lower(&self.$field, passing)?;)+
                Ok(())
            }

            fn store(&self, passing: &mut $crate::direct::Passing<'_>, at: usize) -> wasmtime::Result<()> {
                let mut at = at;
                $(
                    at = $crate::direct::aligned(at, <$type as $crate::direct::Layout>::ALIGN);
                    $crate::direct::Lower::store(&self.$field, passing, at)?;
                    at += <$type as $crate::direct::Layout>::SIZE;
                )+
                let _ = at;
                Ok(())
            }
        }
    };
}

/// A record of numbers that is passed to guests.
macro_rules! fixed {
    ($name:ident $(<$life:lifetime>)? { $($field:ident: $type:ty),+ $(,)? }) => {
        $crate::direct::layout!($name $(<$life>)? { $($field: $type),+ });

        impl $(<$life>)? $crate::direct::Fixed for $name $(<$life>)? {
            #[inline]
            fn push(&self, passing: &mut $crate::direct::Passing<'_>) -> wasmtime::Result<()> {
                $($crate::direct::Fixed::push(&self.$field, passing)?;)+
                Ok(())
            }

            #[inline]
            fn write(&self, into: &mut [u8]) {
                let mut at = 0;
                $(
                    at = $crate::direct::aligned(at, <$type as $crate::direct::Layout>::ALIGN);
                    let end = at + <$type as $crate::direct::Layout>::SIZE;
                    if let Some(place) = into.get_mut(at..end) {
                        $crate::direct::Fixed::write(&self.$field, place);
                    }
                    at = end;
                )+
                let _ = at;
            }
        }
    };
}

/// A record that guests pass.
macro_rules! lifted {
    ($name:ident { $($field:ident: $type:ty),+ $(,)? }) => {
        $crate::direct::layout!($name { $($field: $type),+ });

        impl $crate::direct::Lift for $name {
            fn lift(passed: &mut $crate::direct::Passed<'_>) -> wasmtime::Result<Self> {
                Ok(Self { $($field: <$type as $crate::direct::Lift>::lift(passed)?),+ })
            }

            fn load(passed: &mut $crate::direct::Passed<'_>, at: usize) -> wasmtime::Result<Self> {
                let mut next = at;
                $(
                    next = $crate::direct::aligned(next, <$type as $crate::direct::Layout>::ALIGN);
                    let $field = <$type as $crate::direct::Lift>::load(passed, next)?;
                    next = next.saturating_add(<$type as $crate::direct::Layout>::SIZE);
                )+
                let _ = next;
                Ok(Self { $($field),+ })
            }
        }
    };
}

/// An enumeration of at most 256 cases.
macro_rules! cases {
    ($name:ident { $($case:ident),+ $(,)? }) => {
        impl $crate::direct::Layout for $name {
            const SIZE: usize = 1;
            const ALIGN: usize = 1;
            const FLAT: usize = 1;

            fn flatten(into: &mut Vec<$crate::direct::Core>) {
                into.push($crate::direct::Core::I32);
            }
        }

        impl $crate::direct::Fixed for $name {
            #[inline]
            fn push(&self, passing: &mut $crate::direct::Passing<'_>) -> wasmtime::Result<()> {
                $crate::direct::push_case(*self as u8, passing)
            }

            #[inline]
            fn write(&self, into: &mut [u8]) {
                into.fill(*self as u8);
            }
        }

        impl $crate::direct::Lift for $name {
            fn lift(passed: &mut $crate::direct::Passed<'_>) -> wasmtime::Result<Self> {
                let case = $crate::direct::flat_case(passed)?;
                Self::of_case(case)
            }

            fn load(passed: &mut $crate::direct::Passed<'_>, at: usize) -> wasmtime::Result<Self> {
                let case = $crate::direct::case(passed, at)?;
                Self::of_case(case)
            }
        }

        impl $name {
            fn of_case(case: u8) -> wasmtime::Result<Self> {
                [$(Self::$case),+].get(usize::from(case)).copied().ok_or_else(|| $crate::direct::no_case(case))
            }
        }
    };
}

/// A variant that guests give as a result, with the largest of its payloads: it comes through memory.
macro_rules! variant {
    ($name:ident: $largest:ty { $($number:literal => $case:ident $(($payload:ty))?),+ $(,)? }) => {
        impl $crate::direct::Layout for $name {
            const SIZE: usize = <Option<$largest> as $crate::direct::Layout>::SIZE;
            const ALIGN: usize = <$largest as $crate::direct::Layout>::ALIGN;
            const FLAT: usize = 1 + <$largest as $crate::direct::Layout>::FLAT;

            fn flatten(into: &mut Vec<$crate::direct::Core>) {
                <Option<$largest> as $crate::direct::Layout>::flatten(into);
            }
        }

        impl $crate::direct::Lift for $name {
            fn lift(passed: &mut $crate::direct::Passed<'_>) -> wasmtime::Result<Self> {
                passed.result()
            }

            fn load(passed: &mut $crate::direct::Passed<'_>, at: usize) -> wasmtime::Result<Self> {
                let place = at.saturating_add($crate::direct::payload(<Self as $crate::direct::Layout>::ALIGN));
                match $crate::direct::case(passed, at)? {
                    $($number => Ok($crate::direct::variant!(@case $case, $($payload)?; passed, place)),)+
                    case => Err($crate::direct::no_case(case)),
                }
            }
        }
    };
    (@case $case:ident, ; $passed:ident, $place:ident) => { Self::$case };
    (@case $case:ident, $payload:ty; $passed:ident, $place:ident) => {
        Self::$case(<$payload as $crate::direct::Lift>::load($passed, $place)?)
    };
}

pub(crate) use {cases, fixed, layout, lifted, lowered, record, variant};
