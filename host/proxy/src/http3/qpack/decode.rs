//! A field section becomes its fields, one after the other (RFC 9204, section 4.5).

use bytes::{Bytes, BytesMut};

use super::{Malformed, huffman, integer, static_table};

/// The fields of a section that are not read yet.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
    name: BytesMut,
    /// All values that have to be kept, in one piece of memory.
    values: BytesMut,
}

/// The name of a field.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Name<'a> {
    /// One of QPACK's own.
    Known(&'static str),
    /// As the peer wrote it.
    Written(&'a [u8]),
}

impl Name<'_> {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Known(name) => name.as_bytes(),
            Self::Written(name) => name,
        }
    }
}

/// The value of a field.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// One of QPACK's own.
    Known(&'static str),
    /// As the peer wrote it.
    Written(Bytes),
}

impl Value {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Known(value) => value.as_bytes(),
            Self::Written(value) => value,
        }
    }
}

impl<'a> Fields<'a> {
    /// Of a section as it came.
    ///
    /// # Errors
    /// It says that it needs a dynamic table (section 4.5.1).
    pub(crate) fn new(section: &'a [u8]) -> Result<Self, Malformed> {
        let (required, rest) = integer::decode(section, 8)?;
        let sign = rest.first().ok_or(Malformed)? & 0x80;
        let (_, rest) = integer::decode(rest, 7)?;
        // With nothing required, a base below that is negative (section 4.5.1.2).
        if required != 0 || sign != 0 {
            return Err(Malformed);
        }
        Ok(Self { rest, name: BytesMut::new(), values: BytesMut::with_capacity(rest.len()) })
    }

    /// The next one, if there is any.
    ///
    /// # Errors
    /// What follows is no field, or refers to a dynamic table.
    pub(crate) fn next(&mut self) -> Result<Option<(Name<'_>, Value)>, Malformed> {
        let Some(first) = self.rest.first() else { return Ok(None) };
        // Sections 4.5.2, 4.5.4 and 4.5.6; every other form needs a dynamic table.
        if first & 0xc0 == 0xc0 {
            let (name, value) = self.known(6)?;
            return Ok(Some((Name::Known(name), Value::Known(value))));
        }
        if first & 0xd0 == 0x50 {
            let (name, _) = self.known(4)?;
            let value = self.value()?;
            return Ok(Some((Name::Known(name), value)));
        }
        if first & 0xe0 == 0x20 {
            let mut name = std::mem::take(&mut self.name);
            name.clear();
            self.rest = string(self.rest, (0x08, 3), &mut name)?;
            self.name = name;
            let value = self.value()?;
            return Ok(Some((Name::Written(&self.name), value)));
        }
        Err(Malformed)
    }

    fn known(&mut self, prefix: u32) -> Result<(&'static str, &'static str), Malformed> {
        let (index, rest) = integer::decode(self.rest, prefix)?;
        self.rest = rest;
        static_table::field(index).ok_or(Malformed)
    }

    fn value(&mut self) -> Result<Value, Malformed> {
        self.rest = string(self.rest, (0x80, 7), &mut self.values)?;
        Ok(Value::Written(self.values.split().freeze()))
    }
}

/// Appends the string that stands first, and says what follows it. `coded` is the bit of its first byte that says whether it
/// is in Huffman's code.
pub(crate) fn string<'a>(
    bytes: &'a [u8],
    (coded, prefix): (u8, u32),
    into: &mut BytesMut,
) -> Result<&'a [u8], Malformed> {
    let is_coded = bytes.first().ok_or(Malformed)? & coded != 0;
    let (length, rest) = integer::decode(bytes, prefix)?;
    let length = usize::try_from(length).map_err(|_| Malformed)?;
    let (string, rest) = rest.split_at_checked(length).ok_or(Malformed)?;
    if is_coded {
        huffman::decode(string, into)?
    } else {
        into.extend_from_slice(string)
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_its_fields() {
        // RFC 9204, appendix B.1.
        check(b"\x00\x00\x51\x0b/index.html", Ok(&[(":path", "/index.html")]));
        check(b"\x00\x00", Ok(&[]));
        check(
            b"\x00\x00\xd1\xd7\xff\x23",
            Ok(&[(":method", "GET"), (":scheme", "https"), ("x-frame-options", "sameorigin")]),
        );
        check(b"\x00\x00\x23x-a\x01b", Ok(&[("x-a", "b")]));
        check(b"\x00\x00\x33x-a\x01b", Ok(&[("x-a", "b")]));
        check(b"\x00\x00\x2f\x01\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x01b", Ok(&[("custom-key", "b")]));
        check(
            b"\x00\x00\x50\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff",
            Ok(&[(":authority", "www.example.com")]),
        );
        check(b"\x00\x05\xd1", Ok(&[(":method", "GET")]));
    }

    #[test]
    fn what_needs_a_dynamic_table_or_breaks_off_is_malformed() {
        for section in [
            &b""[..],
            b"\x00",
            b"\x01\x00\x80",
            b"\x00\x80",
            b"\x00\x00\x80",
            b"\x00\x00\x40\x01b",
            b"\x00\x00\x10",
            b"\x00\x00\x00\x01b",
            b"\x00\x00\xff\x24",
            b"\x00\x00\xff",
            b"\x00\x00\x51\x0b/index",
            b"\x00\x00\x23x-",
            b"\x00\x00\x23x-a",
            b"\x00\x00\x51\x82\xff\xff",
        ] {
            check(section, Err(Malformed));
        }
    }

    fn check(section: &[u8], expected: Result<&[(&str, &str)], Malformed>) {
        let read = || {
            let mut fields = Fields::new(section)?;
            let mut found = Vec::new();
            while let Some((name, value)) = fields.next()? {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
                found.push((text(name.as_bytes()), text(value.as_bytes())));
            }
            Ok(found)
        };
        let found: Result<Vec<(String, String)>, Malformed> = read();
        let expected =
            expected.map(|fields| fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect());
        assert_eq!(found, expected, "{section:x?}");
    }
}
