//! Where things are in this repository, and its cargo.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command;

/// This repository on this machine.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
    /// Where cargo builds: `target`, unless the developer told cargo otherwise.
    cargo_target: PathBuf,
}

impl Workspace {
    pub(crate) fn find() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask has a parent folder")?.to_owned();
        let mut metadata = cargo(&root);
        metadata.args(["metadata", "--no-deps", "--format-version", "1"]);
        let metadata = command::read(&mut metadata)?;
        let cargo_target =
            text_field(&metadata, "target_directory").context("cargo metadata names no target folder")?;
        Ok(Self { root, cargo_target: cargo_target.into() })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The folder for what these commands make, where the tests look for it.
    pub(crate) fn artifacts(&self) -> PathBuf {
        self.root.join("target")
    }

    /// Runs cargo in the repository, its output passing through.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Result<()> {
        command::run(cargo(&self.root).args(arguments))
    }

    /// As [`Workspace::cargo`], with a variable in its environment.
    pub(crate) fn cargo_with(&self, (name, value): (&str, &str), arguments: &[&str]) -> Result<()> {
        command::run(cargo(&self.root).env(name, value).args(arguments))
    }

    /// A program that cargo built in the development profile.
    pub(crate) fn binary(&self, name: &str) -> PathBuf {
        self.cargo_target.join("debug").join(name)
    }

    /// The folder of what cargo built for a target in the plugins' profile.
    pub(crate) fn plugin_build(&self, target: &str) -> PathBuf {
        self.cargo_target.join(target).join("plugin")
    }
}

fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}

/// A text in JSON that we know to be flat at this point and without escapes.
pub(crate) fn text_field<'a>(json: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = json.split_once(&format!("\"{key}\":\""))?;
    rest.split_once('"').map(|(text, _)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_field_is_found() {
        check(r#"{"a":"1","b":"two"}"#, "b", Some("two"));
        check(r#"{"a":1}"#, "a", None);
        check("", "a", None);
    }

    fn check(json: &str, key: &str, expected: Option<&str>) {
        assert_eq!(text_field(json, key), expected);
    }

    #[test]
    fn the_workspace_is_where_its_manifest_is() {
        let workspace = Workspace::find().expect("a workspace");
        assert!(workspace.root().join("Cargo.toml").is_file());
        assert!(workspace.binary("palisade").starts_with(&workspace.cargo_target));
    }
}
