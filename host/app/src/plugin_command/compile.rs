//! `palisade plugin compile`: a plugin in, the same plugin with its machine code out.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use palisade_engine::{Processors, TrustedKeys};

/// What to compile, and for what.
#[derive(Debug, clap::Args)]
pub struct CompileOptions {
    /// The plugin's `.wasm` file.
    file: PathBuf,
    /// Where the compiled plugin goes. By default beside the file, with `.cwasm` at its end.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Compiles for processors that can all that this machine's can, instead of for all of its architecture.
    #[arg(long)]
    native: bool,
}

impl CompileOptions {
    /// Writes the compiled plugin; says where it is.
    ///
    /// # Errors
    /// The file cannot be read, is no plugin or does not compile, or the result cannot be written.
    pub(super) fn run(&self) -> anyhow::Result<String> {
        let file = super::signature::read(&self.file, &TrustedKeys::default())?;
        let out = self.out.clone().unwrap_or_else(|| self.file.with_extension("cwasm"));
        ensure!(out != self.file, "{} would be written over itself: name another file with --out", out.display());
        let processors = if self.native { Processors::Own } else { Processors::All };
        let compiled =
            palisade_engine::compile(&file.bytes, processors).with_context(|| self.file.display().to_string())?;
        write(&out, &compiled).with_context(|| format!("cannot write {}", out.display()))?;
        let wanted = match processors {
            Processors::All => format!("any {} processor", std::env::consts::ARCH),
            Processors::Own => "processors like this machine's".to_owned(),
        };
        Ok(format!(
            "{}: {} bytes, for palisade {} on {wanted}; a signature has to be made anew",
            out.display(),
            compiled.len(),
            env!("CARGO_PKG_VERSION")
        ))
    }
}

/// Beside it first: a host that watches the folder sees a whole file or none.
fn write(out: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let part = out.with_extension("cwasm.part");
    fs::write(&part, bytes).and_then(|()| fs::rename(&part, out)).inspect_err(|_| drop(fs::remove_file(&part)))
}
