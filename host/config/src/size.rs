//! Sizes as text or as a number of bytes: `64 KiB`, `16MiB`, `4096`.

use std::{fmt::Display, ops::RangeInclusive};

use toml::de::DeValue;

use crate::text::{Form, Value};

/// Reads a size in a range, in bytes.
pub(crate) fn read<T>(value: &Value<'_>, range: RangeInclusive<u64>) -> Option<T>
where
    T: TryFrom<u64> + Display,
{
    if let DeValue::Integer(_) = value.raw() {
        return value.whole(range).and_then(|bytes| T::try_from(bytes).ok());
    }
    let Some(bytes) = parse(value.text(SIZE)?) else { return value.is_not(SIZE) };
    let fits = range.contains(&bytes).then(|| T::try_from(bytes).ok()).flatten();
    fits.or_else(|| value.is_out_of_range(written(*range.start()), written(*range.end())))
}

/// A number too large for 64 bits is the largest one.
fn parse(text: &str) -> Option<u64> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(unit_at)?;
    if digits.is_empty() {
        return None;
    }
    let (_, bytes) = UNITS.iter().find(|(name, _)| *name == unit.trim_start())?;
    Some(digits.parse().unwrap_or(u64::MAX).saturating_mul(*bytes))
}

/// In the largest unit that gives a whole number.
pub(crate) fn written(size: u64) -> String {
    let fits = UNITS.iter().find(|(_, bytes)| size > 0 && size.is_multiple_of(*bytes));
    fits.map_or_else(|| "0 B".to_owned(), |(unit, bytes)| format!("{} {unit}", size / bytes))
}

const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
const SIZE: Form =
    Form { noun: "a size", expected: "a whole number of bytes, or one with KiB, MiB or GiB, such as \"64 KiB\"" };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_number_and_a_binary_unit() {
        check("0 B", Some(0));
        check("64 KiB", Some(65_536));
        check("16MiB", Some(16 << 20));
        check("4 GiB", Some(4 << 30));
        check("99999999999999999999 KiB", Some(u64::MAX));
        for wrong in ["", "64", "KiB", "64 KB", "64k", "1.5 MiB", "-1 B", "64 kib", "64 KiB "] {
            check(wrong, None);
        }
    }

    #[track_caller]
    fn check(text: &str, bytes: Option<u64>) {
        assert_eq!(parse(text), bytes, "{text}");
    }

    #[test]
    fn a_size_is_written_in_its_largest_unit() {
        for text in ["0 B", "1 B", "1025 B", "64 KiB", "1536 KiB", "4 GiB"] {
            assert_eq!(parse(text).map(written).as_deref(), Some(text));
        }
    }
}
