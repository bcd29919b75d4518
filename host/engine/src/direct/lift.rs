//! Values that a guest passes.

use wasmtime::{Result, ValRaw, bail, format_err};

use super::layout::{Layout, payload};

/// Bytes of lists and texts that one call may pass: they can claim far more than the guest has.
pub(crate) const BYTES_MAX: usize = crate::instance::HOST_CALL_BYTES_MAX;

/// A place in a guest's memory that was found to be within it, where it stays: memories never shrink.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) start: usize,
    /// Elements of a list, bytes of a text.
    pub(crate) length: usize,
}

/// What a guest passes: core values, and its memory.
pub(crate) struct Passed<'a> {
    values: &'a [ValRaw],
    memory: &'a [u8],
    bytes_left: usize,
}

impl<'a> Passed<'a> {
    pub(crate) fn new(values: &'a [ValRaw], memory: &'a [u8]) -> Self {
        Self { values, memory, bytes_left: BYTES_MAX }
    }

    /// The next core value.
    fn next(&mut self) -> Result<ValRaw> {
        let (value, rest) = self.values.split_first().ok_or_else(|| format_err!("a call with too few values"))?;
        self.values = rest;
        Ok(*value)
    }

    fn at<const N: usize>(&self, at: usize) -> Result<[u8; N]> {
        let bytes = self.memory.get(at..).and_then(<[u8]>::first_chunk);
        bytes.copied().ok_or_else(|| format_err!("pointer out of bounds of memory"))
    }

    /// A list whose elements are so large and so aligned.
    fn list(&mut self, start: u32, length: u32, (size, align): (usize, usize)) -> Result<Span> {
        let (start, length) = (usize::try_from(start)?, usize::try_from(length)?);
        if !start.is_multiple_of(align) {
            bail!("list pointer is not aligned");
        }
        let bytes = length.checked_mul(size).filter(|bytes| {
            let end = start.checked_add(*bytes);
            end.is_some_and(|end| end <= self.memory.len())
        });
        let Some(bytes) = bytes else { bail!("list pointer/length out of bounds of memory") };
        match self.bytes_left.checked_sub(bytes) {
            Some(left) => self.bytes_left = left,
            None => bail!("more than {BYTES_MAX} bytes are passed in one call"),
        }
        Ok(Span { start, length })
    }

    /// A result that is in memory.
    ///
    /// # Errors
    /// It is not, or it is none.
    pub(crate) fn result<T: Lift>(&mut self) -> Result<T> {
        let at = usize::try_from(self.next()?.get_u32())?;
        if !at.is_multiple_of(T::ALIGN) {
            bail!("return pointer not aligned");
        }
        T::load(self, at)
    }
}

/// What can be taken from a guest.
pub(crate) trait Lift: Layout + Sized {
    /// From the next core values.
    ///
    /// # Errors
    /// They are none of this type: the guest traps.
    fn lift(passed: &mut Passed<'_>) -> Result<Self>;

    /// From memory.
    ///
    /// # Errors
    /// There is none of this type: the guest traps.
    fn load(passed: &mut Passed<'_>, at: usize) -> Result<Self>;
}

macro_rules! number {
    ($($type:ty, $get:ident);+) => {
        $(impl Lift for $type {
            fn lift(passed: &mut Passed<'_>) -> Result<Self> {
                Ok(passed.next()?.$get())
            }

            fn load(passed: &mut Passed<'_>, at: usize) -> Result<Self> {
                Ok(Self::from_le_bytes(passed.at(at)?))
            }
        })+
    };
}

number!(u32, get_u32; u64, get_u64; i64, get_i64);

impl Lift for u16 {
    #[expect(clippy::cast_possible_truncation, reason = "the upper bits mean nothing (Canonical ABI, \"Lifting\")")]
    fn lift(passed: &mut Passed<'_>) -> Result<Self> {
        Ok(passed.next()?.get_u32() as Self)
    }

    fn load(passed: &mut Passed<'_>, at: usize) -> Result<Self> {
        Ok(Self::from_le_bytes(passed.at(at)?))
    }
}

impl Lift for f64 {
    fn lift(passed: &mut Passed<'_>) -> Result<Self> {
        Ok(Self::from_bits(passed.next()?.get_f64()))
    }

    fn load(passed: &mut Passed<'_>, at: usize) -> Result<Self> {
        Ok(Self::from_le_bytes(passed.at(at)?))
    }
}

impl Lift for bool {
    fn lift(passed: &mut Passed<'_>) -> Result<Self> {
        Ok(passed.next()?.get_u32() != 0)
    }

    fn load(passed: &mut Passed<'_>, at: usize) -> Result<Self> {
        Ok(passed.at(at)? != [0])
    }
}

/// Which case of a variant it is.
pub(crate) fn case(passed: &Passed<'_>, at: usize) -> Result<u8> {
    let [case] = passed.at(at)?;
    Ok(case)
}

/// Which case of an enumeration it is.
pub(crate) fn flat_case(passed: &mut Passed<'_>) -> Result<u8> {
    let case = passed.next()?.get_u32();
    u8::try_from(case).map_err(|_| no_case(case))
}

/// A number that stands for no case: the guest traps.
pub(crate) fn no_case(case: impl Into<u32>) -> wasmtime::Error {
    format_err!("unexpected discriminant: {}", case.into())
}

/// A list whose elements are `T`.
pub(crate) fn list<T: Layout>(passed: &mut Passed<'_>) -> Result<Span> {
    let (start, length) = (passed.next()?.get_u32(), passed.next()?.get_u32());
    passed.list(start, length, (T::SIZE, T::ALIGN))
}

/// As [`list`], from memory.
pub(crate) fn list_at<T: Layout>(passed: &mut Passed<'_>, at: usize) -> Result<Span> {
    let (start, length) = (u32::load(passed, at)?, u32::load(passed, at.saturating_add(4))?);
    passed.list(start, length, (T::SIZE, T::ALIGN))
}

/// Bytes, which are no type of their own here.
pub(crate) fn bytes(passed: &mut Passed<'_>) -> Result<Span> {
    let (start, length) = (passed.next()?.get_u32(), passed.next()?.get_u32());
    passed.list(start, length, (1, 1))
}

/// As [`bytes`], from memory.
pub(crate) fn bytes_at(passed: &mut Passed<'_>, at: usize) -> Result<Span> {
    let (start, length) = (u32::load(passed, at)?, u32::load(passed, at.saturating_add(4))?);
    passed.list(start, length, (1, 1))
}

/// The text of a result, which is never passed as core values.
impl Lift for String {
    fn lift(passed: &mut Passed<'_>) -> Result<Self> {
        let span = bytes(passed)?;
        text(passed, span)
    }

    fn load(passed: &mut Passed<'_>, at: usize) -> Result<Self> {
        let span = bytes_at(passed, at)?;
        text(passed, span)
    }
}

fn text(passed: &Passed<'_>, span: Span) -> Result<String> {
    let bytes = passed.memory.get(span.start..).and_then(|rest| rest.get(..span.length)).unwrap_or_default();
    Ok(str::from_utf8(bytes)?.to_owned())
}

impl<T: Lift> Lift for Option<T> {
    fn lift(passed: &mut Passed<'_>) -> Result<Self> {
        match flat_case(passed)? {
            0 => {
                for _ in 0..T::FLAT {
                    passed.next()?;
                }
                Ok(None)
            }
            1 => T::lift(passed).map(Some),
            _ => bail!("invalid option discriminant"),
        }
    }

    fn load(passed: &mut Passed<'_>, at: usize) -> Result<Self> {
        match case(passed, at)? {
            0 => Ok(None),
            1 => T::load(passed, at.saturating_add(payload(T::ALIGN))).map(Some),
            _ => bail!("invalid option discriminant"),
        }
    }
}

/// What `lifecycle.configure` says. It comes through memory.
impl Lift for Result<(), String> {
    fn lift(passed: &mut Passed<'_>) -> Result<Self> {
        passed.result()
    }

    fn load(passed: &mut Passed<'_>, at: usize) -> Result<Self> {
        match case(passed, at)? {
            0 => Ok(Ok(())),
            1 => String::load(passed, at.saturating_add(payload(Self::ALIGN))).map(Err),
            _ => bail!("invalid expected discriminant"),
        }
    }
}

impl<A: Lift, B: Lift> Lift for (A, B) {
    fn lift(passed: &mut Passed<'_>) -> Result<Self> {
        Ok((A::lift(passed)?, B::lift(passed)?))
    }

    fn load(passed: &mut Passed<'_>, at: usize) -> Result<Self> {
        let second = at.saturating_add(super::layout::aligned(A::SIZE, B::ALIGN));
        Ok((A::load(passed, at)?, B::load(passed, second)?))
    }
}
