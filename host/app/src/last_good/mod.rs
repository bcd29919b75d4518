//! A copy of what was last served without a plugin missing: the text of the configuration and the files of its plugins.
//!
//! A reload leaves what is good as it is when what is on disk is bad; a start has nothing to leave, and begins with this.
//! It lies in a folder that is found by the configuration's path alone, because of a bad configuration nothing else can be
//! believed. Signatures are kept with the files, and are checked again when they are loaded.

mod keeper;

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use palisade_config::Config;
use sha2::{Digest, Sha256};

pub(crate) use keeper::{Keeper, Keeping};

use crate::generation::Written;

/// Where the copy of one configuration is.
#[derive(Debug, Clone)]
pub(crate) struct LastGood {
    folder: PathBuf,
}

/// A copy.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) written: Written,
    /// Its plugins, as a folder of plugins holds them.
    pub(crate) plugins: PathBuf,
}

/// What is to be kept.
#[derive(Debug)]
pub(crate) struct Contents<'a> {
    pub(crate) text: &'a str,
    pub(crate) plugins: Vec<PluginFile<'a>>,
}

/// A plugin's file with its signature. One without bytes is kept as it was kept before.
#[derive(Debug)]
pub(crate) struct PluginFile<'a> {
    pub(crate) module: &'a str,
    pub(crate) bytes: Option<(&'a [u8], Option<&'a str>)>,
}

impl LastGood {
    /// Below this folder, which only this user may write to.
    ///
    /// # Errors
    /// It cannot be made, or others may write to it.
    pub(crate) fn below(state: &Path, config: &Path) -> io::Result<Self> {
        let config = std::path::absolute(config)?;
        let name = config.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let digest = Sha256::digest(config.as_os_str().as_bytes());
        let digest: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let folder = state.join(format!("{name}-{digest}"));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        for folder in [state, &folder] {
            is_own(folder)?;
        }
        Ok(Self { folder })
    }

    /// The copy, of the configuration in this file; none where there is none that can be used.
    pub(crate) fn read(&self, file: &Path) -> Option<Kept> {
        let (_, copy) = self.copies().ok()?.pop()?;
        let text = Config::text_of(&copy.join(TEXT)).ok()?;
        let written = Written::parse(text, file)
            .inspect_err(|error| tracing::warn!(%error, "what was last good is good no more"))
            .ok()?;
        Some(Kept { written, plugins: copy.join(PLUGINS) })
    }

    /// Keeps this in the place of what was kept before. Whoever reads sees the one or the other, whole.
    ///
    /// # Errors
    /// It cannot be written; what was kept before is then kept still.
    pub(crate) fn write(&self, contents: &Contents<'_>) -> io::Result<()> {
        let copies = self.copies()?;
        let before = copies.last();
        let part = self.folder.join("next.part");
        match fs::remove_dir_all(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) | Ok(()) => {}
        }
        fs::DirBuilder::new().recursive(true).mode(0o700).create(part.join(PLUGINS))?;
        let mut files = vec![(PathBuf::from(TEXT), Some(contents.text.as_bytes()))];
        for PluginFile { module, bytes } in &contents.plugins {
            let name = |ending: &str| Path::new(PLUGINS).join(format!("{module}.{ending}"));
            files.push((name("wasm"), bytes.map(|(bytes, _)| bytes)));
            if bytes.is_none_or(|(_, signature)| signature.is_some()) {
                files.push((name("wasm.sig"), bytes.and_then(|(_, signature)| signature).map(str::as_bytes)));
            }
        }
        let mut is_changed = before.is_none();
        for (name, bytes) in &files {
            is_changed |= keep(before.map(|(_, copy)| copy.join(name)), &part.join(name), *bytes)?;
        }
        if !is_changed {
            return fs::remove_dir_all(&part);
        }
        let number = before.map_or(0, |(number, _)| *number) + 1;
        for folder in [&part.join(PLUGINS), &part] {
            fs::File::open(folder)?.sync_all()?;
        }
        fs::rename(&part, self.folder.join(format!("{number}")))?;
        for (_, old) in copies {
            let _ = fs::remove_dir_all(old);
        }
        Ok(())
    }

    /// Every copy, the last one last: there are two for the moment in which one takes the other's place.
    fn copies(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        let mut copies = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let number = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
            copies.extend(number.map(|number| (number, path)));
        }
        copies.sort();
        Ok(copies)
    }
}

const TEXT: &str = "config.toml";
const PLUGINS: &str = "plugins";

/// Writes one file of a copy, and says whether it differs from the one of the copy before. What is the same is the same
/// file.
fn keep(before: Option<PathBuf>, file: &Path, bytes: Option<&[u8]>) -> io::Result<bool> {
    let before = before.filter(|before| before.is_file());
    let is_same = |before: &PathBuf| bytes.is_none_or(|bytes| fs::read(before).is_ok_and(|read| read == bytes));
    match (before.filter(is_same), bytes) {
        (Some(before), _) => fs::hard_link(before, file).map(|()| false),
        // There is no file to be kept.
        (None, None) => Ok(false),
        (None, Some(bytes)) => {
            let mut open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
            open.write_all(bytes)?;
            open.sync_all()?;
            Ok(true)
        }
    }
}

/// Whatever lies here is run, so nobody else may put anything here.
fn is_own(folder: &Path) -> io::Result<()> {
    let (about, own) = (fs::metadata(folder)?, fs::metadata("/proc/self")?);
    let mode = about.permissions().mode();
    if about.uid() == own.uid() && mode & 0o022 == 0 {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "others could write into {} (owner {}, mode {:o}): it must be this user's and mode 700",
        folder.display(),
        about.uid(),
        mode & 0o777
    )))
}

#[cfg(test)]
mod tests;
