//! `cargo xtask dist`: the program that ships, compiled by what an earlier build of it was seen to do.
//!
//! What the host does for a request has no place where most of the time goes, so it is the compiler that has most to give: told which
//! branches are taken and which calls are made, it lays out and inlines accordingly (profile-guided optimisation, rustc's book). The program is
//! built once so that it counts, put under the loads of `bench peers`, and built again by the counts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::steps::Steps;
use crate::workspace::Workspace;
use crate::{command, plugins, tools};

/// What it is put under: every protocol, with plugins and without, handshakes, answers and requests with much in them.
const LOADS: &str = "w1,w2,w3,w4,w5,w6,w8";

/// Builds it; the arguments are given to the last build.
///
/// # Errors
/// Something is missing, or a build or a load fails.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let mut steps = Steps::new(5);
    steps.next("looking for wrk, h2load and what merges counts");
    tools::ensure(&[tools::C_COMPILER, tools::WRK, tools::H2LOAD, tools::CURL])?;
    plugins::ensure_targets()?;
    let rust = Rust::find()?;
    let merge = rust.profdata()?;
    let folder = workspace.artifacts().join("guided");
    let counts = folder.join("counts");
    if counts.exists() {
        // Those of other sources.
        fs::remove_dir_all(&counts).with_context(|| format!("cannot remove {}", counts.display()))?;
    }
    steps.next("building a program that counts");
    let build = |flag: String, arguments: &[String]| {
        let (target_dir, program) = (folder.display().to_string(), rust.program(&folder));
        let words = ["build", "--package", "palisade", "--profile", "dist", "--locked", "--target", &rust.host];
        let words = words.into_iter().chain(["--target-dir", &target_dir]);
        let words: Vec<&str> = words.chain(arguments.iter().map(String::as_str)).collect();
        workspace.cargo_with(("RUSTFLAGS", &flag), &words).map(|()| program)
    };
    let counting = build(format!("-Cprofile-generate={}", counts.display()), &[])?;
    // The next build has the same name.
    let counter = folder.join("palisade-counting");
    fs::rename(&counting, &counter).with_context(|| format!("cannot move {}", counting.display()))?;
    steps.next("counting under load");
    let words = format!("bench --bench peers -- --peer palisade --load {LOADS} --rounds 1 --seconds 2 --binary");
    let counter = counter.display().to_string();
    workspace.cargo(&words.split(' ').chain([counter.as_str()]).collect::<Vec<_>>())?;
    steps.next("merging the counts");
    let merged = folder.join("merged.profdata");
    command::run(Command::new(merge).arg("merge").arg("-o").arg(&merged).arg(&counts))?;
    steps.next("building the program by them");
    let built = build(format!("-Cprofile-use={}", merged.display()), arguments)?;
    let program = folder.join("palisade");
    fs::copy(&built, &program).with_context(|| format!("cannot copy {}", built.display()))?;
    println!("\n{}", program.display());
    Ok(())
}

/// The compiler and what came with it.
struct Rust {
    /// The target of this machine.
    host: String,
    libraries: PathBuf,
}

impl Rust {
    fn find() -> Result<Self> {
        let about = command::read(Command::new("rustc").arg("-vV"))?;
        let host = about.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
        let root = command::read(Command::new("rustc").args(["--print", "sysroot"]))?;
        let libraries = Path::new(root.trim()).join("lib/rustlib").join(host);
        Ok(Self { host: host.to_owned(), libraries })
    }

    /// Where cargo puts the program.
    fn program(&self, target_dir: &Path) -> PathBuf {
        target_dir.join(&self.host).join("dist/palisade")
    }

    /// The program of LLVM's that merges counts: that of another version may not read them.
    fn profdata(&self) -> Result<PathBuf> {
        let program = self.libraries.join("bin/llvm-profdata");
        if program.exists() {
            return Ok(program);
        }
        if !command::exists("rustup") {
            bail!(
                "{} is not there, and there is no rustup to add it: install Rust's component llvm-tools",
                program.display()
            );
        }
        command::run(Command::new("rustup").args(["component", "add", "llvm-tools"]))?;
        ensure!(program.exists(), "{} is not there, though llvm-tools are installed", program.display());
        Ok(program)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiler_says_what_it_builds_for() {
        let rust = Rust::find().expect("a compiler");
        assert!(rust.host.contains('-') && rust.libraries.is_dir(), "{}", rust.libraries.display());
        let program = rust.program(Path::new("target"));
        assert_eq!(program, Path::new("target").join(&rust.host).join("dist/palisade"));
    }
}
