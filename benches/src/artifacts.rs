//! The things that are measured: plugins and guests, built before anything is measured.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Where this repository's plugins and guests are.
#[derive(Debug)]
pub struct Artifacts {
    root: PathBuf,
}

impl Artifacts {
    /// Builds the plugins and the tests' guests, so that no old one is measured.
    ///
    /// # Errors
    /// They do not build.
    pub fn with_plugins() -> Result<Self> {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the package has a parent folder")?.to_owned();
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo).current_dir(&root).args(["xtask", "plugins"]).status();
        ensure!(status.context("cannot run cargo")?.success(), "the plugins do not build");
        Ok(Self { root })
    }

    /// A plugin or one of the tests' guests, by the name of its file without `.wasm`.
    #[must_use]
    pub fn plugin(&self, name: &str) -> PathBuf {
        let file = |folder: &Path| folder.join(name).with_extension("wasm");
        let plugin = file(&self.plugins());
        if plugin.is_file() { plugin } else { file(&self.root.join("target/guests")) }
    }

    /// The folder of the plugins.
    #[must_use]
    pub fn plugins(&self) -> PathBuf {
        self.root.join("target/plugins")
    }

    /// A folder for what a benchmark writes.
    #[must_use]
    pub fn scratch(&self) -> PathBuf {
        self.root.join("target/benches")
    }
}
