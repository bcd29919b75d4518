//! Compiled code on disk, keyed by the plugin's content and by the engine that compiled it.
//!
//! Machine code is loaded without checks, so it is taken only from files that this host wrote itself: from a folder that
//! belongs to it and that nobody else can write to. Where there is no such folder there is no cache.

use std::fs::{self, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use palisade_contract::{Clock, SystemClock};
use sha2::{Digest, Sha256};
use wasmtime::Engine;

use crate::compiled::{Compiled, Executor};
use crate::{cache_size, compiler};

/// A folder of compiled code, or none.
#[derive(Debug)]
pub(crate) struct Cache {
    folder: Option<PathBuf>,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Cache {
    /// Keeps nothing.
    pub(crate) fn none() -> Self {
        Self { folder: None, hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }

    /// Keeps compiled code in this folder, which is made if it is not there.
    ///
    /// # Errors
    /// The folder cannot be made, or others can write to it.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let about = fs::metadata(folder)?;
        let (mode, owner) = (about.permissions().mode(), about.uid());
        if owner != process_owner()? || mode & 0o022 != 0 {
            return Err(io::Error::other(format!(
                "others could write code into it (owner {owner}, mode {:o}): it must be this user's and mode 700",
                mode & 0o777
            )));
        }
        Ok(Self { folder: Some(folder.to_owned()), ..Self::none() })
    }

    /// Whether what is compiled is kept.
    pub(crate) fn keeps(&self) -> bool {
        self.folder.is_some()
    }

    /// How often code was found, and how often it had to be compiled.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed))
    }

    /// The code of these contents: from the folder, or from `compile` and kept.
    ///
    /// # Errors
    /// Those of `compile`. A cache that cannot be read or written only costs time.
    pub(crate) fn code<E>(
        &self,
        engine: &Engine,
        (content, executor): (&str, Executor),
        compile: impl FnOnce() -> Result<Compiled, E>,
    ) -> Result<Compiled, E> {
        let file = self.folder.as_ref().map(|folder| folder.join(file_name(engine, content, executor)));
        if let Some((file, code)) = file.as_ref().and_then(|file| Some((file, load(engine, file, executor)?))) {
            cache_size::note_use(file, SystemClock.wall());
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(code);
        }
        let code = compile()?;
        self.misses.fetch_add(1, Ordering::Relaxed);
        if let Some(file) = file
            && let Err(error) = keep(&code, &file)
        {
            tracing::warn!(file = %file.display(), %error, "compiled code was not kept; the next start compiles it again");
        }
        Ok(code)
    }
}

impl Cache {
    /// The code of these contents, which is here already: kept in the folder, and mapped from there. None where that cannot be.
    #[cfg(not(feature = "compiler"))]
    pub(crate) fn carried(
        &self,
        engine: &Engine,
        (content, executor): (&str, Executor),
        code: &[u8],
    ) -> Option<Compiled> {
        let file = self.folder.as_ref()?.join(file_name(engine, content, executor));
        if !is_ours(&file) {
            write_whole(&file, code).ok()?;
        }
        let compiled = load(engine, &file, executor)?;
        cache_size::note_use(&file, SystemClock.wall());
        self.hits.fetch_add(1, Ordering::Relaxed);
        Some(compiled)
    }

    /// Removes what was not used for longest, where there is too much.
    pub(crate) fn tidy(&self) {
        let Some(folder) = &self.folder else { return };
        if let Err(error) = cache_size::keep_within(folder, cache_size::BYTES_MAX, SystemClock.wall()) {
            tracing::warn!(folder = %folder.display(), %error, "compiled code that is not used any more was not removed");
        }
    }

    /// What was written down beside the code of these contents.
    pub(crate) fn note(&self, content: &str) -> Option<Vec<u8>> {
        let file = self.folder.as_ref()?.join(content).with_extension("json");
        is_ours(&file).then(|| fs::read(&file).ok()).flatten()
    }

    /// Writes something down beside the code of these contents. Where it cannot be kept, it is made again next time.
    pub(crate) fn write_note(&self, content: &str, note: &[u8]) {
        let Some(folder) = &self.folder else { return };
        if let Err(error) = write_whole(&folder.join(content).with_extension("json"), note) {
            tracing::warn!(folder = %folder.display(), %error, "a note beside compiled code was not kept");
        }
    }
}

fn file_name(engine: &Engine, content: &str, executor: Executor) -> String {
    let mut hasher = Sha256Hasher(Sha256::new());
    compiler::fingerprint(engine).hash(&mut hasher);
    let engine: String = hasher.0.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let kind = match executor {
        Executor::Component => "",
        Executor::Direct => "direct-",
    };
    format!("{content}-{kind}{engine}.cwasm")
}

/// The user that this process acts as, which owns what it creates.
fn process_owner() -> io::Result<u32> {
    fs::metadata("/proc/self").map(|about| about.uid())
}

fn load(engine: &Engine, file: &Path, executor: Executor) -> Option<Compiled> {
    if !is_ours(file) {
        return None;
    }
    deserialize(engine, file, executor)
        .inspect_err(|error| tracing::warn!(file = %file.display(), %error, "kept code does not load; compiling again"))
        .ok()
}

/// A plain file that this process's user wrote and nobody else can write to.
fn is_ours(file: &Path) -> bool {
    let (Ok(about), Ok(owner)) = (fs::symlink_metadata(file), process_owner()) else { return false };
    about.is_file() && about.uid() == owner && about.permissions().mode() & 0o022 == 0
}

#[expect(unsafe_code, reason = "wasmtime loads machine code unchecked")]
fn deserialize(engine: &Engine, file: &Path, executor: Executor) -> wasmtime::Result<Compiled> {
    // SAFETY: the file is a plain file of ours that nobody else can write, in a folder of ours that nobody else can write
    // to, under a name that only `keep` and `carried` give, by an atomic rename: of what `Compiled::serialize` returned, or of
    // the code of a plugin's file whose writer was believed.
    unsafe { Compiled::deserialize_file(engine, file, executor) }
}

fn keep(code: &Compiled, file: &Path) -> io::Result<()> {
    write_whole(file, &code.serialize().map_err(io::Error::other)?)
}

/// Writes beside and renames, so that a reader never sees half a file.
fn write_whole(file: &Path, bytes: &[u8]) -> io::Result<()> {
    static UNIQUE: AtomicU64 = AtomicU64::new(0);
    let suffix = format!("{}-{}.part", std::process::id(), UNIQUE.fetch_add(1, Ordering::Relaxed));
    let part = file.with_extension(suffix);
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part);
    let written = written.and_then(|mut open| open.write_all(bytes)).and_then(|()| fs::rename(&part, file));
    written.inspect_err(|_| drop(fs::remove_file(&part)))
}

/// Feeds a [`Hash`] to SHA-256, whose result, unlike the standard hasher's, is the same in every process.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0 // Never asked: the digest is read instead.
    }
}
