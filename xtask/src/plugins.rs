//! Plugins and the tests' guests: built as WebAssembly, gathered in two folders.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command;
use crate::steps::Steps;
use crate::workspace::Workspace;

/// A core module without WASI, which the host makes a component when it loads it.
const MODULE: &str = "wasm32-unknown-unknown";
/// A component at once.
const COMPONENT: &str = "wasm32-wasip2";

/// `cargo xtask plugins`.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut steps = Steps::new(3);
    steps.next("looking for the WebAssembly targets");
    ensure_targets()?;
    steps.next("building the plugins");
    build(workspace)?;
    steps.next("building the tests' guests");
    build_guests(workspace)
}

/// Builds every plugin into `target/plugins`.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    let names = folders(&workspace.root().join("plugins"))?;
    let packages = names.iter().flat_map(|name| ["-p", name]);
    let build = ["build", "--profile", "plugin", "--target", MODULE];
    workspace.cargo(&build.into_iter().chain(packages).collect::<Vec<_>>())?;
    let built = workspace.plugin_build(MODULE);
    gather(&built, &workspace.artifacts().join("plugins"), &names)
}

/// Builds every guest as a module into `target/guests` and as a component into `target/guests/wasip2`.
pub(crate) fn build_guests(workspace: &Workspace) -> Result<()> {
    let names = sources(&workspace.root().join("tests/guests/examples"))?;
    let folder = workspace.artifacts().join("guests");
    for (target, folder) in [(MODULE, folder.clone()), (COMPONENT, folder.join("wasip2"))] {
        workspace.cargo(&["build", "--profile", "plugin", "--target", target, "-p", "guests", "--examples"])?;
        gather(&workspace.plugin_build(target).join("examples"), &folder, &names)?;
    }
    Ok(())
}

/// Adds the WebAssembly targets that this Rust lacks.
pub(crate) fn ensure_targets() -> Result<()> {
    for target in [MODULE, COMPONENT] {
        if has_target(target)? {
            continue;
        }
        if !command::exists("rustup") {
            bail!(
                "Rust's target {target} is not installed, and there is no rustup to add it: install it the way this \
                 Rust was installed, or take Rust from https://rustup.rs"
            );
        }
        command::run(Command::new("rustup").args(["target", "add", target]))?;
    }
    Ok(())
}

fn has_target(target: &str) -> Result<bool> {
    let folder = command::read(Command::new("rustc").args(["--print", "target-libdir", "--target", target]))?;
    Ok(Path::new(folder.trim()).is_dir())
}

/// The names of the folders in a folder that are packages; each package has its folder's name.
fn folders(folder: &Path) -> Result<Vec<String>> {
    list(folder, |path| path.join("Cargo.toml").is_file())
}

/// The names of the Rust programs in a folder, each a file or a folder with a `main.rs`.
fn sources(folder: &Path) -> Result<Vec<String>> {
    list(folder, |path| path.extension().is_some_and(|end| end == "rs") || path.join("main.rs").is_file())
}

fn list(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    let stem = |path: &PathBuf| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let mut names: Vec<String> = paths.iter().filter(|path| wanted(path)).filter_map(stem).collect();
    names.sort();
    Ok(names)
}

/// Copies what was built, so that the folder holds these and nothing older.
fn gather(built: &Path, folder: &Path, names: &[String]) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for old in list(folder, |path| path.extension().is_some_and(|end| end == "wasm"))? {
        if !names.contains(&old) {
            fs::remove_file(folder.join(format!("{old}.wasm"))).with_context(|| format!("cannot remove {old}.wasm"))?;
        }
    }
    for name in names {
        // Cargo writes a library's name with underscores, and an example's as it is.
        let file = [name.replace('-', "_"), name.clone()].map(|stem| built.join(format!("{stem}.wasm")));
        let file = file.iter().find(|file| file.is_file());
        let file =
            file.with_context(|| format!("{name} gave no .wasm in {}: is its crate-type cdylib?", built.display()))?;
        let place = folder.join(format!("{name}.wasm"));
        fs::copy(file, &place).with_context(|| format!("cannot copy {} to {}", file.display(), place.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_holds_what_was_built_and_nothing_older() {
        check(&["fire_wall.wasm"], &["fire-wall"], Ok(&["fire-wall.wasm", "notes.txt"]));
        check(&["no-op.wasm", "qps.wasm"], &["no-op", "qps"], Ok(&["no-op.wasm", "notes.txt", "qps.wasm"]));
        check(&[], &["qps"], Err("qps gave no .wasm in built: is its crate-type cdylib?"));
    }

    /// Gathers from a folder with these files into one with `old.wasm` and `notes.txt`.
    #[track_caller]
    fn check(built: &[&str], names: &[&str], expected: Result<&[&str], &str>) {
        let scratch = std::env::temp_dir().join(format!("xtask-{}", std::process::id()));
        let (from, to) = (scratch.join("built"), scratch.join("gathered"));
        fs::create_dir_all(&from).expect("a folder");
        fs::create_dir_all(&to).expect("a folder");
        built.iter().map(|file| from.join(file)).for_each(|file| fs::write(file, "new").expect("written"));
        ["old.wasm", "notes.txt"].iter().for_each(|file| fs::write(to.join(file), "old").expect("written"));
        let done = gather(&from, &to, &owned(names));
        let mut found: Vec<String> = fs::read_dir(&to).expect("a folder").map(|entry| file_name(&entry)).collect();
        found.sort();
        fs::remove_dir_all(&scratch).expect("removed");
        match expected {
            Ok(files) => assert_eq!((done.map_err(|error| error.to_string()), found), (Ok(()), owned(files))),
            Err(sentence) => {
                let error = done.expect_err("it fails").to_string();
                assert_eq!(error.replace(&from.display().to_string(), "built"), sentence);
            }
        }
    }

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    fn file_name(entry: &std::io::Result<fs::DirEntry>) -> String {
        entry.as_ref().expect("an entry").file_name().to_string_lossy().into_owned()
    }
}
