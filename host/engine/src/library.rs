//! Every plugin file of a folder, and every configured plugin made of them.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::Builder;

use palisade_config::TrustedKeys;

use crate::{Engine, LoadError, Manifest, Module, Plugin, PluginFile, Reason};

/// Every plugin file of a folder, and every configured plugin. One bad file is one error about that file.
#[derive(Debug)]
pub struct Library {
    /// Every `.wasm` of the folder, by name.
    pub files: Vec<File>,
    /// In the order of the configuration: each plugin, or why there is none.
    pub plugins: Vec<Result<Plugin, LoadError>>,
}

/// One `.wasm` of the folder.
#[derive(Debug)]
pub struct File {
    /// The file's stem, which configurations name.
    pub module: String,
    /// Where it is.
    pub path: PathBuf,
    /// The name of the trusted key that signed it; none where no key is asked for, or it is not believed.
    pub signed_by: Option<String>,
    /// What it says of itself, or what is wrong with it.
    pub manifest: Result<Manifest, String>,
}

impl Library {
    /// Loads every `.wasm` of the folder that these keys have signed, if there are any, and configures the plugins, on as
    /// many threads as the machine has cores.
    ///
    /// # Errors
    /// The folder cannot be read. What is wrong with single files is in the result.
    pub fn load(
        engine: &Engine,
        folder: &Path,
        trusted: &TrustedKeys,
        configs: &[palisade_config::Plugin],
    ) -> std::io::Result<Self> {
        let found = files(folder)?;
        let load = |path: &Path| {
            let PluginFile { bytes, signed_by } = PluginFile::read(path, trusted, engine.services.clock.wall())?;
            Ok(Loaded { module: Module::new(engine, &bytes)?, signed_by })
        };
        let stack_bytes = engine.stack_bytes + LOADER_STACK_BYTES;
        let modules = in_parallel(stack_bytes, &found, |(module, path)| {
            let loaded = contained(|| load(path));
            (module.clone(), loaded)
        });
        let modules: BTreeMap<String, Result<Loaded, Reason>> = modules.into_iter().collect();
        let plugins = in_parallel(stack_bytes, configs, |config| {
            let file = folder.join(format!("{}.wasm", config.module));
            let plugin = contained(|| match modules.get(&config.module) {
                Some(Ok(loaded)) => Plugin::new(engine, &loaded.module, config),
                // The reason is told once for each plugin of the file, so it is found again rather than shared.
                Some(Err(_)) => Plugin::new(engine, &load(&file)?.module, config),
                None => Err(Reason::Missing),
            });
            let known = modules.get(&config.module).and_then(|module| module.as_ref().ok());
            let phases = known.map(|loaded| loaded.module.manifest().phases);
            plugin.map_err(|reason| LoadError { plugin: config.name.clone(), file, phases, reason })
        });
        let files = found.into_iter().map(|(module, path)| File {
            signed_by: modules.get(&module).and_then(|loaded| loaded.as_ref().ok()?.signed_by.clone()),
            manifest: match modules.get(&module) {
                Some(Ok(loaded)) => Ok(loaded.module.manifest().clone()),
                Some(Err(reason)) => Err(reason.to_string()),
                None => Err("was not looked at".into()),
            },
            module,
            path,
        });
        Ok(Self { files: files.collect(), plugins })
    }
}

/// A file that became a module.
struct Loaded {
    module: Module,
    signed_by: Option<String>,
}

/// Stack of a loading thread beside what guests may use: the compiler's.
const LOADER_STACK_BYTES: usize = 4 << 20;

/// Loading runs a compiler, and what turns modules into components, over bytes that anyone may have made. Where one of
/// these panics, it is that file's error and no one else's.
fn contained<T>(load: impl FnOnce() -> Result<T, Reason>) -> Result<T, Reason> {
    catch_unwind(AssertUnwindSafe(load)).unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().map(String::as_str);
        let message = message.or(panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Err(Reason::Panicked(message.lines().next().unwrap_or_default().to_owned()))
    })
}

/// The stems and paths of the folder's `.wasm` files, by name. Hidden files are somebody's half-written ones.
fn files(folder: &Path) -> std::io::Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        let is_plugin = path.extension().is_some_and(|extension| extension == "wasm") && path.is_file();
        if is_plugin && !stem.is_empty() && !stem.starts_with('.') {
            files.push((stem, path));
        }
    }
    files.sort();
    Ok(files)
}

/// Does the work for each item on a few threads, and gives the results in the items' order.
fn in_parallel<T: Sync, R: Send>(stack_bytes: usize, items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(items.len());
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    let take_all = || {
        while let Some((index, item)) = take(items, &next) {
            let result = work(item);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
        }
    };
    std::thread::scope(|scope| {
        let spawned = (0..threads).map(|_| Builder::new().stack_size(stack_bytes).spawn_scoped(scope, take_all));
        // With no thread to be had, the work is done here.
        if spawned.filter(|spawned| spawned.is_ok()).count() == 0 {
            take_all();
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

fn take<'a, T>(items: &'a [T], next: &AtomicUsize) -> Option<(usize, &'a T)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    items.get(index).map(|item| (index, item))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_over_one_file_is_that_files_error() {
        let error = contained::<()>(|| panic!("over the\nedge")).expect_err("it panicked");
        assert_eq!(error.to_string(), "cannot be loaded: what reads it failed on it (over the)");
        assert!(contained(|| Ok(())).is_ok());
    }

    #[test]
    fn work_in_parallel_keeps_the_order() {
        let numbers: Vec<u32> = (0..100).collect();
        assert_eq!(
            in_parallel(LOADER_STACK_BYTES, &numbers, |number| number * 2),
            (0..100).map(|number| number * 2).collect::<Vec<_>>()
        );
        assert!(in_parallel(LOADER_STACK_BYTES, &[] as &[u32], |number| *number).is_empty());
    }
}
