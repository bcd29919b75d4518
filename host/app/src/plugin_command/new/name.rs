//! A crate's name that cargo takes, the host takes as a module's, and that none of the crate's dependencies has.

/// The name of a plugin's crate.
#[derive(Debug, Clone)]
pub(super) struct CrateName(String);

impl CrateName {
    /// # Errors
    /// What it would have to be.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let begins = text.starts_with(|letter: char| letter.is_ascii_lowercase());
        let goes_on =
            text.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-_".contains(letter));
        if !begins || !goes_on || text.len() > BYTES_MAX {
            return Err(format!(
                "is not the name of a crate: expected a lower-case letter, then lower-case letters, digits, \"-\" and \"_\", \
                 at most {BYTES_MAX} together"
            ));
        }
        let name = Self(text.to_owned());
        if TAKEN.contains(&name.library().as_str()) {
            return Err("is taken: it means something else to Rust or to cargo, or is a dependency's name".to_owned());
        }
        Ok(name)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the file that cargo builds, without its ending.
    pub(super) fn library(&self) -> String {
        self.0.replace('-', "_")
    }
}

const BYTES_MAX: usize = 64;

/// Keywords of Rust (2024 edition), crates that come with it, folders of cargo's own, and what every plugin depends on.
const TAKEN: [&str; 65] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "palisade_sdk",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "schemars",
    "self",
    "serde",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "union",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "wit_bindgen",
    "yield",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_that_cargo_and_the_host_take() {
        for name in ["a", "edge-gate", "x2_y", "filter", "balancer", "plugin"] {
            assert!(CrateName::parse(name).is_ok(), "{name}");
        }
        for name in ["", "2x", "-x", "_x", "Edge", "a b", "a.b", "a/b", "../a", "ü", &"a".repeat(65)] {
            assert!(CrateName::parse(name).is_err_and(|error| error.contains("is not the name")), "{name}");
        }
        for name in ["fn", "test", "std", "serde", "palisade-sdk", "build", "wit-bindgen"] {
            assert!(CrateName::parse(name).is_err_and(|error| error.contains("is taken")), "{name}");
        }
    }
}
