//! Where a new plugin's crate takes the SDK from.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// Where the SDK comes from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sdk {
    /// The registry, in the version of this program.
    Published,
    /// This folder.
    Folder(PathBuf),
}

impl Sdk {
    /// The folder that was named; without one, `sdk` in the Palisade that `place` lies in; else the published one.
    ///
    /// # Errors
    /// The folder that was named is not the SDK's.
    pub(super) fn find(named: Option<&Path>, place: &Path) -> anyhow::Result<Self> {
        if let Some(folder) = named {
            anyhow::ensure!(is_sdk(folder), "{} is not the folder of palisade-sdk", folder.display());
            return Ok(Self::Folder(absolute(folder)?));
        }
        let place = absolute(place)?;
        let folder = place.ancestors().map(|folder| folder.join("sdk")).find(|folder| is_sdk(folder));
        Ok(folder.map_or(Self::Published, Self::Folder))
    }

    /// As `Cargo.toml` has it.
    pub(super) fn dependency(&self) -> String {
        match self {
            Self::Published => format!("{:?}", env!("CARGO_PKG_VERSION")),
            Self::Folder(folder) => format!("{{ path = {} }}", toml_text(&folder.to_string_lossy())),
        }
    }
}

fn absolute(folder: &Path) -> anyhow::Result<PathBuf> {
    folder.canonicalize().with_context(|| format!("there is no folder {}", folder.display()))
}

fn is_sdk(folder: &Path) -> bool {
    fs::read_to_string(folder.join("Cargo.toml")).is_ok_and(|text| text.contains("name = \"palisade-sdk\""))
}

/// A basic string (TOML 1.0).
fn toml_text(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            control if control.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(control))),
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sdk_is_the_one_that_was_named_or_the_one_around_or_the_published_one() {
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk").canonicalize().expect("the SDK");
        let nowhere = std::env::temp_dir();
        assert_eq!(Sdk::find(Some(&ours), &nowhere).expect("a folder"), Sdk::Folder(ours.clone()));
        let around = Sdk::find(None, Path::new(env!("CARGO_MANIFEST_DIR"))).expect("a folder");
        assert_eq!(around, Sdk::Folder(ours));
        assert_eq!(Sdk::find(None, &nowhere).expect("a folder"), Sdk::Published);
        let error = Sdk::find(Some(&nowhere), &nowhere).expect_err("no SDK").to_string();
        assert!(error.ends_with(" is not the folder of palisade-sdk"), "{error}");
    }

    #[test]
    fn a_folder_is_written_so_that_cargo_reads_it() {
        let folder = Sdk::Folder("/a b/\"c\"\\d".into());
        assert_eq!(folder.dependency(), r#"{ path = "/a b/\"c\"\\d" }"#);
        assert_eq!(Sdk::Published.dependency(), concat!("\"", env!("CARGO_PKG_VERSION"), "\""));
    }
}
