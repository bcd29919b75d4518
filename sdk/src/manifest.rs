//! What a plugin says of itself in its custom section `palisade:plugin`: JSON made at compile time.

/// Who a plugin is, as its `Cargo.toml` says.
#[derive(Clone, Copy, Debug)]
pub struct Manifest {
    /// The crate's name.
    pub name: &'static str,
    /// The crate's version.
    pub version: &'static str,
    /// The crate's description; may be empty.
    pub description: &'static str,
}

impl Manifest {
    /// How long [`Manifest::json`] is.
    pub const fn json_bytes(&self) -> usize {
        self.write::<0>().1
    }

    /// `{"name":…,"version":…,"description":…,"sdk":…}`. `N` is [`Manifest::json_bytes`].
    pub const fn json<const N: usize>(&self) -> [u8; N] {
        self.write().0
    }

    /// As much of the text as fits, and how long all of it is.
    const fn write<const N: usize>(&self) -> ([u8; N], usize) {
        let mut out = ([0; N], 0);
        out = raw(out, "{\"name\":\"");
        out = escaped(out, self.name);
        out = raw(out, "\",\"version\":\"");
        out = escaped(out, self.version);
        out = raw(out, "\",\"description\":\"");
        out = escaped(out, self.description);
        out = raw(out, "\",\"sdk\":\"");
        out = escaped(out, env!("CARGO_PKG_VERSION"));
        raw(out, "\"}")
    }
}

type Out<const N: usize> = ([u8; N], usize);

const fn raw<const N: usize>(mut out: Out<N>, text: &str) -> Out<N> {
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        out = push(out, *byte);
        rest = after;
    }
    out
}

/// Text inside of a JSON string (RFC 8259, section 7).
const fn escaped<const N: usize>(mut out: Out<N>, text: &str) -> Out<N> {
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        out = match *byte {
            b'"' => raw(out, "\\\""),
            b'\\' => raw(out, "\\\\"),
            control @ 0..0x20 => push(push(raw(out, "\\u00"), hex(control >> 4)), hex(control & 15)),
            other => push(out, other),
        };
        rest = after;
    }
    out
}

const fn hex(digit: u8) -> u8 {
    if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }
}

#[expect(clippy::indexing_slicing, reason = "the index is checked, and const code has no other way to write")]
const fn push<const N: usize>(mut out: Out<N>, byte: u8) -> Out<N> {
    if out.1 < N {
        out.0[out.1] = byte;
    }
    out.1 += 1;
    out
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const PLAIN: Manifest = Manifest { name: "firewall", version: "1.2.3", description: "Lets some through" };
    const ODD: Manifest = Manifest { name: "a", version: "", description: "a \"b\" \\ \n\u{1f} ü" };

    static PLAIN_JSON: [u8; PLAIN.json_bytes()] = PLAIN.json();
    static ODD_JSON: [u8; ODD.json_bytes()] = ODD.json();

    #[test]
    fn the_section_is_json_whatever_the_description_says() {
        check(&PLAIN_JSON, PLAIN);
        check(&ODD_JSON, ODD);
    }

    #[track_caller]
    fn check(json: &[u8], manifest: Manifest) {
        let expected = json!({
            "name": manifest.name,
            "version": manifest.version,
            "description": manifest.description,
            "sdk": env!("CARGO_PKG_VERSION"),
        });
        assert_eq!(serde_json::from_slice::<Value>(json).unwrap(), expected);
    }
}
