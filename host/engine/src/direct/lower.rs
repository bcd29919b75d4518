//! Values that the host passes to a guest.

use std::sync::Arc;

use wasmtime::{Func, Memory, Result, ValRaw, bail, format_err};

use super::arrival::{self, Arrival};
use super::layout::{Layout, aligned, payload};
use crate::host::Guest;

/// Core values of one call: what needs more would be passed through memory, and nothing of the contract does.
pub(crate) const FLAT_MAX: usize = 16;

/// What the two sides of an instance pass values by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Passage {
    pub(crate) memory: Memory,
    /// Takes four numbers, and gives one.
    pub(super) realloc: Func,
    /// What need not be asked for there.
    pub(super) arrival: Option<Arrival>,
}

/// A call that is being made ready.
pub(crate) struct Passing<'a> {
    guest: Guest<'a>,
    passage: Passage,
    values: &'a mut Values,
    filled: usize,
}

/// The core values of a call.
pub(crate) type Values = [ValRaw; FLAT_MAX];

pub(crate) fn no_values() -> Values {
    [ValRaw::i32(0); FLAT_MAX]
}

impl<'a> Passing<'a> {
    /// One whose core values go here.
    pub(crate) fn new(guest: Guest<'a>, passage: Passage, values: &'a mut Values) -> Self {
        Self { guest, passage, values, filled: 0 }
    }

    fn push(&mut self, value: ValRaw) -> Result<()> {
        let Some(next) = self.values.get_mut(self.filled) else { bail!("a call with too many values") };
        *next = value;
        self.filled += 1;
        Ok(())
    }

    /// So many bytes of the guest's memory, from here on.
    fn at(&mut self, at: usize, length: usize) -> Result<&mut [u8]> {
        let memory = self.passage.memory.data_mut(&mut self.guest);
        let bytes = memory.get_mut(at..).and_then(|rest| rest.get_mut(..length));
        bytes.ok_or_else(|| format_err!("pointer out of bounds of memory"))
    }

    /// Memory that the guest's own allocator gives. It must call nobody meanwhile.
    #[expect(unsafe_code, reason = "wasmtime checks the types of no call that is made of core values")]
    fn allocate(&mut self, bytes: usize, align: usize) -> Result<usize> {
        if bytes == 0 {
            return Ok(align);
        }
        if let Some(arrival) = self.passage.arrival.filter(|_| align <= arrival::ALIGN) {
            let memory = self.passage.memory.data_mut(&mut self.guest);
            if let Some(start) = arrival.take(memory, bytes) {
                return Ok(start);
            }
        }
        let mut values = [0, 0, u32::try_from(align)?, u32::try_from(bytes)?].map(ValRaw::u32);
        self.guest.data_mut().may_call = false;
        // SAFETY: whoever made the passage has seen that the function takes four numbers of this type and gives one; it is of the guest's
        // own store.
        let called = unsafe { self.passage.realloc.call_unchecked(&mut self.guest, &raw mut values[..]) };
        self.guest.data_mut().may_call = true;
        called?;
        let [start, ..] = values;
        let start = usize::try_from(start.get_u32())?;
        if !start.is_multiple_of(align) {
            bail!("realloc return: result not aligned");
        }
        let size = self.passage.memory.data_size(&self.guest);
        if start.checked_add(bytes).is_none_or(|end| end > size) {
            bail!("realloc return: beyond end of memory");
        }
        Ok(start)
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(usize, usize)> {
        let start = self.allocate(bytes.len(), 1)?;
        if !bytes.is_empty() {
            self.at(start, bytes.len())?.copy_from_slice(bytes);
        }
        Ok((start, bytes.len()))
    }

    fn push_place(&mut self, (start, length): (usize, usize)) -> Result<()> {
        self.push(ValRaw::u32(u32::try_from(start)?))?;
        self.push(ValRaw::u32(u32::try_from(length)?))
    }

    fn store_place(&mut self, (start, length): (usize, usize), at: usize) -> Result<()> {
        let (start, length) = (u32::try_from(start)?.to_le_bytes(), u32::try_from(length)?.to_le_bytes());
        let place = self.at(at, 8)?;
        for (byte, new) in place.iter_mut().zip(start.into_iter().chain(length)) {
            *byte = new;
        }
        Ok(())
    }

    /// Begins a variant: which case it is.
    pub(crate) fn store_case(&mut self, case: u8, at: usize) -> Result<()> {
        self.at(at, 1)?.fill(case);
        Ok(())
    }

    /// Stores a result where the guest wants it.
    ///
    /// # Errors
    /// That is no place for it: the guest traps.
    pub(crate) fn result<T: Lower>(&mut self, result: &T, at: u32) -> Result<()> {
        let at = usize::try_from(at)?;
        if !at.is_multiple_of(T::ALIGN) {
            bail!("pointer not aligned");
        }
        result.store(self, at)
    }
}

/// What is the same bytes wherever it stands: numbers, and records of them.
pub(crate) trait Fixed: Layout {
    /// As the next core values.
    fn push(&self, passing: &mut Passing<'_>) -> Result<()>;

    /// Into memory of its size.
    fn write(&self, into: &mut [u8]);
}

/// What can be passed to a guest.
pub(crate) trait Lower: Layout {
    /// As the next core values.
    ///
    /// # Errors
    /// The guest's allocator fails: it traps.
    fn lower(&self, passing: &mut Passing<'_>) -> Result<()>;

    /// Into memory.
    ///
    /// # Errors
    /// As those of [`Lower::lower`].
    fn store(&self, passing: &mut Passing<'_>, at: usize) -> Result<()>;
}

impl<T: Fixed> Lower for T {
    fn lower(&self, passing: &mut Passing<'_>) -> Result<()> {
        self.push(passing)
    }

    fn store(&self, passing: &mut Passing<'_>, at: usize) -> Result<()> {
        self.write(passing.at(at, T::SIZE)?);
        Ok(())
    }
}

macro_rules! number {
    ($($type:ty, $make:expr);+) => {
        $(impl Fixed for $type {
            #[inline]
            fn push(&self, passing: &mut Passing<'_>) -> Result<()> {
                passing.push($make(*self))
            }

            #[inline]
            fn write(&self, into: &mut [u8]) {
                if let Some(place) = into.first_chunk_mut() {
                    *place = self.to_le_bytes();
                }
            }
        })+
    };
}

number!(u16, |number| ValRaw::u32(u32::from(number)); u32, ValRaw::u32; u64, ValRaw::u64; i64, ValRaw::i64);

impl Fixed for bool {
    fn push(&self, passing: &mut Passing<'_>) -> Result<()> {
        passing.push(ValRaw::u32(u32::from(*self)))
    }

    fn write(&self, into: &mut [u8]) {
        into.fill(u8::from(*self));
    }
}

/// The case of an enumeration, as a core value.
pub(crate) fn push_case(case: u8, passing: &mut Passing<'_>) -> Result<()> {
    passing.push(ValRaw::u32(u32::from(case)))
}

impl Lower for () {
    fn lower(&self, _: &mut Passing<'_>) -> Result<()> {
        Ok(())
    }

    fn store(&self, _: &mut Passing<'_>, _: usize) -> Result<()> {
        Ok(())
    }
}

/// Texts and bytes.
macro_rules! bytes {
    ($($type:ty, $bytes:path);+) => {
        $(impl Lower for $type {
            fn lower(&self, passing: &mut Passing<'_>) -> Result<()> {
                let place = passing.bytes($bytes(self))?;
                passing.push_place(place)
            }

            fn store(&self, passing: &mut Passing<'_>, at: usize) -> Result<()> {
                let place = passing.bytes($bytes(self))?;
                passing.store_place(place, at)
            }
        })+
    };
}

bytes!(&str, str::as_bytes; String, String::as_bytes; &[u8], std::convert::identity; Vec<u8>, Vec::as_slice; Arc<[u8]>, Arc::as_ref);

impl<T: Fixed> Lower for &[T] {
    fn lower(&self, passing: &mut Passing<'_>) -> Result<()> {
        let place = fixed_list(self, passing)?;
        passing.push_place(place)
    }

    fn store(&self, passing: &mut Passing<'_>, at: usize) -> Result<()> {
        let place = fixed_list(self, passing)?;
        passing.store_place(place, at)
    }
}

fn fixed_list<T: Fixed>(list: &[T], passing: &mut Passing<'_>) -> Result<(usize, usize)> {
    let bytes = list.len().saturating_mul(T::SIZE);
    let start = passing.allocate(bytes, T::ALIGN)?;
    if bytes > 0 {
        let place = passing.at(start, bytes)?;
        for (element, into) in list.iter().zip(place.chunks_exact_mut(T::SIZE)) {
            element.write(into);
        }
    }
    Ok((start, list.len()))
}

impl<T: Lower> Lower for Vec<T> {
    fn lower(&self, passing: &mut Passing<'_>) -> Result<()> {
        let place = list(self, passing)?;
        passing.push_place(place)
    }

    fn store(&self, passing: &mut Passing<'_>, at: usize) -> Result<()> {
        let place = list(self, passing)?;
        passing.store_place(place, at)
    }
}

fn list<T: Lower>(list: &[T], passing: &mut Passing<'_>) -> Result<(usize, usize)> {
    let start = passing.allocate(list.len().saturating_mul(T::SIZE), T::ALIGN)?;
    for (index, element) in list.iter().enumerate() {
        element.store(passing, start.saturating_add(index.saturating_mul(T::SIZE)))?;
    }
    Ok((start, list.len()))
}

impl<T: Lower> Lower for Option<T> {
    fn lower(&self, passing: &mut Passing<'_>) -> Result<()> {
        push_case(u8::from(self.is_some()), passing)?;
        match self {
            Some(value) => value.lower(passing),
            None => (0..T::FLAT).try_for_each(|_| passing.push(ValRaw::u64(0))),
        }
    }

    fn store(&self, passing: &mut Passing<'_>, at: usize) -> Result<()> {
        passing.store_case(u8::from(self.is_some()), at)?;
        match self {
            Some(value) => value.store(passing, at.saturating_add(payload(T::ALIGN))),
            None => Ok(()),
        }
    }
}

impl<T: Lower, E: Lower> Lower for Result<T, E> {
    fn lower(&self, _: &mut Passing<'_>) -> Result<()> {
        bail!("a result is passed through memory")
    }

    fn store(&self, passing: &mut Passing<'_>, at: usize) -> Result<()> {
        passing.store_case(u8::from(self.is_err()), at)?;
        let place = at.saturating_add(payload(Self::ALIGN));
        match self {
            Ok(value) => value.store(passing, place),
            Err(error) => error.store(passing, place),
        }
    }
}

impl<A: Lower, B: Lower> Lower for (A, B) {
    fn lower(&self, passing: &mut Passing<'_>) -> Result<()> {
        self.0.lower(passing)?;
        self.1.lower(passing)
    }

    fn store(&self, passing: &mut Passing<'_>, at: usize) -> Result<()> {
        self.0.store(passing, at)?;
        self.1.store(passing, at.saturating_add(aligned(A::SIZE, B::ALIGN)))
    }
}
