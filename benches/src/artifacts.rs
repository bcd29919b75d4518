//! The things that are measured: plugins, guests and the host's binary, built before anything is measured.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Where this repository's plugins, guests and binaries are.
#[derive(Debug)]
pub struct Artifacts {
    root: PathBuf,
    /// The profile's own folder: where the running benchmark was built, and the host is.
    built: PathBuf,
}

impl Artifacts {
    /// Builds the plugins and the tests' guests, so that no old one is measured.
    ///
    /// # Errors
    /// They do not build, or the running program is not where cargo builds programs.
    pub fn with_plugins() -> Result<Self> {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the package has a parent folder")?.to_owned();
        let program = std::env::current_exe().context("this program has no place")?;
        let built = program.ancestors().nth(2).context("this program is in no folder of cargo's")?.to_owned();
        let artifacts = Self { root, built };
        artifacts.cargo(&["xtask", "plugins"])?;
        Ok(artifacts)
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

    /// Builds the host's binary with the profile that this benchmark was built with, and gives its place.
    ///
    /// # Errors
    /// It does not build.
    pub fn host(&self) -> Result<PathBuf> {
        let profile = self.built.file_name().and_then(|name| name.to_str()).context("the profile has no name")?;
        // The profiles `dev` and `test` build into a folder of another name.
        let profile = if profile == "debug" { "dev" } else { profile };
        self.cargo(&["build", "--profile", profile, "--package", "palisade", "--bin", "palisade"])?;
        Ok(self.built.join("palisade"))
    }

    fn cargo(&self, arguments: &[&str]) -> Result<()> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status =
            Command::new(cargo).current_dir(&self.root).args(arguments).status().context("cannot run cargo")?;
        ensure!(status.success(), "`cargo {}` failed with {status}", arguments.join(" "));
        Ok(())
    }
}
